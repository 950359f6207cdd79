"""What the lung nodule package said of chests whose truth is known, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.lung_nodules import vocabulary as say
from models.phantoms.insertion import Inserted
from node.domain.finding import CodedConcept, Finding, Findings
from node.evaluation.detection_plots import Panel
from node.evaluation.froc import Reading, froc
from node.evaluation.nodule_cases import Case
from node.evaluation.table import Row, mean_row, share_row

#: From this true mean diameter on a nodule is asked for.
ASKED_MM = 6.0
#: A finding counts for a nodule within this distance, or within its radius, mm.
WITHIN_MM = 5.0
BINS = ((4.0, 6.0), (6.0, 8.0), (8.0, 15.0), (15.0, 30.5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A true nodule and what the product said of it; None where it said nothing."""

    truth: Inserted
    finding: Finding | None
    certainty: float

    def value(self, concept: CodedConcept) -> float:
        """A measurement of the finding."""
        assert self.finding is not None
        return value_of(self.finding, concept)


@dataclass(frozen=True, slots=True, kw_only=True)
class MassHit:
    """A drawn mass. `site`: what it is joined to; said: its finding's name, "" where none is there.

    `mean_mm`: of the finding. `true_mm`: of the mass.
    """

    site: str
    said: str
    mean_mm: float
    true_mm: float


