"""What the simulated spines gave: every true body beside what was said of it, counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.phantoms.spine_truth import BodyTruth
from models.phantoms.trunk import Phantom
from models.vertebral_fractures import vocabulary as say
from node.domain.finding import CodedConcept, Finding, Findings
from node.evaluation.product import Look
from node.evaluation.statistics import bland_altman
from node.evaluation.table import Row, mean_row, share_row

#: Slice distances of the simulated series, in turn, mm.
SLICES_MM = (1.5, 2.5, 3.0, 5.0)
#: Together, and apart where the loss of accuracy is stated.
_THICKNESSES = (
    ("", SLICES_MM),
    (", slices up to 3 mm", SLICES_MM[:3]),
    (", slices 5 mm", SLICES_MM[3:]),
)
#: A finding belongs to the true body within this distance of its middle, mm.
WITHIN_MM = 12.0
SIMULATED = "simulated"
PLACES = ("anterior", "middle", "posterior")
#: Of a height, mm.
HEIGHT_MM = 2.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A true body and what was said of it."""

    truth: BodyTruth
    finding: Finding | None
    slice_mm: float


@dataclass(slots=True)
class Tally:
    """What the simulated studies gave.

    Attributes:
        false_marks: of each scan, slice distance and number of fractures where there is none.
    """

    pairs: list[Pair] = field(default_factory=list)
    scans: int = 0
    false_marks: list[tuple[float, float]] = field(default_factory=list)
    certainties: list[tuple[float, bool]] = field(default_factory=list)
    named: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def heights_of(finding: Finding) -> tuple[float, ...]:
    """Anterior, middle, posterior, mm."""
    return tuple(m.value for m in finding.measurements if m.name == say.HEIGHT)


def value_of(finding: Finding, name: CodedConcept) -> float:
    """A measurement of a finding."""
    return next(m.value for m in finding.measurements if m.name == name)


def middle_of(findings: Findings, finding: Finding, look: Look) -> np.ndarray:
    """Mean of the six height points, LPS mm."""
    assert look.volume is not None
    spacing = look.volume.spacing_mm
    origin = look.volume.affine[:3, 3]
    points = [
        [
            origin[0] + (contour.points[0, 0] - 0.5) * spacing[2],
            origin[1] + (contour.points[0, 1] - 0.5) * spacing[1],
            contour.plane.position_mm[2],
        ]
        for contour in finding.contours
        if contour.is_point
    ]
    return np.asarray(np.mean(points, axis=0))


def add(tally: Tally, phantom: Phantom, look: Look) -> None:
    """One simulated study into the tally."""
    tally.scans += 1
    tally.seconds.append(look.seconds)
    findings = look.findings
    if findings.reason:
        tally.told.append(findings.reason)
    where = {id(f): middle_of(findings, f, look) for f in findings.findings}
    own: list[Pair] = []
    taken: set[int] = set()
    low = float(phantom.volume.planes[0].position_mm[2])
    high = float(phantom.volume.planes[-1].position_mm[2])
    for truth in phantom.truth.bodies:
        ends = [point[2] for pair in truth.points_mm for point in pair]
        if min(ends) < low + 3 or max(ends) > high - 3:
            continue
        near = sorted(
            (f for f in findings.findings if id(f) not in taken),
            key=lambda f: float(np.linalg.norm(where[id(f)] - np.array(truth.centre_mm))),
        )
        found = near[0] if near else None
        if found is not None and (
            np.linalg.norm(where[id(found)] - np.array(truth.centre_mm)) > WITHIN_MM
        ):
            found = None
        if found is not None:
            taken.add(id(found))
            level = found.tracking_identifier.removeprefix("Vertebra ")
            if level[:1] in "LT" and level[1:].isdecimal():
                tally.named.append(level == truth.body.name)
            if found.finding != say.UNGRADED:
                tally.certainties.append((value_of(found, say.CERTAINTY) / 100, truth.grade >= 2))
        own.append(Pair(truth, found, phantom.options.slice_mm))
    tally.pairs += own
    false = [
        f
        for f in findings.findings
        if f.finding == say.FRACTURE and not any(p.finding is f and p.truth.grade >= 1 for p in own)
    ]
    tally.false_marks.append((phantom.options.slice_mm, float(len(false))))


