"""Do the pixels look like a chest in Hounsfield units, the right way up? Before any network."""

from __future__ import annotations

import numpy as np

from models.grid import Floats, Grid
from models.pulmonary_embolism.region import Region
from models.pulmonary_embolism.space import COARSE_MM
from models.refusal import Refusal

#: Of any chest: so much is air or lung, and so much is fat or soft tissue.
AIR_HU, LEAST_AIR = -500.0, 0.05
TISSUE_HU, LEAST_TISSUE = (-200.0, 250.0), 0.08
#: The spine: bone near the middle plane. So much more of it lies behind the lungs' middle.
BONE_HU = 200.0
#: The heart is wider than the upper mediastinum by more than this, whichever way up.
HEART_FACTOR = 1.6
#: The second test needs so many slices with both lungs, mm, and nearly all between their ends: a
#: lung that is missing on some, or was not found there, tells nothing about head and feet.
LEAST_REACH_MM, _UNBROKEN = 140.0, 0.9


def refuse_implausible(grid: Grid) -> Refusal | None:
    """A reason not to look further, or None."""
    sample = grid.hu[:: max(1, grid.shape[0] // 24), ::6, ::6]
    air = float((sample < AIR_HU).mean())
    tissue = float(((sample > TISSUE_HU[0]) & (sample < TISSUE_HU[1])).mean())
    if air < LEAST_AIR or tissue < LEAST_TISSUE:
        return Refusal(
            f"the pixel values do not look like a chest in Hounsfield units: {air:.0%} of them are "
            f"air or lung and {tissue:.0%} are fat or soft tissue"
        )
    return None


def refuse_turned(hu: Floats, region: Region) -> Refusal | None:
    """Head and feet, or front and back, exchanged in the header: the anatomy contradicts it."""
    slices = np.flatnonzero(region.air.any(axis=(1, 2)))
    if not slices.size:
        return None
    rows = np.flatnonzero(region.air.any(axis=(0, 2)))
    middle, cut = round((rows[0] + rows[-1]) / 2), round(region.middle)
    half = round(25.0 / COARSE_MM)
    strip = hu[slices[0] : slices[-1] + 1, :, max(0, cut - half) : cut + half] > BONE_HU
    front, behind = float(strip[:, :middle].sum()), float(strip[:, middle:].sum())
    # The spine runs through every slice of a chest, contrast medium in the heart does not.
    through = [
        float(part.any(axis=(1, 2)).mean()) for part in (strip[:, : rows[0]], strip[:, rows[-1] :])
    ]
    if front > 3.0 * behind and through[0] > 0.9 and through[1] < 0.3:
        return Refusal(
            "the spine lies in front of the lungs: front and back of the patient are exchanged in "
            "the header"
        )
    # Only slices with both lungs tell how wide the mediastinum is; bowel may pass for lung below.
    area = region.between.sum(axis=(1, 2)).astype(np.float64)
    both = np.flatnonzero(area)
    if not both.size or len(both) < _UNBROKEN * (both[-1] - both[0] + 1):
        return None
    area = area[both]
    if len(area) * COARSE_MM < LEAST_REACH_MM:
        return None
    part = len(area) * 2 // 5
    lower, upper = float(np.median(area[:part])), float(np.median(area[-part:]))
    if upper > HEART_FACTOR * max(lower, 1.0):
        return Refusal(
            "the heart lies above the narrow part of the mediastinum: head and feet are exchanged "
            "in the header"
        )
    return None
