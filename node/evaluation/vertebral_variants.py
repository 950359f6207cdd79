"""`python -m node.evaluation.vertebral_variants`: spines beside the usual one.

Scoliosis, transitional vertebrae, metal, osteophytes and metastases, simulated with exact truth, go
to disk as DICOM and through the product's path: through the vertebral fracture package and through
body composition. Each of both cards gets a table of what the package then does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from models.phantoms.spine_variants import Variant, draw_variant
from models.phantoms.trunk import Phantom, TrunkOptions, simulate_trunk
from node.evaluation.card import tell
from node.evaluation.fat_without_skin import WITHOUT_SKIN
from node.evaluation.filing import CtArray, file_series
from node.evaluation.pictures import save_pictures
from node.evaluation.product import Look, Product, open_product
from node.evaluation.table import write_into_card
from node.evaluation.vertebral_agreement import area_table, draw, level_table, of_heights, of_silver
from node.evaluation.vertebral_fractures import kept
from node.evaluation.vertebral_fractures import told as fractures_told
from node.evaluation.vertebral_planes import save_planes
from node.evaluation.vertebral_silver import read_silver
from node.evaluation.vertebral_variants_tally import (
    TISSUES,
    AreaTally,
    SpineTally,
    add_areas,
    add_fat_without_skin,
    add_spine,
    areas_table,
    areas_told,
    spine_table,
)

MODELS = Path(__file__).resolve().parents[2] / "models"
FRACTURES, AREAS = "vertebral_fractures", "body_composition"
#: Not looked at while packages were developed; those from 1,750,000 and from 1,950,000 on were.
FIRST_SEED = 1_960_000
#: Slice distances in turn, mm.
SLICES_MM = (3.0, 2.0, 2.5)
WHOLE_MM = (-140.0, 205.0)
#: What is in view of a person with a transitional vertebra, mm from mid-L3: words and range.
VIEWS = {
    ", no ribs in view": (-140.0, 78.0),
    ", no sacrum in view": (-62.0, 205.0),
}
TRANSITIONAL = (Variant.SIX_LUMBAR, Variant.FOUR_LUMBAR)
MARKS = ("<!-- variants: begin -->", "<!-- variants: end -->")


def phantom_of(variant: Variant, seed: int, number: int, keep: Path | None = None) -> Phantom:
    """One simulated trunk with both anchors in view."""
    options = TrunkOptions(
        matrix=320,
        slice_mm=SLICES_MM[number % len(SLICES_MM)],
        reach_mm=WHOLE_MM,
        working_mm=(1.5, 1.6),
        spine=draw_variant(variant, seed),
    )
    path = None if keep is None else keep / f"{variant.name.lower()}-{seed}-{number}.pickle"
    return kept(path, lambda: simulate_trunk(seed, options))


def part_of(phantom: Phantom, reach_mm: tuple[float, float]) -> Phantom:
    """The slices between two heights, mm from mid-L3; truth of L3 only where it is in view."""
    z = np.array([plane.position_mm[2] for plane in phantom.volume.planes])
    middle = phantom.truth.l3_z_mm
    assert middle is not None
    used = np.flatnonzero((z >= middle + reach_mm[0]) & (z <= middle + reach_mm[1]))
    first, last = int(used[0]), int(used[-1]) + 1
    affine = phantom.volume.affine.copy()
    affine[:3, 3] += first * affine[:3, 0]
    padding = phantom.volume.padding
    volume = replace(
        phantom.volume,
        voxels=phantom.volume.voxels[first:last],
        affine=affine,
        planes=phantom.volume.planes[first:last],
        padding=None if padding is None else padding[first:last],
    )
    return replace(phantom, volume=volume, labels=phantom.labels[first:last])


def _array_of(phantom: Phantom) -> CtArray:
    return CtArray(
        name=f"phantom {phantom.seed}",
        voxels=np.asarray(phantom.volume.voxels, np.int16),
        affine=phantom.volume.affine,
        padding=phantom.volume.padding,
    )


def _look(product: Product, phantom: Phantom) -> Look:
    with tempfile.TemporaryDirectory(prefix="vigie-evaluate-") as folder:
        return product.look(file_series(_array_of(phantom), Path(folder)))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m node.evaluation.vertebral_variants")
    parser.add_argument("--model", choices=(FRACTURES, AREAS, "both"), default="both")
    parser.add_argument("--phantoms", type=int, default=5, help="of each variant")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument(
        "--only", nargs="*", choices=[v.name.lower() for v in Variant], help="these variants"
    )
    parser.add_argument(
        "--keep", type=Path, help="folder for simulated trunks; empty it when phantoms change"
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="begin no further person after so long"
    )
    parser.add_argument("--out", type=Path, default=Path("evaluate-out"))
    parser.add_argument("--write-card", action="store_true")
    return parser.parse_args(arguments)


@dataclass(slots=True)
class Variants:
    """Both packages on all variants, under way."""

    options: argparse.Namespace
    products: dict[str, Product]
    spines: dict[str, SpineTally] = field(default_factory=dict)
    areas: dict[str, AreaTally] = field(default_factory=dict)

    def run(self) -> None:
        """One person of each variant in turn, until the last round or the end of the time."""
        end = time.monotonic() + 60 * self.options.minutes
        for number in range(self.options.phantoms):
            for place, variant in enumerate(Variant):
                if self.options.only and variant.name.lower() not in self.options.only:
                    continue
                if time.monotonic() > end:
                    return
                self._person(variant, self.options.first_seed + 100 * place + number, number)

    def _person(self, variant: Variant, seed: int, number: int) -> None:
        whole = phantom_of(variant, seed, number, self.options.keep)
        self._study(str(variant), whole)
        if number == 0:
            out = self.options.out / "variants"
            save_planes(whole, out / f"{variant.name.lower()}-{seed}.png")
        if variant in TRANSITIONAL:
            for words, reach in VIEWS.items():
                self._study(f"{variant}{words}", part_of(whole, reach))

    def _study(self, name: str, phantom: Phantom) -> None:
        for package, product in self.products.items():
            look = _look(product, phantom)
            if package == FRACTURES:
                add_spine(self.spines.setdefault(name, SpineTally()), phantom, look)
                said = fractures_told(look)
            else:
                tally = self.areas.setdefault(name, AreaTally())
                add_areas(tally, phantom, look)
                add_fat_without_skin(tally, phantom, look)
                said = areas_told(look)
            tell(f"{name}, phantom {phantom.seed}, {package}: {said}")
            file = f"{name.replace(' ', '-').replace(',', '')}-{phantom.seed}"
            save_pictures(look.findings, self.options.out / "variants" / package, file)

    def of_spines(self) -> tuple[str, list[Path]]:
        """The text for the card, and the plots that it shows."""
        silver = self._silver()
        pairs = [pair for tally in self.spines.values() for pair in tally.seen.pairs]
        text = f"{spine_table(self.spines)}\n\n{level_table(pairs, silver)}"
        plots = {
            "heights-variants.png": ("Heights, all simulated variants, mm", of_heights(pairs)),
            "heights-silver.png": ("Heights of abdomen_ct_totalseg against silver, mm", silver),
        }
        return text, list(draw(self.options.out / "variants", plots))

    def _silver(self) -> list[tuple[float, float]]:
        folder = self.options.shared / "data" / "abdomen_ct_totalseg"
        if not folder.is_dir():
            tell(f"no real images: {folder} is not there")
            return []
        silver = read_silver(folder)
        array = CtArray(name="whole", voxels=silver.hu, affine=silver.affine)
        with tempfile.TemporaryDirectory(prefix="vigie-evaluate-") as files:
            look = self.products[FRACTURES].look(file_series(array, Path(files)))
        tell(f"{folder.name}: {fractures_told(look)}")
        return of_silver(silver, look)

    def of_areas(self) -> tuple[str, list[Path]]:
        """As `of_spines`; what carries a warning for metal is left out of the agreement."""
        sound = [tally for name, tally in self.areas.items() if name != Variant.METAL]
        both = {tissue: [one for t in sound for one in t.areas[tissue]] for tissue in TISSUES}
        both[WITHOUT_SKIN] = [one for t in sound for one in t.without_skin]
        plots = {
            f"area-{tissue.replace(' ', '-')}.png": (f"{tissue} at L3, simulated, cm2", pairs)
            for tissue, pairs in both.items()
            if tissue in TISSUES
        }
        text = f"{areas_table(self.areas)}\n\n{area_table(both)}"
        return text, list(draw(self.options.out / "variants", plots))


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate, print the tables, and write each into its card, with its plots, when asked."""
    options = _options(arguments)
    names = (FRACTURES, AREAS) if options.model == "both" else (options.model,)
    variants = Variants(options, {name: open_product(MODELS / name) for name in names})
    variants.run()
    for name in names:
        text, plots = variants.of_spines() if name == FRACTURES else variants.of_areas()
        tell(text)
        if options.write_card:
            write_into_card(MODELS / name / "CARD.md", text, MARKS)
            for plot in plots:
                (MODELS / name / plot.name).write_bytes(plot.read_bytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())
