"""Built-in pipeline `detection`: a RetinaNet's raw heads to boxes on the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inference.builtin import words
from inference.builtin.pictures import Named, source_picture
from inference.builtin.running import loaded, run_heads
from inference.builtin.stages import Stages, not_looked_at, parameters, refused, results_of
from inference.steps.boxes import decode_boxes
from inference.steps.chain import postprocess, preprocess
from inference.steps.detections import Detections, boxes_back
from inference.steps.image import Image, image_of
from inference.steps.verdict import NothingLeft
from models.manifest import ModelManifest
from models.manifest_boxes import Boxes
from models.manifest_results import BoxResult
from node.domain.analysis import AnalysisRequest
from node.domain.errors import ModelError
from node.domain.finding import (
    Contour,
    Evaluation,
    Finding,
    Findings,
    KeyImage,
    Measurement,
    Status,
    derived_uid,
)
from node.domain.imaging import Volume

#: Pictures of source images.
MOST_PICTURES = 6
#: Of a plane that no network looked at.
_NOTHING = Detections(
    boxes=np.zeros((0, 6), np.float32),
    scores=np.zeros(0, np.float32),
    classes=np.zeros(0, np.int64),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One box on the volume.

    Attributes:
        low, high: (slice, row, column) of its corners, in voxels; whole numbers are centres.
        score: 0..1.
    """

    result: BoxResult
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    score: float

    def plane(self, slices: int) -> int:
        """The slice through its middle."""
        return int(np.clip(round((self.low[0] + self.high[0]) / 2), 0, slices - 1))


def analyse(request: AnalysisRequest, manifest: ModelManifest) -> Findings:
    """Find what `results.boxes` names.

    Returns:
        FINDINGS with one finding for each box from its threshold on, NO_FINDINGS with "absent"
        for each class where there is none, or NOT_ELIGIBLE where a step finds the pixels unfit.

    Raises:
        ModelError: steps, network and results do not fit together, or the network failed.
    """
    stages = Stages(request.progress)
    try:
        found = detect(request, manifest, stages)
    except NothingLeft as nothing:
        return refused(request.model, str(nothing), stages)
    with stages.stage("measure"):
        results = results_of(manifest)
        spots, left_out = _spots(found, results.boxes, request)
        there = {spot.result.code for spot in spots}
        asked = dict.fromkeys(item.code for item in results.boxes)
        return Findings(
            model=request.model,
            status=Status.FINDINGS if spots else Status.NO_FINDINGS,
            findings=_findings(request, spots),
            exam_evaluations=tuple(
                Evaluation(code, words.PRESENT if code in there else words.ABSENT) for code in asked
            ),
            exam_measurements=_count(spots),
            key_images=_pictures(request.volume, manifest, spots),
            limits=_limits(manifest, request, left_out),
            parameters=parameters(manifest),
            seconds=stages.seconds,
        )


def detect(request: AnalysisRequest, manifest: ModelManifest, stages: Stages) -> Detections:
    """All boxes of the network on the grid of the volume, whatever their score.

    Raises:
        NothingLeft: the pixels contradict what the package expects. ModelError: as `analyse`.
    """
    (spec,) = manifest.networks
    *before, step = manifest.postprocess
    if not isinstance(step, Boxes):
        raise ModelError("the last step of 'postprocess:' is not boxes; correct model.yaml")
    with stages.stage("prepare"):
        image = preprocess(image_of(request.volume), manifest.preprocess)
        if before:
            image = postprocess(image, before, request.thresholds)
        values, size = as_network_sees(image, spec.patch, step)
        region = _region(image, values.shape[1:])
    with stages.stage("network"):
        names = (*step.classes, *step.boxes)
        network = loaded(request.networks, spec)
        if len(spec.patch) == 3:
            maps = run_heads(network, spec, values, names, region)
            found = decode_boxes(step, maps, values.shape[1:], size)
        else:
            planes = []
            for number, plane in enumerate(np.moveaxis(values, 1, 0)):
                inside = None if region is None else region[number]
                if inside is not None and not inside.any():
                    planes.append(_NOTHING)
                    continue
                maps = run_heads(network, spec, plane, names, inside)
                planes.append(decode_boxes(step, maps, plane.shape[1:], size))
            found = _stacked(planes)
    if step.zero == "edge":
        found = replace(found, boxes=found.boxes - np.float32(0.5))
    return boxes_back(found, image.trace[::-1])


