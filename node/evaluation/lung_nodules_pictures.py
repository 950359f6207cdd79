"""Pictures of the lung nodule evaluation: FROC curve, reliability, failures on simulated chests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.lung_nodules import vocabulary as say
from models.phantoms.insertion import Inserted
from models.three_planes import LUNG_WINDOW
from node.domain.finding import Finding, Findings
from node.evaluation.detection_plots import (
    Panel,
    draw_gallery,
    draw_operated_froc,
    draw_reliability,
    failure_panel,
)
from node.evaluation.froc import Froc, froc
from node.evaluation.lung_nodules_tally import Hit, Tally, value_of
from node.evaluation.nodule_cases import Case

PICTURES = ("froc.png", "reliability.png", "failures.png")
TITLE = "Lung nodules"
#: Failures of each sort in the gallery.
MOST = 8

Marked = tuple[Sequence[Finding], Sequence[tuple[float, Inserted | None]]]


def draw(out: Path, tallies: Mapping[str, Tally], threshold: float) -> None:
    """All pictures that the tallies give, into a folder; failures and marks of simulated chests."""
    curves: list[tuple[str, Froc]] = []
    for name, tally in tallies.items():
        curve = froc(tally.readings)
        if curve is not None:
            curves.append((name, curve))
    simulated = [tally for name, tally in tallies.items() if name.startswith("simulated")]
    if curves and simulated:
        draw_operated_froc(out / "froc.png", TITLE, curves, _operating(simulated, threshold))
    marks = [mark for tally in simulated for mark in tally.marks]
    if marks:
        draw_reliability(out / "reliability.png", f"{TITLE}, simulated", marks)
    missed = [panel for tally in simulated for panel in tally.missed][:MOST]
    false = [panel for tally in simulated for panel in tally.false][:MOST]
    if missed or false:
        title = f"{TITLE}: missed, and marks where none is"
        draw_gallery(out / "failures.png", title, [*missed, *false])


def _operating(tallies: Sequence[Tally], threshold: float) -> tuple[float, float]:
    """False positives a study and sensitivity at the shipped threshold, of the tallies together."""
    readings = [reading for tally in tallies for reading in tally.readings]
    false, found, lesions = 0, 0, 0
    for reading in readings:
        sure = [lesion for score, lesion in reading.marks if (score or 0.0) >= threshold]
        false += sum(lesion is None for lesion in sure)
        found += len({lesion for lesion in sure if lesion is not None})
        lesions += reading.lesions
    return false / max(len(readings), 1), found / max(lesions, 1)


def panels_of(
    case: Case, findings: Findings, hits: Sequence[Hit], marked: Marked, threshold: float
) -> tuple[list[Panel], list[Panel]]:
    """Pictures of missed nodules and of false marks of one chest, as shipped."""
    voxels = case.array.voxels
    missed, false = [], []
    for hit in hits:
        if hit.certainty >= threshold:
            continue
        truth = hit.truth
        words = f"missed: {truth.density.value},\n{truth.mean_mm:.1f} mm"
        mask = np.zeros(voxels.shape, np.bool_)
        mask[truth.box] = truth.coverage >= 0.5
        missed.append(failure_panel(words, voxels, _index(truth.centre), (mask, None), LUNG_WINDOW))
    for finding, (certainty, at) in zip(*marked, strict=True):
        if at is not None or certainty < threshold:
            continue
        mask = _mask(case, findings, finding)
        middle = np.argwhere(mask).mean(axis=0)
        size = value_of(finding, say.DIAMETER)
        words = f"false: {size:.1f} mm,\ncertainty {100 * certainty:.0f} %"
        false.append(failure_panel(words, voxels, _index(middle), (None, mask), LUNG_WINDOW))
    return missed, false


def _index(place: NDArray[np.float64]) -> tuple[int, int, int]:
    first, second, third = (round(float(value)) for value in place)
    return first, second, third


def _mask(case: Case, findings: Findings, finding: Finding) -> NDArray[np.bool_]:
    """A finding's segment on the grid of its case."""
    segment = next(s for s in findings.segments if s.number == finding.segment_number)
    heights = case.array.affine[2, 3] + case.array.affine[2, 0] * np.arange(
        case.array.voxels.shape[0]
    )
    out = np.zeros(case.array.voxels.shape, np.bool_)
    for plane, mask in zip(findings.segmented_planes, np.asarray(segment.mask), strict=True):
        out[int(np.abs(heights - plane.position_mm[2]).argmin())] |= mask
    return out
