"""Pictures of the result: coronal and sagittal through the spine, and an axial slice."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.anatomy import words
from models.grid import Floats, Grid
from node.domain.anatomy import Anatomy
from node.domain.finding import KeyImage, Overlay
from node.domain.study import Plane

SOFT_TISSUE_WINDOW = (40.0, 400.0)
BONE_WINDOW = (250.0, 1200.0)
_SLAB_MM = 3.0
#: What the axial picture should show, in the order of wish.
_WISHED = ("Liver", "Kidney left", "Kidney right", "Spleen", "Aorta", "Lung left", "Lung right")

Numbers = NDArray[np.uint8]
Named = Mapping[int, tuple[str, tuple[int, int, int]]]


def pictures(
    grid: Grid, planes: tuple[Plane, ...], numbers: Numbers, named: Named, anatomy: Anatomy
) -> tuple[KeyImage, ...]:
    """All pictures.

    Args:
        planes: source images in canonical order. numbers: structures on the canonical grid.
        named: number -> how a person reads it, and colour.
    """
    at = _middle(grid, anatomy)
    return (
        _coronal(grid, numbers, named, at),
        _sagittal(grid, numbers, named, anatomy),
        _axial(grid, planes, numbers, named),
    )


def _middle(grid: Grid, anatomy: Anatomy) -> tuple[int, int]:
    """(row, column) of the spine, else of the middle of the images."""
    if not anatomy.vertebrae:
        return grid.shape[1] // 2, grid.shape[2] // 2
    back = np.linalg.inv(grid.affine)
    points = [back @ np.array([*one.centre_mm, 1.0]) for one in anatomy.vertebrae]
    row, column = np.median(np.array(points), axis=0)[1:3]
    return (
        int(np.clip(round(row), 0, grid.shape[1] - 1)),
        int(np.clip(round(column), 0, grid.shape[2] - 1)),
    )


def _overlays(plane: Numbers, named: Named) -> tuple[Overlay, ...]:
    found = []
    for number in np.unique(plane):
        if int(number) in named:
            name, colour = named[int(number)]
            mask = np.ascontiguousarray(plane == number)
            found.append(Overlay(mask=mask, colour=colour, label=name))
    return tuple(found)


def _slab(grid: Grid, axis: int, at: int) -> Floats:
    """Mean over a few millimetres along a canonical axis, row 0 at the head."""
    half = max(0, round(_SLAB_MM / grid.spacing_mm[axis]))
    part = [slice(None)] * 3
    part[axis] = slice(max(0, at - half), at + half + 1)
    mean = grid.hu[tuple(part)].mean(axis=axis, dtype=np.float32)
    return np.ascontiguousarray(mean[::-1], dtype=np.float32)


def _coronal(grid: Grid, numbers: Numbers, named: Named, at: tuple[int, int]) -> KeyImage:
    # Kidneys, psoas, liver and aorta lie before the middle of the bodies.
    row = max(0, at[0] - round(5.0 / grid.spacing_mm[1]))
    return KeyImage(
        pixels=_slab(grid, 1, row),
        window=SOFT_TISSUE_WINDOW,
        pixel_mm=(grid.spacing_mm[0], grid.spacing_mm[2]),
        caption="Coronal reformat before the spine",
        overlays=_overlays(np.ascontiguousarray(numbers[::-1, row, :]), named),
        edges=("R", "L", "H", "F"),
    )


def _sagittal(grid: Grid, numbers: Numbers, named: Named, anatomy: Anatomy) -> KeyImage:
    column = _middle(grid, anatomy)[1]
    back = np.linalg.inv(grid.affine)
    marks = []
    for number, one in enumerate(anatomy.vertebrae, start=1):
        at = back @ np.array([*one.centre_mm, 1.0])
        text = one.level or str(number)
        marks.append((float(at[1]), grid.shape[0] - 1 - float(at[0]), text))
    if anatomy.anchors:
        told = f"levels counted from {' and '.join(anatomy.anchors)}"
    else:
        told = "levels not certain"
    return KeyImage(
        pixels=_slab(grid, 2, column),
        window=BONE_WINDOW,
        pixel_mm=grid.spacing_mm[:2],
        caption=f"Sagittal reformat through the spine; {told}",
        overlays=_overlays(np.ascontiguousarray(numbers[::-1, :, column]), named),
        edges=("A", "P", "H", "F"),
        marks=tuple(marks),
    )


def _axial(grid: Grid, planes: tuple[Plane, ...], numbers: Numbers, named: Named) -> KeyImage:
    """The slice that shows most of the organs."""
    scores = np.zeros(grid.shape[0])
    for number, (name, _) in named.items():
        if name.removesuffix(words.IN_VIEW) in _WISHED:
            area = (numbers == number).sum(axis=(1, 2)).astype(np.float64)
            scores += area / max(1.0, float(area.max()))
    index = int(scores.argmax()) if scores.any() else grid.shape[0] // 2
    return KeyImage(
        pixels=np.ascontiguousarray(grid.hu[index], dtype=np.float32),
        window=SOFT_TISSUE_WINDOW,
        pixel_mm=grid.spacing_mm[1:],
        caption=f"Slice at z {grid.height_mm(index):.1f} mm",
        plane=planes[index],
        overlays=_overlays(np.ascontiguousarray(numbers[index]), named),
        edges=("R", "L", "A", "P"),
    )