def rows_of(tally: Tally) -> Iterator[Row]:
    """The table of the simulated studies."""
    seen = [p for p in tally.pairs if p.finding is not None]
    yield share_row("bodies in view that were measured", SIMULATED, len(seen), len(tally.pairs))
    for least in (2, 3):
        for name, slices in _THICKNESSES:
            asked = [p for p in tally.pairs if p.truth.grade >= least and p.slice_mm in slices]
            hits = sum(p.finding is not None and p.finding.finding == say.FRACTURE for p in asked)
            title = f"fractures of grade {least} or more that call{name}"
            yield share_row(title, SIMULATED, hits, len(asked))
    asked = [p for p in tally.pairs if p.truth.grade >= 2]
    marked = sum(
        p.finding is not None and p.finding.finding in (say.FRACTURE, say.DEFORMITY) for p in asked
    )
    yield share_row("of them called or possible", SIMULATED, marked, len(asked))
    mild = [p for p in tally.pairs if p.truth.grade == 1]
    marked = sum(p.finding is not None and p.finding.finding != say.MEASURED for p in mild)
    yield share_row("losses of grade 1 called or possible", SIMULATED, marked, len(mild))
    calls = sum(p.finding is not None and p.finding.finding == say.FRACTURE for p in mild)
    yield share_row("losses of grade 1 that call", SIMULATED, calls, len(mild))
    for name, slices in _THICKNESSES:
        own = [count for slice_mm, count in tally.false_marks if slice_mm in slices]
        yield mean_row(f"false fractures a scan{name}", SIMULATED, own, "{:.2f}")
    sound = [p for p in seen if p.truth.grade == 0]
    doubts = sum(p.finding is not None and p.finding.finding == say.DEFORMITY for p in sound)
    yield share_row("sound bodies called possible", SIMULATED, doubts, len(sound))
    yield share_row("level right, of those stated", SIMULATED, sum(tally.named), len(tally.named))
    yield share_row("level stated, of bodies measured", SIMULATED, len(tally.named), len(seen))
    yield from _height_rows(seen)
    partly = len(tally.told)
    yield share_row("scans done in part or not eligible", SIMULATED, partly, tally.scans)
    for low, high in ((0.0, 0.05), (0.05, 0.2), (0.2, 0.6), (0.6, 0.9), (0.9, 1.001)):
        within = [right for certainty, right in tally.certainties if low <= certainty < high]
        name = f"truly grade 2 or more, of certainty {low:.2f} to {min(high, 1.0):.2f}"
        yield share_row(name, SIMULATED, sum(within), len(within))
    yield mean_row("seconds a series, files to findings", SIMULATED, tally.seconds, "{:.1f}")
    for reason in sorted(set(tally.told)):
        count = tally.told.count(reason)
        yield Row(metric="not measured as a whole", data=SIMULATED, value=reason, n=count)


def _height_rows(seen: Sequence[Pair]) -> Iterator[Row]:
    groups = [("", seen)]
    groups += [(f", slices {mm:g} mm", [p for p in seen if p.slice_mm == mm]) for mm in SLICES_MM]
    for name, own in groups:
        errors = [
            a - b
            for p in own
            if p.finding is not None
            for a, b in zip(heights_of(p.finding), p.truth.heights_mm, strict=True)
        ]
        within = sum(abs(e) <= HEIGHT_MM for e in errors)
        yield share_row(f"heights within {HEIGHT_MM:g} mm{name}", SIMULATED, within, len(errors))
        yield mean_row(f"height, mean error mm{name}", SIMULATED, errors, "{:+.2f}")
    for place, title in enumerate(PLACES):
        true = [p.truth.heights_mm[place] for p in seen]
        ours = [heights_of(p.finding)[place] for p in seen if p.finding is not None]
        agreed = bland_altman(true, ours)
        if agreed is not None and agreed.lower is not None and agreed.upper is not None:
            yield Row(
                metric=f"{title} height, bias (limits of agreement) mm",
                data=SIMULATED,
                value=f"{agreed.bias.value:+.2f} ({agreed.lower.value:+.2f} to "
                f"{agreed.upper.value:+.2f})",
                interval=f"{agreed.bias.low:+.2f} to {agreed.bias.high:+.2f}",
                n=agreed.bias.n,
            )
