"""The golden case: before a package is used, it must reproduce its own numbers here.

Run in every worker when it loads, on the provider that will really be used. It is the warm-up
as well: the first call of a network allocates, plans and, on TensorRT, builds.
"""

from __future__ import annotations

import time
import zipfile
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


def _sampled(output: NDArray[Any], path: Path, key: str) -> NDArray[Any]:
    """The part of an output that the golden case holds.

    A large output is proved by a fixed sample, so that the package stays small: flat positions
    stand under "<key>_at". Without that key the golden case holds all of it.
    """
    with np.load(path, allow_pickle=False) as arrays:
        if f"{key}_at" not in arrays:
            return output
        at: NDArray[np.int64] = arrays[f"{key}_at"].astype(np.int64)
    if at.ndim != 1 or at.size == 0 or at.min() < 0 or at.max() >= output.size:
        raise ModelError(
            f"golden case of network {key}: {path.name} names values that the network does not "
            "give; seal the package again"
        )
    return output.reshape(-1)[at]


def _array(path: Path, key: str, name: str) -> NDArray[np.float32]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            array: NDArray[np.float32] = arrays[key].astype(np.float32)
    except KeyError as error:
        raise ModelError(f"{path} holds no golden array of network {name}") from error
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"golden case {path} cannot be read ({type(error).__name__})") from error
    if array.size == 0:
        raise ModelError(f"{path} holds an empty golden array of network {name}")
    return array
