"""Labels of 2 mm on the voxels of the series, with smooth borders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.grid import Floats, Grid
from node.domain.anatomy import Anatomy
from node.domain.errors import ModelError

_TOLERANCE = 1e-3


def on_source(anatomy: Anatomy, grid: Grid, values: Sequence[int]) -> NDArray[np.uint8]:
    """The structures of `values`, numbered from 1 in that order, on the canonical source grid.

    Each structure is interpolated for itself and taken where it reaches one half, so no voxel
    has two; where three meet, a voxel can have none.

    Raises:
        ModelError: the anatomy is not of this series: its axes run another way.
    """
    steps, starts = _axes(anatomy, grid)
    out = np.zeros(grid.shape, np.uint8)
    boxes = ndimage.find_objects(anatomy.labels)
    for number, value in enumerate(values, start=1):
        box = boxes[value - 1] if 0 < value <= len(boxes) else None
        if box is None:
            continue
        mask = np.pad(anatomy.labels[box] == value, 1).astype(np.float32)
        corner = [part.start - 1 for part in box]
        spans, weights = [], []
        for axis in range(3):
            at = starts[axis] + steps[axis] * np.arange(grid.shape[axis]) - corner[axis]
            inside = np.flatnonzero((at > 0) & (at < mask.shape[axis] - 1))
            if not inside.size:
                break
            spans.append(slice(int(inside[0]), int(inside[-1]) + 1))
            weights.append(_linear(at[spans[-1]], mask.shape[axis]))
        if len(spans) == 3:
            _paint(out[tuple(spans)], number, mask, weights)
    return out


def _paint(target: NDArray[np.uint8], number: int, mask: Floats, weights: Sequence[Floats]) -> None:
    planes: dict[int, Floats] = {}
    across = weights[2].T
    for row, slab in zip(weights[0], target, strict=True):
        used = [int(index) for index in np.flatnonzero(row)]
        for index in used:
            if index not in planes:
                planes[index] = weights[1] @ mask[index] @ across
        for index in tuple(planes):
            if index < used[0]:
                del planes[index]
        mixed = sum(row[index] * planes[index] for index in used)
        slab[np.asarray(mixed) >= 0.5] = number


def _linear(at: NDArray[np.float64], count: int) -> Floats:
    """(points, samples) weights of linear interpolation."""
    return np.clip(1.0 - np.abs(at[:, None] - np.arange(count)[None, :]), 0.0, None).astype(
        np.float32
    )


def _axes(anatomy: Anatomy, grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps and starts of the source's indices among the label voxels."""
    turn = np.linalg.inv(anatomy.affine) @ grid.affine
    steps = np.diag(turn)[:3]
    if np.abs(turn[:3, :3] - np.diag(steps)).max() > _TOLERANCE or (steps <= 0).any():
        raise ModelError("the anatomy handed over is not of this series: its axes differ")
    return steps, turn[:3, 3]
