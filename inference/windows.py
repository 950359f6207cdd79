"""Sliding windows: a network with a fixed patch over an image of any size, 2-D or 3-D.

Neighbouring windows overlap and are averaged with Gaussian weights, since a network is least
sure at the edge of what it sees. Where windows do not overlap, the weights are constant.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
#: (batch, channel, *patch) -> (batch, class, *patch).
Infer = Callable[[Array], Array]

#: Standard deviation of the weights as a fraction of the patch; MONAI and nnU-Net use the same.
_SIGMA_FRACTION = 0.125
#: What is outside the image, in the network's range (0 = the low end of `value_range`).
_OUTSIDE = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Windowing:
    """How an image is cut.

    Attributes:
        patch: size of a window, one number for each spatial axis.
        overlap: fraction of a window that it shares with the next, at least; 0 <= overlap < 1.
        batch: windows a call.
    """

    patch: tuple[int, ...]
    overlap: float
    batch: int


def run_windows(infer: Infer, image: Array, windowing: Windowing) -> Array:
    """Weighted mean of the outputs of all windows.

    Args:
        infer: called with (n, channel, *patch) float32, n <= batch.
        image: (channel, *spatial) float32. An axis shorter than the patch is padded with 0
            on both sides, and the output cropped back.

    Returns:
        (class, *spatial) float32.
    """
    output: Array = run_stack(infer, image[np.newaxis], windowing)[0]
    return output


def run_stack(infer: Infer, images: Array, windowing: Windowing) -> Array:
    """`run_windows` over independent images of one size; windows of several share a call.

    Args:
        images: (image, channel, *spatial) float32; for a 2-D network over a volume
            (slice, channel, row, column).

    Returns:
        (image, class, *spatial) float32.
    """
    patch = windowing.patch
    if images.ndim != len(patch) + 2 or 0 in images.shape:
        raise ValueError(f"images of shape {images.shape} do not fit windows of {patch}")
    padded, inner = _pad(images, patch)
    spatial = padded.shape[2:]
    weights = _weights(windowing)
    total = np.zeros(spatial, np.float32)
    corners = list(_corners(spatial, windowing))
    for corner in corners:
        total[_window(corner, patch)[1:]] += weights
    sums: Array | None = None
    places = itertools.product(range(len(padded)), corners)
    while chosen := list(itertools.islice(places, windowing.batch)):
        windows = [padded[number][_window(at, patch)] for number, at in chosen]
        outputs = infer(np.stack(windows))
        if sums is None:
            sums = np.zeros((len(padded), outputs.shape[1], *spatial), np.float32)
        for (number, at), output in zip(chosen, outputs, strict=True):
            target = sums[number][_window(at, patch)]
            target += output if len(corners) == 1 else output * weights
    assert sums is not None
    if len(corners) > 1:
        sums /= total
    return np.ascontiguousarray(sums[(slice(None), slice(None), *inner)])


def starts(length: int, patch: int, overlap: float) -> tuple[int, ...]:
    """First indices of the windows of one axis: evenly spread, the last one ends at the end."""
    if length <= patch:
        return (0,)
    step = max(1, int(patch * (1.0 - overlap)))
    count = math.ceil((length - patch) / step) + 1
    return tuple(round(number * (length - patch) / (count - 1)) for number in range(count))


def gaussian(patch: tuple[int, ...]) -> Array:
    """(*patch) float32, largest 1 in the middle, nowhere 0.

    The corner of a 3-D patch weighs 4e-11, which float32 holds; a floor, as where weights are
    float16, would make a window's worst voxels count as much as another's better ones.
    """
    weights = np.ones((), np.float64)
    for size in patch:
        distance = np.arange(size) - (size - 1) / 2
        axis = np.exp(-0.5 * np.square(distance / (_SIGMA_FRACTION * size)))
        weights = weights[..., np.newaxis] * axis
    scaled: Array = (weights / weights.max()).astype(np.float32)
    return scaled


def _weights(windowing: Windowing) -> Array:
    if windowing.overlap > 0:
        return gaussian(windowing.patch)
    return np.ones(windowing.patch, np.float32)


def _corners(spatial: tuple[int, ...], windowing: Windowing) -> Iterator[tuple[int, ...]]:
    axes = zip(spatial, windowing.patch, strict=True)
    return itertools.product(*(starts(length, patch, windowing.overlap) for length, patch in axes))


def _window(corner: tuple[int, ...], patch: tuple[int, ...]) -> tuple[slice, ...]:
    """Index of a window in (channel, *spatial)."""
    spatial = (slice(at, at + size) for at, size in zip(corner, patch, strict=True))
    return (slice(None), *spatial)


def _pad(images: Array, patch: tuple[int, ...]) -> tuple[Array, tuple[slice, ...]]:
    """Images at least as large as the patch, and where the original lies in them."""
    margins = []
    inner = []
    for length, size in zip(images.shape[2:], patch, strict=True):
        missing = max(0, size - length)
        margins.append((missing // 2, missing - missing // 2))
        inner.append(slice(missing // 2, missing // 2 + length))
    if not any(after for _, after in margins):
        return images, tuple(inner)
    widths = [(0, 0), (0, 0), *margins]
    return np.pad(images, widths, constant_values=_OUTSIDE), tuple(inner)
