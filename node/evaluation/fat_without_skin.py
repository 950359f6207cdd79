"""The truth of subcutaneous fat with the skin left out, and of visceral fat without bowel.

Half-filled pixels of the skin have the Hounsfield units of fat, so a reader who goes by HU within
everything that lies under the muscle's outer border counts them. Skin is no fat: this truth leaves
every pixel that was painted as skin out. So it is with stool, whose HU may be those of fat: the
other truth leaves bowel and what is in it out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.body_composition.tissues import RULES, Tissue
from models.grid import Mask
from models.phantoms.tissue import COMPARTMENT_OF
from models.phantoms.tissue import Tissue as Painted
from models.phantoms.trunk import Phantom

#: What this truth is called in the tables.
WITHOUT_SKIN = "subcutaneous fat, skin left out of the truth"

WITHOUT_BOWEL = "visceral fat, bowel left out of the truth"
_BOWEL = (Painted.BOWEL_WALL, Painted.BOWEL_GAS, Painted.BOWEL_FLUID, Painted.BOWEL_CONTRAST,
          Painted.STOOL)  # fmt: skip


def fat_without_bowel(phantom: Phantom, index: int) -> Mask:
    """(row, column) visceral fat of one slice of a phantom, in the order of its volume."""
    rule = RULES[Tissue.VISCERAL]
    labels, hu = phantom.labels[index], phantom.volume.voxels[index]
    within = (COMPARTMENT_OF[labels] == int(rule.compartment)) & ~np.isin(labels, _BOWEL)
    return np.asarray(within & (hu >= rule.low_hu) & (hu <= rule.high_hu), np.bool_)


def fat_without_skin(phantom: Phantom, index: int) -> Mask:
    """(row, column) subcutaneous fat of one slice of a phantom, in the order of its volume."""
    rule = RULES[Tissue.SUBCUTANEOUS]
    labels, hu = phantom.labels[index], phantom.volume.voxels[index]
    under = (COMPARTMENT_OF[labels] == int(rule.compartment)) & (labels != Painted.SKIN)
    return np.asarray(under & (hu >= rule.low_hu) & (hu <= rule.high_hu), np.bool_)


def cm2_without_skin(phantom: Phantom) -> float:
    """Its area on the slice next to the middle of L3, cm2.

    Raises:
        ValueError: L3 does not lie in the stack.
    """
    return _cm2(phantom, fat_without_skin)


def cm2_without_bowel(phantom: Phantom) -> float:
    """Area of visceral fat on the slice next to the middle of L3, cm2.

    Raises:
        ValueError: L3 does not lie in the stack.
    """
    return _cm2(phantom, fat_without_bowel)


def _cm2(phantom: Phantom, fat_of: Callable[[Phantom, int], Mask]) -> float:
    middle = phantom.truth.l3_z_mm
    if middle is None:
        raise ValueError("the middle of L3 does not lie in the stack")
    away = [abs(plane.position_mm[2] - middle) for plane in phantom.volume.planes]
    _, rows, columns = phantom.volume.spacing_mm
    fat = fat_of(phantom, int(np.argmin(away)))
    return float(fat.sum()) * rows * columns / 100
