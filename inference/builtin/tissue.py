"""Where a slide shows tissue: by saturation, on a coarse level.

Stain has colour, glass has none. A saturation above 7 of 255 finds more of pale stroma and fat
than a threshold that the image sets itself (Otsu), and what is not looked at is lost silently.
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from node.domain.slide import Level, Slide

#: Resolution at which tissue is looked for.
MASK_MPP_UM = 4.0
#: Of 255; from here on a pixel is stained.
SATURATION = 7
_MEDIAN = 7
#: Smaller specks are dropped, smaller holes are filled, um2.
SPECK_UM2 = 200.0 * 200.0
HOLE_UM2 = 190.0 * 190.0


@dataclass(frozen=True, slots=True)
class TissueMap:
    """(row, column) bool over the whole slide, and the size of its pixels."""

    mask: NDArray[np.bool_]
    mpp_um: float

    @property
    def area_mm2(self) -> float:
        """Of all tissue."""
        return float(self.mask.sum()) * (self.mpp_um / 1000.0) ** 2


def coarse_level(slide: Slide, mpp_um: float) -> int:
    """The coarsest level that is not coarser than a resolution; else the finest."""
    fitting = [n for n, level in enumerate(slide.levels) if level.mpp_um <= mpp_um * 1.01]
    return max(fitting, key=lambda number: slide.levels[number].mpp_um, default=0)


def overview(slide: Slide, mpp_um: float) -> tuple[NDArray[np.uint8], Level]:
    """(row, column, 3) of a whole level, read in strips, thinned out to about a resolution."""
    number = coarse_level(slide, mpp_um)
    level = slide.levels[number]
    step = max(1, int(mpp_um / level.mpp_um))
    strip = 512 * step
    rows = [
        slide.read(number, (0, top), (level.columns, min(strip, level.rows - top)))[::step, ::step]
        for top in range(0, level.rows, strip)
    ]
    image = np.concatenate(rows)
    thinned = Level(columns=image.shape[1], rows=image.shape[0], mpp_um=level.mpp_um * step)
    return image, thinned


def tissue_of(slide: Slide) -> TissueMap:
    """Where there is stained tissue."""
    image, level = overview(slide, MASK_MPP_UM)
    brightest, darkest = image.max(axis=2), image.min(axis=2)
    # Of HSV, 0 to 255: 255 * (max - min) / max, without a division.
    stained = 255 * (brightest.astype(np.int32) - darkest) > SATURATION * brightest.astype(np.int32)
    mask = np.asarray(ndimage.median_filter(stained, _MEDIAN), np.bool_)
    mask = np.asarray(ndimage.binary_closing(mask, np.ones((3, 3), np.bool_)) | mask, np.bool_)
    pixel_um2 = level.mpp_um**2
    mask = _dusted(mask, SPECK_UM2 / pixel_um2)
    mask = ~_dusted(~mask, HOLE_UM2 / pixel_um2)
    return TissueMap(mask, level.mpp_um)


def _dusted(mask: NDArray[np.bool_], least: float) -> NDArray[np.bool_]:
    dusted = cc3d.dust(np.ascontiguousarray(mask), threshold=int(np.ceil(least)), connectivity=8)
    return np.asarray(dusted, np.bool_)
