"""A nodule on the slices of its series: its mask there, and which of them get a contour."""

from __future__ import annotations

import numpy as np

from models.grid import Grid, Mask
from models.lung_nodules.shape import Shape


def drawn(stack: Mask, key: int) -> list[int]:
    """Rows of the stack that get a contour: the key slice, and the larger one beside it.

    The second shows at a glance that it is no vessel that runs on; and PixelMed's validator takes
    a report with one contour only for one of a whole volume.
    """
    beside = [row for row in (key - 1, key + 1) if 0 <= row < len(stack) and stack[row].any()]
    return [key, *sorted(beside, key=lambda row: -int(stack[row].sum()))[:1]]


def on_source(grid: Grid, shape: Shape, planes: list[int]) -> Mask:
    """(plane, row, column) mask on the source grid, its first axis as `planes`."""
    out = []
    for source in planes:
        canonical = grid.source_slice(source)
        plane = np.zeros(grid.shape[1:], np.bool_)
        if shape.box[0].start <= canonical < shape.box[0].stop:
            plane[shape.box[1], shape.box[2]] = shape.mask[canonical - shape.box[0].start]
        out.append(grid.plane_to_source(plane))
    return np.stack(out)
