"""A nodule on the grid of its series: its mask, diameters as a reader draws them, volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import cdist

from models.grid import Floats, Grid, Mask
from models.lung_nodules.refining import Look

#: Pixels of the plane in which diameters are drawn, mm at most.
FINE_MM = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One nodule.

    Attributes:
        mask: (slice, row, column) bool, a box of the canonical grid; box: where it lies.
        key: canonical slice of largest area.
        long_mm, short_mm: in that slice; the short one at right angles to the long one.
        volume_mm3: sum of the shares of all voxels. diameter_3d_mm: largest distance between
            two points of its surface.
        centre_mm: (3,) LPS.
    """

    mask: Mask
    box: tuple[slice, slice, slice]
    key: int
    long_mm: float
    short_mm: float
    volume_mm3: float
    diameter_3d_mm: float
    centre_mm: tuple[float, float, float]

    @property
    def mean_mm(self) -> float:
        """Mean of long and short axis (Fleischner Society 2017)."""
        return (self.long_mm + self.short_mm) / 2


def shape_of(grid: Grid, look: Look) -> Shape | None:
    """The nodule of a look on the grid of its series; None where it is smaller than a voxel."""
    box = _box(grid, look)
    if box is None:
        return None
    lines = [np.arange(part.start, part.stop, dtype=np.float64) for part in box]
    share = sampled(look, lines)
    mask = _largest(share > 0.5)
    if not mask.any():
        # Thinner than the slices: the voxel with the largest share stands for it.
        if share.max() < 0.2:
            return None
        mask = share >= share.max()
    areas = np.where(mask.any(axis=(1, 2)), share.sum(axis=(1, 2)), 0.0)
    key = int(areas.argmax())
    long_mm, short_mm = _drawn(grid, look, box[0].start + key, box)
    corners = _surface(mask) * np.asarray(grid.spacing_mm)
    points = np.argwhere(mask).mean(axis=0) + np.array([part.start for part in box])
    centre = grid.affine @ np.array([*points, 1.0])
    return Shape(
        mask=mask,
        box=box,
        key=box[0].start + key,
        long_mm=long_mm,
        short_mm=short_mm,
        volume_mm3=look.volume_mm3,
        diameter_3d_mm=max(farthest(corners), long_mm),
        centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
    )


def _box(grid: Grid, look: Look) -> tuple[slice, slice, slice] | None:
    parts = []
    inside = look.share > 0.2
    for axis in range(3):
        other = tuple(a for a in range(3) if a != axis)
        used = np.flatnonzero(inside.any(axis=other))
        if not used.size:
            return None
        own = look.axes[axis]
        low = own.start + own.step * (int(used[0]) - 1)
        high = own.start + own.step * (int(used[-1]) + 1)
        first = max(0, int(np.floor(low)))
        last = min(grid.shape[axis], int(np.ceil(high)) + 1)
        if last <= first:
            return None
        parts.append(slice(first, last))
    return parts[0], parts[1], parts[2]


def sampled(look: Look, lines: Sequence[NDArray[np.float64]]) -> Floats:
    """The share at positions of the grid, linear between the patch's voxels."""
    out = look.share
    for number, (axis, line) in enumerate(zip(look.axes, lines, strict=True)):
        at = (line - axis.start) / axis.step
        distance = np.abs(at[:, None] - np.arange(axis.count)[None, :])
        weights = np.clip(1.0 - distance, 0.0, None).astype(np.float32)
        out = np.moveaxis(np.tensordot(weights, out, axes=(1, number)), 0, number)
    return np.asarray(out, np.float32)


def _drawn(
    grid: Grid, look: Look, key: int, box: tuple[slice, slice, slice]
) -> tuple[float, float]:
    """Long and short axis on a finer raster of the key slice, mm."""
    lines = [np.array([float(key)])]
    fine = []
    for axis in (1, 2):
        step = min(FINE_MM, grid.spacing_mm[axis]) / grid.spacing_mm[axis]
        lines.append(np.arange(box[axis].start - 0.5, box[axis].stop - 0.5, step))
        fine.append(step * grid.spacing_mm[axis])
    plane = _largest(sampled(look, lines)[0] > 0.5)
    if not plane.any():
        return grid.spacing_mm[2], grid.spacing_mm[2]
    return axes_of(plane, (fine[0], fine[1]))


def axes_of(plane: Mask, pixel_mm: tuple[float, float]) -> tuple[float, float]:
    """Longest distance between two points of a mask, and its extent at right angles, mm."""
    outline = _corners(np.argwhere(plane)) * np.asarray(pixel_mm)
    hull = outline[ConvexHull(outline).vertices]
    distances = cdist(hull, hull)
    a, b = np.unravel_index(int(distances.argmax()), distances.shape)
    along = (hull[b] - hull[a]) / distances[a, b]
    across = hull @ np.array([-along[1], along[0]])
    return float(distances[a, b]), float(np.ptp(across))


def farthest(points: NDArray[np.float64]) -> float:
    """Largest distance between two of (n, 3) points."""
    try:
        hull = points[ConvexHull(points).vertices]
    except QhullError:
        hull = points[:2000]
    return float(cdist(hull, hull).max())


def _corners(pixels: NDArray[np.int64]) -> NDArray[np.float64]:
    # Middles of the pixels' edges: their corners would make every slanted axis too long.
    corners = np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, -0.5], [0.0, 0.5]])
    return np.asarray((pixels[:, None] + corners[None]).reshape(-1, 2), np.float64)


def _surface(mask: Mask) -> NDArray[np.float64]:
    """Middles of the faces of the voxels of a mask, in voxels."""
    where = np.argwhere(mask).astype(np.float64)
    offsets = np.concatenate([0.5 * np.eye(3), -0.5 * np.eye(3)])
    return np.asarray((where[:, None] + offsets[None]).reshape(-1, 3), np.float64)


def _largest(mask: Mask) -> Mask:
    parts = cc3d.connected_components(
        np.ascontiguousarray(mask), connectivity=8 if mask.ndim == 2 else 26
    )
    if not parts.any():
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(parts == int(sizes.argmax()), np.bool_)
