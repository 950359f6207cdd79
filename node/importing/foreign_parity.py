"""Our pipeline against MONAI's own on generated images: steps, windows, engine as at work."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.builtin.detection import as_network_sees
from inference.builtin.running import (
    after_argmax,
    gives_labels,
    run_heads,
    run_labels,
    run_maps,
    run_scores,
)
from inference.engine import LoadedNetwork
from inference.steps.boxes import decode_boxes
from inference.steps.chain import postprocess, preprocess
from inference.steps.image import Image
from models.manifest import ModelManifest
from models.manifest_boxes import Boxes
from node.domain.errors import ImportRefused
from node.importing.cases import GeneratedImage
from node.importing.opened import Opened
from node.importing.parity import Difference, Parity, agreement, difference

#: Boxes and scores of two detectors are the same box when they are this close.
_BOX_VOXELS, _SCORE = 0.05, 0.001
#: Fraction of MONAI's boxes that must be found again.
_LEAST_BOXES = 0.98


@dataclass(frozen=True, slots=True)
class Reference:
    """MONAI's arrays of one generated image, read from files when asked for."""

    folder: Path
    name: str
    names: frozenset[str]
    seconds: float

    def array(self, key: str) -> NDArray[Any]:
        """By memory map."""
        array: NDArray[Any] = np.load(
            self.folder / f"{self.name}.{key}.npy", mmap_mode="r", allow_pickle=False
        )
        return array


def compare_cases(
    package: Opened,
    images: Sequence[GeneratedImage],
    references: Mapping[str, Reference],
) -> Iterator[Parity]:
    """One row for each generated image.

    Raises:
        ImportRefused: shapes differ, or boxes are not found again.
    """
    manifest = package.manifest
    network = next(iter(package.networks.values()))
    for image in images:
        reference = references[image.name]
        if manifest.postprocess and isinstance(manifest.postprocess[-1], Boxes):
            yield _detection(manifest, network, image, reference)
        elif image.voxels.dtype == np.uint8:
            yield _picture(manifest, network, image, reference)
        elif manifest.pipeline == "classification":
            yield _scores(manifest, network, image, reference)
        else:
            yield _volume(manifest, network, image, reference)


def _volume(
    manifest: ModelManifest, network: LoadedNetwork, image: GeneratedImage, theirs: Reference
) -> Parity:
    started = time.monotonic()
    prepared = preprocess(_image(image), manifest.preprocess)
    entering = np.ascontiguousarray(prepared.values, np.float32)
    behind, thresholds = manifest.postprocess, manifest.thresholds
    loaded = {network.name: network}
    if gives_labels(manifest):
        # As at work: the class of each voxel, without a map of every class.
        final = postprocess(
            run_labels(manifest, loaded, prepared), after_argmax(behind), thresholds
        )
        seconds = time.monotonic() - started
        logits = run_maps(manifest, loaded, prepared).values
    else:
        mapped = run_maps(manifest, loaded, prepared)
        logits = mapped.values
        final = postprocess(mapped, behind, thresholds)
        seconds = time.monotonic() - started
    name = manifest.networks[0].outputs[0].name
    labels = None
    if "final" in theirs.names:
        other = np.asarray(theirs.array("final"))[0]
        labels = agreement(
            final.values[0].astype(np.int64), np.rint(other).astype(np.int64), image.description
        )
    return Parity(
        case=image.description,
        shape=image.voxels.shape,
        preprocessed=difference(entering, theirs.array("input"), "network input"),
        logits=difference(logits, theirs.array(f"output_{name}"), "network output"),
        labels=labels,
        our_seconds=seconds,
        their_seconds=theirs.seconds,
    )


def _scores(
    manifest: ModelManifest, network: LoadedNetwork, image: GeneratedImage, theirs: Reference
) -> Parity:
    """Scores of a whole volume, or a row of them for each plane along axis 0."""
    started = time.monotonic()
    prepared = preprocess(_image(image), manifest.preprocess)
    entering = np.ascontiguousarray(prepared.values, np.float32)
    spec = manifest.networks[0]
    planes = [entering] if len(spec.patch) == 3 else list(np.moveaxis(entering, 1, 0))
    rows = run_scores(network, spec, planes)
    seconds = time.monotonic() - started
    other = np.asarray(theirs.array(f"output_{spec.outputs[0].name}"))
    return Parity(
        case=image.description,
        shape=image.voxels.shape,
        preprocessed=difference(entering, theirs.array("input"), "network input"),
        logits=difference(rows, other.reshape(rows.shape), "network output"),
        our_seconds=seconds,
        their_seconds=theirs.seconds,
    )


