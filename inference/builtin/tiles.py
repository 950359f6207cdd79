"""Built-in pipeline `tiles`: a network over every tile of tissue, for regions or for objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference.builtin import words
from inference.builtin.running import loaded, run_scores
from inference.builtin.scores import activated
from inference.builtin.slide_pictures import overview_picture
from inference.builtin.slide_tiles import TilePlan, batches, plan_tiles, tiles_of
from inference.builtin.stages import Stages, parameters, refused, results_of
from inference.steps.boxes import decode_boxes, suppress
from inference.steps.detections import Detections
from inference.steps.verdict import NothingLeft
from models.manifest import ModelManifest
from models.manifest_boxes import Boxes
from models.manifest_results import BoxResult, RegionResult, Results
from models.outline import outer_polygon
from node.domain.analysis import SlideRequest
from node.domain.errors import ModelError
from node.domain.finding import (
    CodedConcept,
    Contour,
    Evaluation,
    Finding,
    Findings,
    Measurement,
    Status,
    derived_uid,
)

Floats = NDArray[np.float32]


def analyse(request: SlideRequest, manifest: ModelManifest) -> Findings:
    """Look at every tile of tissue.

    Returns:
        FINDINGS with one finding for each region or object, NO_FINDINGS with "absent", or
        NOT_ELIGIBLE where the slide is too coarse, shows no tissue, or has too many tiles.

    Raises:
        ModelError: steps, network and results do not fit together, or the network failed.
        PixelDataError: a tile cannot be decoded.
    """
    stages = Stages(request.progress)
    results = results_of(manifest)
    if results.tiles is None:
        raise ModelError("how the slide is read is not said; add 'results.tiles' to model.yaml")
    (spec,) = manifest.networks
    try:
        with stages.stage("tissue"):
            plan = plan_tiles(request.slide, spec, results.tiles)
        with stages.stage("network"):
            if results.boxes:
                found = _objects(request, manifest, plan)
                return _object_findings(request, manifest, (plan, found), stages)
            scores = _scores(request, manifest, plan)
    except NothingLeft as nothing:
        return refused(request.model, str(nothing), stages)
    with stages.stage("measure"):
        return _region_findings(request, manifest, (plan, scores), stages)


def _scores(request: SlideRequest, manifest: ModelManifest, plan: TilePlan) -> Floats:
    """(tile, class) of the plan's places."""
    (spec,) = manifest.networks
    network = loaded(request.networks, spec)
    rows = [
        run_scores(network, spec, items)
        for items in batches(tiles_of(request.slide, plan, manifest), spec.batch)
    ]
    return activated(np.concatenate(rows), manifest.postprocess, request.thresholds)


def _region_findings(
    request: SlideRequest,
    manifest: ModelManifest,
    looked: tuple[TilePlan, Floats],
    stages: Stages,
) -> Findings:
    plan, scores = looked
    results = results_of(manifest)
    findings: list[Finding] = []
    marked = []
    measurements = [_tissue_area(plan)]
    for result in results.regions:
        heat = on_grid(plan, scores[:, result.channel])
        mask = heat >= request.thresholds[result.threshold] / 100.0
        marked.append((mask, result.colour, result.name))
        measurements.append(
            Measurement(
                name=words.REGION_PART,
                value=100.0 * float(mask.sum()) / len(plan.places),
                unit=words.PERCENT,
                label=f"{result.name}, part of the tiles with tissue",
            )
        )
        findings += _regions(request, plan, result, (heat, mask))
    there = {finding.finding for finding in findings}
    return Findings(
        model=request.model,
        status=Status.FINDINGS if findings else Status.NO_FINDINGS,
        findings=tuple(findings),
        exam_evaluations=_asked(results.regions, there),
        exam_measurements=tuple(measurements),
        key_images=(overview_picture(request.slide, plan, marked, "Overview of the slide"),),
        limits=_limits(results, plan, request.thresholds),
        parameters=parameters(manifest),
        seconds=stages.seconds,
    )


def on_grid(plan: TilePlan, values: Floats) -> Floats:
    """One value for each tile on the grid of the slide; NaN where none was looked at."""
    grid = np.full(plan.grid, np.nan, np.float32)
    grid[plan.places[:, 0], plan.places[:, 1]] = values
    return grid


