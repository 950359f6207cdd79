"""What dents a lung from outside: tumours at the chest wall, effusion. Slice by slice.

The costal side of a lung is convex. Where its convex hull holds tissue at the costal side, or
behind, something has pushed the lung away, and belongs to the lung's room. The hull's other
tissue, towards the middle and the front, is heart, great vessels and diaphragm, and does not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from models.grid import Mask
from models.thorax.frame import Coarse

#: Costal: farther from the middle than this part of the half width of the lung in the slice,
#: in its front half, where the heart reaches far to the side, and in its back half.
LATERAL_FRONT, LATERAL_BACK = 0.8, 0.62
#: Dorsal: behind this part of the lung's depth, and at least so far from the middle.
DORSAL, BESIDE_SPINE = 0.7, 0.3
#: Bone and contrast medium in vessels are no tumour, HU on the coarse grid.
TISSUE_HU = (-400.0, 180.0)
#: Share of a hull that the lung still fills; below it the slice cuts the diaphragm's dome or
#: the apex, where a hull says nothing.
LEAST_FILLED = 0.55


def dents_filled(room: Mask, volume: Coarse, middle: float) -> Mask:
    """A lung's room with the dents of its costal and dorsal side.

    Args:
        room: (slice, row, column) of one lung. middle: column of the body's middle.
    """
    out = room.copy()
    columns = np.arange(room.shape[2])
    low, high = TISSUE_HU
    for index in np.flatnonzero(room.any(axis=(1, 2))):
        plane = room[index]
        hull = convex_hull(plane)
        if hull is None or plane.sum() < LEAST_FILLED * hull.sum():
            continue
        rows = np.flatnonzero(plane.any(axis=1))
        across = np.flatnonzero(plane.any(axis=0))
        half = max(abs(across[0] - middle), abs(across[-1] - middle))
        distance = np.abs(columns - middle)[None, :] / max(half, 1.0)
        depth = ((np.arange(room.shape[1]) - rows[0]) / max(np.ptp(rows), 1))[:, None]
        lateral = np.where(depth < 0.5, LATERAL_FRONT, LATERAL_BACK)
        costal = (distance > lateral) | ((depth > DORSAL) & (distance > BESIDE_SPINE))
        hu = volume.hu[index]
        out[index] |= hull & costal & (hu > low) & (hu < high)
    return out


def convex_hull(plane: Mask) -> Mask | None:
    """The convex hull of a (row, column) mask; None where it has no area."""
    rows, columns = np.nonzero(plane)
    if rows.size < 3:
        return None
    points = np.stack([rows, columns], axis=1).astype(np.float64)
    try:
        hull = ConvexHull(_outermost(points))
    except QhullError:
        return None
    out = np.zeros(plane.shape, np.bool_)
    first, last = points.min(axis=0).astype(int), points.max(axis=0).astype(int)
    row, column = np.ogrid[first[0] : last[0] + 1, first[1] : last[1] + 1]
    inside = np.ones((last[0] - first[0] + 1, last[1] - first[1] + 1), np.bool_)
    for a, b, c in hull.equations:
        inside &= a * row + b * column + c <= 1e-6
    out[first[0] : last[0] + 1, first[1] : last[1] + 1] = inside
    return out


def _outermost(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """First and last point of each row: all that a hull can need."""
    order = np.lexsort((points[:, 1], points[:, 0]))
    ranked = points[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:, 0] != ranked[:-1, 0]])
    ends = np.r_[starts[1:] - 1, len(ranked) - 1]
    return np.concatenate([ranked[starts], ranked[ends]])
