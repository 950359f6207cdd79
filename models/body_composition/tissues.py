"""Tissue masks from compartments and Hounsfield units, and what is measured on them.

The ranges are those of the L3 literature (Mitsiopoulos 1998 and its successors): skeletal
muscle -29..150, intermuscular and subcutaneous fat -190..-30, visceral fat -150..-50 HU, both
ends included. Attenuation is the mean over all muscle voxels in that range.

Half-filled pixels on the wall of gas-filled bowel, and stool with gas in it, have the HU of fat.
Visceral fat therefore keeps a distance from gas (`beside_gas`), and single pixels within an organ
or on its border are none (`SMALLEST_FAT_MM2`). So have pixels shared by skin and air: the outermost
pixel of the body is not subcutaneous fat (`shared_with_air`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cc3d
import numpy as np

from models.body_composition.cartilage import cartilage
from models.body_composition.compartments import TRUNK, Compartment, Labels
from models.grid import Mask
from models.morphology import (
    box_of,
    dilated,
    eroded,
    holes_filled,
    largest_component,
    long_runs,
    within,
)
from node.domain.imaging import Voxels


class Tissue(StrEnum):
    """What is measured, in the order of the report."""

    MUSCLE = "muscle"
    SUBCUTANEOUS = "subcutaneous fat"
    VISCERAL = "visceral fat"
    INTERMUSCULAR = "intermuscular fat"


@dataclass(frozen=True, slots=True)
class Rule:
    """Where a tissue may lie and which HU it has, both ends included."""

    compartment: Compartment
    low_hu: float
    high_hu: float


RULES: dict[Tissue, Rule] = {
    Tissue.MUSCLE: Rule(Compartment.MUSCLE, -29, 150),
    Tissue.SUBCUTANEOUS: Rule(Compartment.SUBCUTANEOUS, -190, -30),
    Tissue.VISCERAL: Rule(Compartment.VISCERAL, -150, -50),
    Tissue.INTERMUSCULAR: Rule(Compartment.MUSCLE, -190, -30),
}
#: Half a pixel of the network: its borders are no sharper.
BORDER_MM = 1.0
#: What is thinner along a row or a column is skin, fascia, diaphragm or a half-filled border.
THINNEST_MUSCLE_MM = 3.0
#: Fat ends here, so what is less dense has gas in it; gaps between bubbles up to twice this belong
#: to the stool; walls are this thick.
GAS_HU, GAS_GAP_MM, GAS_RIM_MM = -190.0, 6.0, 2.0
#: A patch of visceral fat is at least so large (about 5 mm across); less is noise or a border.
SMALLEST_FAT_MM2 = 20.0
#: The network's outline is within this depth of the skin; what is below the HU there is air.
SKIN_DEPTH_MM, AIR_BELOW_HU = 4.0, -300.0
#: Nothing in a body is as dense; teeth and cortical bone end below.
METAL_HU = 2500.0
# One after the other, so that two comparisons tell them from the rest.
_FIRST, _LAST = min(TRUNK), max(TRUNK)
assert sorted(TRUNK) == list(range(_FIRST, _LAST + 1))


def trunk_of(labels: Labels) -> Mask:
    """The trunk on one slice: its largest connected part, without arms and table."""
    return largest_component(_in_trunk(labels))


def _in_trunk(labels: Labels) -> Mask:
    return np.asarray((labels >= _FIRST) & (labels <= _LAST), np.bool_)


def settled(labels: Labels, hu: Voxels, pixel_mm: tuple[float, float]) -> Labels:
    """Compartments with the fat on the very border of muscle given to its outer neighbour.

    The network divides at 2 mm; within half of that the pixel itself knows better. Left alone,
    a rim of subcutaneous or visceral fat would count as fat between the muscles.
    """
    steps = max(1, round(BORDER_MM / min(pixel_mm)))
    fat = (hu >= -190) & (hu <= -30)
    muscle = labels == Compartment.MUSCLE
    out = labels.copy()
    for neighbour in (Compartment.SUBCUTANEOUS, Compartment.VISCERAL):
        reach = dilated(labels == neighbour, steps)
        out[muscle & fat & reach] = neighbour
    outer = labels == Compartment.SUBCUTANEOUS
    reach = dilated(muscle, steps)
    out[outer & reach & (hu >= -29) & (hu <= 150)] = Compartment.MUSCLE
    return out


def beside_gas(labels: Labels, hu: Voxels, pixel_mm: tuple[float, float]) -> Mask:
    """Bowel gas, the narrow gaps between its bubbles, and a rim around it."""
    near = np.zeros(labels.shape, np.bool_)
    everywhere = (labels == Compartment.VISCERAL) & (hu < GAS_HU)
    rim = max(GAS_RIM_MM, *pixel_mm)
    # The gaps and the rim reach no further from the gas than this.
    box = box_of(everywhere, int((GAS_GAP_MM + rim) / min(pixel_mm)) + 2)
    if box is None:
        return near
    gas = everywhere[box]
    # Closing and rim by true distance, so that they are the same at every pixel size.
    grown = within(np.pad(gas, 1), GAS_GAP_MM, pixel_mm)
    closed = ~within(~np.pad(grown, 1), GAS_GAP_MM, pixel_mm)
    near[box] = within(closed[2:-2, 2:-2] | gas, rim, pixel_mm)
    return near


def shared_with_air(trunk: Mask, hu: Voxels, pixel_mm: tuple[float, float]) -> Mask:
    """The outermost pixel of the trunk, and whatever of it is mostly air."""
    filled = holes_filled(trunk)
    depth = max(1, round(SKIN_DEPTH_MM / min(pixel_mm)))
    deep = eroded(filled, depth, beyond=True)
    outside = ~filled | ((hu < AIR_BELOW_HU) & ~deep)
    return dilated(outside)


def without_specks(fat: Mask, pixel_mm: tuple[float, float]) -> Mask:
    """The parts, joined over corners too, that are no smaller than `SMALLEST_FAT_MM2`."""
    parts = cc3d.connected_components(np.ascontiguousarray(fat), connectivity=8)
    large = np.bincount(parts.ravel()) * (pixel_mm[0] * pixel_mm[1]) >= SMALLEST_FAT_MM2
    return np.asarray(fat & large[parts], np.bool_)


def thick(muscle: Mask, pixel_mm: tuple[float, float]) -> Mask:
    """The parts of a muscle mask that are thicker than `THINNEST_MUSCLE_MM` both ways."""
    down, across = (int(THINNEST_MUSCLE_MM / size) + 1 for size in pixel_mm)
    return long_runs(muscle, across, 1) & long_runs(muscle, down, 0)


def tissue_masks(labels: Labels, hu: Voxels, pixel_mm: tuple[float, float]) -> dict[Tissue, Mask]:
    """(row, column) mask of each tissue on one slice; they do not overlap."""
    masks = {tissue: np.zeros(labels.shape, np.bool_) for tissue in RULES}
    # Nothing below looks further than one pixel beyond the trunk.
    box = box_of(_in_trunk(labels), 2)
    if box is not None:
        part: Voxels = hu[box].copy()
        for tissue, mask in _in_box(np.ascontiguousarray(labels[box]), part, pixel_mm).items():
            masks[tissue][box] = mask
    return masks


def _in_box(labels: Labels, hu: Voxels, pixel_mm: tuple[float, float]) -> dict[Tissue, Mask]:
    """`tissue_masks` of the part of a slice that holds the trunk."""
    labels = settled(labels, hu, pixel_mm)
    trunk = trunk_of(labels)
    masks = {
        tissue: trunk & (labels == rule.compartment) & (hu >= rule.low_hu) & (hu <= rule.high_hu)
        for tissue, rule in RULES.items()
    }
    masks[Tissue.MUSCLE] &= ~cartilage(labels, hu, masks[Tissue.MUSCLE], pixel_mm)
    # Muscle with the fat in it, so that marbled muscle does not fall apart.
    masks[Tissue.MUSCLE] &= thick(masks[Tissue.MUSCLE] | masks[Tissue.INTERMUSCULAR], pixel_mm)
    masks[Tissue.SUBCUTANEOUS] &= ~shared_with_air(trunk, hu, pixel_mm)
    fat = masks[Tissue.VISCERAL] & ~beside_gas(labels, hu, pixel_mm)
    masks[Tissue.VISCERAL] = without_specks(fat, pixel_mm)
    return masks


def mean_attenuation(muscle: Mask, hu: Voxels) -> float | None:
    """Mean HU over the muscle voxels; None where there is no muscle."""
    return float(hu[muscle].mean(dtype=np.float64)) if muscle.any() else None


def metal_area(labels: Labels, hu: Voxels, pixel_cm2: float) -> float:
    """Area denser than anything in a body, within the trunk, cm2."""
    trunk = holes_filled(trunk_of(labels))
    return float((trunk & (hu > METAL_HU)).sum()) * pixel_cm2
