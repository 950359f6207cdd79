"""`python -m node.evaluation.vertebral_variants`: spines beside the usual one.

Scoliosis, transitional vertebrae, metal, osteophytes and metastases, simulated with exact truth, go
to disk as DICOM and through the product's path: through the vertebral fracture package and through
body composition. Each of both cards gets a table of what the package then does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.phantoms.spine_variants import Variant, draw_variant
from models.phantoms.trunk import Phantom, TrunkOptions, simulate_trunk
from node.evaluation.card import tell
from node.evaluation.filing import CtArray, file_series
from node.evaluation.pictures import save_pictures
from node.evaluation.product import Look, Product, open_product
from node.evaluation.table import write_into_card
from node.evaluation.vertebral_fractures import kept
from node.evaluation.vertebral_fractures import told as fractures_told
from node.evaluation.vertebral_variants_tally import (
    AreaTally,
    SpineTally,
    add_areas,
    add_spine,
    areas_table,
    areas_told,
    spine_table,
)

MODELS = Path(__file__).resolve().parents[2] / "models"
FRACTURES, AREAS = "vertebral_fractures", "body_composition"
#: Not looked at while packages were developed; those from 1,750,000 on were.
FIRST_SEED = 1_950_000
#: Slice distances in turn, mm.
SLICES_MM = (3.0, 2.0, 2.5)
WHOLE_MM = (-140.0, 205.0)
#: What is in view of a person with a transitional vertebra, mm from mid-L3: words and range.
VIEWS = {
    "": WHOLE_MM,
    ", no ribs in view": (-140.0, 98.0),
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
    parser.add_argument("--out", type=Path, default=Path("evaluate-out"))
    parser.add_argument("--write-card", action="store_true")
    return parser.parse_args(arguments)


def evaluate(options: argparse.Namespace) -> dict[str, str]:
    """Measure every variant: for each package its table."""
    names = (FRACTURES, AREAS) if options.model == "both" else (options.model,)
    products = {name: open_product(MODELS / name) for name in names}
    spines: dict[str, SpineTally] = {}
    areas: dict[str, AreaTally] = {}
    for place, variant in enumerate(Variant):
        if options.only and variant.name.lower() not in options.only:
            continue
        for number in range(options.phantoms):
            seed = options.first_seed + 100 * place + number
            whole = phantom_of(variant, seed, number, options.keep)
            for words, reach in VIEWS.items():
                if words and variant not in TRANSITIONAL:
                    continue
                phantom = part_of(whole, reach) if words else whole
                name = f"{variant}{words}"
                for package, product in products.items():
                    look = _look(product, phantom)
                    if package == FRACTURES:
                        add_spine(spines.setdefault(name, SpineTally()), phantom, look)
                        said = fractures_told(look)
                    else:
                        add_areas(areas.setdefault(name, AreaTally()), phantom, look)
                        said = areas_told(look)
                    tell(f"{name}, phantom {seed}, {package}: {said}")
                    if number == 0 and not words:
                        file = f"{variant.name.lower()}-{seed}"
                        save_pictures(look.findings, options.out / "variants" / package, file)
    return {
        name: spine_table(spines) if name == FRACTURES else areas_table(areas) for name in names
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate, print the tables, and write each into its card when asked."""
    options = _options(arguments)
    for name, text in evaluate(options).items():
        tell(text)
        if options.write_card:
            write_into_card(MODELS / name / "CARD.md", text, MARKS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
