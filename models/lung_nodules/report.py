"""From measured nodules to `Findings`: codes, contours, pages, sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count, islice

import numpy as np

from models.grid import Grid, Mask
from models.lung_nodules import place
from models.lung_nodules import vocabulary as say
from models.lung_nodules.contours import drawn, on_source
from models.lung_nodules.density import Attenuation, Density
from models.lung_nodules.lung_rads import Size, category_of, exam_category, told
from models.lung_nodules.shape import Shape
from models.outline import outer_polygon
from models.priors import Change, Comparison
from models.thorax.lungs import Lungs
from models.three_planes import LUNG_WINDOW, pictures_of
from models.three_planes import Lesion as Pictured
from node.domain.analysis import AnalysisRequest
from node.domain.finding import (
    Column,
    Contour,
    Evaluation,
    Finding,
    Findings,
    KeyImage,
    Measurement,
    Overlay,
    Segment,
    Status,
    derived_uid,
)

#: From this mean diameter on it is a mass (Fleischner glossary, Radiology 2008;246:697).
MASS_MM = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodule:
    """One nodule, measured.

    Attributes:
        certainty: 0..1. side: "right", "left" or "". third: as of `place.third_of`.
        at_first: the certainty of the first look where it was looked at again, else None.
        joined: part of its surface without lung beside it, where that is much, else 0.
        is_possible: tissue in the place of lung, found by comparing the two sides: a mass or
            airless lung, and its border towards the middle of the chest is not seen.
    """

    shape: Shape
    attenuation: Attenuation
    certainty: float
    side: str
    third: str = ""
    at_first: float | None = None
    joined: float = 0.0
    is_possible: bool = False

    @property
    def is_mass(self) -> bool:
        """Larger than 30 mm."""
        return self.shape.mean_mm > MASS_MM or self.is_possible

    @property
    def noun(self) -> str:
        """What it is called."""
        if self.is_possible:
            return "Possible mass"
        return "Mass" if self.is_mass else "Nodule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything known about one series.

    Attributes:
        nodules: the surest first.
        set_aside: places that looked like a nodule at first and did not when looked at again.
        unlisted: nodules above it that are not listed, because there are too many; they count in
            every answer about the whole scan.
        comparison: with one change for each of `nodules` and `unlisted`, in this order.
        overlooked: candidates that were not looked at, because there were too many.
        doubts: why the result is not that of two whole lungs, the right way up.
    """

    grid: Grid
    lungs: Lungs
    nodules: Sequence[Nodule]
    comparison: Comparison
    set_aside: int
    unlisted: Sequence[Nodule]
    overlooked: int
    doubts: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]
    seconds: dict[str, float]


def findings_of(request: AnalysisRequest, measured: Measured) -> Findings:
    """The result."""
    planes = _segmented_slices(measured)
    made = [_finding(request, measured, (index, planes)) for index in range(len(measured.nodules))]
    return Findings(
        model=request.model,
        status=_status(measured),
        reason=_not_looked_at(measured) if _status(measured) is Status.PARTIAL else "",
        findings=tuple(finding for finding, _, _ in made),
        segments=tuple(segment for _, segment, _ in made),
        segmented_planes=tuple(request.volume.planes[index] for index in planes),
        exam_evaluations=_exam(measured),
        key_images=tuple(key for _, _, keys in made for key in keys)
        or (overview(request, measured),),
        columns=_columns(measured) if made else (),
        limits=_limits(measured),
        parameters=measured.parameters + measured.comparison.parameters,
        seconds=measured.seconds,
    )


def _status(measured: Measured) -> Status:
    if measured.doubts or measured.overlooked:
        return Status.PARTIAL
    if measured.nodules:
        return Status.FINDINGS
    # Nothing found in a part of the lungs is no negative answer about the lungs.
    return Status.PARTIAL if _not_looked_at(measured) else Status.NO_FINDINGS


def _not_looked_at(measured: Measured) -> str:
    """Which part of the lungs this result says nothing of, or ""."""
    found = list(measured.doubts)
    if measured.overlooked:
        found.append(
            f"{measured.overlooked} of the places that looked like a nodule were too many to be "
            "looked at closely"
        )
    lungs = measured.lungs
    missing = [side for side in ("right", "left") if not getattr(lungs, side).any()]
    found += [f"no {side} lung with air is in view" for side in missing]
    ends = [
        name for name, cut in (("lowest", lungs.cut_below), ("highest", lungs.cut_above)) if cut
    ]
    if ends:
        found.append(f"the lungs go on beyond the {' and the '.join(ends)} slice")
    return "; ".join(found)


def _segmented_slices(measured: Measured) -> list[int]:
    """Source slices that any nodule touches, in the order of the volume."""
    found = set()
    for nodule in measured.nodules:
        box = nodule.shape.box[0]
        rows = np.flatnonzero(nodule.shape.mask.any(axis=(1, 2)))
        found |= {measured.grid.source_slice(box.start + int(row)) for row in rows}
    return sorted(found)


