"""Images on another grid: linear, nearest and cubic, each as a framework of the field does it.

    resample            any affine map, linear or nearest     MONAI `Spacing`, torch `grid_sample`
    interpolate         a small part of a linear result       the same
    zoom                another shape, corner onto corner     `scipy.ndimage.zoom`
    resize              another shape, edge onto edge         `skimage.transform.resize`, nnU-Net
    resize_separately   as resize, but one axis by itself     nnU-Net for thick slices

What is separable is done axis by axis and plane by plane, so that an int16 volume is never
copied as a whole. A cubic spline is linear in its input: along one axis it is a matrix, which
SciPy itself gives (it zooms the identity), and three products with it take a tenth of the time
of `scipy.ndimage.zoom` at the same values.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference.axis_operator import (
    Band,
    Grid,
    Taps,
    cubic_bands,
    grid_taps,
    is_blank,
    nearest_of,
    taps_at,
)

Image = NDArray[Any]
Floats = NDArray[np.float32]
Order = Literal[0, 1, 3]
Outside = Literal["nearest", "constant"]

#: More threads gain nothing: the planes come from memory.
_MOST_THREADS = 4
#: A map that bends an axis by less than this, in voxels, over the whole image is straight.
_STRAIGHT = 1e-4


def resample(
    image: Image,
    matrix: NDArray[np.float64],
    shape: tuple[int, ...],
    interpolation: Literal["linear", "nearest"] = "linear",
    outside: Outside | float = "nearest",
) -> Image:
    """An image on the grid that an affine map says.

    Args:
        image: (*spatial), 2-D or 3-D.
        matrix: (n + 1, n + 1), index of a voxel of the result -> index in `image`.
        shape: of the result.
        outside: beyond the image lies its border ("nearest"; torch says "border"), or this
            value, into which the outermost half voxel fades (0.0 is torch's "zeros").

    Returns:
        (*shape) float32 for "linear", of the type of `image` for "nearest" (ties to even).
    """
    if image.ndim != len(shape) or matrix.shape != (image.ndim + 1, image.ndim + 1):
        raise ValueError(f"a map of {matrix.shape} does not take {image.shape} to {shape}")
    source = _axis_of_each(matrix[:-1, :-1], shape)
    if source is None:
        return _resample_oblique(image, matrix, shape, interpolation, outside)
    turned = image.transpose(source)
    coordinates = [
        matrix[axis, number] * np.arange(size) + matrix[axis, -1]
        for number, (axis, size) in enumerate(zip(source, shape, strict=True))
    ]
    if interpolation == "nearest":
        return _pick(turned, coordinates, outside)
    if outside != "nearest":
        turned = _surrounded(turned, float(outside))
        coordinates = [along + 1 for along in coordinates]
    taps = [taps_at(along, size) for along, size in zip(coordinates, turned.shape, strict=True)]
    return _linear(turned, taps)


def interpolate(image: Image, taps: Sequence[Taps]) -> Floats:
    """A part of what `resample` gives, in one piece and in the thread of the caller.

    Args:
        image: (plane, row, column). taps: the places of the part along each axis.

    Returns:
        (*lengths of the taps) float32.
    """
    along, rows, columns = taps
    first, last = int(along.index.min()), int(along.following.max())
    planes = columns.along(rows.along(image[first : last + 1], 1), 2)
    return along.shifted(-first).along(planes, 0)


def zoom(image: Image, shape: tuple[int, ...], order: Order) -> Image:
    """`scipy.ndimage.zoom(image, ..., order=order)` to this shape.

    The centres of the outermost voxels stay where they are.

    Returns:
        (*shape) float32; of the type of `image` for order 0.
    """
    return _to_shape(image, shape, order, "corners")


def resize(image: Image, shape: tuple[int, ...], order: Order) -> Image:
    """`skimage.transform.resize(image, shape, order, mode="edge", anti_aliasing=False)`.

    The outer edges of the outermost voxels stay where they are; a cubic result is clipped to
    the range of the image. nnU-Net 2.8 resamples so.

    Returns:
        (*shape) float32; of the type of `image` for order 0.
    """
    resized = _to_shape(image, shape, order, "edges")
    if order > 1 and image.shape != shape:
        np.clip(resized, image.min(), image.max(), out=resized)
    return resized


def resize_separately(
    image: Image, shape: tuple[int, int, int], axis: int, order: Order, order_z: Literal[0, 1]
) -> Image:
    """`resize` of every plane by itself, then along `axis` with an order of its own.

    What nnU-Net does with thick slices: a cubic result is clipped to the range of each plane.
    """
    planes = np.moveaxis(image, axis, 0)
    depth = shape[axis]
    plane_shape = tuple(size for number, size in enumerate(shape) if number != axis)
    resized: Image
    if plane_shape == planes.shape[1:]:
        resized = planes
    else:
        resized = np.stack([resize(plane, plane_shape, order) for plane in planes])
    if depth != len(resized):
        resized = _to_shape(resized, (depth, *plane_shape), order_z, "edges")
    return np.ascontiguousarray(np.moveaxis(resized, 0, axis))


def _to_shape(image: Image, shape: tuple[int, ...], order: Order, grid: Grid) -> Image:
    if image.ndim != len(shape):
        raise ValueError(f"an image of {image.shape} cannot get the shape {shape}")
    sizes = list(zip(image.shape, shape, strict=True))
    result: Image
    if order == 0:
        result = image[np.ix_(*(nearest_of(old, new, grid) for old, new in sizes))]
    elif image.shape == shape:
        return image.astype(np.float32)
    elif order == 1:
        result = _linear(image, [grid_taps(old, new, grid) for old, new in sizes])
    else:
        # Its matrices hold what is blank.
        return _cubic(image, [cubic_bands(old, new, grid) for old, new in sizes], shape)
    for axis, (old, new) in enumerate(sizes):
        np.moveaxis(result, axis, 0)[is_blank(old, new, grid)] = 0
    return result


def _axis_of_each(linear: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The axis of the image that each axis of the result runs along; None when oblique."""
    bend = np.abs(linear) * (np.array(shape) - 1)
    chosen: list[int] = [int(axis) for axis in np.abs(linear).argmax(axis=0)]
    if len(set(chosen)) != len(chosen):
        return None
    bend[chosen, range(len(chosen))] = 0
    return tuple(chosen) if bend.sum(axis=1).max() < _STRAIGHT else None


def _linear(image: Image, taps: list[Taps]) -> Floats:
    """Separable linear interpolation, (*spatial) 1-D to 3-D."""
    lead = 3 - image.ndim
    whole = Taps.whole()
    along, rows, columns = [whole] * lead + taps
    image = image.reshape((1,) * lead + image.shape)
    result = np.empty((len(along), len(rows), len(columns)), np.float32)

    def fill(numbers: Iterable[int]) -> None:
        held: dict[int, Floats] = {}
        for number in numbers:
            first, second, weight = along.at(number)
            # Consecutive planes of the result mostly lie between the same two of the image.
            held = {
                at: held[at] if at in held else columns.last(rows.first(image[at]))
                for at in {first, second}
            }
            target = result[number]
            np.subtract(held[second], held[first], out=target)
            target *= weight
            target += held[first]

    each_in_threads(fill, np.array_split(np.arange(len(along)), threads()))
    reshaped: Floats = result.reshape(result.shape[lead:])
    return reshaped


def _cubic(image: Image, bands: list[list[Band]], shape: tuple[int, ...]) -> Floats:
    """Separable cubic interpolation by one banded matrix an axis, (*spatial) 2-D or 3-D."""
    lead = 3 - image.ndim
    image = image.reshape((1,) * lead + image.shape)
    *first, rows, columns = bands
    between = np.empty((len(image), *shape[-2:]), np.float32)

    def plane(number: int) -> None:
        values = image[number].astype(np.float32)
        narrow = np.empty((len(values), shape[-1]), np.float32)
        for band in columns:
            np.matmul(values[:, band.inputs], band.matrix.T, out=narrow[:, band.outputs])
        for band in rows:
            np.matmul(band.matrix, narrow[band.inputs], out=between[number, band.outputs])

    each_in_threads(plane, range(len(image)))
    if not first:
        flat_image: Floats = between[0]
        return flat_image
    result = np.empty(shape, np.float32)
    flat, flat_between = result.reshape(shape[0], -1), between.reshape(len(image), -1)

    def block(band: Band) -> None:
        np.matmul(band.matrix, flat_between[band.inputs], out=flat[band.outputs])

    each_in_threads(block, first[0])
    return result


def _pick(image: Image, coordinates: list[NDArray[np.float64]], outside: Outside | float) -> Image:
    """The nearest voxel of each place; ties to even, as torch rounds."""
    indices = [np.rint(along).astype(np.intp) for along in coordinates]
    sizes = image.shape
    clamped = [np.clip(along, 0, n - 1) for along, n in zip(indices, sizes, strict=True)]
    picked = image[np.ix_(*clamped)]
    if outside != "nearest":
        for axis, (along, size) in enumerate(zip(indices, sizes, strict=True)):
            beyond = (along < 0) | (along >= size)
            np.moveaxis(picked, axis, 0)[beyond] = outside
    return picked


def _surrounded(image: Image, value: float) -> Image:
    """The image with one voxel of a value around it, in a type that holds both."""
    if np.issubdtype(image.dtype, np.integer):
        limits = np.iinfo(image.dtype)
        if not (value.is_integer() and limits.min <= value <= limits.max):
            image = image.astype(np.float32)
    return np.pad(image, 1, constant_values=value)


def _resample_oblique(
    image: Image,
    matrix: NDArray[np.float64],
    shape: tuple[int, ...],
    interpolation: Literal["linear", "nearest"],
    outside: Outside | float,
) -> Image:
    """By SciPy, in slabs of the first axis."""
    is_linear = interpolation == "linear"
    result: Image = np.empty(shape, np.float32 if is_linear else image.dtype)
    linear, shift = matrix[:-1, :-1], matrix[:-1, -1]

    def fill(numbers: NDArray[np.intp]) -> None:
        if not len(numbers):
            return
        ndimage.affine_transform(
            image,
            linear,
            offset=shift + linear[:, 0] * numbers[0],
            output=result[numbers[0] : numbers[-1] + 1],
            order=1 if is_linear else 0,
            # "grid-constant" lets the border fade, as torch does; "constant" would cut it.
            mode="nearest" if outside == "nearest" else "grid-constant",
            cval=0.0 if outside == "nearest" else float(outside),
        )

    each_in_threads(fill, np.array_split(np.arange(shape[0]), threads()))
    return result


def threads() -> int:
    """As many as the work on one volume is worth on this machine."""
    return min(_MOST_THREADS, len(os.sched_getaffinity(0)))


def each_in_threads(work: Callable[[Any], None], parts: Iterable[Any]) -> None:
    """Do the work of every part, several at a time; raises what one of them raised."""
    with ThreadPoolExecutor(threads()) as pool:
        for _ in pool.map(work, parts):
            pass
