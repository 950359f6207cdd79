"""The golden case: before a package is used, it must reproduce its own numbers here.

Run in every worker when it loads, on the provider that will really be used. It is the warm-up
as well: the first call of a network allocates, plans and, on TensorRT, builds.
"""

from __future__ import annotations

import math
import time
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.manifest import Golden, ModelManifest, NetworkSpec, TensorSpec
from node.domain.errors import GoldenMismatch, ModelError
from node.domain.imaging import Network

#: Windows a second by (network, provider).
Speeds = Mapping[tuple[str, str], float]
_UNKNOWN: Speeds = {}
#: A network this slow is not run a second time only to measure its speed.
_LONG_S = 5.0
#: What a damaged or foreign file makes NumPy and zipfile raise.
_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkProof:
    """How one network did.

    Attributes:
        provider: what ran it, as its session reports.
        difference: largest |difference| / largest |expected|; None without a golden case.
        tolerance: largest difference accepted; None without a golden case.
        seconds: of the first run, which warms it up.
        windows_per_s: of the second run, or as it was known.
    """

    network: str
    provider: str
    difference: float | None = None
    tolerance: float | None = None
    seconds: float
    windows_per_s: float


def check_golden(
    manifest: ModelManifest, networks: Mapping[str, Network], speeds: Speeds = _UNKNOWN
) -> tuple[NetworkProof, ...]:
    """Run every network on its golden input; without a golden case on zeros, as a warm-up.

    `speeds` are known already: a network that stands there is not run a second time for it.

    Raises:
        GoldenMismatch: an output differs by more than the manifest allows for the provider
            that ran it. The package must not be used.
        ModelError: the golden case cannot be read, lacks a network, or no tolerance is
            stated for the provider.
    """
    return tuple(
        _prove(spec, networks[spec.name], manifest.golden, speeds) for spec in manifest.networks
    )


def _prove(
    spec: NetworkSpec, network: Network, golden: Golden | None, speeds: Speeds
) -> NetworkProof:
    if golden is not None and network.provider not in spec.tolerance:
        raise ModelError(
            f"network {spec.name} runs on {network.provider}, for which its manifest states no "
            "tolerance; leave that provider out of workers.providers"
        )
    inputs = _zeros(spec) if golden is None else _inputs(spec, golden)
    started = time.perf_counter()
    outputs = network.run(inputs)
    seconds = time.perf_counter() - started
    difference = tolerance = None
    if golden is not None:
        tolerance = spec.tolerance[network.provider]
        difference = _compare(spec, network.provider, outputs, golden)
    windows_per_s = speeds.get((spec.name, network.provider))
    if windows_per_s is None:
        if seconds < _LONG_S:
            # The first call allocates, plans and, on TensorRT, builds.
            started = time.perf_counter()
            network.run(inputs)
            seconds_warm = time.perf_counter() - started
        else:
            seconds_warm = seconds
        windows_per_s = len(next(iter(inputs.values()))) / max(seconds_warm, 1e-6)
    return NetworkProof(
        network=spec.name,
        provider=network.provider,
        difference=difference,
        tolerance=tolerance,
        seconds=seconds,
        windows_per_s=windows_per_s,
    )


def _compare(
    spec: NetworkSpec, provider: str, outputs: Mapping[str, NDArray[Any]], golden: Golden
) -> float:
    """Largest difference of all outputs; raises GoldenMismatch."""
    worst = 0.0
    for one in spec.outputs:
        key = _key(spec, spec.outputs, one)
        expected = _array(golden.expected, key, spec.name)
        output = _sampled(outputs[one.name], golden.expected, key)
        if output.shape != expected.shape:
            raise ModelError(
                f"golden case of network {spec.name}: {golden.expected.name} holds shape "
                f"{expected.shape}, the network gave {output.shape}; seal the package again"
            )
        scale = float(np.abs(expected).max())
        gap = float(np.abs(output.astype(np.float32) - expected).max())
        difference = gap / scale if scale else (float("inf") if gap else 0.0)
        # Not "difference > tolerance": a NaN must fail.
        if not difference <= spec.tolerance[provider]:
            where = spec.name if len(spec.outputs) == 1 else f"{spec.name}, output {one.name},"
            raise GoldenMismatch(
                f"network {where} on {provider} differs from its golden case by "
                f"{difference:.2g} of the largest value, allowed {spec.tolerance[provider]:.2g}; "
                "it is not used - mend the runtime or the GPU's software, or leave the provider out"
            )
        worst = max(worst, difference)
    return worst


def _zeros(spec: NetworkSpec) -> dict[str, NDArray[Any]]:
    return {
        one.name: np.zeros(
            (spec.batch, *(1 if size is None else size for size in one.shape(spec.patch))),
            one.dtype,
        )
        for one in spec.inputs
    }


