"""A spine of boxes on the 2 mm grid, as the network would label it; no network needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.anatomy.sampling import Sight, halved
from models.anatomy.structures import Structure as S
from models.grid import Axis, Grid

#: Fine voxels of a body, and of the disc above it.
BODY, DISC = 14, 4
SHAPE = (192, 80, 96)
MIDDLE = (40, 48)


def grid_of(hu: NDArray[np.float32]) -> Grid:
    """2 mm voxels, LPS axes, origin at 0."""
    affine = np.array(
        [[0.0, 0.0, 2.0, 0.0], [0.0, 2.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    )
    return Grid(
        hu=hu,
        spacing_mm=(2.0, 2.0, 2.0),
        affine=affine,
        order=(0, 1, 2),
        flipped=(False, False, False),
    )


def spine(
    levels: list[S], *, first: int = 30, sacrum: bool = True, ribs_at: tuple[int, ...] = ()
) -> tuple[Grid, Sight]:
    """Bodies of the given classes from below, with dark discs; ribs beside those of `ribs_at`."""
    labels = np.full(SHAPE, S.BODY, np.uint8)
    hu = np.full(SHAPE, 40.0, np.float32)
    row, column = MIDDLE
    across = (slice(row - 8, row + 8), slice(column - 10, column + 10))
    if sacrum:
        labels[4 : first - DISC, *across] = S.SACRUM
        hu[4 : first - DISC, *across] = 200.0
    at = first
    for index, level in enumerate(levels):
        labels[at : at + BODY, *across] = level
        hu[at : at + BODY, *across] = 200.0
        if index in ribs_at:
            for side in (column - 16, column + 14):
                labels[at + 4 : at + 8, row + 2 : row + 8, side : side + 3] = S.RIB
        labels[at + BODY : at + BODY + DISC, *across] = S.DISC
        hu[at + BODY : at + BODY + DISC, *across] = 70.0
        at += BODY + DISC
    return grid_of(hu), sight_of(labels, hu)


def sight_of(labels: NDArray[np.uint8], hu: NDArray[np.float32]) -> Sight:
    """As if the network had given exactly these labels."""
    coarse = labels[::2, ::2, ::2]
    logits = np.full((len(S), *coarse.shape), -4.0, np.float32)
    np.put_along_axis(logits, coarse[None].astype(np.int64), 4.0, axis=0)
    axes = tuple(Axis(start=0.5, step=2.0, count=n) for n in coarse.shape)
    return Sight(
        hu=hu,
        logits=logits,
        labels=labels,
        coarse=(axes[0], axes[1], axes[2]),
        fine=(halved(axes[0]), halved(axes[1]), halved(axes[2])),
    )
