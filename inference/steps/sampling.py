"""Resampling along axes: every output sample of an axis reads the source at one position.

All rules for the size and the place of a new grid (MONAI, nnU-Net, scipy, torch) come down to
`position = scale * index + offset` for each axis. Positions outside read the edge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference.resampling import resample, resize

Array = NDArray[Any]
Floats = NDArray[np.float32]
#: Of a position exactly between two samples, for nearest: torch grid_sample rounds to even,
#: scipy up; torch interpolate takes the sample at or below.
Rounding = Literal["even", "up", "down"]


@dataclass(frozen=True, slots=True)
class AxisMap:
    """`count` samples; sample `i` lies at `scale * i + offset` of the source's samples."""

    scale: float
    offset: float
    count: int

    @classmethod
    def edges_kept(cls, source: int, count: int) -> AxisMap:
        """Both outer edges stay where they are (align_corners off, skimage.resize)."""
        scale = source / count
        return cls(scale, scale / 2 - 0.5, count)

    @classmethod
    def corners_kept(cls, source: int, count: int) -> AxisMap:
        """Both end samples stay where they are (align_corners, scipy.ndimage.zoom)."""
        scale = (source - 1) / (count - 1) if count > 1 else 1.0
        return cls(scale, 0.0, count)

    def inverse(self, count: int) -> AxisMap:
        """The map back to a source of `count` samples.

        Where all samples lie at the only one of the source, it takes the first of them.
        """
        if self.scale == 0.0:
            return AxisMap(1.0, 0.0, count)
        return AxisMap(1 / self.scale, -self.offset / self.scale, count)

    def is_identity(self, length: int) -> bool:
        """Does it read every sample of a source of that length as it is?"""
        return self.scale == 1.0 and self.offset == 0.0 and self.count == length

    def positions(self, length: int) -> NDArray[np.float64]:
        """Where each sample lies in a source of that length, kept inside it."""
        at = self.scale * np.arange(self.count, dtype=np.float64) + self.offset
        return np.asarray(np.clip(at, 0.0, length - 1.0), np.float64)


def nearest(values: Array, maps: Sequence[AxisMap], rounding: Rounding) -> Array:
    """(channel, *spatial) of any type, unchanged in type."""
    for axis, along in enumerate(maps, start=1):
        length = values.shape[axis]
        if not along.is_identity(length):
            values = values.take(_rounded(along.positions(length), rounding, length), axis=axis)
    return values


def _rounded(at: NDArray[np.float64], rounding: Rounding, length: int) -> NDArray[np.intp]:
    if rounding == "even":
        whole = np.rint(at)
    elif rounding == "up":
        whole = np.floor(at + 0.5)
    else:
        # 1e-9: 3 * (7 / 3) must be 7, whatever its last bit says.
        whole = np.floor(at + 1e-9)
    return np.asarray(np.clip(whole, 0, length - 1), np.intp)


def linear(values: Array, maps: Sequence[AxisMap]) -> Floats:
    """(channel, *spatial) -> float32, interpolated axis by axis; outside is the edge."""
    if all(along.is_identity(size) for along, size in zip(maps, values.shape[1:], strict=True)):
        return np.asarray(values, np.float32)
    shape = tuple(along.count for along in maps)
    return _each(values, shape, lambda channel: resample(channel, matrix_of(maps), shape))


def matrix_of(maps: Sequence[AxisMap]) -> NDArray[np.float64]:
    """The same maps as one affine matrix, new index to source index."""
    matrix = np.diag([*(along.scale for along in maps), 1.0])
    matrix[:-1, -1] = [along.offset for along in maps]
    return matrix


def cubic(
    values: Array, maps: Sequence[AxisMap], *, corners: bool, by_plane: bool = False
) -> Array:
    """(channel, *spatial) by cubic B-splines; an axis whose map is the identity is not touched.

    Args:
        maps: with `corners` all of them `corners_kept`: `scipy.ndimage.zoom` with mode nearest
            itself, in float64, so that a cast behind it cuts off what it cut off in training.
            Else all of them `edges_kept`: as skimage.resize, clipped to the range of the
            channel, float32.
        by_plane: clip to the range of each plane across the axis whose map is the identity, as
            nnU-Net does with thick slices.
    """
    shape = tuple(along.count for along in maps)
    still = [
        axis
        for axis, (along, length) in enumerate(zip(maps, values.shape[1:], strict=True))
        if along.is_identity(length)
    ]
    if len(still) == len(maps):
        return values
    if corners:
        return zoomed(values, maps, 3)
    if not by_plane or len(still) != 1:
        return _each(values, shape, lambda channel: resize(channel, shape, 3))
    (axis,) = still
    planar = tuple(size for number, size in enumerate(shape) if number != axis)

    def planes(channel: Array) -> Array:
        read = [resize(plane, planar, 3) for plane in np.moveaxis(channel, axis, 0)]
        return np.stack(read, axis=axis)

    return _each(values, shape, planes)


def zoomed(values: Array, maps: Sequence[AxisMap], order: Literal[0, 1, 3]) -> Array:
    """(channel, *spatial) by `scipy.ndimage.zoom` itself, mode nearest, to the last bit.

    Returns:
        float64, so that a cast behind it cuts off what it cut off in training; the type of the
        values for order 0.
    """
    factors = [along.count / length for along, length in zip(maps, values.shape[1:], strict=True)]
    kept = values if order == 0 else values.astype(np.float64)
    return np.stack([ndimage.zoom(one, factors, order=order, mode="nearest") for one in kept])


def _each(values: Array, shape: tuple[int, ...], read: Callable[[Array], Array]) -> Floats:
    """Channel by channel into one float32 array."""
    out = np.empty((len(values), *shape), np.float32)
    for target, channel in zip(out, values, strict=True):
        target[...] = read(channel)
    return out


def area(values: Array, sizes: Sequence[int]) -> Floats:
    """(channel, *spatial) -> float32: means over the source samples that a new one touches.

    Sample i covers the samples from floor(i * n / m) up to ceil((i + 1) * n / m)
    (torch adaptive average pooling, interpolate mode "area").
    """
    result = values.astype(np.float32, copy=False)
    for axis, count in enumerate(sizes, start=1):
        length = result.shape[axis]
        if count == length:
            continue
        index = np.arange(count)
        first, behind = index * length // count, -(-(index + 1) * length // count)
        sums = np.cumsum(result, axis=axis, dtype=np.float64)
        sums = np.concatenate([np.zeros_like(sums.take([0], axis=axis)), sums], axis=axis)
        shape = [1] * result.ndim
        shape[axis] = count
        total = sums.take(behind, axis=axis) - sums.take(first, axis=axis)
        result = (total / (behind - first).reshape(shape)).astype(np.float32)
    return np.asarray(result, np.float32)


def affine(values: Array, matrix: NDArray[np.float64], shape: tuple[int, ...], order: int) -> Array:
    """(channel, *spatial) on a grid whose index maps by (4, 4) `matrix` into the source's.

    For grids that are not parallel to the source's axes; nearest (order 0, type kept) or
    linear (order 1, float32).
    """
    word: Literal["nearest", "linear"] = "nearest" if order == 0 else "linear"
    return np.stack([resample(channel, matrix, shape, word) for channel in values])
