"""Interpolation along one axis: two neighbours and a weight, or a banded matrix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]
#: What stays where it is when the shape changes: the centres of the outermost voxels
#: (`scipy.ndimage.zoom`), or their outer edges (its `grid_mode=True`, nnU-Net).
Grid = Literal["corners", "edges"]

#: Coefficients of the cubic operator below this change no float32 result. They fall by 3.7 from
#: voxel to voxel, down to numbers so small that the processor handles each by itself.
_NEGLIGIBLE = 1e-9
#: Rows of a block: few enough that its band is narrow, many enough for a matrix product.
_BLOCK = 32


@dataclass(frozen=True, slots=True)
class Taps:
    """Linear interpolation: result = x[index] + (x[following] - x[index]) * weight."""

    index: NDArray[np.intp]
    following: NDArray[np.intp]
    weight: Floats

    @classmethod
    def whole(cls) -> Taps:
        """An axis of length 1 that stays."""
        zero = np.zeros(1, np.intp)
        return cls(zero, zero, np.zeros(1, np.float32))

    def __len__(self) -> int:
        return len(self.index)

    @property
    def _keeps(self) -> bool:
        return not self.weight.any() and np.array_equal(self.index, np.arange(len(self.index)))

    def at(self, number: int) -> tuple[int, int, np.float32]:
        """Both neighbours and the weight of one place."""
        return int(self.index[number]), int(self.following[number]), self.weight[number]

    def first(self, plane: NDArray[Any]) -> Floats:
        """Along the rows of a (row, column) plane."""
        return self._between(plane[self.index], plane[self.following], self.weight[:, np.newaxis])

    def last(self, plane: Floats) -> Floats:
        """Along the columns of a (row, column) plane."""
        if self._keeps and len(self) == plane.shape[1]:
            return plane
        return self._between(
            plane.take(self.index, axis=1), plane.take(self.following, axis=1), self.weight
        )

    def along(self, image: NDArray[Any], axis: int) -> Floats:
        """Along one axis of an image of three."""
        weight = self.weight.reshape([-1 if number == axis else 1 for number in range(3)])
        low, high = image.take(self.index, axis), image.take(self.following, axis)
        return self._between(low, high, weight)

    def shifted(self, by: int) -> Taps:
        """The same places of an image that begins elsewhere."""
        return Taps(self.index + by, self.following + by, self.weight)

    @staticmethod
    def _between(low: NDArray[Any], high: NDArray[Any], weight: Floats) -> Floats:
        start: Floats = low.astype(np.float32, copy=False)
        step: Floats = high.astype(np.float32, copy=False)
        step -= start
        step *= weight
        step += start
        return step


def taps_at(coordinates: NDArray[np.float64], length: int) -> Taps:
    """Interpolation at places of an axis; beyond its ends lies its outermost voxel."""
    inside = np.clip(coordinates, 0, length - 1)
    index = np.floor(inside).astype(np.intp)
    following = np.minimum(index + 1, length - 1)
    return Taps(index, following, (inside - index).astype(np.float32))


def grid_taps(old: int, new: int, grid: Grid) -> Taps:
    """Linear interpolation from one length to another."""
    return taps_at(_coordinates(old, new, grid), old)


def nearest_of(old: int, new: int, grid: Grid) -> NDArray[np.intp]:
    """The old index that each new one takes; of two equally near the higher, as SciPy does."""
    nearest = np.floor(_coordinates(old, new, grid) + 0.5).astype(np.intp)
    return np.clip(nearest, 0, old - 1)


def is_blank(old: int, new: int, grid: Grid) -> NDArray[np.bool_]:
    """Where `scipy.ndimage.zoom` leaves 0: at an end that rounding puts beyond the image.

    Networks were trained on volumes with this plane of zeros (length 24 -> 42, for example).
    """
    return (_coordinates(old, new, grid) > old - 1) & (grid == "corners")


@dataclass(frozen=True, slots=True)
class Band:
    """A block of rows of an operator: result[outputs] = matrix @ x[inputs]."""

    outputs: slice
    inputs: slice
    matrix: Floats


@lru_cache(maxsize=32)
def cubic_bands(old: int, new: int, grid: Grid) -> list[Band]:
    """The cubic spline of SciPy along one axis, as blocks of a banded matrix."""
    if old == new:
        operator = np.eye(old)
    else:
        operator = ndimage.zoom(
            np.eye(old),
            (new / old, 1),
            order=3,
            mode="nearest" if grid == "edges" else "constant",
            grid_mode=grid == "edges",
        )
    operator = np.where(np.abs(operator) < _NEGLIGIBLE, 0.0, operator)
    bands = []
    for start in range(0, new, _BLOCK):
        rows = operator[start : start + _BLOCK]
        used = np.flatnonzero(rows.any(axis=0))
        inputs = slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 1)
        matrix = np.ascontiguousarray(rows[:, inputs], np.float32)
        bands.append(Band(slice(start, start + len(rows)), inputs, matrix))
    return bands


def _coordinates(old: int, new: int, grid: Grid) -> NDArray[np.float64]:
    """Where the new voxels lie, in old indices."""
    places = np.arange(new, dtype=np.float64)
    if grid == "edges":
        return (places + 0.5) * (old / new) - 0.5
    return places * ((old - 1) / (new - 1) if new > 1 else 0.0)