def _picture(
    manifest: ModelManifest, network: LoadedNetwork, image: GeneratedImage, theirs: Reference
) -> Parity:
    started = time.monotonic()
    prepared = preprocess(_image(image), manifest.preprocess)
    entering = np.ascontiguousarray(prepared.values[:, 0], np.float32)
    spec = manifest.networks[0]
    whole = entering.shape[1:] == spec.patch
    outputs = (
        network.run({spec.input_name: entering[np.newaxis]})
        if whole
        else {name: map_[np.newaxis] for name, map_ in network.run_maps(entering).items()}
    )
    seconds = time.monotonic() - started
    pairs = [
        difference(outputs[one.name][0], theirs.array(f"output_{one.name}"), one.name)
        for one in spec.outputs
    ]
    return Parity(
        case=image.description,
        shape=image.voxels.shape,
        preprocessed=difference(entering, theirs.array("input"), "network input"),
        logits=_worst(pairs),
        our_seconds=seconds,
        their_seconds=theirs.seconds,
    )


def _detection(
    manifest: ModelManifest, network: LoadedNetwork, image: GeneratedImage, theirs: Reference
) -> Parity:
    started = time.monotonic()
    prepared = preprocess(_image(image), manifest.preprocess)
    entering = np.ascontiguousarray(prepared.values, np.float32)
    step = manifest.postprocess[-1]
    assert isinstance(step, Boxes)
    spec = manifest.networks[0]
    names = (*step.classes, *step.boxes)
    padded, size = as_network_sees(prepared, spec.patch, step)
    maps = run_heads(network, spec, padded, names)
    found = decode_boxes(step, maps, padded.shape[1:], size)
    seconds = time.monotonic() - started
    logits = _worst(
        [
            difference(maps[name], theirs.array(f"map{number}"), name)
            for number, name in enumerate(names)
        ]
    )
    boxes, scores = theirs.array("boxes"), theirs.array("scores")
    note = _same_boxes(found.boxes, found.scores, boxes, scores)
    return Parity(
        case=image.description,
        shape=image.voxels.shape,
        preprocessed=difference(entering, theirs.array("input"), "network input"),
        logits=logits,
        notes=(note,),
        our_seconds=seconds,
        their_seconds=theirs.seconds,
    )


def _same_boxes(
    ours: NDArray[Any], our_scores: NDArray[Any], theirs: NDArray[Any], their_scores: NDArray[Any]
) -> str:
    """How many of MONAI's boxes we find, and how many at the same rank."""
    near = [
        np.flatnonzero(
            (np.abs(ours - box).max(axis=1, initial=0) < _BOX_VOXELS)
            & (np.abs(our_scores - score) < _SCORE)
        )
        for box, score in zip(theirs, their_scores, strict=True)
    ]
    found = sum(bool(len(rows)) for rows in near)
    ranked = sum(rank in rows for rank, rows in enumerate(near))
    if found < _LEAST_BOXES * len(theirs) or len(ours) > len(theirs) * 1.02 + 1:
        raise ImportRefused.once(
            "parity, boxes",
            f"MONAI finds {len(theirs)} boxes, we {len(ours)}, of which {found} are the same",
            "the package was not written; report it with the model's configuration",
        )
    return (
        f"{found} of MONAI's {len(theirs)} boxes found ({len(ours)} of ours), {ranked} at the same "
        "rank"
    )


def _worst(found: Sequence[Difference]) -> Difference:
    return Difference(
        largest=max(item.largest for item in found),
        mean=float(np.mean([item.mean for item in found])),
        scale=max(item.scale for item in found),
    )


def _image(image: GeneratedImage) -> Image:
    if image.voxels.dtype == np.uint8:
        # (row, column, channel) -> (channel, 1, row, column).
        return Image(values=np.moveaxis(image.voxels, -1, 0)[:, np.newaxis], affine=image.affine)
    return Image(values=image.voxels[np.newaxis], affine=image.affine)
