"""Tissue masks of a block of slices against a silver standard, and where the two differ.

A silver standard that does not go by Hounsfield units also counts pixels that are, by the published
ranges, another tissue or none. So each tissue is compared twice: with the whole of the silver
standard, and with what of it lies within the published range.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from models.body_composition.compartments import Compartment, Labels
from models.body_composition.tissues import (
    RULES,
    Tissue,
    beside_gas,
    settled,
    trunk_of,
    without_specks,
)
from models.grid import Mask
from node.domain.imaging import Voxels
from node.evaluation.table import Row

#: The silver standard's names of what the package measures.
RULE_OF = {
    "skeletal_muscle": RULES[Tissue.MUSCLE],
    "subcutaneous_fat": RULES[Tissue.SUBCUTANEOUS],
    "torso_fat": RULES[Tissue.VISCERAL],
}
#: All that is fat by its HU, whichever tissue it belongs to.
_ALL_FAT = RULES[Tissue.SUBCUTANEOUS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One block; all arrays (slice, row, column).

    Attributes:
        found, silver: masks by the silver standard's names.
        any_fat: the region of `found["torso_fat"]` with all that is fat by its HU.
        colon: where the silver standard has colon.
    """

    hu: Voxels
    voxel_ml: float
    found: Mapping[str, Mask]
    silver: Mapping[str, Mask]
    any_fat: Mask
    colon: Mask


def any_fat(labels: Labels, hu: Voxels, pixel_mm: tuple[float, float]) -> Mask:
    """(row, column) visceral fat of one slice as the package finds it, but of all HU of fat."""
    labels = settled(labels, hu, pixel_mm)
    within = trunk_of(labels) & (labels == Compartment.VISCERAL)
    fat = within & (hu >= _ALL_FAT.low_hu) & (hu <= _ALL_FAT.high_hu)
    return without_specks(fat & ~beside_gas(labels, hu, pixel_mm), pixel_mm)


def dice(first: Mask, second: Mask) -> float:
    """Overlap of two masks; 1 where both are empty."""
    total = int(first.sum()) + int(second.sum())
    return 2.0 * float((first & second).sum()) / total if total else 1.0


def rows_of_tissue(block: Compared, data: str) -> Iterator[Row]:
    """Volumes and overlaps of every tissue, then where torso fat differs."""

    def ml(mask: Mask) -> float:
        return float(mask.sum()) * block.voxel_ml

    def row(metric: str, value: str) -> Row:
        return Row(metric=metric, data=data, value=value)

    for name, mask in block.found.items():
        title, whole, rule = name.replace("_", " "), block.silver[name], RULE_OF[name]
        percent = 100 * (ml(mask) / ml(whole) - 1)
        yield row(f"{title}: volume against silver", f"{ml(mask):.0f} ml ({percent:+.1f} %)")
        yield row(f"{title}: Dice", f"{dice(mask, whole):.3f}")
        ranged = whole & _within(block.hu, rule.low_hu, rule.high_hu)
        percent = 100 * (ml(mask) / ml(ranged) - 1)
        kind = f"silver of {rule.low_hu:g} to {rule.high_hu:g} HU only"
        yield row(f"{title}, {kind}: volume", f"{ml(ranged):.0f} ml ({percent:+.1f} %)")
        yield row(f"{title}, {kind}: Dice", f"{dice(mask, ranged):.3f}")
    mask, whole = block.found["torso_fat"], block.silver["torso_fat"]
    rule = RULE_OF["torso_fat"]
    ideal = whole & _within(block.hu, rule.low_hu, rule.high_hu)
    name = "torso fat: highest Dice that visceral fat's range of HU allows"
    yield row(name, f"{dice(ideal, whole):.3f}")
    yield row(
        f"torso fat, ours of {_ALL_FAT.low_hu:g} to {_ALL_FAT.high_hu:g} HU: Dice",
        f"{dice(block.any_fat, whole):.3f}",
    )
    missed, extra = whole & ~mask, mask & ~whole
    dense = missed & (block.hu > rule.high_hu)
    yield row(
        f"torso fat missed; of it above {rule.high_hu:g} HU",
        f"{ml(missed):.0f} ml; {ml(dense):.0f} ml",
    )
    outside = extra & block.silver["subcutaneous_fat"]
    yield row(
        "torso fat too much; of it in silver colon; in silver subcutaneous fat",
        f"{ml(extra):.0f} ml; {ml(extra & block.colon):.0f} ml; {ml(outside):.0f} ml",
    )


def _within(hu: Voxels, low: float, high: float) -> Mask:
    return np.asarray((hu >= low) & (hu <= high), np.bool_)
