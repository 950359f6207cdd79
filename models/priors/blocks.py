"""Blocks of lung tissue of one scan, found again in another (normalised cross-correlation).

Blocks with many vessels in them are searched for around the place where they should be. From
where they are found follows the smooth deformation that breathing makes (thin-plate splines,
Bookstein, IEEE PAMI 1989;11:567); from where others are found follows how large the error is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import RBFInterpolator

from models.priors.grid import Coarse, Floats

#: (n, 3) LPS mm of the current scan -> (n, 3) LPS mm of the earlier one.
Move = Callable[[NDArray[np.float64]], NDArray[np.float64]]

#: Edge of a block, and of its search in each direction, in coarse voxels.
BLOCK: Final = 9
SEARCH: Final = 4
#: Blocks: half of them make the deformation, half judge it.
BLOCKS: Final = 240
#: Cells of coarse voxels of which each has one block at most.
CELL: Final = 6
#: Correlation below which a block is not found at all.
FOUND: Final = 0.6
#: Fewest blocks from which a deformation, or an error, is told.
FEWEST: Final = 12
#: How far a spline may pass by what a block says: blocks are found on whole coarse voxels.
SMOOTHING: Final = 30.0
#: A shift that differs this much from those around it is a block that was mistaken, mm.
STRAY_MM: Final = 6.0
#: Error of a block that is not found, mm: more than the search reaches.
LOST_MM: Final = 15.0

LOW_HU, HIGH_HU = -1000.0, 150.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where a block was found, (3,) mm: its place now, and how far off it lies then."""

    place: NDArray[np.float64]
    shift: NDArray[np.float64]
    score: float


def telling_places(now: Coarse) -> NDArray[np.int64]:
    """(n, 3) indices inside of the lungs with much to see around them, spread evenly."""
    inner = ndimage.binary_erosion(now.lungs, iterations=2)
    hu = np.clip(now.hu, LOW_HU, HIGH_HU)
    mean = ndimage.uniform_filter(hu, BLOCK)
    contrast = ndimage.uniform_filter(hu * hu, BLOCK) - mean * mean
    index = np.argwhere(inner)
    if not len(index):
        return index
    order = np.argsort(-contrast[tuple(index.T)], kind="stable")
    _, first = np.unique((index // CELL)[order], axis=0, return_index=True)
    # Of each cell the voxel that tells most; of too many cells every so many-th.
    best = order[np.sort(first)]
    return index[best[:: max(1, len(best) // BLOCKS)][:BLOCKS]]


def deformed(now: Coarse, then: Coarse, move: Move, places: NDArray[np.int64]) -> Move:
    """The movement with the smooth deformation that these blocks ask for."""
    seen = [one for one in _sightings(now, then, move, places) if one.score >= FOUND]
    seen = _without_strays(seen)
    if len(seen) < FEWEST:
        return move
    points = np.stack([one.place for one in seen])
    shifts = np.stack([one.shift for one in seen])
    spline = RBFInterpolator(points, shifts, kernel="linear", smoothing=SMOOTHING, degree=1)
    low, high = points.min(axis=0), points.max(axis=0)

    def moved(points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        # Beyond the last block nothing is known: what holds there holds further on.
        return move(points_mm) + np.asarray(spline(np.clip(points_mm, low, high)), np.float64)

    return moved


def error_mm(now: Coarse, then: Coarse, move: Move, places: NDArray[np.int64]) -> float:
    """90th percentile of how far off blocks are found; infinite where too few are shown."""
    seen = _sightings(now, then, move, places)
    if len(seen) < FEWEST:
        return float("inf")
    errors = [float(np.linalg.norm(one.shift)) if one.score >= FOUND else LOST_MM for one in seen]
    return float(np.percentile(errors, 90))


def _without_strays(seen: list[Sighting]) -> list[Sighting]:
    if len(seen) < FEWEST:
        return seen
    points = np.stack([one.place for one in seen])
    shifts = np.stack([one.shift for one in seen])
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    around = np.argsort(distance, axis=1, kind="stable")[:, 1:9]
    usual = np.median(shifts[around], axis=1)
    stray = np.linalg.norm(shifts - usual, axis=1) > STRAY_MM
    return [one for one, is_stray in zip(seen, stray, strict=True) if not is_stray]


def _sightings(now: Coarse, then: Coarse, move: Move, places: NDArray[np.int64]) -> list[Sighting]:
    found = (_sighting(now, then, move, place) for place in places)
    return [one for one in found if one is not None]


def _sighting(now: Coarse, then: Coarse, move: Move, index: NDArray[np.int64]) -> Sighting | None:
    """Where one block is found; None where either scan does not show all of its surroundings."""
    half, wide = BLOCK // 2, BLOCK // 2 + SEARCH
    if ((index < half) | (index >= np.asarray(now.hu.shape) - half)).any():
        return None
    middle = now.affine[:3, :3] @ index + now.affine[:3, 3]
    # Near one place the movement is nearly affine: four points tell it.
    steps = now.affine[:3, :3].T
    moved = move(np.stack([middle, *(middle + 4.0 * step for step in steps)]))
    matrix = ((moved[1:] - moved[0]) / 4.0).T
    place = _around(then, matrix, moved[0], wide)
    if place is None:
        return None
    block = now.hu[tuple(slice(i - half, i + half + 1) for i in index)]
    score = _correlations(np.clip(block, LOW_HU, HIGH_HU), np.clip(place, LOW_HU, HIGH_HU))
    best = np.unravel_index(int(score.argmax()), score.shape)
    return Sighting(middle, matrix @ (np.asarray(best) - SEARCH), float(score[best]))


def _around(
    then: Coarse, matrix: NDArray[np.float64], centre_mm: NDArray[np.float64], wide: int
) -> Floats | None:
    """The earlier scan around a point, on the axes of the current one."""
    inverse = np.linalg.inv(then.affine)
    linear = inverse[:3, :3] @ matrix
    start = inverse[:3, :3] @ centre_mm + inverse[:3, 3] - linear @ np.full(3, float(wide))
    size = 2 * wide + 1
    corners = start + np.array(
        [linear @ (np.array(corner) * (size - 1.0)) for corner in np.ndindex(2, 2, 2)]
    )
    if (corners < 0).any() or (corners > np.asarray(then.hu.shape) - 1).any():
        return None
    place: Floats = ndimage.affine_transform(
        then.hu, linear, offset=start, output_shape=(size, size, size), order=1
    )
    return place


def _correlations(block: Floats, place: Floats) -> NDArray[np.float64]:
    """(shift, shift, shift) normalised cross-correlation of a block with each part of a place."""
    wanted = (block - block.mean()).ravel()
    parts = np.lib.stride_tricks.sliding_window_view(place, block.shape)
    flat = parts.reshape(-1, wanted.size)
    mean = flat.mean(axis=1)
    spread = np.sqrt(np.maximum(np.einsum("ij,ij->i", flat, flat) - wanted.size * mean**2, 1e-3))
    # The mean of a part meets the sum of `wanted`, which is 0.
    score = (flat @ wanted) / (spread * max(float(np.linalg.norm(wanted)), 1e-3))
    shifts = parts.shape[:3]
    return np.asarray(score, np.float64).reshape(shifts)
