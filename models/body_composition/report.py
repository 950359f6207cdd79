"""From measured numbers to `Findings`: codes, contours, sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.body_composition import vocabulary as say
from models.body_composition.block import Block
from models.body_composition.levels import LevelMap
from models.body_composition.naming import MidL3
from models.body_composition.pictures import level_picture, slice_picture
from models.body_composition.sarcopenia import MuscleIndex
from models.body_composition.tissues import RULES, Tissue
from models.grid import Grid, Mask
from models.outline import outer_polygon
from models.trunk.anchors import counted_from
from node.domain.analysis import AnalysisRequest
from node.domain.finding import (
    Contour,
    Evaluation,
    Finding,
    Findings,
    Measurement,
    Segment,
    Status,
    derived_uid,
)
from node.domain.study import Plane

#: Kidneys without contrast medium are 25 to 45 HU; in every phase with it they pass this.
ENHANCED_KIDNEY_HU = 70.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything measured on one series.

    Attributes:
        masks: each tissue on the measured slice, canonical (row, column).
        areas_cm2: of each tissue. attenuation_hu: mean of muscle, None where withheld.
        metal: there is metal on the slice. cut: part of the outline beyond the field.
    """

    grid: Grid
    levels: LevelMap
    l3: MidL3
    masks: Mapping[Tissue, Mask]
    areas_cm2: Mapping[Tissue, float]
    attenuation_hu: float | None
    metal: bool
    cut: float
    index: MuscleIndex
    block: Block | None
    seconds: dict[str, float]


def findings_of(request: AnalysisRequest, measured: Measured) -> Findings:
    """The result; PARTIAL where metal spoils the muscle attenuation."""
    plane = request.volume.planes[measured.grid.source_slice(measured.l3.index)]
    pairs = [
        (finding, segment)
        for number, tissue in enumerate(_present(measured), start=1)
        for finding, segment in [_tissue(request, measured, (plane, tissue, number))]
    ]
    return Findings(
        model=request.model,
        status=Status.PARTIAL if measured.metal else Status.FINDINGS,
        reason=_partial_reason(measured),
        findings=tuple(finding for finding, _ in pairs),
        segments=tuple(segment for _, segment in pairs),
        segmented_planes=(plane,),
        exam_evaluations=_evaluations(measured),
        exam_measurements=_exam_measurements(measured),
        key_images=(
            slice_picture(measured.grid, measured.l3, plane, measured.masks),
            level_picture(measured.grid, measured.levels, measured.l3),
        ),
        limits=_limits(request, measured),
        parameters=_parameters(measured),
        seconds=measured.seconds,
    )


def _present(measured: Measured) -> list[Tissue]:
    return [tissue for tissue in RULES if measured.masks[tissue].any()]


def _partial_reason(measured: Measured) -> str:
    if not measured.metal:
        return ""
    return (
        "Metal on the measured slice: the muscle attenuation is withheld, and the areas are to be "
        "read with the streaks in mind"
    )


def _tissue(
    request: AnalysisRequest, measured: Measured, item: tuple[Plane, Tissue, int]
) -> tuple[Finding, Segment]:
    plane, tissue, number = item
    words = say.WORDS[tissue]
    mask = measured.grid.plane_to_source(measured.masks[tissue])
    uid = derived_uid(
        "tracking",
        request.volume.study_uid,
        request.volume.series_uid,
        request.model.name,
        words.slug,
    )
    identifier = f"L3 {words.label.lower()}"
    measurements = [
        Measurement(
            name=say.AREA,
            value=measured.areas_cm2[tissue],
            unit=say.CM2,
            label=f"{words.label} area",
        )
    ]
    if tissue is Tissue.MUSCLE and measured.attenuation_hu is not None:
        measurements.append(
            Measurement(
                name=say.ATTENUATION,
                value=measured.attenuation_hu,
                unit=say.HU,
                derivation=say.MEAN,
                label="Skeletal muscle mean attenuation",
            )
        )
    finding = Finding(
        tracking_identifier=identifier,
        tracking_uid=uid,
        finding=words.finding,
        category=say.TISSUE,
        site=say.L3,
        contours=(Contour(plane=plane, points=outer_polygon(mask)),),
        measurements=tuple(measurements),
        segment_number=number,
    )
    segment = Segment(
        number=number,
        label=f"{words.label} at L3",
        category=say.TISSUE,
        property_type=words.finding,
        mask=mask[None],
        colour=words.colour,
        tracking_identifier=identifier,
        tracking_uid=uid,
    )
    return finding, segment


def _exam_measurements(measured: Measured) -> tuple[Measurement, ...]:
    found = []
    if measured.index.smi is not None:
        found.append(
            Measurement(
                name=say.SMI,
                value=measured.index.smi,
                unit=say.CM2_PER_M2,
                label="Skeletal muscle index",
            )
        )
    if measured.block is not None:
        found += [
            Measurement(
                name=say.WORDS[tissue].volume,
                value=value,
                unit=say.CM3,
                label=f"{say.WORDS[tissue].label} volume {measured.block.name}",
                decimals=0,
            )
            for tissue, value in measured.block.ml.items()
        ]
    return tuple(found)


def _evaluations(measured: Measured) -> tuple[Evaluation, ...]:
    found = [Evaluation(say.LEVEL_ANCHOR, counted_from(measured.l3.anchors))]
    kidneys = measured.levels.kidney_hu
    if kidneys is not None:
        seen = "yes" if kidneys > ENHANCED_KIDNEY_HU else "no"
        found.append(Evaluation(say.CONTRAST, f"{seen} (kidneys {kidneys:.0f} HU)"))
    found += [Evaluation(say.SMI_COMPARISON, text) for text in measured.index.comparisons]
    return tuple(found)


def _limits(request: AnalysisRequest, measured: Measured) -> tuple[str, ...]:
    found = list(say.LIMITS)
    kidneys = measured.levels.kidney_hu
    if request.series.contrast_agent or (kidneys or 0.0) > ENHANCED_KIDNEY_HU:
        found.append(
            "Contrast medium is present: it raises muscle attenuation by some HU; compare only "
            "with scans of the same phase."
        )
    if measured.block is None:
        found.append("No volumes: L3 with its neighbours is not whole in this series.")
    elif measured.block.name != "T12-L5":
        found.append(f"Volumes cover {measured.block.name} only; the rest of T12-L5 is not whole.")
    if measured.cut > 0.0:
        found.append(f"{measured.cut:.1%} of the outline touches the edge of the field of view.")
    if measured.index.withheld:
        found.append(measured.index.withheld)
    missing = [say.WORDS[t].label.lower() for t in RULES if not measured.masks[t].any()]
    if missing:
        found.append(f"Nothing was found of: {', '.join(missing)}.")
    return tuple(found)


def _parameters(measured: Measured) -> tuple[tuple[str, str], ...]:
    ranges = [
        (f"{tissue.value} HU", f"{rule.low_hu:g} to {rule.high_hu:g}")
        for tissue, rule in RULES.items()
    ]
    found = [
        ("middle of L3", f"z {measured.l3.height_mm:.1f} mm, {measured.l3.how}"),
        ("slice distance", f"{measured.grid.spacing_mm[0]:.2f} mm"),
        ("outline at the edge of the field of view", f"{measured.cut:.1%}"),
        *ranges,
    ]
    if measured.block is not None:
        count = len(np.arange(measured.block.first, measured.block.last + 1, measured.block.step))
        found.append(("volumes", f"{measured.block.name}, {count} slices measured"))
    return tuple(found)
