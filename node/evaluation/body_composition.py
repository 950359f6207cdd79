"""`python -m node.evaluation.body_composition`: the body composition package, measured.

Simulated trunks of test seeds (truth exact) and, where `../shared/data` is beside the checkout,
real images with a silver standard. All go to disk as DICOM and through the product's path.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.body_composition.compartments import Compartment, Labels, compartments
from models.body_composition.tissues import (
    RULES,
    Tissue,
    settled,
    shared_with_air,
    tissue_masks,
    trunk_of,
)
from models.grid import Mask, canonical
from models.phantoms.tissue import COMPARTMENT_OF
from models.phantoms.trunk import Phantom, TrunkOptions, simulate_trunk
from node.domain.finding import Findings, Status
from node.domain.imaging import Voxels
from node.domain.study import Patient
from node.evaluation.card import conclude, parser_for, tell
from node.evaluation.fat_without_skin import (
    WITHOUT_BOWEL,
    WITHOUT_SKIN,
    cm2_without_bowel,
    cm2_without_skin,
    fat_without_bowel,
    fat_without_skin,
)
from node.evaluation.filing import CtArray, file_series
from node.evaluation.l3_of_copies import FIRST_COPY, rows_of_copies
from node.evaluation.nifti import read_nifti
from node.evaluation.pictures import save_pictures
from node.evaluation.product import Look, Product, open_product
from node.evaluation.silver_tissue import RULE_OF, Compared, any_fat, dice, rows_of_tissue
from node.evaluation.table import Row, mean_row, share_row

PACKAGE = Path(__file__).resolve().parents[2] / "models" / "body_composition"
FIRST_TEST_SEED = 1_000_000
#: Slice distances of the simulated series, in turn.
SLICES_MM = (5.0, 3.0, 1.5)
SIMULATED = "simulated"
BLOCK, WHOLE = "abdomen_ct_totalseg, 30 slices", "abdomen_ct_totalseg, whole"
COPIES = f"{WHOLE}, moved copies"
CRLM = "abdomen_ct_crlm_1004"
#: TotalSegmentator's number of L3, and the share of the vertebra that is its body.
_SILVER_L3 = 29


@dataclass(slots=True)
class Tally:
    """What the simulated studies gave.

    Attributes:
        without_skin, without_bowel: of subcutaneous and of visceral fat, per cent and Dice.
    """

    l3_mm: list[float] = field(default_factory=list)
    area_percent: dict[Tissue, list[float]] = field(default_factory=lambda: {t: [] for t in RULES})
    dice: dict[Tissue, list[float]] = field(default_factory=lambda: {t: [] for t in RULES})
    without_skin: list[tuple[float, float]] = field(default_factory=list)
    without_bowel: list[tuple[float, float]] = field(default_factory=list)
    attenuation_hu: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    cut_refused: list[bool] = field(default_factory=list)
    whole_measured: list[bool] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Where things are, and the loaded product."""

    product: Product
    out: Path

    def simulated(self, first: int, count: int) -> Iterator[Row]:
        """Whole trunks of seeds from `first` on."""
        tally = Tally()
        for number in range(count):
            options = TrunkOptions(slice_mm=SLICES_MM[number % len(SLICES_MM)])
            phantom = simulate_trunk(first + number, options)
            look = self._look_at(phantom)
            tell(f"phantom {phantom.seed}: {_told(look)}")
            if number < 6:
                save_pictures(look.findings, self.out, f"phantom-{phantom.seed}")
            _add(tally, phantom, look)
        yield from _simulated_rows(tally, count)

    def cut(self, first: int, count: int) -> Iterator[Row]:
        """Trunks in a narrow field of view: those it cuts, and those that just fit into it."""
        tally = Tally()
        for number in range(count):
            options = TrunkOptions(matrix=256, truncated=True)
            phantom = simulate_trunk(first + number, options)
            look = self._look_at(phantom)
            share = phantom.truth.trunk_cut
            tell(f"narrow phantom {phantom.seed}, {share:.1%} of it cut: {_told(look)}")
            refused = look.findings.status is Status.NOT_ELIGIBLE
            (tally.cut_refused if share > 0 else tally.whole_measured).append(
                refused == (share > 0)
            )
        yield from _narrow_rows(tally)

    def _look_at(self, phantom: Phantom) -> Look:
        person = phantom.person
        array = CtArray(
            name=f"phantom {phantom.seed}",
            voxels=np.asarray(phantom.volume.voxels, np.int16),
            affine=phantom.volume.affine,
            padding=phantom.volume.padding,
            patient=Patient(
                sex=person.sex,
                age_years=float(person.age),
                size_m=person.height_cm / 100,
                weight_kg=person.weight_kg,
            ),
        )
        return self._look(array)

    def _look(self, array: CtArray) -> Look:
        with tempfile.TemporaryDirectory(prefix="vigie-evaluate-") as folder:
            return self.product.look(file_series(array, Path(folder)))

    def block(self, folder: Path) -> Iterator[Row]:
        """Thirty slices with silver tissue labels: the tissue stage, slice by slice."""
        voxels, affine = read_nifti(folder / "example_ct_sm.nii.gz")
        look = self._look(CtArray(name="block", voxels=voxels, affine=affine))
        tell(f"{BLOCK}: {_told(look)}")
        if look.volume is None:
            return
        grid = canonical(look.volume)
        silver = {
            name: _silver(folder / "example_seg_tissue_types" / f"{name}.nii.gz", look)
            for name in RULE_OF
        }
        found = {name: np.zeros(grid.shape, np.bool_) for name in silver}
        skin, fat = np.zeros(grid.shape, np.bool_), np.zeros(grid.shape, np.bool_)
        slices, pixel_mm = range(grid.shape[0]), grid.spacing_mm[1:]
        labelled = compartments(grid, self.product.networks["regions"], slices)
        for index, labels in zip(slices, labelled, strict=True):
            hu = grid.hu[index]
            masks = tissue_masks(labels, hu, pixel_mm)
            found["skeletal_muscle"][index] = masks[Tissue.MUSCLE]
            found["subcutaneous_fat"][index] = masks[Tissue.SUBCUTANEOUS]
            skin[index] = _fatty_skin(labels, hu, pixel_mm)
            # The silver standard's torso fat is all fat inside the wall, chest included.
            inner = np.where(labels == Compartment.THORAX, Compartment.VISCERAL, labels)
            inner = inner.astype(np.uint8)
            found["torso_fat"][index] = tissue_masks(inner, hu, pixel_mm)[Tissue.VISCERAL]
            fat[index] = any_fat(inner, hu, pixel_mm)
        compared = Compared(
            hu=grid.hu,
            voxel_ml=grid.voxel_ml,
            found=found,
            silver=silver,
            any_fat=fat,
            colon=_silver(folder / "example_seg_fast" / "colon.nii.gz", look),
        )
        yield from rows_of_tissue(compared, BLOCK)
        counted = float((skin & silver["subcutaneous_fat"]).sum()) * grid.voxel_ml
        yield Row(
            metric="outermost pixels with the HU of fat; of them silver subcutaneous fat",
            data=BLOCK,
            value=f"{float(skin.sum()) * grid.voxel_ml:.0f} ml; {counted:.0f} ml",
        )
        yield Row(metric="product says", data=BLOCK, value=_told(look))

    def whole(self, folder: Path) -> Iterator[Row]:
        """The whole 3 mm scan with a silver label of L3."""
        voxels, affine = read_nifti(folder / "example_ct.nii.gz")
        look = self._look(CtArray(name="whole", voxels=voxels, affine=affine))
        tell(f"{WHOLE}: {_told(look)}")
        save_pictures(look.findings, self.out, "totalseg")
        labels, label_affine = read_nifti(folder / "example_seg_fast_force_split.nii.gz")
        middle = _body_middle(labels == _SILVER_L3, label_affine)[2]
        value = "not eligible"
        if look.findings.segmented_planes:
            z = look.findings.segmented_planes[0].position_mm[2]
            value = f"{z - middle:+.1f} mm"
        yield Row(metric="L3 slice against silver middle", data=WHOLE, value=value)
        yield Row(metric="product says", data=WHOLE, value=_told(look))

    def copies(self, folder: Path, seeds: range) -> Iterator[Row]:
        """Copies of the whole scan, each moved a little."""
        voxels, affine = read_nifti(folder / "example_ct.nii.gz")
        labels, label_affine = read_nifti(folder / "example_seg_fast_force_split.nii.gz")
        middle = _body_middle(labels == _SILVER_L3, label_affine)
        array = CtArray(name="whole", voxels=voxels, affine=affine)
        yield from rows_of_copies(array, middle, self._look, seeds, COPIES)

    def by_eye(self, folder: Path, name: str) -> Iterator[Row]:
        """A real series without any truth: for looking at."""
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        look = self.product.look(paths)
        tell(f"{name}: {_told(look)}")
        save_pictures(look.findings, self.out, name)
        yield Row(metric="product says", data=name, value=_told(look))
        yield Row(metric="seconds", data=name, value=f"{look.seconds:.1f}")


