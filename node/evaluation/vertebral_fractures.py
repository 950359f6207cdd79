"""`python -m node.evaluation.vertebral_fractures`: the vertebral fracture package, measured.

Simulated trunks of test seeds, with and without fractures of exactly known heights, and, where
`../shared/data` is beside the checkout, real scans: one with another model's heights (silver), all
with spines that look normal. All go to disk as DICOM and through the product's path.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.phantoms.fractures import SpineOptions, draw_spine
from models.phantoms.tissue import Tissue
from models.phantoms.trunk import Phantom, TrunkOptions, simulate_trunk
from models.vertebral_fractures import vocabulary as say
from node.domain.finding import Status
from node.evaluation.bland_altman_plot import draw_bland_altman
from node.evaluation.card import conclude, parser_for, tell
from node.evaluation.filing import CtArray, file_series
from node.evaluation.moved import moved
from node.evaluation.pictures import save_pictures
from node.evaluation.product import Look, Product, open_product
from node.evaluation.table import Row
from node.evaluation.vertebral_silver import SILVER, look_within, read_silver, rows_of_silver
from node.evaluation.vertebral_tally import (
    SLICES_MM,
    Tally,
    add,
    heights_of,
    rows_of,
)

PACKAGE = Path(__file__).resolve().parents[2] / "models" / "vertebral_fractures"
#: Test seeds begin at 1,000,000; those from 1,700,000 on were looked at while this package was
#: developed, so the table is of others.
FIRST_SEED = 1_900_000
#: Grades of the fractures of each simulated spine, in turn; () for spines without any.
GRADES: tuple[tuple[int, ...], ...] = ((2,), (), (3,), (), (2, 1), ())
#: Bodies that may be fractured.
AMONG = (
    Tissue.L4, Tissue.L3, Tissue.L2, Tissue.L1, Tissue.T12, Tissue.T11, Tissue.T10, Tissue.T9,
)  # fmt: skip
REACH_MM = (-115.0, 235.0)
#: Of moved copies of real scans: distances of slices, and pixels, mm; the first seed that nothing
#: was decided on.
MOVED_SLICES_MM, MOVED_PIXEL_MM, FIRST_MOVED = (2.0, 2.5, 3.0), 1.2, 100


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Where things are, and the loaded product; `keep`: where simulated trunks are kept."""

    product: Product
    out: Path
    keep: Path | None = None

    def look(self, array: CtArray) -> Look:
        """An array as files, through the product's path."""
        with tempfile.TemporaryDirectory(prefix="vigie-evaluate-") as folder:
            return self.product.look(file_series(array, Path(folder)))

    def simulated(self, first: int, count: int, end: float) -> Iterator[Row]:
        """Trunks with spines in detail, of all slice distances."""
        tally = Tally()
        for number in range(count):
            if time.monotonic() > end:
                break
            seed = first + number
            phantom = trunk_of(seed, number, self.keep)
            look = self.look(array_of(phantom))
            add(tally, phantom, look)
            tell(f"phantom {seed}, {phantom.options.slice_mm:g} mm: {told(look)}")
            if number < 6:
                save_pictures(look.findings, self.out, f"phantom-{seed}")
        yield from rows_of(tally)
        self._plot(tally)

    def _plot(self, tally: Tally) -> None:
        both = [
            (height, true)
            for pair in tally.pairs
            if pair.finding is not None
            for height, true in zip(heights_of(pair.finding), pair.truth.heights_mm, strict=True)
        ]
        if len(both) > 2:
            measured, true = ([float(v) for v in column] for column in zip(*both, strict=True))
            self.out.mkdir(parents=True, exist_ok=True)
            draw_bland_altman(
                self.out / "heights.png",
                "Heights of simulated vertebral bodies, mm",
                true,
                measured,
            )

    def silver(self, folder: Path) -> Iterator[Row]:
        """The whole 3 mm scan against another model's heights and attenuation, L1 to L5."""
        silver = read_silver(folder)
        array = CtArray(name="whole", voxels=silver.hu, affine=silver.affine)
        with tempfile.TemporaryDirectory(prefix="vigie-evaluate-") as files:
            look, bodies, lying = look_within(self.product, file_series(array, Path(files)))
        tell(f"{SILVER}: {told(look)}")
        save_pictures(look.findings, self.out, "totalseg")
        yield from rows_of_silver(silver, look, bodies, lying)
        yield from _alarm_rows(look, SILVER)

    def moved(self, array: CtArray, name: str, first: int, count: int) -> Iterator[Row]:
        """Copies of a real scan whose spine looks normal, each moved a little."""
        calls = possible = measured = partial = 0
        for seed in range(first, first + count):
            copy = moved(array, seed, slices_mm=MOVED_SLICES_MM, pixel_mm=MOVED_PIXEL_MM)
            look = self.look(copy)
            tell(f"{name}, copy {seed}: {told(look)}")
            kinds = [f.finding for f in look.findings.findings]
            calls += kinds.count(say.FRACTURE)
            possible += kinds.count(say.DEFORMITY)
            measured += len(kinds)
            partial += look.findings.status not in (Status.FINDINGS, Status.NO_FINDINGS)
        if not count:
            return
        data = f"{name}, moved copies"
        for metric, number in (
            ("false fractures a copy", calls),
            ("bodies called possible a copy", possible),
            ("bodies measured a copy", measured),
            ("copies done in part or not eligible", partial),
        ):
            yield Row(metric=metric, data=data, value=f"{number / count:.2f}", n=count)

    def by_eye(self, folder: Path, name: str) -> Iterator[Row]:
        """A real series whose spine looks normal."""
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        look = self.product.look(paths)
        tell(f"{name}: {told(look)}")
        save_pictures(look.findings, self.out, name.replace(" ", "-"))
        yield from _alarm_rows(look, name)


