"""Where liver, spleen and kidneys end: at fat, at fluid, gas or contrast medium in the bowel.

A network of 4 mm voxels draws an organ some millimetres too large, and over what lies against it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.anatomy.claims import density_of
from models.anatomy.structures import Structure as S
from models.grid import Floats, Mask
from models.morphology import dilated, eroded

#: Less dense than this is more fat than anything else, HU.
MIXED_FAT_HU: Final = -30.0
#: So deep the fat around a kidney is drawn as kidney, fine voxels; that of its sinus lies deeper.
_RIM: Final = 2
#: Fluid is so dense at most, and so much less than the organ; contrast medium so much denser, HU.
_FLUID_HU: Final = 25.0
_LESS_HU, _MORE_HU = 20.0, 60.0
#: What is thinner than twice so many fine voxels is not of an organ: bowel against it, vessels.
_THIN: Final = {S.LIVER: 2, S.SPLEEN: 2, S.KIDNEY: 1}

Labels = NDArray[np.uint8]


def without_fat(labels: Labels, hu: Floats) -> None:
    """A kidney without the fat around it; in place.

    Args:
        labels, hu: (slice, row, column) on the fine grid.
    """
    kidney = labels == S.KIDNEY
    rim = kidney & (hu < MIXED_FAT_HU) & dilated(~kidney, _RIM)
    labels[_from_outside(rim, kidney)] = S.BODY


def without_unlike(labels: Labels, smooth: Floats, organ: S) -> None:
    """An organ without what lies against it, as a full gall bladder or bowel does; in place.

    A hollow within it that nothing joins to its surface, as a cyst, stays.

    Args:
        labels, smooth: (slice, row, column) on the fine grid, `smooth` in HU, free of noise.
    """
    own = labels == organ
    density = density_of(own, smooth)
    if density is None:
        return
    thin = smooth < min(density.median - _LESS_HU, _FLUID_HU)
    unlike = own & (thin | (smooth > density.median + _MORE_HU))
    unlike = dilated(eroded(unlike, beyond=False))
    labels[_from_outside(unlike & own, own)] = S.BODY


def without_thin(labels: Labels, organ: S) -> None:
    """An organ without what is thinner than any part of it; in place."""
    own = labels == organ
    steps = _THIN[organ]
    labels[own & ~dilated(eroded(own, steps, beyond=True), steps)] = S.BODY


def _from_outside(part: Mask, own: Mask) -> Mask:
    """What of a part of a structure is joined through itself to the surface."""
    reached = part & dilated(~own)
    while True:
        grown = dilated(reached) & part
        if grown.sum() == reached.sum():
            return grown
        reached = grown
