"""`python -m node.evaluation.pulmonary_embolism`: the embolism package, measured.

Simulated chests of test seeds with and without clots (truth exact); real contrast scans and moved
copies of them, on which nobody may be called; real scans without contrast, which must be refused
with the measured number; clots inserted into a real contrast scan. All go to disk as DICOM and
through the product's path.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.grid import canonical
from models.phantoms.chest import ContrastPhase
from models.pulmonary_embolism.region import find_region
from models.pulmonary_embolism.space import space_of
from models.pulmonary_embolism.vocabulary import ABSENT, CERTAINTY, EMBOLISM, PRESENT
from node.domain.finding import CodedConcept, Findings, Status
from node.domain.imaging import Volume
from node.evaluation.card import conclude, parser_for, tell
from node.evaluation.detection_plots import keep_in_card
from node.evaluation.filing import CtArray, file_series
from node.evaluation.inserted_clots import insert_clots
from node.evaluation.moved import moved
from node.evaluation.nifti import read_nifti
from node.evaluation.pictures import save_pictures
from node.evaluation.product import Look, Product, open_product
from node.evaluation.pulmonary_embolism_tally import PICTURES, Tally, marks_of
from node.evaluation.simulated_clots import simulated_study
from node.evaluation.table import Row, mean_row, share_row

PACKAGE = Path(__file__).resolve().parents[2] / "models" / "pulmonary_embolism"
FIRST_TEST_SEED = 1_000_000
INSERTED = "clots inserted into a real scan"
#: Marks from this certainty on are kept for the curve, below what the product reports.
LEAST_CERTAINTY = 5.0
#: Of moved copies of real contrast scans: distances of slices, and pixels, mm; the first seed that
#: nothing was decided on.
MOVED_SLICES_MM, MOVED_PIXEL_MM, FIRST_MOVED = (1.5, 2.0, 2.5), 1.4, 100
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Where things are, and the loaded product.

    Attributes:
        shipped: with its own thresholds. product: the same, asked for every mark.
    """

    shipped: Product
    product: Product
    out: Path
    studies: Path | None

    @property
    def _present(self) -> float:
        return self.product.manifest.thresholds["present"]

    def simulated(self, first: int, count: int) -> Iterator[Row]:
        """Contrast studies with clots, a third without; a few without contrast medium.

        Args:
            first: seed of the first.
        """
        tally = Tally()
        for number in range(count):
            seed = first + number
            study = simulated_study(seed, self.studies, phase=phase_of(number))
            look = self._look(study.array)
            tell(f"chest {seed}, {len(study.clots)} clots: {_told(look)}")
            if number < 6:
                save_pictures(look.findings, self.out, f"chest-{seed}")
            tally.add(study, look, self._present)
        for number in range(max(1, count // 8)):
            seed = first + number
            study = simulated_study(seed, self.studies, phase=ContrastPhase.NATIVE)
            look = self._look(study.array)
            tell(f"chest {seed} without contrast: {_told(look)}")
            tally.native_refused.append(
                look.findings.status is Status.NOT_ELIGIBLE and "HU" in look.findings.reason
            )
        tally.draw(self.out)
        yield from tally.rows(count)

    def _look(self, array: CtArray, product: Product | None = None) -> Look:
        with tempfile.TemporaryDirectory(prefix="vigie-evaluate-") as folder:
            return (product or self.product).look(file_series(array, Path(folder)))

    def real(self, name: str, array: CtArray | list[Path]) -> Iterator[Row]:
        """A real series without embolism: what is said, and whether anybody is called."""
        look = (
            self.shipped.look(array) if isinstance(array, list) else self._look(array, self.shipped)
        )
        tell(f"{name}: {_told(look)}")
        save_pictures(look.findings, self.out, name.replace(" ", "-").replace(",", ""))
        yield Row(metric="product says", data=name, value=_told(look))
        called = self._called(look.findings)
        yield Row(metric="alert", data=name, value="yes" if called else "no")

    def moved(self, array: CtArray, first: int, count: int) -> Iterator[Row]:
        """Copies of a real contrast scan without embolism, each moved a little."""
        data = f"{array.name}, moved copies"
        called, marked = [], []
        for seed in range(first, first + count):
            copy = moved(array, seed, slices_mm=MOVED_SLICES_MM, pixel_mm=MOVED_PIXEL_MM)
            look = self._look(copy, self.shipped)
            tell(f"{array.name}, copy {seed}: {_told(look)}")
            called.append(self._called(look.findings))
            marked.append(bool(look.findings.findings))
        if count:
            yield Row(metric="copies that call", data=data, value=f"{sum(called)}", n=count)
            yield Row(
                metric="copies with a mark, possible ones too",
                data=data,
                value=f"{sum(marked)}",
                n=count,
            )

    def _called(self, findings: Findings) -> bool:
        return any(
            m.value >= self._present
            for finding in findings.findings
            for m in finding.measurements
            if m.name == CERTAINTY
        )

    def inserted(self, array: CtArray, first: int, copies: int) -> Iterator[Row]:
        """Clots in vessels of a real contrast scan, drawn anew for each `first`."""
        volume = self._look(array).volume
        if volume is None:
            return
        room = _room_of(volume)
        found: list[bool] = []
        wrong: list[float] = []
        for copy in range(copies):
            rng = np.random.default_rng([first + copy, 91])
            put = insert_clots(np.asarray(volume.voxels, np.int16), volume.spacing_mm, room, 3, rng)
            look = self._look(
                CtArray(name=f"{array.name} {copy}", voxels=put.voxels, affine=volume.affine)
            )
            marks = marks_of(look, put.clots)
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
    parser.add_argument(
        "--first-seed", type=int, default=FIRST_TEST_SEED, help="of simulated and inserted clots"
    )
    parser.add_argument("--studies", type=Path, help="folder that keeps the simulated studies")
    parser.add_argument("--copies", type=int, default=6)
    parser.add_argument("--moved", type=int, default=12, help="moved copies of each contrast scan")
    parser.add_argument("--first-moved", type=int, default=FIRST_MOVED, help="seed of them")
    return parser.parse_args(arguments)


def evaluate(options: argparse.Namespace) -> list[Row]:
    """Measure everything that is at hand."""
    product = open_product(PACKAGE)
    whole = replace(
        product.manifest,
        thresholds={**product.manifest.thresholds, "possible": LEAST_CERTAINTY},
    )
    run = Evaluation(
        product,
        replace(product, manifest=whole),
        options.out / "pulmonary_embolism",
        options.studies,
    )
    rows: list[Row] = []
    data = options.shared / "data"
    if data.is_dir():
        rows += _real_rows(run, data, options)
    else:
        tell(f"no real images: {data} is not there")
    if options.phantoms:
        rows += run.simulated(options.first_seed, options.phantoms)
    return rows


def _real_rows(run: Evaluation, data: Path, options: argparse.Namespace) -> Iterator[Row]:
    folder = data / "abdomen_ct_totalseg"
    contrast: list[CtArray] = []
    for name, path in (
        ("heart CT with contrast", folder / "pulmonary_report" / "models" / "ct_cropped.nii.gz"),
        ("aorta CT with contrast", folder / "aorta_report/test_result/models/ct_cropped.nii.gz"),
        ("abdomen CT, native", folder / "example_ct.nii.gz"),
    ):
        voxels, affine = read_nifti(path)
        array = CtArray(name=name, voxels=voxels, affine=affine)
        if "with contrast" in name:
            contrast.append(array)
        yield from run.real(name, array)
    for name, path in (
        ("chest_ct_lidc, lower block, native", data / "chest_ct_lidc" / "lower"),
        ("chest_ct_lidc, upper block, native", data / "chest_ct_lidc" / "upper"),
        ("abdomen_ct_crlm_1004, portal", data / "abdomen_ct_crlm_1004"),
    ):
        paths = [one for one in sorted(path.rglob("*")) if one.is_file()]
        yield from run.real(name, paths)
    for array in contrast:
        yield from run.moved(array, options.first_moved, options.moved)
    if options.copies:
        yield from run.inserted(contrast[0], options.first_seed, options.copies)


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate, print the table, and write it into the card when asked."""
    options = _options(arguments)
    conclude(evaluate(options), options, PACKAGE)
    if options.write_card:
        keep_in_card(PACKAGE, options.out / "pulmonary_embolism", PICTURES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
