"""The two pictures of the result: the measured slice in colour, and where it was found."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models.body_composition.levels import CLASSES, LevelMap, painted
from models.body_composition.naming import MidL3
from models.body_composition.tissues import Tissue
from models.body_composition.vocabulary import WORDS
from models.grid import Floats, Grid, Mask
from node.domain.finding import KeyImage, Overlay
from node.domain.study import Plane

SOFT_TISSUE_WINDOW = (40.0, 400.0)
BONE_WINDOW = (250.0, 1200.0)
_LINE = (255, 64, 64)
_L3 = (245, 190, 65)
_OTHERS = (66, 135, 245)
#: Half the thickness of the sagittal slab that is averaged, mm.
_SLAB_MM = 4.0
_LINE_MM = 1.5


def slice_picture(grid: Grid, l3: MidL3, plane: Plane, masks: Mapping[Tissue, Mask]) -> KeyImage:
    """The measured slice, each tissue in its colour."""
    overlays = tuple(
        Overlay(mask=mask, colour=WORDS[tissue].colour, label=WORDS[tissue].label)
        for tissue, mask in masks.items()
    )
    return KeyImage(
        pixels=np.ascontiguousarray(grid.hu[l3.index], dtype=np.float32),
        window=SOFT_TISSUE_WINDOW,
        pixel_mm=grid.spacing_mm[1:],
        caption=f"Middle of L3, slice at z {grid.height_mm(l3.index):.1f} mm",
        plane=plane,
        overlays=overlays,
        edges=("R", "L", "A", "P"),
    )


def level_picture(grid: Grid, levels: LevelMap, l3: MidL3) -> KeyImage:
    """A sagittal reformat through the spine with a line at the measured slice.

    Row 0 is the highest slice, column 0 is anterior.
    """
    centres = [body.centre for body in levels.named]
    column = float(np.median([centre[2] for centre in centres]))
    vertebrae = painted(levels, grid, column)[::-1]
    overlays = []
    bodies = (vertebrae >= 1) & (vertebrae <= CLASSES.index("T11"))
    third = bodies & _between(grid, l3)
    for mask, colour, label in (
        (third, _L3, "L3"),
        (bodies & ~third, _OTHERS, "other levels"),
        (_line(grid, l3), _LINE, "measured slice"),
    ):
        if mask.any():
            overlays.append(Overlay(mask=mask, colour=colour, label=label))
    return KeyImage(
        pixels=_slab(grid, column),
        window=BONE_WINDOW,
        pixel_mm=grid.spacing_mm[:2],
        caption=f"Sagittal reformat; L3 counted from {' and from '.join(l3.anchors)}",
        overlays=tuple(overlays),
        edges=("A", "P", "H", "F"),
        marks=tuple(
            (float(body.centre[1]), grid.shape[0] - 1 - float(body.centre[0]), body.name)
            for body in levels.named
            # The middle of a body that the first or the last slice cuts may lie beyond the picture.
            if 0.0 <= float(body.centre[0]) <= grid.shape[0] - 1
        ),
    )


def _between(grid: Grid, l3: MidL3) -> Mask:
    """Rows of the picture from the lower to the upper end of L3; none where it was interpolated."""
    rows = np.zeros((grid.shape[0], 1), np.bool_)
    if l3.body is not None:
        first, last = int(np.ceil(l3.body.lowest)), int(np.floor(l3.body.highest))
        rows[max(0, first) : last + 1] = True
    return np.asarray(rows[::-1])


def _slab(grid: Grid, column: float) -> Floats:
    """(row from the head, column from anterior) mean over a few millimetres across."""
    half = _SLAB_MM / grid.spacing_mm[2]
    first = int(np.clip(round(column - half), 0, grid.shape[2] - 1))
    last = int(np.clip(round(column + half), first, grid.shape[2] - 1))
    return np.ascontiguousarray(
        grid.hu[::-1, :, first : last + 1].mean(axis=2, dtype=np.float32), dtype=np.float32
    )


def _line(grid: Grid, l3: MidL3) -> Mask:
    """The measured slice as a line of visible thickness, same axes as the picture."""
    line = np.zeros(grid.shape[:2], np.bool_)
    half = int(_LINE_MM / grid.spacing_mm[0] / 2)
    line[max(0, l3.index - half) : l3.index + half + 1] = True
    return np.asarray(line[::-1])
