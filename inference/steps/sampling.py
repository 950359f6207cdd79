"""Resampling along axes: every output sample of an axis reads the source at one position.

All rules for the size and the place of a new grid (MONAI, nnU-Net, scipy, torch) come down to
`position = scale * index + offset` for each axis. Positions outside read the edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

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
        """The map back to a source of `count` samples."""
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
    """(channel, *spatial) -> float32, interpolated axis by axis, the strongest shrinkage first."""
    order = sorted(range(len(maps)), key=lambda axis: -maps[axis].scale)
    for axis in order:
        along, length = maps[axis], values.shape[axis + 1]
        if not along.is_identity(length):
            values = _linear_along(values, axis + 1, along.positions(length))
    return np.asarray(values, np.float32)


def _linear_along(values: Array, axis: int, at: NDArray[np.float64]) -> Floats:
    lower = np.floor(at).astype(np.intp)
    upper = np.minimum(lower + 1, values.shape[axis] - 1)
    shape = [1] * values.ndim
    shape[axis] = len(at)
    part = (at - lower).astype(np.float32).reshape(shape)
    below = values.take(lower, axis=axis).astype(np.float32, copy=False)
    above = values.take(upper, axis=axis).astype(np.float32, copy=False)
    above -= below
    above *= part
    below += above
    return below


def cubic(
    values: Array, maps: Sequence[AxisMap], *, corners: bool, by_plane: bool = False
) -> Floats:
    """(channel, *spatial) -> float32 by cubic B-splines, mode nearest.

    An axis whose map is the identity is not touched: its planes are read one by one.

    Args:
        maps: with `corners` all of them `corners_kept` (scipy.ndimage.zoom), else all of them
            `edges_kept` and values kept inside the range of what is read (skimage.resize).
        by_plane: what is read, for that range, is a plane and not the whole channel.
    """
    shape = tuple(along.count for along in maps)
    out = np.empty((len(values), *shape), np.float32)
    still = [
        axis
        for axis, (along, length) in enumerate(zip(maps, values.shape[1:], strict=True))
        if along.is_identity(length)
    ]
    if len(still) == len(maps):
        return np.asarray(values, np.float32)
    for target, source in zip(out, values, strict=True):
        if len(still) == 1:
            axis = still[0]
            for plane, read in zip(
                np.moveaxis(target, axis, 0), np.moveaxis(source, axis, 0), strict=True
            ):
                limits = read if by_plane else source
                plane[...] = _spline(read, plane.shape, None if corners else limits)
        else:
            target[...] = _spline(source, target.shape, None if corners else source)
    return out


def _spline(source: Array, shape: tuple[int, ...], limits: Array | None) -> NDArray[np.float64]:
    """One array to a shape: end samples kept, or outer edges and the range of `limits`."""
    exact = source.astype(np.float64)
    factors = [count / length for count, length in zip(shape, source.shape, strict=True)]
    out: NDArray[np.float64] = ndimage.zoom(
        exact, factors, order=3, mode="nearest", grid_mode=limits is not None
    )
    if limits is not None:
        np.clip(out, float(limits.min()), float(limits.max()), out=out)
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
    kind = values.dtype if order == 0 else np.dtype(np.float32)
    out = np.empty((len(values), *shape), kind)
    transform: Any = ndimage.affine_transform  # its stubs know no output array
    for channel, source in zip(out, values, strict=True):
        given = source if order == 0 else source.astype(np.float32, copy=False)
        transform(given, matrix, output_shape=shape, output=channel, order=order, mode="nearest")
    return out
