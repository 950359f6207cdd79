"""An imported nnU-Net package against nnU-Net itself, on generated volumes.

Ours is what the node runs: the manifest as it will be written, the real engine, the built-in
steps. Theirs runs in the sandbox. Where nnU-Net is not installed, the PyTorch network takes its
place behind our own windows, and the card says so.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.builtin.running import run_maps
from inference.steps.chain import postprocess, preprocess
from inference.steps.image import Image
from node.domain.errors import ImportRefused
from node.importing.cases import GeneratedImage
from node.importing.opened import Opened, opened
from node.importing.parity import Parity, agreement, difference

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Ours:
    """What our pipeline makes of one volume.

    Attributes:
        labels: (i, j, k), on the grid of the volume.
    """

    preprocessed: Array
    logits: Array
    labels: Array
    seconds: float


def run_ours(package: Opened, case: GeneratedImage) -> Ours:
    """The whole way, with what lies between kept."""
    started = time.monotonic()
    manifest = package.manifest
    image = Image(values=case.voxels[np.newaxis], affine=case.affine)
    ready = preprocess(image, manifest.preprocess)
    scores = run_maps(manifest, package.networks, ready)
    labelled = postprocess(scores, manifest.postprocess, manifest.thresholds)
    seconds = time.monotonic() - started
    return Ours(ready.values, scores.values, labelled.values[0], seconds)


def compare(
    package: Opened, cases: Sequence[GeneratedImage], folder: Path, report: Mapping[str, Any]
) -> tuple[Parity, ...]:
    """One row a volume. `folder` and `report` are what `nnunet_reference` left.

    Logits are compared with sums in float32 on both sides, whatever the package says: half
    precision rounds by more than what is to be proven. Labels of nnU-Net unchanged are compared
    with those of the package as it is.
    """
    exact = _summing_exactly(package)
    return tuple(_row((package, exact), case, folder, report) for case in cases)


def _summing_exactly(package: Opened) -> Opened:
    """The same package with sums in float32."""
    specs = package.manifest.networks
    if all(spec.windows.accumulate == "float32" for spec in specs):
        return package
    exact = tuple(
        replace(spec, windows=replace(spec.windows, accumulate="float32")) for spec in specs
    )
    manifest = replace(package.manifest, networks=exact)
    return opened(manifest)


def _row(
    packages: tuple[Opened, Opened],
    case: GeneratedImage,
    folder: Path,
    report: Mapping[str, Any],
) -> Parity:
    package, exact = packages
    files = {path.name.split(".")[1]: path for path in folder.glob(f"{case.name}.*.npy")}
    theirs = {name: np.load(path, mmap_mode="r") for name, path in files.items()}
    if not {"preprocessed", "logits", "labels"} <= theirs.keys():
        raise ImportRefused.once(
            f"parity on {case.description}", "the reference left no arrays", "import it again"
        )
    ours = run_ours(exact, case)
    notes = [str(report["framework"])]
    if "labels_shipped" in theirs:
        as_it_is = ours if package is exact else run_ours(package, case)
        same = agreement(as_it_is.labels, theirs["labels_shipped"], "labels")
        notes.append(
            "against nnU-Net unchanged, which sums windows in float16: "
            f"{same.equal:.4%} of the voxels equal, mean Dice {same.mean_dice:.4f}"
        )
    return Parity(
        case=case.description,
        shape=case.voxels.shape,
        preprocessed=difference(ours.preprocessed, theirs["preprocessed"], "network input"),
        logits=difference(ours.logits, theirs["logits"], "logits"),
        labels=agreement(ours.labels, theirs["labels"], "labels"),
        notes=tuple(notes),
        our_seconds=ours.seconds,
        their_seconds=float(report["seconds"][case.name]),
    )
