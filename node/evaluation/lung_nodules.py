"""`python -m node.evaluation.lung_nodules`: the lung nodule package, measured.

Nodules of 4 to 30 mm with exact truth are put into simulated chests of test seeds and, where
`../shared/data` is beside the checkout, into real ones; the real ones are also looked at as they
are, and moved a little. Chests with scars and granulomas, and chests with one mass, are simulated
beside them. All go to disk as DICOM and through the product's path. Every candidate counts with its
certainty, so that the FROC curve needs no second run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.lung_nodules import vocabulary as say
from node.domain.finding import Finding, Findings
from node.domain.imaging import Volume
from node.evaluation.card import conclude, parser_for, tell
from node.evaluation.detection_plots import keep_in_card
from node.evaluation.filing import CtArray, file_series
from node.evaluation.froc import Reading
from node.evaluation.lung_nodules_chests import Chest, Kind, chest
from node.evaluation.lung_nodules_moved import (
    COARSE_PIXEL_MM,
    FIRST_MOVED,
    Steadiness,
    is_possible,
    moved_case,
    plain_rows,
)
from node.evaluation.lung_nodules_pictures import PICTURES, draw, panels_of
from node.evaluation.lung_nodules_tally import (
    ASKED_MM,
    WITHIN_MM,
    MassHit,
    Tally,
    certainty_of,
    mass_rows,
    matched,
    place_mm,
    reliability,
    rows_of,
    told,
    truth_at,
    value_of,
)
from node.evaluation.nifti import read_nifti
from node.evaluation.nodule_cases import Case, real_volume, untouched, with_nodules
from node.evaluation.product import Look, Product, open_product
from node.evaluation.table import Row, mean_row

PACKAGE = Path(__file__).resolve().parents[2] / "models" / "lung_nodules"
FIRST_TEST_SEED, FIRST_SIMULATED = 1_000_000, 1_900_000
#: Each kind of simulated chest has seeds of its own, so far from the first.
APART = {Kind.NODULES: 0, Kind.FINDINGS: 10_000, Kind.MASS: 20_000}
#: Certainty from which candidates count in the curve, per cent, and how many are asked for.
LEAST_PERCENT, MOST = 2.0, 60
REAL = ("lower", "upper")
#: In which block an upper lobe is collapsed, or a mass, and on which side.
SIDE_OF_MASS = {"upper": "right"}
#: A further real scan, whose pixels are coarse.
AORTA = Path("abdomen_ct_totalseg/aorta_report/test_result/models/ct_cropped.nii.gz")
#: Moved copies of each insertion.
COPIES = 4
#: Slice distances of the simulated series, in turn, mm.
SLICES_MM = {
    Kind.NODULES: (1.0, 1.5, 2.5), Kind.FINDINGS: (1.5, 2.5, 1.0), Kind.MASS: (1.5, 2.5)
}  # fmt: skip


class Evaluation:
    """The loaded product, asked for every candidate."""

    def __init__(self, product: Product) -> None:
        thresholds = {
            **product.manifest.thresholds,
            "reported_percent": LEAST_PERCENT,
            "most_listed": float(MOST),
        }
        self.threshold = product.manifest.thresholds["reported_percent"] / 100
        self.every = replace(product, manifest=replace(product.manifest, thresholds=thresholds))
        self.shipped = product

    def look(self, one: Chest, tally: Tally, *, as_shipped: bool = False) -> Look:
        """One case through the product's path, and into the tally."""
        case = one.case
        look = _filed(self.shipped if as_shipped else self.every, case)
        tally.seconds.append(look.seconds)
        if look.findings.reason:
            tally.refusals.append(f"{case.array.name}: {look.findings.reason}")
        counted, aside = _counted(one, look.findings)
        tally.possible += sum(is_possible(finding) for finding in look.findings.findings)
        tally.granulomas += sum(
            certainty_of(f) >= self.threshold and not is_possible(f) for f in aside
        )
        hits, marks = matched(case, look.findings, counted)
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
        # The certainty of a possible mass was set by hand and tells nothing of the networks'.
        tally.marks += [
            (certainty, truth is not None)
            for finding, (certainty, truth) in zip(counted, marks, strict=True)
            if not is_possible(finding)
        ]
        missed, false = panels_of(case, look.findings, hits, (counted, marks), self.threshold)
        tally.missed += missed
        tally.false += false
        others = sum(t is None and c >= self.threshold for c, t in marks)
        found = sum(hit.certainty >= self.threshold for hit in asked)
        tell(
            f"{case.array.name}: {found} of {len(asked)} nodules from {ASKED_MM:g} mm, "
            f"{others} others reported, {look.seconds:.1f} s"
        )
        for hit in hits:
            tell(f"    {told(hit)}")
        return look

    def look_for_mass(self, one: Chest, tally: Tally) -> None:
        """A chest with one mass, as shipped."""
        case = one.case
        (truth,) = case.truth
        look = _filed(self.shipped, case)
        tally.seconds.append(look.seconds)
        here, others = [], 0
        for finding in look.findings.findings:
            if truth_at(case, place_mm(case, look.findings, finding)) is None:
                others += 1
            elif finding.finding == say.MASS:
                here.append(finding)
        best = max(here, key=certainty_of, default=None)
        hit = MassHit(
            site=one.site,
            said="" if best is None else best.tracking_identifier,
            mean_mm=0.0 if best is None else value_of(best, say.DIAMETER),
            true_mm=truth.mean_mm,
        )
        tally.masses.append(hit)
        tally.readings.append(
            Reading(patient=case.patient, lesions=0, marks=((1.0, None),) * others)
        )
        tell(
            f"{case.array.name}: {one.site}, {hit.true_mm:.0f} mm: "
            f"{hit.said or 'NOT REPORTED'} {hit.mean_mm:.0f} mm, {others} others, "
            f"{look.seconds:.1f} s"
        )


