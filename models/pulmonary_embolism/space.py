"""The two grids that everything is found on: 1.25 mm for clots, 2.5 mm for the anatomy.

Axes as of `Grid`: slice 0 lowest, row 0 anterior, column 0 the patient's right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.grid import Axis, Floats, Grid, Mask, sample_volume

#: A segmental artery is three to six voxels wide, and a whole chest fits into 100 MB.
FINE_MM = 1.25
COARSE_MM = 2 * FINE_MM


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """One series on both grids.

    Attributes:
        hu: (slice, row, column) float32 at FINE_MM, even sizes.
        coarse: the mean of 2 x 2 x 2 voxels of it.
        axes: where the fine points lie among the samples of the grid.
    """

    grid: Grid
    hu: Floats
    coarse: Floats
    axes: tuple[Axis, Axis, Axis]

    def to_grid(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) fine positions as positions among the samples of the grid."""
        starts = np.array([axis.start for axis in self.axes])
        steps = np.array([axis.step for axis in self.axes])
        return np.asarray(np.asarray(points, np.float64) * steps + starts, np.float64)

    def to_mm(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) fine positions in LPS mm."""
        at = self.to_grid(points)
        return np.asarray(at @ self.grid.affine[:3, :3].T + self.grid.affine[:3, 3], np.float64)

    def index_of(self, axis: int, count: int) -> NDArray[np.float64]:
        """Fine position of each of `count` samples of the grid along an axis, fractional."""
        along = self.axes[axis]
        return np.asarray((np.arange(count) - along.start) / along.step, np.float64)


def space_of(grid: Grid) -> Space:
    """Both grids of a volume; beyond its edges there is air."""
    first, second, third = (
        _axis(count, spacing) for count, spacing in zip(grid.shape, grid.spacing_mm, strict=True)
    )
    axes = (first, second, third)
    hu = sample_volume(grid.hu, axes)
    np.maximum(hu, -1024.0, out=hu)
    return Space(grid=grid, hu=hu, coarse=halved(hu), axes=axes)


def _axis(count: int, spacing_mm: float) -> Axis:
    step = FINE_MM / spacing_mm
    points = max(2, 2 * round(count / step / 2))
    return Axis.centred((count - 1) / 2, step, points)


def halved(hu: Floats) -> Floats:
    """Mean of 2 x 2 x 2 voxels."""
    z, y, x = (size // 2 for size in hu.shape)
    blocks = hu[: 2 * z, : 2 * y, : 2 * x].reshape(z, 2, y, 2, x, 2)
    return np.asarray(blocks.mean(axis=(1, 3, 5), dtype=np.float32), np.float32)


def doubled(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """A coarse mask on the fine grid of this shape."""
    fine = mask.repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2)
    return np.asarray(fine[: shape[0], : shape[1], : shape[2]], np.bool_)
