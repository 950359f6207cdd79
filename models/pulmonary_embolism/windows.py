"""Running a network over the windows that matter, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.grid import Floats, Mask, normalised
from node.domain.imaging import Network

#: Windows in one call of the network.
_BATCH = 8
#: Part of a window that its neighbour shares.
_OVERLAP = 0.2


def probabilities(
    hu: Floats, where: Mask, network: Network, patch: int, value_range: tuple[float, float]
) -> Floats:
    """Softmax of a network over all windows that hold a voxel of `where`.

    Args:
        hu: (slice, row, column) on the grid of the network. where: the same grid.

    Returns:
        (class, slice, row, column) float16; all 0 where no window lay.
    """
    shape = tuple(max(size, patch) for size in hu.shape)
    starts = [window for window in _windows(shape, patch) if _held(where, window, patch)]
    weight = _weight(patch)
    total: Floats | None = None
    sums = np.zeros(shape, np.float32)
    for first in range(0, len(starts), _BATCH):
        some = starts[first : first + _BATCH]
        stack = np.stack([_cut(hu, window, patch) for window in some])[:, None]
        logits = network.run(normalised(stack, value_range))
        if total is None:
            total = np.zeros((logits.shape[1], *shape), np.float32)
        for window, answer in zip(some, softmax(logits), strict=True):
            box = tuple(slice(start, start + patch) for start in window)
            total[(slice(None), *box)] += answer * weight
            sums[box] += weight
    if total is None:
        return np.zeros((1, *hu.shape), np.float32)
    np.maximum(sums, 1e-6, out=sums)
    total /= sums
    z, y, x = hu.shape
    return total[:, :z, :y, :x]


def _windows(shape: tuple[int, ...], patch: int) -> Iterator[tuple[int, int, int]]:
    step = max(1, round(patch * (1 - _OVERLAP)) // 2 * 2)
    axes = []
    for size in shape:
        count = 1 + max(0, -(-(size - patch) // step))
        axes.append([min(k * step, size - patch) for k in range(count)])
    for z in axes[0]:
        for y in axes[1]:
            for x in axes[2]:
                yield z, y, x


def _held(where: Mask, window: tuple[int, int, int], patch: int) -> bool:
    z, y, x = window
    return bool(where[z : z + patch, y : y + patch, x : x + patch].any())


def _cut(hu: Floats, window: tuple[int, int, int], patch: int) -> Floats:
    z, y, x = window
    part = hu[z : z + patch, y : y + patch, x : x + patch]
    missing = [(0, patch - size) for size in part.shape]
    return np.pad(part, missing, mode="edge") if any(m[1] for m in missing) else part


def _weight(patch: int) -> Floats:
    at = np.arange(patch) - (patch - 1) / 2
    line = np.exp(-0.5 * (at / (0.25 * patch)) ** 2)
    cube = line[:, None, None] * line[None, :, None] * line[None, None, :]
    return np.asarray(np.maximum(cube, 1e-3), np.float32)


def softmax(logits: Floats) -> Floats:
    chances: Floats = logits - logits.max(axis=1, keepdims=True)
    np.exp(chances, out=chances)
    chances /= chances.sum(axis=1, keepdims=True)
    return chances