def _filed(product: Product, case: Case) -> Look:
    with tempfile.TemporaryDirectory(prefix="vigie-evaluate-") as folder:
        return product.look(file_series(case.array, Path(folder)))


def _counted(one: Chest, findings: Findings) -> tuple[list[Finding], list[Finding]]:
    """Findings that are right or wrong, and those that are neither.

    Those at a granuloma are neither, and a possible mass in the real block in which there is one,
    or a collapse, on its side.
    """
    affine = one.case.array.affine
    middles = one.granulomas @ affine[:3, :3].T + affine[:3, 3]
    counted: list[Finding] = []
    aside: list[Finding] = []
    for finding in findings.findings:
        place = place_mm(one.case, findings, finding)
        near = len(middles) and float(np.linalg.norm(middles - place, axis=1).min()) < WITHIN_MM
        its_side = finding.laterality == say.SIDES.get(one.site, "")
        neither = near or (its_side and is_possible(finding))
        (aside if neither and truth_at(one.case, place) is None else counted).append(finding)
    return counted, aside


def _plain(case: Case, name: str) -> Chest:
    """A real block; its site is the side of what may be a mass."""
    return Chest(case=case, granulomas=np.zeros((0, 3)), site=SIDE_OF_MASS.get(name, ""))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_for(PACKAGE)
    parser.add_argument("--chests", type=int, default=12, help="simulated chests")
    parser.add_argument(
        "--findings", type=int, default=4, help="simulated chests with scars and granulomas"
    )
    parser.add_argument("--masses", type=int, default=6, help="simulated chests with a mass")
    parser.add_argument(
        "--first-seed", type=int, default=FIRST_SIMULATED, help="of the simulated chests"
    )
    parser.add_argument("--kept", type=Path, help="folder in which drawn chests are kept")
    parser.add_argument("--rounds", type=int, default=8, help="insertions into each real block")
    parser.add_argument(
        "--moved",
        type=int,
        default=12,
        help="moved copies of each real block as it is, and as many with nodules",
    )
    parser.add_argument("--first-moved", type=int, default=FIRST_MOVED, help="seed of them")
    parser.add_argument("--minutes", type=float, help="begin no further case after so long")
    return parser.parse_args(arguments)


def evaluate(options: argparse.Namespace) -> list[Row]:
    """Measure everything that is at hand."""
    run = Evaluation(open_product(PACKAGE))
    end = float("inf") if options.minutes is None else time.monotonic() + 60 * options.minutes
    folder = options.shared / "data" / "chest_ct_lidc"
    rows: list[Row] = []
    tallies: dict[str, Tally] = {}
    if options.rounds < 0:
        tell("real images were left out, as asked")
    elif folder.is_dir():
        rows += _real(run, folder, (options.rounds, end), tallies)
        rows += _moved(run, folder, options, tallies)
    else:
        tell(f"no real images: {folder} is not there")
    rows += _simulated(run, options, end, tallies)
    out = options.out / "lung_nodules"
    out.mkdir(parents=True, exist_ok=True)
    draw(out, tallies, run.threshold)
    marks = [mark for name, tally in tallies.items() if "lidc" not in name for mark in tally.marks]
    (out / "marks.json").write_text(json.dumps(marks), encoding="utf-8")
    if options.write_card:
        keep_in_card(PACKAGE, out, PICTURES)
    return rows


