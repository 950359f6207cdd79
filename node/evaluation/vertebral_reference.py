"""Heights and attenuation of vertebral bodies by the definition of another program.

`spine_report.json` of the silver standard was made by TotalSegmentator (Apache-2.0,
totalseg_spine_report: spine_report/measure_verte_height.py as of commit 115e58d). What it does
was read there and is written anew here, so that like can be compared with like:

- Everything is counted on the voxels of the scan as it is (3 mm here), on a mask of each body.
- The axis of a body points from the middle of one neighbour to the middle of the other.
- A height is walked in steps of half a voxel, and ends at the last step inside the mask: it is a
  multiple of half a voxel, and short by up to half a voxel at each end.
- Of the sagittal planes in the middle half of the body, about 5 mm apart, the one counts whose
  three heights differ most: each body is measured where it looks most deformed.
- The heights stand at 15, 50 and 85 % of the depth from the back.
- Attenuation is that of the whole mask less one layer of about 4 mm, endplates' partial volume
  and the vein at the back included.

Arrays are (x, y, z): to the right, to the front, to the head.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.grid import Mask

#: (x, y, z) voxels.
Place = NDArray[np.float64]

#: Parts of the depth from the back: posterior, middle, anterior.
DEPTHS = (0.15, 0.50, 0.85)
#: Half a voxel: a step along an axis. Of the width so much is left out at each side.
_STEP, _MARGIN = 0.5, 0.25
_PLANES_MM, _SMOOTH_MM, _ERODED_MM = 5.0, 3.0, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One body by that definition; `heights_mm`: anterior, middle, posterior, 0 where none."""

    heights_mm: tuple[float, float, float]
    mean_hu: float
    median_hu: float


def upright(voxels: NDArray[np.generic], affine: NDArray[np.float64]) -> NDArray[np.generic]:
    """(slice, row, column) of an axial scan as (x, y, z); its affine leads to LPS mm."""
    turned = voxels.transpose(2, 1, 0)
    if affine[0, 2] > 0:
        turned = turned[::-1]
    if affine[1, 1] > 0:
        turned = turned[:, ::-1]
    if affine[2, 0] < 0:
        turned = turned[:, :, ::-1]
    return turned


def counted(
    hu: NDArray[np.generic], bodies: Mapping[str, Mask], spacing_mm: tuple[float, float, float]
) -> dict[str, Counted]:
    """Every body.

    Args:
        bodies: masks on the grid of `hu` from above, neighbours beside one another.
    """
    names = list(bodies)
    layer = np.ones([2 * max(1, round(_SMOOTH_MM / mm)) + 1 for mm in spacing_mm], np.bool_)
    inner = {name: ndimage.binary_erosion(bodies[name], layer) for name in names}
    middles = [
        np.argwhere(inner[name] if inner[name].any() else bodies[name]).mean(axis=0)
        for name in names
    ]
    found = {}
    for index, name in enumerate(names):
        first, last = max(0, index - 1), min(len(names) - 1, index + 1)
        axis = middles[last] - middles[first] if last > first else np.array([0.0, 0.0, -1.0])
        heights = (0.0, 0.0, 0.0)
        spread = -1.0
        for x in _planes(inner[name], spacing_mm[0]):
            own = _heights(bodies[name][x], middles[index][1:], axis[1:], spacing_mm[1:])
            if min(own) > 0 and max(own) - min(own) > spread:
                heights, spread = own, max(own) - min(own)
        within = hu[ndimage.binary_erosion(bodies[name], _ball(spacing_mm))]
        found[name] = Counted(
            heights_mm=heights,
            mean_hu=float(within.mean()) if within.size else 0.0,
            median_hu=float(np.median(np.asarray(within, np.float64))) if within.size else 0.0,
        )
    return found


def _planes(inner: Mask, spacing_mm: float) -> Iterator[int]:
    """Sagittal planes of the middle half of a body."""
    there = np.flatnonzero(inner.any(axis=(1, 2)))
    if there.size:
        first, last = int(there[0]), int(there[-1])
        margin = round(_MARGIN * (last - first + 1))
        step = max(1, round(_PLANES_MM / spacing_mm))
        yield from range(first + margin, last - margin + 1, step)


def _ball(spacing_mm: tuple[float, float, float]) -> Mask:
    """What is eroded with: whole voxels from one end of the diameter on, as they come."""
    lines = [np.arange(-_ERODED_MM / mm, _ERODED_MM / mm + 1) * mm for mm in spacing_mm]
    x, y, z = np.meshgrid(*lines, indexing="ij")
    return np.asarray(x**2 + y**2 + z**2 <= _ERODED_MM**2, np.bool_)


def _heights(
    mask: Mask, middle: Place, axis: Place, spacing_mm: tuple[float, ...]
) -> tuple[float, float, float]:
    """Anterior, middle, posterior of one sagittal plane (y, z), mm; 0 where there is none."""
    behind, front = _ends(mask, middle, np.array([-axis[1], axis[0]]))
    if behind is None or front is None:
        return 0.0, 0.0, 0.0
    found = []
    for depth in reversed(DEPTHS):
        ends = _ends(mask, behind + depth * (front - behind), axis)
        if ends[0] is None or ends[1] is None:
            found.append(0.0)
        else:
            found.append(float(np.linalg.norm((ends[1] - ends[0]) * np.array(spacing_mm))))
    return found[0], found[1], found[2]


def _ends(mask: Mask, middle: Place, axis: Place) -> tuple[Place | None, Place | None]:
    """The last places inside the mask on both sides of a place."""
    way = axis / np.linalg.norm(axis)
    return _last(mask, middle, -way), _last(mask, middle, way)


def _last(mask: Mask, middle: Place, way: Place) -> Place | None:
    steps = np.arange(0.0, 1.5 * max(mask.shape), _STEP)
    inside = _inside(mask, middle + steps[:, None] * way)
    out = np.flatnonzero(~inside[1:])
    if not out.size:
        return None
    # Between the last step inside and the first outside it looks at quarters of a step, and
    # takes the first that is inside: nearly always the last whole step.
    for back in steps[out[0]] + np.arange(0.0, _STEP, _STEP / 4):
        place = middle + back * way
        if _inside(mask, place[None])[0]:
            return np.asarray(place, np.float64)
    return None


def _inside(mask: Mask, places: Place) -> Mask:
    """More than half of the four voxels around, by their nearness; what lies beyond is outside."""
    found = ndimage.map_coordinates(mask.astype(np.float64), places.T, order=1, cval=0.0)
    return np.asarray(found > 0.5, np.bool_)