def _finding(
    request: AnalysisRequest, measured: Measured, which: tuple[int, list[int]]
) -> tuple[Finding, Segment, tuple[KeyImage, ...]]:
    index, planes = which
    nodule, change = measured.nodules[index], measured.comparison.changes[index]
    number = index + 1
    colour = say.COLOURS[index % len(say.COLOURS)]
    identifier = change.identifier or f"{nodule.noun} {_free_number(measured, request, index)}"
    uid = change.tracking_uid or derived_uid(
        "tracking",
        request.volume.study_uid,
        request.volume.series_uid,
        request.model.name,
        *(f"{value:.0f}" for value in nodule.shape.centre_mm),
    )
    key = measured.grid.source_slice(nodule.shape.key)
    stack = on_source(measured.grid, nodule.shape, planes)
    contours = tuple(
        Contour(plane=request.volume.planes[planes[row]], points=outer_polygon(stack[row]))
        for row in drawn(stack, planes.index(key))
    )
    concept = say.MASS if nodule.is_mass else say.NODULE
    finding = Finding(
        tracking_identifier=identifier,
        tracking_uid=uid,
        finding=concept,
        category=say.ABNORMAL,
        site=say.LUNG,
        laterality=say.SIDES.get(nodule.side),
        contours=contours,
        measurements=(*_measurements(nodule), *change.measurements),
        evaluations=_evaluations(nodule, change),
        segment_number=number,
    )
    segment = Segment(
        number=number,
        label=f"{identifier} ({nodule.side or 'side not determined'})",
        category=say.ABNORMAL,
        property_type=concept,
        mask=stack,
        colour=colour,
        tracking_identifier=identifier,
        tracking_uid=uid,
    )
    offset = (planes[0], 0, 0)
    first = np.zeros((planes[-1] - planes[0] + 1, *stack.shape[1:]), np.bool_)
    for plane, mask in zip(planes, stack, strict=True):
        first[plane - planes[0]] = mask
    used = np.flatnonzero(first.any(axis=(1, 2)))
    small = first[used[0] : used[-1] + 1]
    pictured = Pictured(
        mask=small,
        offset=(offset[0] + int(used[0]), 0, 0),
        tracking_uid=uid,
        colour=colour,
        label=identifier,
    )
    return finding, segment, pictures_of(request.volume, pictured, window=LUNG_WINDOW)


def _free_number(measured: Measured, request: AnalysisRequest, index: int) -> int:
    """Of a nodule that no earlier result named: none that another one has or had."""
    changes = measured.comparison.changes[: len(measured.nodules)]
    names = [change.identifier for change in changes]
    names += [one.identifier for prior in request.companions.values() for one in prior.tracked]
    used = {int(name.rsplit(" ", 1)[-1]) for name in names if name.rsplit(" ", 1)[-1].isdigit()}
    free = (number for number in count(1) if number not in used)
    unnamed = [place for place, change in enumerate(changes) if not change.identifier]
    return next(islice(free, unnamed.index(index), None))


def _measurements(nodule: Nodule) -> tuple[Measurement, ...]:
    shape, density = nodule.shape, nodule.attenuation
    found = [
        Measurement(
            name=say.DIAMETER,
            value=shape.mean_mm,
            unit=say.MM,
            derivation=say.MEAN,
            label="Mean diameter",
        ),
        Measurement(name=say.LONG_AXIS, value=shape.long_mm, unit=say.MM, label="Long axis"),
        Measurement(name=say.SHORT_AXIS, value=shape.short_mm, unit=say.MM, label="Short axis"),
        # OHIF prints five numbers beside a contour: what a reader decides by comes first.
        Measurement(
            name=say.CERTAINTY,
            value=100.0 * nodule.certainty,
            unit=say.PERCENT,
            label="Certainty",
            decimals=0,
        ),
        Measurement(
            name=say.VOLUME, value=shape.volume_mm3, unit=say.MM3, label="Volume", decimals=0
        ),
        Measurement(
            name=say.DIAMETER_3D,
            value=shape.diameter_3d_mm,
            unit=say.MM,
            label="Largest 3D diameter",
        ),
        Measurement(
            name=say.ATTENUATION,
            value=density.mean_hu,
            unit=say.HU,
            derivation=say.MEAN,
            label="Mean attenuation",
            decimals=0,
        ),
    ]
    if density.density is Density.PART_SOLID:
        found.append(
            Measurement(
                name=say.SOLID_PART,
                value=density.solid_mm,
                unit=say.MM,
                derivation=say.MEAN,
                label="Solid part, mean diameter",
            )
        )
    return tuple(found)


