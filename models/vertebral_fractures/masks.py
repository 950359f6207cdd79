"""The voxels of each measured body: between its endplates, within the spine of the anatomy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.grid import Grid, Mask
from models.vertebral_fractures.frames import Vector
from models.vertebral_fractures.measuring import Body
from models.vertebral_fractures.spine import column_of
from node.domain.anatomy import Anatomy

#: Half the edge of the box that is looked at around a body, mm.
_HALF_MM = 32.0
#: How far to the sides a body reaches at most, as a part of its depth.
_WIDE = 0.85


def label_bodies(grid: Grid, anatomy: Anatomy, bodies: Sequence[Body]) -> NDArray[np.uint8]:
    """(slice, row, column) canonical: 1 + index of the body that a voxel belongs to; else 0."""
    out = np.zeros(grid.shape, np.uint8)
    inverse = np.linalg.inv(grid.affine)
    column = column_of(anatomy)
    for number, body in enumerate(bodies, start=1):
        middle = inverse[:3, :3] @ body.own.centre + inverse[:3, 3]
        spans = []
        for axis in range(3):
            half = _HALF_MM / grid.spacing_mm[axis]
            first = int(np.clip(np.floor(middle[axis] - half), 0, grid.shape[axis] - 1))
            last = int(np.clip(np.ceil(middle[axis] + half) + 1, first + 1, grid.shape[axis]))
            spans.append(slice(first, last))
        box = (spans[0], spans[1], spans[2])
        index = np.stack(
            np.meshgrid(*[np.arange(s.start, s.stop) for s in spans], indexing="ij"), axis=-1
        )
        points = index.reshape(-1, 3) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
        inside = _inside(body, points) & _near(anatomy, column, body, points)
        out[box][inside.reshape(index.shape[:3])] = number
    return out


def _inside(body: Body, points: Vector) -> Mask:
    """Between the endplates and the walls of the body's middle plane, carried to the sides."""
    away = points - body.own.centre
    up, back, left = away @ body.own.up, away @ body.own.back, away @ body.own.left
    outline = body.outline
    upper = np.interp(back, outline.columns, outline.upper)
    lower = np.interp(back, outline.columns, outline.lower)
    wide = _WIDE * body.depth_mm
    return np.asarray(
        (up < upper)
        & (up > lower)
        & (back > outline.front)
        & (back < outline.back)
        & (np.abs(left) < wide),
        np.bool_,
    )


def _near(anatomy: Anatomy, column: Mask, body: Body, points: Vector) -> Mask:
    """Within the column of bodies and discs at the height of the body's own middle."""
    inverse = np.linalg.inv(anatomy.affine)
    away = points - body.own.centre
    flat = points - 0.6 * (away @ body.own.up)[:, None] * body.own.up
    index = np.rint(flat @ inverse[:3, :3].T + inverse[:3, 3]).astype(np.int64)
    fits = ((index >= 0) & (index < np.array(column.shape))).all(axis=1)
    found = np.zeros(len(points), np.bool_)
    found[fits] = column[tuple(index[fits].T)]
    return found
