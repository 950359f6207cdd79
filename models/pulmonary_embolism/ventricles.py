"""Right against left ventricle: the ratio of their widths, a sign of strain of the right heart.

As readers do it on axial slices: the largest width of each ventricle across its own long axis, not
necessarily on the same slice (van der Meer et al., Radiology 2005;235:798).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.grid import Mask
from models.pulmonary_embolism.anatomy import Anatomy
from models.pulmonary_embolism.region import VOXEL_ML
from models.pulmonary_embolism.space import COARSE_MM

#: Both ventricles must hold so much, and not reach the ends of the series.
LEAST_ML = 30.0
#: Smallest part of a slice that is measured, cm2.
LEAST_CM2 = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ventricles:
    """Widths in mm and their ratio; or why there is none."""

    right_mm: float = 0.0
    left_mm: float = 0.0
    withheld: str = ""

    @property
    def ratio(self) -> float | None:
        """Right over left; None where withheld."""
        return None if self.withheld else self.right_mm / self.left_mm


def measure_ventricles(anatomy: Anatomy) -> Ventricles:
    """The widths of both ventricles, where both are whole in view."""
    masks = {name: anatomy.mask(f"{name}_ventricle") for name in ("right", "left")}
    for name, mask in masks.items():
        if float(mask.sum()) * VOXEL_ML < LEAST_ML:
            return Ventricles(withheld=f"the {name} ventricle is not recognised")
        for end, plane in (("lowest", mask[0]), ("highest", mask[-1])):
            if plane.sum() * COARSE_MM**2 / 100.0 > LEAST_CM2:
                return Ventricles(withheld=f"the {name} ventricle is cut by the {end} slice")
        sides = (mask[:, 0], mask[:, -1], mask[:, :, 0], mask[:, :, -1])
        if any(side.any() for side in sides):
            return Ventricles(withheld=f"the field of view cuts the {name} ventricle")
    return Ventricles(right_mm=_width(masks["right"]), left_mm=_width(masks["left"]))


def _width(mask: Mask) -> float:
    """Largest extent across the long axis over all slices, mm (mean of the three widest)."""
    widths = []
    for plane in mask:
        if plane.sum() * COARSE_MM**2 / 100.0 < LEAST_CM2:
            continue
        points = np.argwhere(plane) * COARSE_MM
        centred = points - points.mean(axis=0)
        across = np.linalg.eigh(centred.T @ centred)[1][:, 0]
        along = centred @ across
        widths.append(float(along.max() - along.min()) + COARSE_MM)
    return float(np.mean(sorted(widths)[-3:])) if widths else 0.0
