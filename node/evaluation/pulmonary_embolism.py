"""`python -m node.evaluation.pulmonary_embolism`: the embolism package, measured.

Simulated chests of test seeds with and without clots (truth exact); real contrast scans, on which
nobody may be called; real scans without contrast, which must be refused with the measured number;
clots inserted into a real contrast scan. All go to disk as DICOM and through the product's path.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.grid import canonical
from models.phantoms.chest import ContrastPhase
from models.phantoms.vessel_tree import Level
from models.pulmonary_embolism.region import find_region
from models.pulmonary_embolism.space import space_of
from models.pulmonary_embolism.vocabulary import ABSENT, CERTAINTY, EMBOLISM, PRESENT
from node.domain.finding import CodedConcept, Findings, Status
from node.domain.imaging import Volume
from node.evaluation.card import conclude, parser_for, tell
from node.evaluation.filing import CtArray, file_series
from node.evaluation.froc import Reading, froc
from node.evaluation.inserted_clots import insert_clots
from node.evaluation.nifti import read_nifti
from node.evaluation.pictures import save_pictures
from node.evaluation.product import Look, Product, open_product
from node.evaluation.simulated_clots import SimulatedStudy, simulated_study
from node.evaluation.table import Row, mean_row, share_row

PACKAGE = Path(__file__).resolve().parents[2] / "models" / "pulmonary_embolism"
FIRST_TEST_SEED = 1_000_000
SIMULATED, INSERTED = "simulated", "clots inserted into a real scan"
#: Marks from this certainty on are kept for the curve, below what the product reports.
LEAST_CERTAINTY = 5.0
#: A mark lies at a clot when it comes so near, voxels.
NEAR = 1
_LARGE = (Level.CENTRAL, Level.LOBAR, Level.SEGMENTAL)
#: Bounds of the certainty for the reliability table, per cent.
BINS = (5, 25, 50, 80, 95, 100.001)
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One finding: its certainty and the true clot that it lies at, or None."""

    certainty: float
    clot: int | None


