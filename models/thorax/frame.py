"""The coarse isotropic grid on which the chest's anatomy is found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.grid import Axis, Floats, Grid, Mask, sample_volume

#: Fine enough for a main bronchus and for the gap between the lungs, and small in memory.
COARSE_MM = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Coarse:
    """A volume on a coarse isotropic grid, axes as of `Grid`.

    Attributes:
        hu: (slice, row, column) float32: slice 0 lowest, row 0 anterior, column 0 the patient's
            right. Averaged over the coarse voxel, so that noise does not matter.
        axes: where its points lie among the samples of the grid.
        step_mm: edge of a voxel.
    """

    hu: Floats
    axes: tuple[Axis, Axis, Axis]
    step_mm: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        slices, rows, columns = self.hu.shape
        return slices, rows, columns

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel, ml."""
        return self.step_mm**3 / 1000.0

    def to_grid(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) coarse positions as positions among the samples of the grid."""
        starts = np.array([axis.start for axis in self.axes])
        steps = np.array([axis.step for axis in self.axes])
        return np.asarray(np.asarray(points, np.float64) * steps + starts, np.float64)

    def from_grid(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) positions among the samples of the grid as coarse positions."""
        starts = np.array([axis.start for axis in self.axes])
        steps = np.array([axis.step for axis in self.axes])
        return np.asarray((np.asarray(points, np.float64) - starts) / steps, np.float64)

    def at(self, mask: Mask, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Value of a coarse mask at (n, 3) positions of the grid; False outside of it."""
        index = np.rint(self.from_grid(points)).astype(np.int64)
        limits = np.array(mask.shape)
        inside = ((index >= 0) & (index < limits)).all(axis=1)
        index = np.clip(index, 0, limits - 1)
        return np.asarray(mask[tuple(index.T)] & inside, np.bool_)

    def on_grid(self, mask: Mask, box: tuple[slice, slice, slice]) -> Mask:
        """A coarse mask on a part of the grid, by the nearest voxel."""
        near = [
            np.clip(
                np.rint((np.arange(part.start, part.stop) - axis.start) / axis.step), 0, size - 1
            ).astype(np.int64)
            for part, axis, size in zip(box, self.axes, mask.shape, strict=True)
        ]
        return np.asarray(mask[np.ix_(*near)], np.bool_)


def coarse(grid: Grid, step_mm: float = COARSE_MM) -> Coarse:
    """A volume averaged to cubes of `step_mm`; the first outer edges stay where they were."""
    first, second, third = (
        _axis(count, spacing, step_mm)
        for count, spacing in zip(grid.shape, grid.spacing_mm, strict=True)
    )
    axes = (first, second, third)
    return Coarse(hu=sample_volume(grid.hu, axes), axes=axes, step_mm=step_mm)


def _axis(count: int, spacing_mm: float, step_mm: float) -> Axis:
    step = step_mm / spacing_mm
    # No voxel reaches beyond the last sample: what is not there would thin it.
    return Axis(start=(step - 1.0) / 2.0, step=step, count=max(1, int(count / step + 1e-6)))
