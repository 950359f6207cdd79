"""The pictures of the result: each clot on its key slices, and an overview of both lungs."""

from __future__ import annotations

import numpy as np

from models.grid import Floats, Grid, Mask
from models.pulmonary_embolism.clots import Clot
from models.pulmonary_embolism.space import FINE_MM, Space
from models.pulmonary_embolism.vocabulary import (
    ANGIOGRAPHY_WINDOW,
    CLOT_COLOUR,
    POSSIBLE_COLOUR,
)
from node.domain.finding import KeyImage, Overlay
from node.domain.study import Plane

#: Half the edge of a close view, mm.
_HALF_MM = 32.0


def clot_pictures(
    space: Space, clot: Clot, planes: tuple[Plane, ...], words: tuple[str, str, bool]
) -> tuple[KeyImage, ...]:
    """The largest slice whole, then axial, coronal and sagittal close views.

    Args:
        planes: of the series. words: title of the clot, its tracking UID, whether it is sure.
    """
    title, tracking_uid, sure = words
    grid, colour = space.grid, CLOT_COLOUR if sure else POSSIBLE_COLOUR
    index = clot.key[0]
    mask = np.zeros(grid.shape[1:], np.bool_)
    mask[clot.box] = clot.mask[clot.planes.index(index)]
    whole = KeyImage(
        pixels=np.ascontiguousarray(grid.hu[index], dtype=np.float32),
        window=ANGIOGRAPHY_WINDOW,
        pixel_mm=grid.spacing_mm[1:],
        caption=f"Slice at z {grid.height_mm(index):.1f} mm",
        plane=planes[grid.source_slice(index)],
        overlays=(Overlay(mask=mask, colour=colour, label=title, filled=False),),
        edges=("R", "L", "A", "P"),
        tracking_uid=tracking_uid,
    )
    return (whole, *_close(space, clot, (title, tracking_uid), colour))


def _close(
    space: Space, clot: Clot, words: tuple[str, str], colour: tuple[int, int, int]
) -> list[KeyImage]:
    title, tracking_uid = words
    half = round(_HALF_MM / FINE_MM)
    centre = clot.candidate.centre
    painted = np.zeros(space.hu.shape, np.bool_)
    painted[clot.candidate.box] = clot.candidate.mask
    views = []
    for axis, name, edges in (
        (0, "Axial", ("R", "L", "A", "P")),
        (1, "Coronal", ("R", "L", "H", "F")),
        (2, "Sagittal", ("A", "P", "H", "F")),
    ):
        pixels, mask = _plane(space.hu, painted, axis, centre, half)
        views.append(
            KeyImage(
                pixels=pixels,
                window=ANGIOGRAPHY_WINDOW,
                pixel_mm=(FINE_MM, FINE_MM),
                caption=name,
                overlays=(Overlay(mask=mask, colour=colour, label=title, filled=False),),
                edges=edges,
                tracking_uid=tracking_uid,
            )
        )
    return views


def _plane(
    hu: Floats, painted: Mask, axis: int, centre: tuple[int, int, int], half: int
) -> tuple[Floats, Mask]:
    """A square of one plane through the centre, head up; air beyond the image."""
    cut = [slice(at - half, at + half) for at in centre]
    across = [other for other in range(3) if other != axis]
    pixels = np.full((2 * half, 2 * half), -1024.0, np.float32)
    mask = np.zeros((2 * half, 2 * half), np.bool_)
    inner, outer = [], []
    for other in across:
        start, stop = max(0, cut[other].start), min(hu.shape[other], cut[other].stop)
        inner.append(slice(start - cut[other].start, stop - cut[other].start))
        outer.append(slice(start, stop))
    pixels[tuple(inner)] = np.take(hu, centre[axis], axis=axis)[tuple(outer)]
    mask[tuple(inner)] = np.take(painted, centre[axis], axis=axis)[tuple(outer)]
    if axis != 0:
        pixels, mask = pixels[::-1], mask[::-1]
    return np.ascontiguousarray(pixels), np.ascontiguousarray(mask)


def overview(space: Space, clots: tuple[Clot, ...], sure_from: float) -> KeyImage:
    """Coronal view of both lungs: the densest of each ray, clots painted on it."""
    rows = slice(0, space.hu.shape[1])
    thick = _slab(space, clots)
    rows = slice(max(0, thick[0]), min(space.hu.shape[1], thick[1]))
    pixels = space.hu[::-1, rows].max(axis=1)
    overlays = []
    for sure, colour, label in (
        (True, CLOT_COLOUR, "embolus"),
        (False, POSSIBLE_COLOUR, "possible embolus"),
    ):
        mask = np.zeros(space.hu.shape[::2], np.bool_)
        for clot in clots:
            if (clot.certainty >= sure_from) is sure:
                box = clot.candidate.box
                mask[box[0], box[2]] |= clot.candidate.mask.any(axis=1)
        if mask.any():
            overlays.append(Overlay(mask=mask[::-1], colour=colour, label=label))
    depth = (rows.stop - rows.start) * FINE_MM
    told = "; clots at all depths" if overlays else ""
    return KeyImage(
        pixels=np.ascontiguousarray(pixels, dtype=np.float32),
        window=ANGIOGRAPHY_WINDOW,
        pixel_mm=(FINE_MM, FINE_MM),
        caption=f"Coronal overview, densest value of {depth:.0f} mm{told}",
        overlays=tuple(overlays),
        edges=("R", "L", "H", "F"),
    )


def _slab(space: Space, clots: tuple[Clot, ...]) -> tuple[int, int]:
    """Rows of the overview: around the clots, or the middle of the body."""
    if clots:
        middle = round(float(np.mean([clot.candidate.centre[1] for clot in clots])))
    else:
        body = np.flatnonzero((space.hu > -300).mean(axis=(0, 2)) > 0.1)
        middle = int(body[len(body) // 2]) if body.size else space.hu.shape[1] // 2
    half = round(15.0 / FINE_MM)
    return middle - half, middle + half


def slice_picture(grid: Grid, index: int, planes: tuple[Plane, ...], caption: str) -> KeyImage:
    """A whole slice without marks."""
    return KeyImage(
        pixels=np.ascontiguousarray(grid.hu[index], dtype=np.float32),
        window=ANGIOGRAPHY_WINDOW,
        pixel_mm=grid.spacing_mm[1:],
        caption=caption,
        plane=planes[grid.source_slice(index)],
        edges=("R", "L", "A", "P"),
    )
