"""`python -m node.evaluation.lung_nodules`: the lung nodule package, measured.

Nodules of 4 to 30 mm with exact truth are put into simulated chests of test seeds and, where
`../shared/data` is beside the checkout, into real ones; the real ones are also looked at as they
are. All go to disk as DICOM and through the product's path. Every candidate counts with its
certainty, so that the FROC curve needs no second run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from models.lung_nodules import vocabulary as say
from models.phantoms.insertion import Inserted
from node.domain.finding import CodedConcept, Finding, Findings
from node.domain.imaging import Volume
from node.evaluation.card import conclude, parser_for, tell
from node.evaluation.filing import file_series
from node.evaluation.froc import Reading, froc
from node.evaluation.nodule_cases import Case, real_volume, simulated, untouched, with_nodules
from node.evaluation.product import Look, Product, open_product
from node.evaluation.table import Row, mean_row, share_row

PACKAGE = Path(__file__).resolve().parents[2] / "models" / "lung_nodules"
FIRST_TEST_SEED = 1_000_000
#: Certainty from which candidates count in the curve, per cent, and how many are asked for.
LEAST_PERCENT, MOST = 2.0, 60
#: From this true mean diameter on a nodule is asked for.
ASKED_MM = 6.0
REAL = ("lower", "upper")
#: Slice distances of the simulated series, in turn, mm.
SLICES_MM = (1.0, 1.5, 2.5)
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
        return next(m.value for m in self.finding.measurements if m.name == concept)


@dataclass(slots=True)
class Tally:
    """Everything found on one kind of data."""

    readings: list[Reading] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    marks: list[tuple[float, bool]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


class Evaluation:
    """The loaded product, asked for every candidate."""

    def __init__(self, product: Product) -> None:
        thresholds = {
            **product.manifest.thresholds,
            "reported_percent": LEAST_PERCENT,
            "most_listed": float(MOST),
        }
        self.threshold = product.manifest.thresholds["reported_percent"] / 100
        self._product = replace(product, manifest=replace(product.manifest, thresholds=thresholds))

    def look(self, case: Case, tally: Tally) -> Look:
        """One case through the product's path, and into the tally."""
        with tempfile.TemporaryDirectory(prefix="vigie-evaluate-") as folder:
            look = self._product.look(file_series(case.array, Path(folder)))
        tally.seconds.append(look.seconds)
        if look.findings.reason:
            tally.refusals.append(f"{case.array.name}: {look.findings.reason}")
        hits, marks = matched(case, look.findings)
        tally.hits += hits
        asked = [hit for hit in hits if hit.truth.mean_mm >= ASKED_MM]
        numbers = {id(hit.truth): index for index, hit in enumerate(asked)}
        tally.readings.append(
            Reading(
                patient=case.patient,
                lesions=len(asked),
                marks=tuple(
                    (certainty, None if truth is None else numbers[id(truth)])
                    for certainty, truth in marks
                    # A mark at a nodule that is not asked for is neither right nor wrong.
                    if truth is None or id(truth) in numbers
                ),
            )
        )
        tally.marks += [(certainty, truth is not None) for certainty, truth in marks]
        false = sum(t is None and c >= self.threshold for c, t in marks)
        found = sum(hit.certainty >= self.threshold for hit in asked)
        tell(
            f"{case.array.name}: {found} of {len(asked)} nodules from {ASKED_MM:g} mm, "
            f"{false} others reported, {look.seconds:.1f} s"
        )
        for hit in hits:
            tell(f"    {_told(hit)}")
        return look

    def rows(self, tally: Tally, data: str) -> Iterator[Row]:
        """The table of one kind of data."""
        yield from _found_rows(tally, data, self.threshold)
        yield from _measure_rows(tally, data, self.threshold)
        yield mean_row("seconds a series, files to findings", data, tally.seconds, "{:.1f}")
        for reason in tally.refusals:
            yield Row(
                metric="not looked at as a whole, or refused",
                data=data,
                value=reason,
                interval="",
                n=1,
            )


def matched(
    case: Case, findings: Findings
) -> tuple[list[Hit], list[tuple[float, Inserted | None]]]:
    """Each true nodule with its surest finding, and each finding with the nodule it lies at."""
    marks: list[tuple[float, Inserted | None]] = []
    best: dict[int, Hit] = {}
    for finding in findings.findings:
        certainty = next(m.value for m in finding.measurements if m.name == say.CERTAINTY) / 100
        place = centre_mm(findings, finding)
        truth = _at(case, place)
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