def _fatty_skin(labels: Labels, hu: Voxels, pixel_mm: tuple[float, float]) -> Mask:
    """Pixels of one slice that skin and air share, and whose HU are those of fat."""
    rule = RULES[Tissue.SUBCUTANEOUS]
    trunk = trunk_of(settled(labels, hu, pixel_mm))
    rim = trunk & shared_with_air(trunk, hu, pixel_mm)
    return np.asarray(rim & (hu >= rule.low_hu) & (hu <= rule.high_hu), np.bool_)


def _silver(path: Path, look: Look) -> Mask:
    """A silver label in the canonical order of the volume (same grid, same flips)."""
    labels, _ = read_nifti(path)
    assert look.volume is not None
    grid = canonical(look.volume)
    # The volume was loaded from the very array that the label lies on; only its slice order
    # may have been turned round by sorting.
    turned = labels if look.volume.voxels.shape == labels.shape else labels.transpose(0, 2, 1)
    flips = tuple(slice(None, None, -1 if backwards else 1) for backwards in grid.flipped)
    return np.asarray(turned.transpose(grid.order)[flips] > 0, np.bool_)


def _body_middle(vertebra: Mask, affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Middle (LPS mm) of a vertebra's body: its arch and processes, behind, are left out."""
    where = np.argwhere(vertebra)
    points = where @ affine[:3, :3].T + affine[:3, 3]
    front, back = np.percentile(points[:, 1], [2, 98])
    body = points[points[:, 1] < front + 0.4 * (back - front)]
    return np.asarray((body.min(axis=0) + body.max(axis=0)) / 2, np.float64)


def _add(tally: Tally, phantom: Phantom, look: Look) -> None:
    findings, truth = look.findings, phantom.truth
    if not findings.findings or truth.l3_z_mm is None or truth.areas is None:
        tally.refusals.append(findings.reason)
        return
    tally.seconds.append(look.seconds)
    plane = findings.segmented_planes[0]
    tally.l3_mm.append(abs(plane.position_mm[2] - truth.l3_z_mm))
    true_masks = _true_masks(phantom, findings)
    true_cm2 = {
        Tissue.MUSCLE: truth.areas.muscle,
        Tissue.SUBCUTANEOUS: truth.areas.subcutaneous_fat,
        Tissue.VISCERAL: truth.areas.visceral_fat,
        Tissue.INTERMUSCULAR: truth.areas.intermuscular_fat,
    }
    for tissue in RULES:
        slug = f"L3 {tissue.value}" if tissue is not Tissue.MUSCLE else "L3 skeletal muscle"
        named = [f for f in findings.findings if f.tracking_identifier == slug]
        measured = named[0].measurements[0].value if named else 0.0
        tally.area_percent[tissue].append(100 * (measured - true_cm2[tissue]) / true_cm2[tissue])
        if named and named[0].segment_number is not None:
            mask = findings.segments[named[0].segment_number - 1].mask[0]
            tally.dice[tissue].append(dice(mask, true_masks[tissue]))
            if tissue is Tissue.SUBCUTANEOUS:
                true, there = cm2_without_skin(phantom), _slice_of(phantom, findings)
                overlap = dice(mask, fat_without_skin(phantom, there))
                tally.without_skin.append((100 * (measured - true) / true, overlap))
            if tissue is Tissue.VISCERAL:
                true, there = cm2_without_bowel(phantom), _slice_of(phantom, findings)
                overlap = dice(mask, fat_without_bowel(phantom, there))
                tally.without_bowel.append((100 * (measured - true) / true, overlap))
    hu = [m.value for m in findings.findings[0].measurements if m.derivation is not None]
    voxels = phantom.volume.voxels[_slice_of(phantom, findings)]
    if hu:
        tally.attenuation_hu.append(abs(hu[0] - float(voxels[true_masks[Tissue.MUSCLE]].mean())))


def _slice_of(phantom: Phantom, findings: Findings) -> int:
    z = findings.segmented_planes[0].position_mm[2]
    return int(np.argmin([abs(plane.position_mm[2] - z) for plane in phantom.volume.planes]))


def _true_masks(phantom: Phantom, findings: Findings) -> dict[Tissue, Mask]:
    """HU rules within the true compartments, on the slice that the product measured."""
    index = _slice_of(phantom, findings)
    hu, place = phantom.volume.voxels[index], COMPARTMENT_OF[phantom.labels[index]]
    return {
        tissue: np.asarray(
            (place == int(rule.compartment)) & (hu >= rule.low_hu) & (hu <= rule.high_hu), np.bool_
        )
        for tissue, rule in RULES.items()
    }


def _simulated_rows(tally: Tally, count: int) -> Iterator[Row]:
    done = len(tally.l3_mm)
    yield share_row("whole trunks measured (not refused)", SIMULATED, done, count)
    yield mean_row("L3 slice, mean absolute error mm", SIMULATED, tally.l3_mm, "{:.1f}")
    within = sum(error <= 10.0 for error in tally.l3_mm)
    yield share_row("L3 slice within 10 mm, of those measured", SIMULATED, within, done)
    for tissue in RULES:
        errors = tally.area_percent[tissue]
        yield mean_row(f"{tissue.value}: area, mean error %", SIMULATED, errors, "{:+.1f}")
        sizes = [abs(error) for error in errors]
        yield mean_row(f"{tissue.value}: area, mean absolute error %", SIMULATED, sizes, "{:.1f}")
        yield mean_row(f"{tissue.value}: Dice at L3", SIMULATED, tally.dice[tissue])
        if tissue is Tissue.SUBCUTANEOUS:
            yield from _without_rows(WITHOUT_SKIN, tally.without_skin)
        if tissue is Tissue.VISCERAL:
            yield from _without_rows(WITHOUT_BOWEL, tally.without_bowel)
    yield mean_row(
        "muscle attenuation, mean absolute error HU", SIMULATED, tally.attenuation_hu, "{:.1f}"
    )
    yield mean_row("seconds a study, files to findings", SIMULATED, tally.seconds, "{:.1f}")
    for reason in sorted(set(tally.refusals)):
        n = tally.refusals.count(reason)
        yield Row(metric="refused whole trunk", data=SIMULATED, value=reason, n=n)


def _narrow_rows(tally: Tally) -> Iterator[Row]:
    cut, whole = tally.cut_refused, tally.whole_measured
    yield share_row("trunks cut by the field of view refused", SIMULATED, sum(cut), len(cut))
    name = "trunks that just fit into the field of view measured"
    yield share_row(name, SIMULATED, sum(whole), len(whole))


def _without_rows(name: str, seen: Sequence[tuple[float, float]]) -> Iterator[Row]:
    errors = [error for error, _ in seen]
    yield mean_row(f"{name}: area, mean error %", SIMULATED, errors, "{:+.1f}")
    sizes = [abs(error) for error in errors]
    yield mean_row(f"{name}: area, mean absolute error %", SIMULATED, sizes, "{:.1f}")
    yield mean_row(f"{name}: Dice at L3", SIMULATED, [dice for _, dice in seen])


def _told(look: Look) -> str:
    findings = look.findings
    head = f"headers: {look.verdict}; pixels: " if look.verdict else ""
    if findings.reason:
        return f"{head}{findings.status.value}: {findings.reason}"
    numbers = [
        f"{m.label} {m.value:.1f} {m.unit.meaning}"
        for finding in findings.findings
        for m in finding.measurements
    ]
    return head + "; ".join(numbers)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_for(PACKAGE)
    parser.add_argument("--phantoms", type=int, default=24, help="simulated trunks")
    parser.add_argument("--first-seed", type=int, default=FIRST_TEST_SEED, help="of the trunks")
    parser.add_argument("--moved", type=int, default=16, help="moved copies of a real scan")
    parser.add_argument("--first-moved", type=int, default=FIRST_COPY, help="seed of them")
    return parser.parse_args(arguments)


def evaluate(options: argparse.Namespace) -> list[Row]:
    """Measure everything that is at hand."""
    run = Evaluation(open_product(PACKAGE), options.out / "body_composition")
    rows: list[Row] = []
    data = options.shared / "data"
    if (data / "abdomen_ct_totalseg").is_dir():
        rows += run.block(data / "abdomen_ct_totalseg")
        rows += run.whole(data / "abdomen_ct_totalseg")
        if options.moved:
            seeds = range(options.first_moved, options.first_moved + options.moved)
            rows += run.copies(data / "abdomen_ct_totalseg", seeds)
        sample = data / "abdomen_ct_totalseg" / "example_ct_dicom"
        rows += run.by_eye(sample, "abdomen_ct_totalseg, 20 DICOM slices")
        rows += run.by_eye(data / CRLM, CRLM)
    else:
        tell(f"no real images: {data} is not there")
    if options.phantoms:
        rows += run.simulated(options.first_seed, options.phantoms)
        rows += run.cut(options.first_seed + 500_000, max(1, options.phantoms // 3))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate, print the table, and write it into the card when asked."""
    options = _options(arguments)
    conclude(evaluate(options), options, PACKAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