def _evaluations(nodule: Nodule, change: Change) -> tuple[Evaluation, ...]:
    category = category_of(_size(nodule, change))
    changed = [
        Evaluation(say.TREND, change.word, is_short_form=True),
        Evaluation(say.CHANGE, change.sentence),
    ]
    doubt = [Evaluation(say.BASIS, say.POSSIBLE_MASS)] if nodule.is_possible else []
    if nodule.joined:
        doubt.append(Evaluation(say.BORDER, say.joined(nodule.joined)))
    return (
        # First: what does not fit beside the picture goes to another page.
        *(changed if change.sentence else ()),
        *doubt,
        Evaluation(say.LUNG_RADS, told(category)),
        Evaluation(say.COMPOSITION, say.COMPOSITIONS[nodule.attenuation.density]),
        Evaluation(say.CALCIFICATION, nodule.attenuation.calcification.value),
        Evaluation(say.LOBE, place.said(nodule.third, nodule.side)),
    )


def _columns(measured: Measured) -> tuple[Column, ...]:
    compared = any(change.sentence for change in measured.comparison.changes)
    return (*say.COLUMNS, say.CHANGE_COLUMN) if compared else say.COLUMNS


def _size(nodule: Nodule, change: Change) -> Size:
    return Size(mean_mm=nodule.shape.mean_mm, attenuation=nodule.attenuation, change=change.verdict)


def _exam(measured: Measured) -> tuple[Evaluation, ...]:
    nodules = [*measured.nodules, *measured.unlisted]
    categories = [
        category_of(_size(nodule, change))
        for nodule, change in zip(nodules, measured.comparison.changes, strict=True)
    ]
    whole = not _not_looked_at(measured)
    nothing = say.ABSENT if whole else say.INDETERMINATE
    if any(nodule.is_possible for nodule in nodules):
        nothing = say.INDETERMINATE
    seen = any(not nodule.is_possible for nodule in nodules)
    found = [Evaluation(say.NODULE, say.PRESENT if seen else nothing)]
    if any(nodule.is_mass for nodule in nodules):
        found.append(Evaluation(say.MASS, say.PRESENT))
    if whole:
        found.append(
            Evaluation(say.LUNG_RADS, f"highest of all: {told(exam_category(categories))}")
        )
    elif categories:
        found.append(
            Evaluation(say.LUNG_RADS, f"highest in view: {told(exam_category(categories))}")
        )
    if measured.unlisted:
        told_of = f"{len(measured.unlisted)} more nodules are not listed"
        found.append(Evaluation(say.SMALL_ONES, told_of))
    return (*found, *measured.comparison.evaluations)


def _limits(measured: Measured) -> tuple[str, ...]:
    found = list(say.LIMITS)
    if measured.lungs.cut_below or measured.lungs.cut_above:
        ends = [
            name
            for name, cut in (
                ("lowest", measured.lungs.cut_below),
                ("highest", measured.lungs.cut_above),
            )
            if cut
        ]
        found.append(
            f"The lungs go on beyond the {' and the '.join(ends)} slice: only the part in view was "
            "looked at."
        )
    if not measured.lungs.right.any() or not measured.lungs.left.any():
        side = "left" if not measured.lungs.left.any() else "right"
        found.append(f"No {side} lung with air is in view; no nodule was looked for there.")
    if measured.set_aside:
        found.append(say.set_aside(measured.set_aside))
    return tuple(found)


def overview(request: AnalysisRequest, measured: Measured) -> KeyImage:
    """Where nothing was found: the slice with most lung, with the lungs outlined."""
    lungs = measured.lungs
    index = int(lungs.both.sum(axis=(1, 2)).argmax())
    at = lungs.volume.to_grid(np.array([[index, 0.0, 0.0]]))[0][0]
    canonical = int(np.clip(round(float(at)), 0, measured.grid.shape[0] - 1))
    box = (
        slice(canonical, canonical + 1),
        slice(0, measured.grid.shape[1]),
        slice(0, measured.grid.shape[2]),
    )
    plane = request.volume.planes[measured.grid.source_slice(canonical)]
    key = KeyImage(
        pixels=np.ascontiguousarray(measured.grid.hu[canonical], dtype=np.float32),
        window=LUNG_WINDOW,
        pixel_mm=measured.grid.spacing_mm[1:],
        caption="Where nodules were looked for",
        plane=plane,
        edges=("R", "L", "A", "P"),
    )
    return replace(
        key,
        overlays=tuple(
            _outlined(lungs.volume.on_grid(mask, box)[0], colour, label)
            for mask, colour, label in (
                (lungs.right, say.COLOURS[0], "right lung"),
                (lungs.left, say.COLOURS[1], "left lung"),
            )
            if mask[index].any()
        ),
    )


def _outlined(mask: Mask, colour: tuple[int, int, int], label: str) -> Overlay:
    return Overlay(mask=mask, colour=colour, label=label, filled=False)