def _at(case: Case, place: np.ndarray) -> Inserted | None:
    """The nodule at a place given as (column, row) of SCOORD and z in mm."""
    spacing = np.linalg.norm(case.array.affine[:3, :3], axis=0)
    origin = case.array.affine[:3, 3]
    x = origin[0] + (place[0] - 0.5) * spacing[2]
    y = origin[1] + (place[1] - 0.5) * spacing[1]
    nearest, found = np.inf, None
    for truth in case.truth:
        away = float(np.linalg.norm(case.centre_mm(truth) - np.array([x, y, place[2]])))
        if away < max(WITHIN_MM, truth.mean_mm / 2) and away < nearest:
            nearest, found = away, truth
    return found


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
    right = sum(_density_right(hit) for hit in found)
    yield share_row("density type right", data, right, len(found))


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


def _told(hit: Hit) -> str:
    truth = hit.truth
    said = f"{truth.density.value} {truth.mean_mm:.1f} mm, {truth.volume_mm3:.0f} mm3"
    if hit.finding is None:
        return f"{said}: MISSED"
    return (
        f"{said}: certainty {hit.certainty:.2f}, {hit.value(say.DIAMETER):.1f} mm, "
        f"{hit.value(say.VOLUME):.0f} mm3"
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_for(PACKAGE)
    parser.add_argument("--chests", type=int, default=12, help="simulated chests")
    parser.add_argument(
        "--first-seed", type=int, default=FIRST_TEST_SEED, help="of the simulated chests"
    )
    parser.add_argument("--rounds", type=int, default=8, help="insertions into each real block")
    parser.add_argument("--minutes", type=float, help="begin no further case after so long")
    return parser.parse_args(arguments)


def evaluate(options: argparse.Namespace) -> list[Row]:
    """Measure everything that is at hand."""
    run = Evaluation(open_product(PACKAGE))
    end = float("inf") if options.minutes is None else time.monotonic() + 60 * options.minutes
    folder = options.shared / "data" / "chest_ct_lidc"
    rows: list[Row] = []
    if options.rounds < 0:
        tell("real images were left out, as asked")
    elif folder.is_dir():
        rows += _real(run, folder, options.rounds, end)
    else:
        tell(f"no real images: {folder} is not there")
    if options.chests:
        rows += _simulated(run, options, end)
    return rows


def _real(run: Evaluation, folder: Path, rounds: int, end: float) -> Iterator[Row]:
    """The real blocks as they are, then with nodules."""
    volumes: dict[str, Volume] = {name: real_volume(folder / name) for name in REAL}
    plain, inserted = Tally(), Tally()
    for name, volume in volumes.items():
        look = run.look(untouched(volume, f"chest_ct_lidc {name}"), plain)
        tell(f"    {look.findings.status.value}")
    for number in range(rounds):
        for name, volume in volumes.items():
            if time.monotonic() > end:
                break
            case = with_nodules(volume, f"chest_ct_lidc {name}", FIRST_TEST_SEED + number)
            if case is not None:
                # Both blocks are of one patient.
                run.look(replace(case, patient=f"round {number}"), inserted)
    false = [
        float(sum(score is not None and score >= run.threshold for score, _ in reading.marks))
        for reading in plain.readings
    ]
    yield mean_row("false positives a block as it is", "chest_ct_lidc", false, "{:.2f}")
    yield from run.rows(inserted, "chest_ct_lidc with inserted nodules")


def _simulated(run: Evaluation, options: argparse.Namespace, end: float) -> Iterator[Row]:
    """Simulated chests with nodules; their marks are kept for the calibration."""
    every = Tally()
    for number in range(options.chests):
        if time.monotonic() > end:
            break
        seed = options.first_seed + number
        run.look(simulated(seed, SLICES_MM[number % len(SLICES_MM)]), every)
    yield from run.rows(every, "simulated")
    yield from reliability(every.marks, "simulated")
    out = options.out / "lung_nodules"
    out.mkdir(parents=True, exist_ok=True)
    (out / "marks.json").write_text(json.dumps(every.marks), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate, print the table, and write it into the card when asked."""
    options = _options(arguments)
    conclude(evaluate(options), options, PACKAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