@dataclass(slots=True)
class Tally:
    """Everything found on one kind of data.

    Attributes:
        granulomas: findings at them, as reported. possible: findings of a possible mass where
            there is none.
        missed, false: pictures of failures.
    """

    readings: list[Reading] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    marks: list[tuple[float, bool]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    granulomas: int = 0
    possible: int = 0
    masses: list[MassHit] = field(default_factory=list)
    missed: list[Panel] = field(default_factory=list)
    false: list[Panel] = field(default_factory=list)


def value_of(finding: Finding, concept: CodedConcept) -> float:
    """A measurement of a finding."""
    return next(m.value for m in finding.measurements if m.name == concept)


def certainty_of(finding: Finding) -> float:
    """0..1."""
    return value_of(finding, say.CERTAINTY) / 100


def matched(
    case: Case, findings: Findings, counted: Sequence[Finding]
) -> tuple[list[Hit], list[tuple[float, Inserted | None]]]:
    """Each true nodule with its surest finding, and each finding with the nodule it lies at."""
    marks: list[tuple[float, Inserted | None]] = []
    best: dict[int, Hit] = {}
    for finding in counted:
        certainty = certainty_of(finding)
        truth = truth_at(case, place_mm(case, findings, finding))
        marks.append((certainty, truth))
        if truth is not None and (id(truth) not in best or certainty > best[id(truth)].certainty):
            best[id(truth)] = Hit(truth=truth, finding=finding, certainty=certainty)
    hits = [
        best.get(id(truth), Hit(truth=truth, finding=None, certainty=0.0)) for truth in case.truth
    ]
    return hits, marks


def centre_mm(findings: Findings, finding: Finding) -> np.ndarray:
    """Middle of a finding's segment, LPS mm, from its planes; in-plane by its contour."""
    contour = finding.contours[0]
    segment = next(s for s in findings.segments if s.number == finding.segment_number)
    used = np.flatnonzero(np.asarray(segment.mask).any(axis=(1, 2)))
    ends = [findings.segmented_planes[int(i)].position_mm for i in (used[0], used[-1])]
    points = contour.points.mean(axis=0)
    middle = np.mean(np.array(ends), axis=0)
    return np.array([points[0], points[1], middle[2]])


def place_mm(case: Case, findings: Findings, finding: Finding) -> NDArray[np.float64]:
    """(3,) LPS mm of a finding's middle."""
    column, row, z = centre_mm(findings, finding)
    spacing = np.linalg.norm(case.array.affine[:3, :3], axis=0)
    origin = case.array.affine[:3, 3]
    x = origin[0] + (column - 0.5) * spacing[2]
    y = origin[1] + (row - 0.5) * spacing[1]
    return np.array([x, y, z], np.float64)


def truth_at(case: Case, place: NDArray[np.float64]) -> Inserted | None:
    """The nodule at a place, LPS mm."""
    nearest, found = np.inf, None
    for truth in case.truth:
        away = float(np.linalg.norm(case.centre_mm(truth) - place))
        if away < max(WITHIN_MM, truth.mean_mm / 2) and away < nearest:
            nearest, found = away, truth
    return found


def rows_of(tally: Tally, data: str, threshold: float) -> Iterator[Row]:
    """The table of one kind of data with nodules."""
    yield from _found_rows(tally, data, threshold)
    yield from _measure_rows(tally, data, threshold)
    yield mean_row("seconds a series, files to findings", data, tally.seconds, "{:.1f}")
    partly = len(tally.refusals)
    yield share_row("done in part, or refused", data, partly, len(tally.readings))


def mass_rows(tally: Tally, data: str) -> Iterator[Row]:
    """Masses: told at all, in which words, how large."""
    every = tally.masses
    yield share_row("reported as a mass or possible mass", data,
                    sum(bool(hit.said) for hit in every), len(every))  # fmt: skip
    for site in sorted({hit.site for hit in every}):
        own = [hit for hit in every if hit.site == site]
        found = sum(bool(hit.said) for hit in own)
        yield share_row(f"reported as a mass or possible mass, {site}", data, found, len(own))
    sure = [hit for hit in every if hit.said.startswith("Mass")]
    yield share_row("reported as a mass by the networks", data, len(sure), len(every))
    within = [100 * (hit.mean_mm / hit.true_mm - 1) for hit in sure]
    yield mean_row("mean diameter of masses by the networks, mean error %", data, within, "{:+.1f}")
    false = [
        float(sum(lesion is None for _, lesion in reading.marks)) for reading in tally.readings
    ]
    yield mean_row("other findings a scan as reported", data, false, "{:.2f}")


def _found_rows(tally: Tally, data: str, threshold: float) -> Iterator[Row]:
    curve = froc(tally.readings)
    asked = [hit for hit in tally.hits if hit.truth.mean_mm >= ASKED_MM]
    if curve is not None:
        for at in curve.at:
            if at.rate in (0.25, 0.5, 1.0, 2.0, 4.0):
                interval = (
                    ""
                    if at.sensitivity.low is None or at.sensitivity.high is None
                    else f"{at.sensitivity.low:.3f} to {at.sensitivity.high:.3f}"
                )
                reached = "" if at.reached else " (makes fewer)"
                yield Row(
                    metric=f"sensitivity from {ASKED_MM:g} mm at {at.rate:g} false positives a "
                    f"scan{reached}",
                    data=data,
                    value=f"{at.sensitivity.value:.3f}",
                    interval=interval,
                    n=len(asked),
                )
    for low, high in BINS:
        own = [h for h in tally.hits if low <= h.truth.mean_mm < high]
        found = sum(h.certainty >= threshold for h in own)
        yield share_row(f"found as reported, {low:g} to {high:g} mm", data, found, len(own))
    for density in sorted({h.truth.density for h in asked}):
        own = [h for h in asked if h.truth.density is density]
        found = sum(h.certainty >= threshold for h in own)
        yield share_row(f"found as reported, {density.value}, from 6 mm", data, found, len(own))
    false = [
        float(sum(lesion is None and (score or 0) >= threshold for score, lesion in r.marks))
        for r in tally.readings
    ]
    yield mean_row("false positives a scan as reported", data, false, "{:.2f}")


def _measure_rows(tally: Tally, data: str, threshold: float) -> Iterator[Row]:
    found = [
        h for h in tally.hits if h.finding is not None and h.certainty >= threshold
        and h.truth.mean_mm >= ASKED_MM
    ]  # fmt: skip
    diameter = [h.value(say.DIAMETER) - h.truth.mean_mm for h in found]
    volume = [100 * (h.value(say.VOLUME) / h.truth.volume_mm3 - 1) for h in found]
    yield mean_row("mean diameter, mean error mm", data, diameter, "{:+.2f}")
    yield mean_row(
        "mean diameter, mean absolute error mm", data, [abs(v) for v in diameter], "{:.2f}"
    )
    yield share_row(
        "mean diameter within 1.5 mm", data, sum(abs(v) <= 1.5 for v in diameter), len(diameter)
    )
    yield mean_row("volume, mean error %", data, volume, "{:+.1f}")
    yield mean_row("volume, mean absolute error %", data, [abs(v) for v in volume], "{:.1f}")
    yield share_row("volume within 25 %", data, sum(abs(v) <= 25 for v in volume), len(volume))
    seen = [not _is_rough(hit) for hit in found]
    near = [abs(v) <= 1.5 for v, one in zip(diameter, seen, strict=True) if one]
    like = [abs(v) <= 25 for v, one in zip(volume, seen, strict=True) if one]
    yield share_row("told to have a border that is not seen", data, seen.count(False), len(seen))
    yield share_row("mean diameter within 1.5 mm, of the others", data, sum(near), len(near))
    yield share_row("volume within 25 %, of the others", data, sum(like), len(like))
    right = sum(_density_right(hit) for hit in found)
    yield share_row("density type right", data, right, len(found))


def _is_rough(hit: Hit) -> bool:
    """Is its size told to be rough?"""
    assert hit.finding is not None
    return any(e.name == say.BORDER for e in hit.finding.evaluations)


def _density_right(hit: Hit) -> bool:
    assert hit.finding is not None
    said = next(e.value for e in hit.finding.evaluations if e.name == say.COMPOSITION)
    word = said if isinstance(said, str) else "ground glass"
    truth = hit.truth.density.value
    return word == ("solid" if truth == "calcified" else truth)


def reliability(marks: Sequence[tuple[float, bool]], data: str) -> Iterator[Row]:
    """Of the candidates with a certainty in each fifth, how many are nodules."""
    edges = (0.02, 0.2, 0.4, 0.6, 0.8, 1.001)
    for low, high in pairwise(edges):
        own = [right for certainty, right in marks if low <= certainty < high]
        yield share_row(
            f"nodules among candidates of certainty {low:.2f} to {min(high, 1):.2f}",
            data,
            sum(own),
            len(own),
        )


def told(hit: Hit) -> str:
    truth = hit.truth
    said = f"{truth.density.value} {truth.mean_mm:.1f} mm, {truth.volume_mm3:.0f} mm3"
    if hit.finding is None:
        return f"{said}: MISSED"
    return (
        f"{said}: certainty {hit.certainty:.2f}, {hit.value(say.DIAMETER):.1f} mm, "
        f"{hit.value(say.VOLUME):.0f} mm3"
    )
