"""Isotropic cubes out of a series, as the networks saw them when they learned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.grid import Axis, Floats, Grid

Point = NDArray[np.float64]
Axes = tuple[Axis, Axis, Axis]

#: HU that the networks see, mapped to 0..1.
RANGE_HU = (-1000.0, 400.0)


def axes_round(grid: Grid, centre: Point, step_mm: float, count: int) -> Axes:
    """A cube of `count` points `step_mm` apart round a position among the grid's samples."""
    first, second, third = (
        Axis.centred(float(at), step_mm / spacing, count)
        for at, spacing in zip(centre, grid.spacing_mm, strict=True)
    )
    return first, second, third


def toned(hu: Floats) -> Floats:
    """HU as the networks want it: clipped, 0..1."""
    low, high = RANGE_HU
    return np.asarray((np.clip(hu, low, high) - low) / (high - low), np.float32)


def held_weights(axis: Axis, length: int) -> Floats:
    """Weights of an axis; what lies beyond an end of the series is what the end is."""
    weights = axis.weights(length).copy()
    missing = 1.0 - weights.sum(axis=1)
    before = axis.positions() < length / 2
    weights[before, 0] += missing[before]
    weights[~before, -1] += missing[~before]
    return weights


def cube_of(grid: Grid, axes: Axes) -> Floats:
    """(slice, row, column) HU on other axes, averaged where they are coarser."""
    used, small = [], []
    for axis, length in zip(axes, grid.shape, strict=True):
        weights = held_weights(axis, length)
        columns = np.flatnonzero(weights.any(axis=0))
        first, last = int(columns[0]), int(columns[-1]) + 1
        used.append(slice(first, last))
        small.append(weights[:, first:last])
    part = np.asarray(grid.hu[used[0], used[1], used[2]], np.float32)
    out = np.einsum("ijk,rj->irk", part, small[1], optimize=True)
    out = out @ small[2].T
    return np.asarray(np.tensordot(small[0], out, axes=1), np.float32)
