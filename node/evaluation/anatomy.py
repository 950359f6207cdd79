"""`python -m node.evaluation.anatomy`: the anatomy package, measured.

Simulated trunks of test seeds (truth exact) and, where `../shared/data` is beside the checkout,
a real scan with silver labels (another model's) and real scans to look at. All go to disk as
DICOM and through the product's path.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.anatomy.words import IN_VIEW
from models.grid import Mask
from models.phantoms.tissue import BODIES, Labels, Tissue
from models.phantoms.trunk import Phantom, TrunkOptions, simulate_trunk
from node.domain.finding import Findings, Segment
from node.domain.study import Patient
from node.evaluation.card import conclude, parser_for, tell
from node.evaluation.filing import CtArray, file_series
from node.evaluation.moved import moved, moved_labels
from node.evaluation.nifti import read_nifti
from node.evaluation.pictures import save_pictures
from node.evaluation.product import Look, Product, open_product
from node.evaluation.table import Row, mean_row, share_row

PACKAGE = Path(__file__).resolve().parents[2] / "models" / "anatomy"
#: Seeds from 1,000,000 on test; the first six hundred were looked at while the package was made.
FIRST_TEST_SEED = 1_000_600
#: Slice distances of the simulated series, and stretches of the trunk, in turn.
SLICES_MM = (5.0, 3.0, 1.0)
REACHES_MM = ((-290.0, 262.0), (-150.0, 165.0), (-20.0, 240.0))
SIMULATED, VARIED = "simulated", "simulated, varied"
SILVER = "abdomen_ct_totalseg (silver)"

#: Copies of the silver scan that are moved a little: distances of slices, pixel, mm.
MOVED_SLICES_MM, MOVED_PIXEL_MM = (2.0, 3.0, 5.0), 1.5

#: Segment labels that make up a structure, and the phantom's tissues and the silver labels of it.
STRUCTURES: Mapping[str, tuple[tuple[str, ...], tuple[Tissue, ...], tuple[int, ...]]] = {
    "liver": (("Liver",), (Tissue.LIVER,), (5,)),
    "spleen": (("Spleen",), (Tissue.SPLEEN,), (1,)),
    "kidneys": (("Kidney right", "Kidney left"), (Tissue.KIDNEY, Tissue.KIDNEY_SINUS), (2, 3)),
    "lungs": (
        ("Lung right", "Lung left"),
        (Tissue.LUNG, Tissue.LUNG_VESSEL),
        (10, 11, 12, 13, 14),
    ),
    "heart": (("Heart",), (Tissue.HEART,), (51,)),
    "aorta": (("Aorta",), (), (52,)),
    "bladder": (("Urinary bladder",), (Tissue.BLADDER,), (21,)),
    # The silver labels hold the first segment of the sacrum under a number of its own.
    "sacrum": (("Sacrum",), (Tissue.SACRUM,), (25, 26)),
    "hip bones": (("Hip right", "Hip left"), (Tissue.HIP_BONE,), (77, 78)),
    "iliopsoas": (("Iliopsoas right", "Iliopsoas left"), (Tissue.PSOAS,), (88, 89)),
    "erector": (("Autochthon right", "Autochthon left"), (Tissue.ERECTOR,), (86, 87)),
    "quadratus": (
        ("Quadratus lumborum right", "Quadratus lumborum left"),
        (Tissue.QUADRATUS,),
        (),
    ),
    "ribs": (
        ("Ribs right", "Ribs left", "Rib right 11", "Rib left 11", "Rib right 12", "Rib left 12"),
        (Tissue.RIB,),
        tuple(range(92, 116)),
    ),
    "vertebrae": (
        ("Vertebra*", "Vertebral posterior elements"),
        (*BODIES, Tissue.ARCH),
        tuple(range(27, 46)),
    ),
}
_SILVER_LEVELS = {f"L{6 - n}": 26 + n for n in range(1, 6)} | {
    f"T{13 - n}": 31 + n for n in range(1, 8)
}
#: The silver label is missing or too small to compare, voxels.
_LEAST = 500
#: A named body is the true one whose middle lies nearer than this, along z.
_OWN_MM = 14.0


@dataclass(slots=True)
class Tally:
    """What the simulated studies gave."""

    dice: dict[str, list[float]] = field(default_factory=dict)
    centres_mm: list[float] = field(default_factory=list)
    levels: list[bool] = field(default_factory=list)
    stated: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def union(findings: Findings, labels: Sequence[str]) -> Mask | None:
    """Voxels (plane, row, column) of some segments; a name that ends in * is a beginning."""
    found = [item for item in findings.segments if _called(item, labels)]
    if not found:
        return None
    out = np.zeros(found[0].mask.shape, np.bool_)
    for item in found:
        out |= np.asarray(item.mask)
    return out


def _called(segment: Segment, labels: Sequence[str]) -> bool:
    own = _plain(segment.label)
    return any(
        own.startswith(label[:-1]) if label.endswith("*") else own == label for label in labels
    )


def _plain(label: str) -> str:
    """A name without the word that its structure is cut."""
    return label.removesuffix(IN_VIEW)


def dice(first: Mask | None, second: Mask) -> float:
    """Overlap; 0 where nothing was found of something."""
    if first is None:
        return 0.0
    total = int(first.sum()) + int(second.sum())
    return 2.0 * float((first & second).sum()) / total if total else 1.0


def bodies_of(findings: Findings, look: Look) -> dict[str, NDArray[np.float64]]:
    """Centroid, LPS mm, of each named vertebral body."""
    assert look.volume is not None
    found = {}
    for item in findings.segments:
        level = _plain(item.label).removeprefix("Vertebra ")
        if level != _plain(item.label) and level[:1] in "TL" and level[1:].isdecimal():
            middle = np.argwhere(np.asarray(item.mask)).mean(axis=0)
            found[level] = (look.volume.affine @ np.array([*middle, 1.0]))[:3]
    return found


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Where things are, and the loaded product."""

    product: Product
    out: Path

    def simulated(self, count: int, first: int, *, varied: bool) -> Iterator[Row]:
        """Trunks of different reach, slice distance and contrast phase.

        Args:
            first: seed of the first. varied: organs, ribs and sacrum depart from the usual.
        """
        tally = Tally()
        for number in range(count):
            options = TrunkOptions(
                matrix=320,
                slice_mm=SLICES_MM[number % len(SLICES_MM)],
                reach_mm=REACHES_MM[number // 2 % len(REACHES_MM)],
                varied=varied,
            )
            phantom = simulate_trunk(first + number, options)
            look = self._look(_array(phantom))
            tell(f"phantom {phantom.seed}: {look.seconds:.1f} s, {_levels_told(look)}")
            if number < 4:
                save_pictures(look.findings, self.out, f"phantom-{phantom.seed}")
            _add(tally, phantom, look)
        yield from _rows(tally, VARIED if varied else SIMULATED)

    def _look(self, array: CtArray) -> Look:
        with tempfile.TemporaryDirectory(prefix="vigie-evaluate-") as folder:
            return self.product.look(file_series(array, Path(folder)))

    def silver(self, folder: Path) -> Iterator[Row]:
        """A whole 3 mm scan with labels that another model made."""
        scan, labels = _scan(folder)
        look = self._look(scan)
        save_pictures(look.findings, self.out, "totalseg")
        tell(f"{SILVER}: {look.seconds:.1f} s, {_levels_told(look)}")
        if look.volume is None or not look.findings.segments:
            yield _row("product says", SILVER, look.findings.reason)
            return
        on_volume = _on_volume(labels.voxels, labels.affine, look)
        for name, (own, _, theirs) in STRUCTURES.items():
            silver = np.isin(on_volume, theirs)
            if silver.sum() < _LEAST:
                continue
            mask = union(look.findings, own)
            ml = 0.0 if mask is None else float(mask.sum()) * look.volume.voxel_ml
            told = f"{ml:.0f} ml against {float(silver.sum()) * look.volume.voxel_ml:.0f} ml"
            yield _row(f"{name}: Dice; volume", SILVER, f"{dice(mask, silver):.3f}; {told}")
        yield _row("levels", SILVER, _levels_told(look))
        named = bodies_of(look.findings, look)
        for level, value in _SILVER_LEVELS.items():
            silver = on_volume == value
            if level in named and silver.sum() >= _LEAST:
                away = named[level][2] - _body_middle(silver, look)
                yield _row(f"{level}: middle of the body, z", SILVER, f"{away:+.1f} mm")
        yield _row("seconds, files to findings", SILVER, f"{look.seconds:.1f}")

    def moved(self, folder: Path, copies: int, first: int) -> Iterator[Row]:
        """Copies of the whole scan that are moved a little, against its moved labels.

        Args:
            first: seed of the first copy.
        """
        scan, silver = _scan(folder)
        overlaps: dict[str, list[float]] = {}
        for seed in range(first, first + copies):
            copy = moved(scan, seed, slices_mm=MOVED_SLICES_MM, pixel_mm=MOVED_PIXEL_MM)
            look = self._look(copy)
            tell(f"{copy.name}: {look.seconds:.1f} s, {_levels_told(look)}")
            if look.volume is None or not look.findings.segments:
                continue
            labels = _on_volume(moved_labels(silver, scan, seed, copy), copy.affine, look)
            for name, (own, _, theirs) in STRUCTURES.items():
                true = np.isin(labels, theirs)
                if true.sum() >= _LEAST:
                    overlap = dice(union(look.findings, own), true)
                    overlaps.setdefault(name, []).append(overlap)
        for name, values in overlaps.items():
            yield mean_row(f"{name}: Dice", f"{SILVER}, moved copies", values)

    def by_eye(self, folder: Path, name: str) -> Iterator[Row]:
        """A real series without any truth: for looking at."""
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        look = self.product.look(paths)
        tell(f"{name}: {look.seconds:.1f} s, {_levels_told(look)}")
        save_pictures(look.findings, self.out, name.replace("/", "-"))
        volumes = [
            f"{item.tracking_identifier} {item.measurements[0].value:.0f} ml"
            for item in look.findings.findings
            if _plain(item.tracking_identifier)
            in ("Liver", "Spleen", "Kidney right", "Kidney left", "Lung right", "Lung left")
        ]
        said = "; ".join(volumes) or look.findings.reason or look.findings.status.value
        yield _row("product says", name, f"{said}; {_levels_told(look)}")
        yield _row("seconds", name, f"{look.seconds:.1f}")


def _scan(folder: Path) -> tuple[CtArray, CtArray]:
    """The scan, and its labels."""
    voxels, affine = read_nifti(folder / "example_ct.nii.gz")
    labels, label_affine = read_nifti(folder / "example_seg_fast_force_split.nii.gz")
    return (
        CtArray(name="totalseg", voxels=voxels, affine=affine),
        CtArray(name="labels", voxels=labels, affine=label_affine),
    )


def _row(metric: str, data: str, value: str) -> Row:
    return Row(metric=metric, data=data, value=value)


def _array(phantom: Phantom) -> CtArray:
    person = phantom.person
    return CtArray(
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


def _on_volume(labels: NDArray[np.int16], affine: NDArray[np.float64], look: Look) -> Labels:
    """Silver labels on the voxels of the loaded volume, nearest neighbour."""
    assert look.volume is not None
    shape = look.volume.voxels.shape
    turn = np.linalg.inv(affine) @ look.volume.affine
    out = np.zeros(shape, np.uint8)
    row, column = np.mgrid[: shape[1], : shape[2]]
    for index in range(shape[0]):
        points = np.stack(
            [np.full(row.size, index), row.ravel(), column.ravel(), np.ones(row.size)]
        )
        at = np.rint((turn @ points)[:3]).astype(int)
        fits = np.all((at >= 0) & (at < np.array(labels.shape)[:, None]), axis=0)
        plane = np.zeros(row.size, np.uint8)
        plane[fits] = labels[tuple(at[:, fits])]
        out[index] = plane.reshape(shape[1:])
    return out


def _body_middle(vertebra: Mask, look: Look) -> float:
    """z of the middle of a vertebra's body: its arch and processes, behind, are left out."""
    assert look.volume is not None
    affine = look.volume.affine
    points = np.argwhere(vertebra) @ affine[:3, :3].T + affine[:3, 3]
    front, back = np.percentile(points[:, 1], [2, 98])
    body = points[points[:, 1] < front + 0.4 * (back - front)]
    return float((body[:, 2].min() + body[:, 2].max()) / 2)


def _levels_told(look: Look) -> str:
    found = [
        f"{item.name.meaning.lower()} {item.value}"
        for item in look.findings.exam_evaluations
        if isinstance(item.value, str)
    ]
    names = [
        item.label.removeprefix("Vertebra ")
        for item in look.findings.segments
        if item.label.startswith("Vertebra ")
    ]
    return "; ".join([*found, f"vertebrae {', '.join(names) or 'none'}"])


def _add(tally: Tally, phantom: Phantom, look: Look) -> None:
    tally.seconds.append(look.seconds)
    for name, (own, tissues, _) in STRUCTURES.items():
        truth = np.isin(phantom.labels, tissues) if tissues else np.zeros(1, np.bool_)
        if truth.sum() < _LEAST:
            continue
        mask = union(look.findings, own)
        tally.dice.setdefault(name, []).append(dice(mask, truth))
    named = bodies_of(look.findings, look)
    true = {tissue.name: np.array(at) for tissue, at in phantom.truth.centroids_mm.items()}
    tally.stated.append(bool(named))
    for level, at in named.items():
        nearest = min(true, key=lambda one: abs(float(true[one][2] - at[2])), default="")
        # A body that the edge of the scan cuts is not in the truth.
        if nearest and abs(float(true[nearest][2] - at[2])) < _OWN_MM:
            tally.levels.append(nearest == level)
        if level in true:
            tally.centres_mm.append(float(np.linalg.norm(true[level] - at)))


def _rows(tally: Tally, data: str) -> Iterator[Row]:
    for name, values in tally.dice.items():
        yield mean_row(f"{name}: Dice", data, values)
    stated, right = sum(tally.stated), sum(tally.levels)
    yield share_row("scans whose levels are stated", data, stated, len(tally.stated))
    if tally.levels:
        yield share_row("stated levels that are right", data, right, len(tally.levels))
        yield mean_row("centroid of a named body, error mm", data, tally.centres_mm, "{:.1f}")
    yield mean_row("seconds a study, files to findings", data, tally.seconds, "{:.1f}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_for(PACKAGE)
    parser.add_argument("--phantoms", type=int, default=9, help="of each kind")
    parser.add_argument(
        "--first", type=int, default=FIRST_TEST_SEED, help="seed of the first phantom"
    )
    parser.add_argument("--moved", type=int, default=0, help="copies of the silver scan, moved")
    parser.add_argument("--first-moved", type=int, default=0, help="seed of the first copy")
    return parser.parse_args(arguments)


def evaluate(options: argparse.Namespace) -> list[Row]:
    """Measure everything that is at hand."""
    run = Evaluation(open_product(PACKAGE), options.out / "anatomy")
    rows: list[Row] = []
    data = options.shared / "data"
    if (data / "abdomen_ct_totalseg").is_dir():
        rows += run.silver(data / "abdomen_ct_totalseg")
        rows += run.moved(data / "abdomen_ct_totalseg", options.moved, options.first_moved)
        rows += run.by_eye(data / "abdomen_ct_crlm_1004", "abdomen_ct_crlm_1004")
        rows += run.by_eye(data / "chest_ct_lidc" / "lower", "chest_ct_lidc/lower")
        rows += run.by_eye(data / "chest_ct_lidc" / "upper", "chest_ct_lidc/upper")
    else:
        tell(f"no real images: {data} is not there")
    if options.phantoms:
        rows += run.simulated(options.phantoms, options.first, varied=False)
        # Other people than the plain ones.
        rows += run.simulated(options.phantoms, options.first + 100, varied=True)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate, print the table, and write it into the card when asked."""
    options = _options(arguments)
    conclude(evaluate(options), options, PACKAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
