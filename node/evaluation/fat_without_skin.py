"""The truth of subcutaneous fat with the skin left out.

Half-filled pixels of the skin have the Hounsfield units of fat, so a reader who goes by HU within
everything that lies under the muscle's outer border counts them. Skin is no fat: this truth leaves
every pixel that was painted as skin out.
"""

from __future__ import annotations

import numpy as np

from models.body_composition.tissues import RULES, Tissue
from models.grid import Mask
from models.phantoms.tissue import COMPARTMENT_OF
from models.phantoms.tissue import Tissue as Painted
from models.phantoms.trunk import Phantom

#: What this truth is called in the tables.
WITHOUT_SKIN = "subcutaneous fat, skin left out of the truth"


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
    middle = phantom.truth.l3_z_mm
    if middle is None:
        raise ValueError("the middle of L3 does not lie in the stack")
    away = [abs(plane.position_mm[2] - middle) for plane in phantom.volume.planes]
    _, rows, columns = phantom.volume.spacing_mm
    fat = fat_without_skin(phantom, int(np.argmin(away)))
    return float(fat.sum()) * rows * columns / 100