def _regions(
    request: SlideRequest,
    plan: TilePlan,
    result: RegionResult,
    found: tuple[Floats, NDArray[np.bool_]],
) -> list[Finding]:
    """Connected regions, the largest first."""
    heat, mask = found
    numbered, count = ndimage.label(mask)
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)[1:]
    findings: list[Finding] = []
    for index in np.argsort(-sizes, kind="stable")[: result.at_most]:
        area = float(sizes[index]) * plan.step_mm2
        if area < result.least_mm2:
            break
        part = numbered == index + 1
        measurements = (
            Measurement(
                # A viewer prints um2 whatever the unit is: mm2 would be read as a millionth.
                name=words.AREA,
                value=1e6 * area,
                unit=words.UM2,
                label=f"{result.name} area",
                decimals=0,
            ),
            Measurement(
                name=words.CERTAINTY,
                value=100.0 * float(heat[part].max()),
                unit=words.PERCENT,
                label=f"{result.name} certainty",
                decimals=0,
            ),
        )
        points = outer_polygon(np.asarray(part, np.bool_)) * _base_step(plan)
        findings.append(
            _finding(request, result, (len(findings) + 1, _inside(request, points)), measurements)
        )
    return findings


def _base_step(plan: TilePlan) -> NDArray[np.float32]:
    """(columns, rows) of the base level from one tile to the next."""
    return np.array([plan.step[1] * plan.base, plan.step[0] * plan.base], np.float32)