def _alarm_rows(look: Look, data: str) -> Iterator[Row]:
    kinds = [f.finding for f in look.findings.findings]
    yield Row(
        metric="fractures reported, possible ones, bodies measured",
        data=data,
        value=f"{kinds.count(say.FRACTURE)}, {kinds.count(say.DEFORMITY)}, {len(kinds)}",
    )
    yield Row(metric="product says", data=data, value=told(look))


def trunk_of(seed: int, number: int, keep: Path | None = None) -> Phantom:
    """One simulated trunk; read from a folder where an earlier run has kept it."""
    spine = draw_spine(seed, grades=grades_of(number), among=AMONG)
    path = None if keep is None else keep / f"trunk-{seed}-{number}.pickle"
    return kept(path, lambda: simulate_trunk(seed, options_of(number, spine)))


def kept(path: Path | None, make: Callable[[], Phantom]) -> Phantom:
    """A trunk read from the file of an earlier run; made, and kept there, where it is not."""
    if path is None:
        return make()
    if path.is_file():
        with path.open("rb") as stream:
            found: Phantom = pickle.load(stream)  # noqa: S301 - a file of this very command
        return found
    phantom = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as stream:
        pickle.dump(phantom, stream, protocol=5)
    unfinished.replace(path)
    return phantom


def grades_of(number: int) -> tuple[int, ...]:
    """Grades of the fractures of a simulated spine: each of them on each slice distance."""
    return GRADES[(number + number // len(SLICES_MM)) % len(GRADES)]


def options_of(number: int, spine: SpineOptions) -> TrunkOptions:
    """How the simulated trunk is scanned."""
    return TrunkOptions(
        matrix=320,
        slice_mm=SLICES_MM[number % len(SLICES_MM)],
        reach_mm=REACH_MM,
        working_mm=(1.5, 1.6),
        spine=spine,
    )


def array_of(phantom: Phantom) -> CtArray:
    """A phantom as a series to be filed."""
    return CtArray(
        name=f"phantom {phantom.seed}",
        voxels=np.asarray(phantom.volume.voxels, np.int16),
        affine=phantom.volume.affine,
        padding=phantom.volume.padding,
    )


def told(look: Look) -> str:
    """What the product says, in a line."""
    findings = look.findings
    head = f"headers: {look.verdict}; pixels: " if look.verdict else ""
    if not findings.findings:
        return f"{head}{findings.status.value}: {findings.reason}"
    marked = [
        f"{f.tracking_identifier.removeprefix('Vertebra ')} "
        f"{next(e.value for e in f.evaluations if e.name == say.GENANT)}"
        for f in findings.findings
        if f.finding != say.MEASURED
    ]
    said = "; ".join(marked) or "no loss of height"
    reason = f" ({findings.reason})" if findings.reason else ""
    return f"{head}{len(findings.findings)} bodies measured: {said}{reason}"


def scans_to_move(product: Product, data: Path) -> Iterator[tuple[CtArray, str]]:
    """Real scans with spines that look normal, of slices thin enough to be resampled."""
    silver = read_silver(data / "abdomen_ct_totalseg")
    yield CtArray(name="whole", voxels=silver.hu, affine=silver.affine), SILVER
    block = data / "chest_ct_lidc" / "lower"
    volume = product.look(path for path in sorted(block.rglob("*")) if path.is_file()).volume
    if volume is not None:
        hu = np.asarray(volume.voxels, np.int16)
        yield CtArray(name="lower", voxels=hu, affine=volume.affine), "chest_ct_lidc lower"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_for(PACKAGE)
    parser.add_argument("--phantoms", type=int, default=24, help="simulated trunks")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="of the trunks")
    parser.add_argument(
        "--keep", type=Path, help="folder for simulated trunks; empty it when phantoms change"
    )
    parser.add_argument("--moved", type=int, default=12, help="moved copies of real scans")
    parser.add_argument("--first-moved", type=int, default=FIRST_MOVED, help="seed of them")
    parser.add_argument("--minutes", type=float, help="begin no further case after so long")
    parser.add_argument("--no-real", action="store_true", help="leave the real images out")
    return parser.parse_args(arguments)


def evaluate(options: argparse.Namespace) -> list[Row]:
    """Measure everything that is at hand."""
    out = options.out / "vertebral_fractures"
    run = Evaluation(open_product(PACKAGE), out, options.keep)
    end = float("inf") if options.minutes is None else time.monotonic() + 60 * options.minutes
    rows: list[Row] = []
    data = options.shared / "data"
    if options.no_real:
        tell("real images were left out, as asked")
    elif (data / "abdomen_ct_totalseg").is_dir():
        rows += run.silver(data / "abdomen_ct_totalseg")
        rows += run.by_eye(data / "abdomen_ct_crlm_1004", "abdomen_ct_crlm_1004")
        for block in ("lower", "upper"):
            rows += run.by_eye(data / "chest_ct_lidc" / block, f"chest_ct_lidc {block}")
        for array, name in scans_to_move(run.product, data):
            rows += run.moved(array, name, options.first_moved, options.moved)
    else:
        tell(f"no real images: {data} is not there")
    if options.phantoms:
        rows += run.simulated(options.first_seed, options.phantoms, end)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate, print the table, and write it into the card when asked."""
    options = _options(arguments)
    conclude(evaluate(options), options, PACKAGE)
    plot = options.out / "vertebral_fractures" / "heights.png"
    if options.write_card and plot.is_file():
        (PACKAGE / "heights.png").write_bytes(plot.read_bytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())
