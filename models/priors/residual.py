"""How far off a registration is, measured where the optimiser did not look.

Blocks around vessels of the current scan are searched for in the earlier one, around the place
where they should be (normalised cross-correlation). Where the best place is far away, or where
none resembles the block, the registration is wrong there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.priors.grid import Coarse, Floats

#: Edge of a block, and of its search in each direction, in coarse voxels.
BLOCK: Final = 9
SEARCH: Final = 4
#: Blocks that are looked for.
BLOCKS: Final = 60
#: Correlation below which a block is not found at all.
FOUND: Final = 0.5
#: Error of a block that is not found, mm: more than the search reaches.
LOST_MM: Final = 15.0

_Move = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def residual_mm(now: Coarse, then: Coarse, to_prior: _Move) -> float:
    """90th percentile of the errors of the blocks that both scans show; infinite without any."""
    centres = _centres(now)
    errors = [
        error for centre in centres if (error := _error(now, then, to_prior, centre)) is not None
    ]
    return float(np.percentile(errors, 90)) if len(errors) >= 10 else float("inf")


def _centres(now: Coarse) -> NDArray[np.int64]:
    """(n, 3) indices inside of the lungs with much to see, spread evenly."""
    inner = ndimage.binary_erosion(now.lungs, iterations=2)
    hu = np.clip(now.hu, -1000, 150)
    mean = ndimage.uniform_filter(hu, BLOCK)
    contrast = ndimage.uniform_filter(hu * hu, BLOCK) - mean * mean
    index = np.argwhere(inner)
    if not len(index):
        return index
    # The most telling voxel of each cell of a regular grid, then the most telling cells of all.
    cells = index // 8
    order = np.argsort(-contrast[tuple(index.T)], kind="stable")
    _, first = np.unique(cells[order], axis=0, return_index=True)
    best = order[np.sort(first)][: 4 * BLOCKS]
    return index[best[:: max(1, len(best) // BLOCKS)][:BLOCKS]]


def _error(now: Coarse, then: Coarse, to_prior: _Move, centre: NDArray[np.int64]) -> float | None:
    half, wide = BLOCK // 2, BLOCK // 2 + SEARCH
    if ((centre < half) | (centre >= np.asarray(now.hu.shape) - half)).any():
        return None
    block = now.hu[tuple(slice(c - half, c + half + 1) for c in centre)]
    place = _around(now, then, to_prior, centre, wide)
    if place is None:
        return None
    score = _correlations(np.clip(block, -1000, 150), np.clip(place, -1000, 150))
    best = np.unravel_index(int(score.argmax()), score.shape)
    if score[best] < FOUND:
        return LOST_MM
    shift = (np.asarray(best) - SEARCH) * now.spacing_mm
    return float(np.linalg.norm(shift))


def _around(
    now: Coarse, then: Coarse, to_prior: _Move, centre: NDArray[np.int64], wide: int
) -> Floats | None:
    """The earlier scan around the expected place, on the axes of the current one."""
    middle = now.affine[:3, :3] @ centre + now.affine[:3, 3]
    # Near one place the deformation is nearly affine: four points tell it.
    steps = now.affine[:3, :3].T
    moved = to_prior(np.stack([middle, *(middle + 4.0 * step for step in steps)]))
    matrix = ((moved[1:] - moved[0]) / 4.0).T
    inverse = np.linalg.inv(then.affine)
    linear = inverse[:3, :3] @ matrix
    start = inverse[:3, :3] @ moved[0] + inverse[:3, 3] - linear @ np.full(3, float(wide))
    size = 2 * wide + 1
    corners = start + np.array(
        [linear @ (np.array(c) * (size - 1)) for c in np.ndindex(2, 2, 2)], np.float64
    )
    if (corners < 0).any() or (corners > np.asarray(then.hu.shape) - 1).any():
        return None
    place: Floats = ndimage.affine_transform(
        then.hu, linear, offset=start, output_shape=(size, size, size), order=1
    )
    return place


def _correlations(block: Floats, place: Floats) -> NDArray[np.float64]:
    """(shift, shift, shift) normalised cross-correlation of a block with each part of a place."""
    parts = np.lib.stride_tricks.sliding_window_view(place, block.shape).astype(np.float64)
    flat = parts.reshape(*parts.shape[:3], -1)
    flat = flat - flat.mean(axis=3, keepdims=True)
    wanted = block.ravel().astype(np.float64)
    wanted = wanted - wanted.mean()
    norm = np.linalg.norm(flat, axis=3) * np.linalg.norm(wanted)
    score: NDArray[np.float64] = (flat @ wanted) / np.maximum(norm, 1e-6)
    return score