def _inside(request: SlideRequest, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """The last tiles reach beyond the slide; a contour does not."""
    base = request.slide.levels[0]
    return np.minimum(points, np.array([base.columns, base.rows], np.float32))


def _finding(
    request: SlideRequest,
    result: RegionResult | BoxResult,
    place: tuple[int, NDArray[np.float32]],
    measurements: tuple[Measurement, ...],
) -> Finding:
    number, points = place
    slide = request.slide
    return Finding(
        tracking_identifier=f"{result.name} {number}",
        tracking_uid=derived_uid(
            "tracking",
            slide.study_uid,
            slide.series_uid,
            request.model.name,
            f"{result.channel}/{number}",
        ),
        finding=result.code,
        category=result.category,
        site=result.site,
        contours=(Contour(plane=slide.plane, points=points),),
        measurements=measurements,
    )


def _objects(request: SlideRequest, manifest: ModelManifest, plan: TilePlan) -> Detections:
    """Boxes in pixels of the base level: (0, top, left, 0, bottom, right), edges at 0."""
    (spec,) = manifest.networks
    *before, step = manifest.postprocess
    if not isinstance(step, Boxes) or before:
        raise ModelError("tiles with boxes need the step boxes, and only it, in 'postprocess:'")
    network = loaded(request.networks, spec)
    names = (*step.classes, *step.boxes)
    number = 0
    parts = []
    for items in batches(tiles_of(request.slide, plan, manifest), spec.batch):
        outputs = network.run({spec.input_name: np.stack(items)})
        for index in range(len(items)):
            maps = {name: outputs[name][index] for name in names}
            found = decode_boxes(step, maps, spec.patch)
            parts.append(_owned(found, plan, number, step))
            number += 1
    boxes = np.concatenate([part.boxes for part in parts])
    scores = np.concatenate([part.scores for part in parts])
    classes = np.concatenate([part.classes for part in parts])
    planar = np.ascontiguousarray(boxes[:, [1, 2, 4, 5]])
    kept = suppress(planar, scores, classes, overlap=step.overlap, at_most=len(scores))
    return Detections(boxes=boxes[kept], scores=scores[kept], classes=classes[kept])


def _owned(found: Detections, plan: TilePlan, number: int, step: Boxes) -> Detections:
    """Those whose centre lies in the core of the tile, on the base level.

    Neighbouring tiles overlap; the core of a tile is what is nearer to its middle than to that
    of any other. At the border of the slide there is no other.
    """
    boxes = found.boxes.copy()
    if step.zero == "centre":
        boxes += np.float32(0.5)
    place = plan.places[number]
    corner = plan.corner(place)
    own = np.ones(len(found), np.bool_)
    for axis in range(2):
        margin = (plan.patch[axis] - plan.step[axis]) / 2
        centre = (boxes[:, 1 + axis] + boxes[:, 4 + axis]) / 2
        if place[axis] > 0:
            own &= centre >= margin
        if place[axis] < plan.grid[axis] - 1:
            own &= centre < margin + plan.step[axis]
        for column in (1 + axis, 4 + axis):
            boxes[:, column] = (boxes[:, column] + corner[axis]) * plan.base
    boxes[:, [0, 3]] = 0.0
    return Detections(boxes=boxes[own], scores=found.scores[own], classes=found.classes[own])


def _object_findings(
    request: SlideRequest,
    manifest: ModelManifest,
    looked: tuple[TilePlan, Detections],
    stages: Stages,
) -> Findings:
    plan, found = looked
    results = results_of(manifest)
    findings: list[Finding] = []
    measurements = [_tissue_area(plan)]
    marked = []
    for result in results.boxes:
        least = request.thresholds[result.threshold] / 100.0
        chosen = found.chosen((found.classes == result.channel) & (found.scores >= least))
        measurements += _counted(result, len(chosen), plan)
        marked.append((_where(chosen, plan), result.colour, result.name))
        for index in range(min(len(chosen), result.at_most)):
            top, left, bottom, right = (float(chosen.boxes[index, at]) for at in (1, 2, 4, 5))
            points = np.array(
                [(left, top), (right, top), (right, bottom), (left, bottom)], np.float32
            )
            certainty = Measurement(
                name=words.CERTAINTY,
                value=100.0 * float(chosen.scores[index]),
                unit=words.PERCENT,
                label=f"{result.name} certainty",
                decimals=0,
            )
            place = (index + 1, _inside(request, np.maximum(points, 0.0)))
            findings.append(_finding(request, result, place, (certainty,)))
    there = {finding.finding for finding in findings}
    listed = [f"The {item.at_most} surest are listed: {item.name}." for item in results.boxes]
    return Findings(
        model=request.model,
        status=Status.FINDINGS if findings else Status.NO_FINDINGS,
        findings=tuple(findings),
        exam_evaluations=_asked(results.boxes, there),
        exam_measurements=tuple(measurements),
        key_images=(overview_picture(request.slide, plan, marked, "Overview of the slide"),),
        limits=(*_limits(results, plan, request.thresholds), *listed),
        parameters=parameters(manifest),
        seconds=stages.seconds,
    )


def _counted(result: BoxResult, count: int, plan: TilePlan) -> list[Measurement]:
    return [
        Measurement(
            name=words.OBJECTS,
            value=float(count),
            unit=words.ONE,
            label=f"{result.name}, number",
            decimals=0,
        ),
        Measurement(
            name=words.OBJECT_DENSITY,
            value=count / plan.looked_at_mm2,
            unit=words.PER_MM2,
            label=f"{result.name} per area of tissue",
            decimals=2,
        ),
    ]


def _where(found: Detections, plan: TilePlan) -> NDArray[np.bool_]:
    """Tiles of the grid that hold an object."""
    mask = np.zeros(plan.grid, np.bool_)
    steps = np.array(plan.step) * plan.base
    centres = (found.boxes[:, [1, 2]] + found.boxes[:, [4, 5]]) / 2
    index = np.minimum((centres / steps).astype(np.int64), np.array(plan.grid) - 1)
    mask[index[:, 0], index[:, 1]] = True
    return mask


def _tissue_area(plan: TilePlan) -> Measurement:
    return Measurement(
        name=words.TISSUE_AREA,
        value=plan.looked_at_mm2,
        unit=words.MM2,
        label="Tissue looked at",
        decimals=2 if plan.looked_at_mm2 >= 1 else 4,
    )


def _asked(
    items: Sequence[RegionResult | BoxResult], there: set[CodedConcept]
) -> tuple[Evaluation, ...]:
    codes = dict.fromkeys(item.code for item in items)
    return tuple(
        Evaluation(code, words.PRESENT if code in there else words.ABSENT) for code in codes
    )


def _limits(results: Results, plan: TilePlan, thresholds: Mapping[str, float]) -> tuple[str, ...]:
    found = list(results.limits)
    reported: tuple[RegionResult | BoxResult, ...] = (*results.regions, *results.boxes)
    for item in reported:
        found.append(
            f"{item.name} below {thresholds[item.threshold]:g} % certainty is not reported."
        )
    if plan.tissue is not None:
        found.append("Tissue was found by its stain; what is nearly colourless was not looked at.")
    found.append("Only what is named here was looked for; nothing else was assessed.")
    return tuple(found)