def _inputs(spec: NetworkSpec, golden: Golden) -> dict[str, NDArray[Any]]:
    return {
        one.name: _array(golden.inputs, _key(spec, spec.inputs, one), spec.name).astype(one.dtype)
        for one in spec.inputs
    }


def _key(spec: NetworkSpec, tensors: Sequence[TensorSpec], one: TensorSpec) -> str:
    """`network` for the only tensor, `network.tensor` where there are several."""
    return spec.name if len(tensors) == 1 else f"{spec.name}.{one.name}"


def check_arrays(manifest: ModelManifest) -> None:
    """The golden case against what the manifest states of inputs and outputs; runs no network.

    Raises:
        ModelError: an array cannot be read, is missing, or is of another shape than its tensor.
    """
    if manifest.golden is None:
        return
    for spec in manifest.networks:
        given = {
            one.name: _array(manifest.golden.inputs, _key(spec, spec.inputs, one), spec.name)
            for one in spec.inputs
        }
        number = next(iter(given.values())).shape[:1]
        for one in spec.inputs:
            wanted = (*number, *one.shape(spec.patch))
            if not number or not _fits(given[one.name].shape, wanted):
                raise _misshapen(spec, one, manifest.golden.inputs, given[one.name], wanted)
        for one in spec.outputs:
            _check_expected(spec, one, manifest.golden.expected, number)


def _check_expected(
    spec: NetworkSpec, one: TensorSpec, path: Path, number: tuple[int, ...]
) -> None:
    key = _key(spec, spec.outputs, one)
    expected = _array(path, key, spec.name)
    wanted = (*number, *one.shape(spec.patch))
    at = _positions(path, key)
    if at is None:
        if not _fits(expected.shape, wanted):
            raise _misshapen(spec, one, path, expected, wanted)
        return
    sizes = [size for size in wanted if size is not None]
    end = math.prod(sizes) if len(sizes) == len(wanted) else None
    if expected.shape != at.shape or (end is not None and at.max() >= end):
        raise _no_sample(key, path)


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        size is None or size == own for own, size in zip(shape, wanted, strict=True)
    )


def _misshapen(
    spec: NetworkSpec,
    one: TensorSpec,
    path: Path,
    found: NDArray[Any],
    wanted: tuple[int | None, ...],
) -> ModelError:
    sizes = ", ".join("any" if size is None else str(size) for size in wanted[1:])
    return ModelError(
        f"golden case of network {spec.name}: {path.name} holds shape {found.shape} for "
        f"'{one.name}', model.yaml says (batch, {sizes}), the same batch for all; make the golden "
        "case again"
    )


def _sampled(output: NDArray[Any], path: Path, key: str) -> NDArray[Any]:
    """The part of an output that the golden case holds.

    A large output is proved by a fixed sample, so that the package stays small: flat positions
    stand under "<key>_at". Without that key the golden case holds all of it.
    """
    at = _positions(path, key)
    if at is None:
        return output
    if at.max() >= output.size:
        raise _no_sample(key, path)
    return output.reshape(-1)[at]


def _positions(path: Path, key: str) -> NDArray[np.int64] | None:
    """Flat positions in the output of what the golden case holds of it; None where it is all."""
    found = _read(path, f"{key}_at")
    if found is None:
        return None
    if found.dtype.kind not in "iu" or found.ndim != 1 or found.size == 0 or found.min() < 0:
        raise _no_sample(key, path)
    return found.astype(np.int64)


def _no_sample(key: str, path: Path) -> ModelError:
    return ModelError(
        f"golden case of network {key}: {path.name} names values that the network does not "
        "give; seal the package again"
    )


def _array(path: Path, key: str, name: str) -> NDArray[np.float32]:
    found = _read(path, key)
    if found is None:
        raise ModelError(f"{path} holds no golden array of network {name} ('{key}')")
    if found.dtype.kind not in "fiub":
        raise ModelError(
            f"golden case {path}: the array '{key}' holds {found.dtype.name}, no real numbers; "
            "make it again"
        )
    if found.size == 0:
        raise ModelError(f"{path} holds an empty golden array of network {name}")
    return found.astype(np.float32)


def _read(path: Path, key: str) -> NDArray[Any] | None:
    """One array; None where the file holds none of that name. Nothing stored is ever run.

    Raises:
        ModelError: the file or the array cannot be read, or it holds Python objects.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            if key not in arrays:
                return None
            found = arrays[key]
    except _UNREADABLE as error:
        # NumPy tells objects apart only by its words.
        if isinstance(error, ValueError) and str(error).startswith("Object arrays"):
            raise ModelError(
                f"golden case {path}: '{key}' holds Python objects, which are not read (reading "
                "them could run code); store plain numbers"
            ) from error
        raise ModelError(f"golden case {path} cannot be read ({type(error).__name__})") from error
    if not isinstance(found, np.ndarray):
        raise ModelError(f"golden case {path} cannot be read ('{key}' is no array)")
    return found