def _region(image: Image, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """The region of the image, padded at its far end as the image was."""
    if image.region is None:
        return None
    mask = image.region.mask
    return np.pad(mask, [(0, new - old) for old, new in zip(mask.shape, shape, strict=True)])


def as_network_sees(
    image: Image, patch: tuple[int, ...], step: Boxes
) -> tuple[NDArray[np.float32], tuple[int, ...]]:
    """Padded at its far end so that strides fit, as MONAI does; and the size without padding.

    Where it is still smaller than a window, the windows pad it on both sides. That must be by
    whole cells of the maps, or every box would be shifted; more is padded here until it is.
    """
    values = np.asarray(image.values, np.float32)
    spatial = values.shape[-len(patch) :]
    margins = [(0, 0)] * (values.ndim - len(patch))
    divisors = step.divisible_by or (1,) * len(patch)
    for length, window, divisor in zip(spatial, patch, divisors, strict=True):
        wanted = length + -length % divisor
        while wanted < window and (window - wanted) % (2 * divisor):
            wanted += divisor
        margins.append((0, wanted - length))
    return np.pad(values, margins), spatial


def _stacked(planes: Sequence[Detections]) -> Detections:
    """Boxes of a planar network: the first axis is the number of the plane."""
    boxes = [found.boxes.copy() for found in planes]
    for number, rows in enumerate(boxes):
        rows[:, [0, 3]] = number
    return Detections(
        boxes=np.concatenate(boxes),
        scores=np.concatenate([found.scores for found in planes]),
        classes=np.concatenate([found.classes for found in planes]),
    )


def _spots(
    found: Detections, results: Sequence[BoxResult], request: AnalysisRequest
) -> tuple[list[Spot], int]:
    """Boxes that count, best first, and how many more there are."""
    spots = []
    left_out = 0
    for result in results:
        least = request.thresholds[result.threshold] / 100.0
        chosen = found.chosen((found.classes == result.channel) & (found.scores >= least))
        order = np.argsort(-chosen.scores, kind="stable")
        left_out += max(len(order) - result.at_most, 0)
        for index in order[: result.at_most]:
            corners = [float(value) for value in chosen.boxes[index]]
            spots.append(
                Spot(
                    result=result,
                    low=(corners[0], corners[1], corners[2]),
                    high=(corners[3], corners[4], corners[5]),
                    score=float(chosen.scores[index]),
                )
            )
    return spots, left_out


def _findings(request: AnalysisRequest, spots: Sequence[Spot]) -> tuple[Finding, ...]:
    volume = request.volume
    counted: dict[int, int] = {}
    findings = []
    for spot in spots:
        result = spot.result
        number = counted[result.channel] = counted.get(result.channel, 0) + 1
        findings.append(
            Finding(
                tracking_identifier=f"{result.name} {number}",
                tracking_uid=derived_uid(
                    "tracking",
                    volume.study_uid,
                    volume.series_uid,
                    request.model.name,
                    f"{result.channel}/{number}",
                ),
                finding=result.code,
                category=result.category,
                site=result.site,
                contours=(_rectangle(spot, volume),),
                measurements=_measured(spot, volume),
            )
        )
    return tuple(findings)


def _measured(spot: Spot, volume: Volume) -> tuple[Measurement, ...]:
    spacing = volume.spacing_mm
    sides = [(spot.high[axis] - spot.low[axis]) * spacing[axis] for axis in (1, 2)]
    return (
        Measurement(
            name=words.CERTAINTY,
            value=100.0 * spot.score,
            unit=words.PERCENT,
            label=f"{spot.result.name} certainty",
            decimals=0,
        ),
        Measurement(
            name=words.BOX_SIDE,
            value=max(sides),
            unit=words.MM,
            label=f"{spot.result.name} box side",
        ),
    )


def _edges(spot: Spot, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """(top, left, bottom, right) in SCOORD coordinates, inside the image, at least one pixel."""
    edges = []
    for axis, length in ((1, shape[1]), (2, shape[2])):
        low = float(np.clip(spot.low[axis] + 0.5, 0, length - 1))
        edges.append((low, float(np.clip(spot.high[axis] + 0.5, low + 1, length))))
    return edges[0][0], edges[1][0], edges[0][1], edges[1][1]


def _rectangle(spot: Spot, volume: Volume) -> Contour:
    top, left, bottom, right = _edges(spot, volume.voxels.shape)
    points = [(left, top), (right, top), (right, bottom), (left, bottom)]
    plane = volume.planes[spot.plane(len(volume.planes))]
    return Contour(plane=plane, points=np.array(points, np.float32))


def _count(spots: Sequence[Spot]) -> tuple[Measurement, ...]:
    if not spots:
        return ()
    return (
        Measurement(
            name=words.LESIONS,
            value=float(len(spots)),
            unit=words.ONE,
            label="Number of findings",
            decimals=0,
        ),
    )


def _pictures(
    volume: Volume, manifest: ModelManifest, spots: Sequence[Spot]
) -> tuple[KeyImage, ...]:
    total = len(volume.planes)
    if not spots:
        caption = f"Nothing found; image {total // 2 + 1} of {total}"
        return (source_picture(volume, total // 2, manifest, caption),)
    pictures = []
    for index in list(dict.fromkeys(spot.plane(total) for spot in spots))[:MOST_PICTURES]:
        here = [spot for spot in spots if spot.plane(total) == index]
        told = ", ".join(f"{spot.result.name} {100 * spot.score:.0f} %" for spot in here[:3])
        named = [_frame(spot, volume) for spot in here]
        caption = f"Image {index + 1} of {total}: {told}"
        pictures.append(source_picture(volume, index, manifest, caption, named, filled=False))
    return tuple(pictures)


def _frame(spot: Spot, volume: Volume) -> Named:
    """The box with a margin, so that its line lies around what it is about."""
    rows, columns = volume.voxels.shape[1:]
    mask = np.zeros((rows, columns), np.bool_)
    top, left, bottom, right = (round(edge) for edge in _edges(spot, volume.voxels.shape))
    mask[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1] = True
    return mask, spot.result.colour, spot.result.name


def _limits(manifest: ModelManifest, request: AnalysisRequest, left_out: int) -> tuple[str, ...]:
    results = results_of(manifest)
    found = [*results.limits, *not_looked_at(manifest)]
    for item in results.boxes:
        least = request.thresholds[item.threshold]
        found.append(f"{item.name} below {least:g} % certainty is not reported.")
    if left_out:
        found.append(f"{left_out} more are not listed.")
    found.append("A box says where to look; its side is no measured diameter.")
    found.append("Only what is named here was looked for; nothing else was assessed.")
    return tuple(found)