@dataclass(slots=True)
class Tally:
    """What the simulated studies gave."""

    readings: list[Reading] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    found: dict[Level, list[bool]] = field(default_factory=lambda: {level: [] for level in Level})
    level_right: list[bool] = field(default_factory=list)
    called_without: list[bool] = field(default_factory=list)
    called_with: list[bool] = field(default_factory=list)
    false_alerts: list[float] = field(default_factory=list)
    volume_ratio: list[float] = field(default_factory=list)
    ratio_given: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    native_refused: list[bool] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Where things are, and the loaded product."""

    product: Product
    out: Path
    studies: Path | None

    @property
    def _present(self) -> float:
        return self.product.manifest.thresholds["present"]

    def simulated(self, count: int) -> Iterator[Row]:
        """Contrast studies with clots, a third without; a few without contrast medium."""
        tally = Tally()
        for number in range(count):
            seed = FIRST_TEST_SEED + number
            study = simulated_study(seed, self.studies, phase=phase_of(number))
            look = self._look(study.array)
            tell(f"chest {seed}, {len(study.clots)} clots: {_told(look)}")
            if number < 6:
                save_pictures(look.findings, self.out, f"chest-{seed}")
            self._add(tally, study, look)
        for number in range(max(1, count // 8)):
            seed = FIRST_TEST_SEED + number
            study = simulated_study(seed, self.studies, phase=ContrastPhase.NATIVE)
            look = self._look(study.array)
            tell(f"chest {seed} without contrast: {_told(look)}")
            tally.native_refused.append(
                look.findings.status is Status.NOT_ELIGIBLE and "HU" in look.findings.reason
            )
        yield from self._rows(tally, count)

    def _look(self, array: CtArray) -> Look:
        with tempfile.TemporaryDirectory(prefix="vigie-evaluate-") as folder:
            return self.product.look(file_series(array, Path(folder)))

    def _add(self, tally: Tally, study: SimulatedStudy, look: Look) -> None:
        clots = study.clots
        if look.findings.status is Status.NOT_ELIGIBLE:
            tally.refusals.append(look.findings.reason)
            return
        shape = study.array.voxels.shape
        masks = [clot.whole(shape) for clot in clots]
        marks, sizes = _marks(look, masks)
        tally.seconds.append(look.seconds)
        tally.marks += marks
        large = [k for k, clot in enumerate(clots) if clot.level in _LARGE]
        alarms = [mark for mark in marks if mark.certainty >= self._present]
        for k, clot in enumerate(clots):
            tally.found[clot.level].append(any(mark.clot == k for mark in alarms))
        tally.readings.append(
            Reading(
                patient=study.array.name,
                lesions=len(large),
                marks=tuple(
                    (mark.certainty, None if mark.clot is None else large.index(mark.clot))
                    for mark in marks
                    if mark.clot is None or mark.clot in large
                ),
            )
        )
        tally.false_alerts.append(float(sum(mark.clot is None for mark in alarms)))
        (tally.called_with if large else tally.called_without).append(bool(alarms))
        tally.ratio_given.append("RV-LV-RATIO" in _names(look.findings))
        for finding, mark in zip(look.findings.findings, marks, strict=True):
            if mark.clot is not None and mark.certainty >= self._present:
                said = [e.value for e in finding.evaluations]
                tally.level_right.append(clots[mark.clot].level.value in said)
        for k in large:
            if any(mark.clot == k for mark in alarms):
                seen = sum(size for size, mark in zip(sizes, marks, strict=True) if mark.clot == k)
                tally.volume_ratio.append(seen / max(1.0, clots[k].mm3))

    def _rows(self, tally: Tally, count: int) -> Iterator[Row]:
        yield share_row("studies analysed (not refused)", SIMULATED, len(tally.readings), count)
        hits = [hit for level in _LARGE for hit in tally.found[level]]
        yield share_row("clots found, segmental and larger", SIMULATED, sum(hits), len(hits))
        for level in Level:
            found = tally.found[level]
            yield share_row(f"clots found, {level.value}", SIMULATED, sum(found), len(found))
        yield mean_row("false alerts a study (marks)", SIMULATED, tally.false_alerts, "{:.2f}")
        without, given = tally.called_without, tally.called_with
        yield share_row(
            "studies without a clot that call somebody", SIMULATED, sum(without), len(without)
        )
        yield share_row("studies with a clot that call somebody", SIMULATED, sum(given), len(given))
        curve = froc(tally.readings)
        if curve is not None:
            for at in curve.at[:4]:
                interval = (
                    f"{at.sensitivity.low:.3f} to {at.sensitivity.high:.3f}"
                    if at.sensitivity.low is not None and at.sensitivity.high is not None
                    else ""
                )
                yield Row(
                    metric=f"FROC: sensitivity at {at.rate:g} false marks a study"
                    + ("" if at.reached else " (never so many)"),
                    data=SIMULATED,
                    value=f"{at.sensitivity.value:.3f}",
                    interval=interval,
                    n=curve.lesions,
                )
        for low, high in pairwise(BINS):
            inside = [mark for mark in tally.marks if low <= mark.certainty < high]
            right = sum(mark.clot is not None for mark in inside)
            name = f"reliability: true of marks with certainty {low:g} to {min(high, 100):g} %"
            yield share_row(name, SIMULATED, right, len(inside))
        yield share_row(
            "level named right, of clots found", SIMULATED, sum(tally.level_right),
            len(tally.level_right),
        )  # fmt: skip
        yield mean_row(
            "volume found / true, segmental and larger", SIMULATED, tally.volume_ratio, "{:.2f}"
        )
        yield share_row(
            "ventricles compared", SIMULATED, sum(tally.ratio_given), len(tally.ratio_given)
        )
        native = tally.native_refused
        yield share_row(
            "without contrast medium: refused with the measured HU", SIMULATED, sum(native),
            len(native),
        )  # fmt: skip
        yield mean_row("seconds a study, files to findings", SIMULATED, tally.seconds, "{:.1f}")
        for reason in sorted(set(tally.refusals)):
            n = tally.refusals.count(reason)
            yield Row(metric="refused", data=SIMULATED, value=reason, interval="", n=n)

    def real(self, name: str, array: CtArray | list[Path]) -> Iterator[Row]:
        """A real series without embolism: what is said, and whether anybody is called."""
        look = self.product.look(array) if isinstance(array, list) else self._look(array)
        tell(f"{name}: {_told(look)}")
        save_pictures(look.findings, self.out, name.replace(" ", "-").replace(",", ""))
        yield Row(metric="product says", data=name, value=_told(look), interval="", n=1)
        called = self._called(look.findings)
        yield Row(metric="alert", data=name, value="yes" if called else "no", interval="", n=1)

    def _called(self, findings: Findings) -> bool:
        return any(
            m.value >= self._present
            for finding in findings.findings
            for m in finding.measurements
            if m.name == CERTAINTY
        )

    def inserted(self, array: CtArray, copies: int) -> Iterator[Row]:
        """Clots in vessels of a real contrast scan."""
        volume = self._look(array).volume
        if volume is None:
            return
        room = _room_of(volume)
        found: list[bool] = []
        wrong: list[float] = []
        for copy in range(copies):
            rng = np.random.default_rng([copy, 91])
            put = insert_clots(np.asarray(volume.voxels, np.int16), volume.spacing_mm, room, 3, rng)
            look = self._look(
                CtArray(name=f"{array.name} {copy}", voxels=put.voxels, affine=volume.affine)
            )
            marks, _ = _marks(look, put.clots)
            alarms = [mark for mark in marks if mark.certainty >= self._present]
            found += [any(m.clot == k for m in alarms) for k in range(len(put.clots))]
            wrong.append(float(sum(m.clot is None for m in alarms)))
            radii = ", ".join(f"{radius:.1f}" for radius in put.radii_mm)
            tell(
                f"inserted {copy} (radii {radii} mm, "
                f"found {found[-len(put.clots) :]}): {_told(look)}"
            )
            if copy < 3:
                save_pictures(look.findings, self.out, f"inserted-{copy}")
        yield share_row("clots found", INSERTED, sum(found), len(found))
        yield mean_row("false alerts a copy", INSERTED, wrong, "{:.2f}")


def phase_of(number: int) -> ContrastPhase:
    """Three quarters as a pulmonary angiography, the rest as a staging scan."""
    return ContrastPhase.ROUTINE if number % 4 == 3 else ContrastPhase.PULMONARY


def _marks(look: Look, truth: Sequence[Mask]) -> tuple[list[Mark], list[float]]:
    """Findings against the true clots on the grid of the volume, and their volumes, mm3."""
    findings = look.findings
    if look.volume is None or not findings.findings:
        return [], []
    row = {plane.sop_instance_uid: k for k, plane in enumerate(look.volume.planes)}
    where = [row[plane.sop_instance_uid] for plane in findings.segmented_planes]
    marks, sizes = [], []
    for finding in findings.findings:
        assert finding.segment_number is not None
        mask = findings.segments[finding.segment_number - 1].mask
        touched: dict[int, int] = {}
        voxels = 0
        for index, plane in enumerate(where):
            part = np.asarray(mask[index], np.bool_)
            if not part.any():
                continue
            voxels += int(part.sum())
            wide = _grown(part)
            for number, clot in enumerate(truth):
                for near in range(max(0, plane - NEAR), min(len(clot), plane + NEAR + 1)):
                    common = int((clot[near] & wide).sum())
                    if common:
                        touched[number] = touched.get(number, 0) + common
        best = max(touched, key=lambda number: touched[number], default=None)
        certainty = next(m.value for m in finding.measurements if m.name == CERTAINTY)
        marks.append(Mark(certainty=certainty, clot=best))
        sizes.append(voxels * look.volume.voxel_ml * 1000.0)
    return marks, sizes


def _grown(mask: Mask) -> Mask:
    grown = mask.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            grown |= np.roll(mask, step, axis)
    return grown


def _room_of(volume: Volume) -> Mask:
    """The room of the lungs on the grid of a volume."""
    space = space_of(canonical(volume))
    room = find_region(space.coarse).room
    at = [
        np.clip(np.rint((space.index_of(k, n) - 0.5) / 2), 0, room.shape[k] - 1).astype(int)
        for k, n in enumerate(space.grid.shape)
    ]
    whole = room[np.ix_(*at)]
    back = tuple(slice(None, None, -1 if turned else 1) for turned in space.grid.flipped)
    return np.asarray(whole[back].transpose(np.argsort(space.grid.order)), np.bool_)


def _names(findings: Findings) -> set[str]:
    return {m.name.value for m in findings.exam_measurements}


def _told(look: Look) -> str:
    findings = look.findings
    head = f"headers: {look.verdict}; pixels: " if look.verdict else ""
    if findings.reason:
        return f"{head}{findings.status.value}: {findings.reason}"
    answer = next(e.value for e in findings.exam_evaluations if e.name == EMBOLISM)
    assert isinstance(answer, CodedConcept)
    word = {PRESENT: "embolism present", ABSENT: "no embolism"}.get(answer, "possible embolism")
    numbers = [f"{m.label} {m.value:.{m.decimals}f}" for m in findings.exam_measurements]
    return f"{head}{word}; " + "; ".join(numbers)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_for(PACKAGE)
    parser.add_argument("--phantoms", type=int, default=24)
    parser.add_argument("--studies", type=Path, help="folder that keeps the simulated studies")
    parser.add_argument("--copies", type=int, default=6)
    return parser.parse_args(arguments)


def evaluate(options: argparse.Namespace) -> list[Row]:
    """Measure everything that is at hand."""
    product = open_product(PACKAGE)
    whole = replace(
        product.manifest,
        thresholds={**product.manifest.thresholds, "possible": LEAST_CERTAINTY},
    )
    run = Evaluation(
        replace(product, manifest=whole), options.out / "pulmonary_embolism", options.studies
    )
    rows: list[Row] = []
    data = options.shared / "data"
    if data.is_dir():
        rows += _real_rows(run, data, options.copies)
    else:
        tell(f"no real images: {data} is not there")
    if options.phantoms:
        rows += run.simulated(options.phantoms)
    return rows


def _real_rows(run: Evaluation, data: Path, copies: int) -> Iterator[Row]:
    folder = data / "abdomen_ct_totalseg"
    heart = None
    for name, path in (
        ("heart CT with contrast", folder / "pulmonary_report" / "models" / "ct_cropped.nii.gz"),
        ("aorta CT with contrast", folder / "aorta_report/test_result/models/ct_cropped.nii.gz"),
        ("abdomen CT, native", folder / "example_ct.nii.gz"),
    ):
        voxels, affine = read_nifti(path)
        array = CtArray(name=name, voxels=voxels, affine=affine)
        heart = heart or array
        yield from run.real(name, array)
    for name, path in (
        ("chest_ct_lidc, lower block, native", data / "chest_ct_lidc" / "lower"),
        ("chest_ct_lidc, upper block, native", data / "chest_ct_lidc" / "upper"),
        ("abdomen_ct_crlm_1004, portal", data / "abdomen_ct_crlm_1004"),
    ):
        paths = [one for one in sorted(path.rglob("*")) if one.is_file()]
        yield from run.real(name, paths)
    if heart is not None and copies:
        yield from run.inserted(heart, copies)


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate, print the table, and write it into the card when asked."""
    options = _options(arguments)
    conclude(evaluate(options), options, PACKAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
