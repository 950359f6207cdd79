"""May a series be looked at at all: is lung in view, and contrast medium in its arteries?

The headers are not asked: agent and phase are often missing or wrong. The blood itself is
measured, where vessels enter the lungs and in the pool between the lungs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from models.grid import Floats, Mask
from models.pulmonary_embolism.region import VOXEL_ML, Region
from models.refusal import Refusal

#: Values of the air around a patient, or of lung, in Hounsfield units at all.
SOFT_HU = -150.0
#: A vessel at the hilum is surrounded by so much lung within 15 mm; a corner at a rib is not.
LUNG_AROUND, _AROUND_VOXELS = 0.4, 13
#: Less of large vessels in the lungs than this: the hila are not in view, ml.
LEAST_HILUM_ML = 0.4
#: Blood of any phase, fat and bone left out.
BLOOD_HU = (0.0, 700.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """What the blood measures.

    Attributes:
        hilar_hu: of the large vessels inside the lungs (upper quartile, so that clots and the
            edges of vessels do not pull it down); None where there are too few.
        hilar_ml: of these vessels. pool_hu: median of the mediastinum without fat and bone.
    """

    hilar_hu: float | None
    hilar_ml: float
    pool_hu: float | None

    @property
    def measured_hu(self) -> float | None:
        """The better of the two."""
        return self.hilar_hu if self.hilar_hu is not None else self.pool_hu

    @property
    def where(self) -> str:
        """Where `measured_hu` was measured, in words."""
        if self.hilar_hu is not None:
            return "the large vessels at the hila"
        return "the blood between the lungs"


def measure_contrast(hu: Floats, region: Region) -> Contrast:
    """Attenuation of the blood, on the coarse grid."""
    core = hilar_core(hu, region)
    ml = float(core.sum()) * VOXEL_ML
    hilar = float(np.percentile(hu[core], 75)) if ml >= LEAST_HILUM_ML else None
    inner = ndimage.binary_erosion(region.between & (hu > SOFT_HU), iterations=3)
    pool = hu[inner]
    pool = pool[(pool > BLOOD_HU[0]) & (pool < BLOOD_HU[1])]
    enough = pool.size * VOXEL_ML >= 1.0
    return Contrast(hilar_hu=hilar, hilar_ml=ml, pool_hu=float(np.median(pool)) if enough else None)


def hilar_core(hu: Floats, region: Region) -> Mask:
    """The inside of the large vessels in the lungs."""
    soft = ndimage.binary_erosion(hu > SOFT_HU)
    around = ndimage.uniform_filter(region.air.astype(np.float32), _AROUND_VOXELS)
    return np.asarray(region.room & soft & (around >= LUNG_AROUND), np.bool_)


def refuse(region: Region, contrast: Contrast, thresholds: Mapping[str, float]) -> Refusal | None:
    """A reason not to look for clots, or None."""
    least = thresholds["least_lung_ml"]
    right, left = region.sides_ml()
    if region.lung_ml < least:
        return Refusal(
            f"too little lung is in view: {region.lung_ml:.0f} ml with air "
            f"(at least {least:.0f} ml are needed)"
        )
    needed = thresholds["contrast_hu"]
    measured = contrast.measured_hu
    if measured is not None and measured < needed:
        return Refusal(
            f"no sufficient contrast medium in the pulmonary arteries: {contrast.where} "
            f"measured {measured:.0f} HU (at least {needed:.0f} HU are needed)"
        )
    if contrast.hilar_hu is None:
        told = (
            "" if measured is None else f"; the blood between the lungs measures {measured:.0f} HU"
        )
        return Refusal(
            "the pulmonary arteries are not in view: no large vessel enters a lung in these "
            f"slices{told}"
        )
    if min(right, left) < thresholds["least_side_ml"]:
        side = "right" if right < left else "left"
        return Refusal(
            f"hardly any air is seen in the {side} lung ({min(right, left):.0f} ml): the arteries "
            "of one side cannot be followed"
        )
    return None


def refuse_trunk(trunk_hu: float | None, thresholds: Mapping[str, float]) -> Refusal | None:
    """The same of the pulmonary trunk, where it was found."""
    needed = thresholds["contrast_hu"]
    if trunk_hu is None or trunk_hu >= needed:
        return None
    return Refusal(
        f"no sufficient contrast medium in the pulmonary arteries: the pulmonary trunk measures "
        f"{trunk_hu:.0f} HU (at least {needed:.0f} HU are needed)"
    )