def _real(
    run: Evaluation, folder: Path, much: tuple[int, float], tallies: dict[str, Tally]
) -> Iterator[Row]:
    """The real blocks as they are, then with nodules."""
    rounds, end = much
    volumes: dict[str, Volume] = {name: real_volume(folder / name) for name in REAL}
    plain, inserted = Tally(), Tally()
    for name, volume in volumes.items():
        block = _plain(untouched(volume, f"chest_ct_lidc {name}"), name)
        look = run.look(block, plain, as_shipped=True)
        tell(f"    {look.findings.status.value}")
        for finding in look.findings.findings:
            if certainty_of(finding) >= run.threshold:
                tell(f"    {finding.tracking_identifier}: {value_of(finding, say.DIAMETER):.0f} mm")
    for number in range(rounds):
        for name, volume in volumes.items():
            if time.monotonic() > end:
                break
            case = with_nodules(volume, f"chest_ct_lidc {name}", FIRST_TEST_SEED + number)
            if case is not None:
                # Both blocks are of one patient.
                run.look(_plain(replace(case, patient=f"round {number}"), name), inserted)
    data = "chest_ct_lidc"
    false = [
        float(sum(score is not None and score >= run.threshold for score, _ in reading.marks))
        for reading in plain.readings
    ]
    yield mean_row("nodules reported in a block as it is", data, false, "{:.2f}")
    told_of = [float(plain.possible) / len(volumes)]
    yield mean_row("possible masses a block as it is", data, told_of * len(volumes), "{:.2f}")
    tallies[f"{data} with inserted nodules"] = inserted
    yield from rows_of(inserted, f"{data} with inserted nodules", run.threshold)


def _moved(
    run: Evaluation, folder: Path, options: argparse.Namespace, tallies: dict[str, Tally]
) -> Iterator[Row]:
    """Moved copies of the real scans, as they are and, of the blocks, with nodules."""
    if options.moved < 1:
        return
    seeds = range(options.first_moved, options.first_moved + options.moved)
    volumes = {name: real_volume(folder / name) for name in REAL}

    def as_shipped(array: CtArray) -> Look:
        return _filed(run.shipped, Case(data="", patient="", array=array, truth=()))

    for name, volume in volumes.items():
        array = untouched(volume, f"chest_ct_lidc {name}").array
        yield from plain_rows(as_shipped, array, seeds, side=SIDE_OF_MASS.get(name, ""))
    aorta = folder.parent / AORTA
    if aorta.is_file():
        voxels, affine = read_nifti(aorta)
        array = CtArray(name="aorta CT with contrast", voxels=voxels, affine=affine)
        yield from plain_rows(as_shipped, array, seeds, pixel_mm=COARSE_PIXEL_MM)
    inserted, steady = Tally(), Steadiness()
    for number in range(options.moved // COPIES):
        for name, volume in volumes.items():
            drawn = with_nodules(volume, f"chest_ct_lidc {name}", options.first_seed + number)
            if drawn is None:
                continue
            case = replace(drawn, patient=f"round {number}")
            for seed in seeds[number * COPIES : (number + 1) * COPIES]:
                one, held = moved_case(case, seed, site=SIDE_OF_MASS.get(name, ""))
                before = len(inserted.hits)
                run.look(one, inserted)
                steady.add(case.array.name, held, inserted.hits[before:])
    data = "moved copies of chest_ct_lidc with inserted nodules"
    tallies[data] = inserted
    yield from rows_of(inserted, data, run.threshold)
    yield from steady.rows(data, run.threshold)


def _simulated(
    run: Evaluation, options: argparse.Namespace, end: float, tallies: dict[str, Tally]
) -> Iterator[Row]:
    """Simulated chests of each kind."""
    kept = options.kept or options.out / "lung_nodules" / "chests"
    counts = {
        Kind.NODULES: options.chests, Kind.FINDINGS: options.findings, Kind.MASS: options.masses
    }  # fmt: skip
    every = {kind: Tally() for kind in Kind}
    for number in range(max(counts.values())):
        for kind, count in counts.items():
            if number >= count or time.monotonic() > end:
                continue
            seed = options.first_seed + APART[kind] + number
            slices = SLICES_MM[kind]
            one = chest(kind, seed, slices[number % len(slices)], kept)
            if kind is Kind.MASS:
                run.look_for_mass(one, every[kind])
            else:
                run.look(one, every[kind])
    for kind in (Kind.NODULES, Kind.FINDINGS):
        tally = every[kind]
        if tally.readings:
            tallies[kind.value] = tally
            yield from rows_of(tally, kind.value, run.threshold)
            chests = [tally.possible / len(tally.readings)] * len(tally.readings)
            yield mean_row(
                "possible masses a scan where there is none", kind.value, chests, "{:.2f}"
            )
    if every[Kind.FINDINGS].readings:
        count = len(every[Kind.FINDINGS].readings)
        share = [every[Kind.FINDINGS].granulomas / count] * count
        yield mean_row(
            "granulomas a scan reported, neither right nor wrong", Kind.FINDINGS.value, share,
            "{:.2f}",
        )  # fmt: skip
    if every[Kind.MASS].masses:
        yield from mass_rows(every[Kind.MASS], Kind.MASS.value)
    marks = [mark for kind in (Kind.NODULES, Kind.FINDINGS) for mark in every[kind].marks]
    if marks:
        yield from reliability(marks, "both kinds of simulated chests")


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate, print the table, and write it into the card when asked."""
    options = _options(arguments)
    conclude(evaluate(options), options, PACKAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
