"""The golden case: before a package is used, it must reproduce its own numbers here.

Run in every worker when it loads, on the provider that will really be used. It is the warm-up
as well: the first call of a network allocates, plans and, on TensorRT, builds.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.manifest import Golden, ModelManifest, NetworkSpec
from node.domain.errors import GoldenMismatch, ModelError
from node.domain.imaging import Network


def check_golden(manifest: ModelManifest, networks: Mapping[str, Network]) -> None:
    """Run every network on its golden input; without a golden case on zeros, as a warm-up.

    Raises:
        GoldenMismatch: an output differs by more than the manifest allows for the provider
            that ran it. The package must not be used.
        ModelError: the golden case cannot be read, lacks a network, or no tolerance is
            stated for the provider.
    """
    for spec in manifest.networks:
        network = networks[spec.name]
        if manifest.golden is None:
            network.run(np.zeros((spec.batch, len(spec.channels), *spec.patch), np.float32))
        else:
            _compare(spec, network, manifest.golden)


def _compare(spec: NetworkSpec, network: Network, golden: Golden) -> None:
    if network.provider not in spec.tolerance:
        raise ModelError(
            f"network {spec.name} runs on {network.provider}, for which its manifest states no "
            "tolerance; leave that provider out of workers.providers"
        )
    tolerance = spec.tolerance[network.provider]
    inputs = _array(golden.inputs, spec.name)
    expected = _array(golden.expected, spec.name)
    output = _sampled(network.run(inputs), golden.expected, spec.name)
    if output.shape != expected.shape:
        raise ModelError(
            f"golden case of network {spec.name}: {golden.expected.name} holds shape "
            f"{expected.shape}, the network gave {output.shape}; seal the package again"
        )
    scale = float(np.abs(expected).max())
    difference = float(np.abs(output - expected).max()) / scale if scale else float("inf")
    # Not "difference > tolerance": a NaN must fail.
    if not difference <= tolerance:
        raise GoldenMismatch(
            f"network {spec.name} on {network.provider} differs from its golden case by "
            f"{difference:.2g} of the largest value, allowed {tolerance:.2g}; it is not used - "
            "mend the runtime or the GPU's software, or leave the provider out"
        )


def _sampled(output: NDArray[np.float32], path: Path, name: str) -> NDArray[np.float32]:
    """The part of an output that the golden case holds.

    A large output is proved by a fixed sample, so that the package stays small: flat positions
    stand under "<network>_at". Without that key the golden case holds all of it.
    """
    with np.load(path, allow_pickle=False) as arrays:
        if f"{name}_at" not in arrays:
            return output
        at: NDArray[np.int64] = arrays[f"{name}_at"].astype(np.int64)
    if at.ndim != 1 or at.size == 0 or at.min() < 0 or at.max() >= output.size:
        raise ModelError(
            f"golden case of network {name}: {path.name} names values that the network does not "
            "give; seal the package again"
        )
    return output.reshape(-1)[at]


def _array(path: Path, name: str) -> NDArray[np.float32]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            array: NDArray[np.float32] = arrays[name].astype(np.float32)
    except KeyError as error:
        raise ModelError(f"{path} holds no golden array of network {name}") from error
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"golden case {path} cannot be read ({type(error).__name__})") from error
    if array.size == 0:
        raise ModelError(f"{path} holds an empty golden array of network {name}")
    return array
