"""The pictures of the result: the straightened spine, each deformed body, the oval of L1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.grid import Floats, Grid, Mask
from models.vertebral_fractures import vocabulary as say
from models.vertebral_fractures.course import STEP_MM, course_of
from models.vertebral_fractures.density import Density
from models.vertebral_fractures.frames import COLUMN_BACK, FINE_MM, FINE_UP, Own
from models.vertebral_fractures.measuring import Body
from node.domain.finding import KeyImage, Overlay
from node.domain.study import Plane

Colour = tuple[int, int, int]

#: Black room at the right of the straightened spine for the words, mm.
_WORDS_MM = 105.0
#: Half the edge of a height point, mm.
_POINT_MM = 1.0
_BLACK_HU = -2000.0
#: Bodies on one picture of the spine.
_MOST_BODIES = 7
#: Half the edge of the axial picture, mm.
_AXIAL_MM = 70.0


def spine_pictures(grid: Grid, bodies: Sequence[tuple[Body, str, Colour]]) -> tuple[KeyImage, ...]:
    """The straightened spine with the six points of each body, its name and its grade.

    A long one is shown in two parts, the upper first, so that the points stay legible.

    Args:
        bodies: from below, with what is written beside them and their colour.
    """
    if len(bodies) <= _MOST_BODIES:
        return (_part(grid, bodies, ""),)
    half = len(bodies) // 2
    return (_part(grid, bodies[half:], ", upper part"), _part(grid, bodies[:half], ", lower part"))


def _part(grid: Grid, bodies: Sequence[tuple[Body, str, Colour]], which: str) -> KeyImage:
    course = course_of(grid, [body.own for body, _, _ in bodies])
    rows, columns = course.pixels.shape
    wide = np.full((rows, columns + round(_WORDS_MM / STEP_MM)), _BLACK_HU, np.float32)
    wide[:, :columns] = course.pixels
    masks: dict[Colour, Mask] = {}
    notes = []
    for body, words, colour in bodies:
        mask = masks.setdefault(colour, np.zeros(wide.shape, np.bool_))
        for point in body.points_mm.reshape(-1, 3):
            _dot(mask, *course.place(point))
        _, row = course.place(body.own.centre)
        notes.append((columns + 8.0, row, words))
    labels = {
        say.SOUND_COLOUR: "height points",
        say.UNGRADED_COLOUR: "height points, not graded",
        say.POSSIBLE_COLOUR: "possible loss of height",
        say.FRACTURE_COLOUR: "fracture",
    }
    return KeyImage(
        pixels=wide,
        window=say.SPINE_WINDOW,
        pixel_mm=(STEP_MM, STEP_MM),
        caption=f"Middle plane along the spine{which}; heights are of each body's own plane",
        overlays=tuple(
            Overlay(mask=masks[colour], colour=colour, label=label)
            for colour, label in labels.items()
            if colour in masks
        ),
        # Beside the picture stand the words, so front and back are named on it.
        notes=(*notes, (4.0, 16.0, "A"), (columns - 18.0, 16.0, "P")),
        edges=("", "", "H", "F"),
    )


def _dot(mask: Mask, column: float, row: float) -> None:
    reach = round(_POINT_MM / STEP_MM)
    y, x = int(row), int(column)
    mask[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] = True


def body_pictures(
    grid: Grid,
    body: Body,
    axial: tuple[Plane, int, Mask],
    words: tuple[str, str, Colour],
) -> tuple[KeyImage, ...]:
    """The body's own middle plane with its points, and the axial image with its outline.

    Args:
        axial: source image through it, its canonical index, its mask there (canonical).
        words: title, tracking UID, colour.
    """
    title, tracking_uid, colour = words
    fine = np.repeat(body.strip.fine, 2, axis=1)
    mask = np.zeros(fine.shape, np.bool_)
    for at, ends in zip(_depths(body), _ends(body), strict=True):
        for end in ends:
            column = (at - COLUMN_BACK[0] + 0.5) / FINE_MM
            row = (FINE_UP[0] - end) / FINE_MM + 0.5
            _dot(mask, column, row)
    own = KeyImage(
        pixels=np.asarray(fine, np.float32),
        window=say.SPINE_WINDOW,
        pixel_mm=(FINE_MM, FINE_MM),
        caption="Its own middle plane",
        overlays=(Overlay(mask=mask, colour=colour, label=title),),
        edges=("A", "P", "H", "F"),
        tracking_uid=tracking_uid,
    )
    plane, index, outline = axial
    part = _around(grid, body.own)
    key = KeyImage(
        pixels=np.ascontiguousarray(grid.hu[index][part], dtype=np.float32),
        window=say.BONE_WINDOW,
        pixel_mm=grid.spacing_mm[1:],
        caption="Axial",
        plane=plane,
        overlays=(Overlay(mask=outline[part], colour=colour, label=title, filled=False),),
        edges=("R", "L", "A", "P"),
        tracking_uid=tracking_uid,
    )
    return own, key


def _depths(body: Body) -> list[float]:
    """Back coordinate of the three pairs of points, mm."""
    return [float((pair[0] - body.own.centre) @ body.own.back) for pair in body.points_mm]


def _ends(body: Body) -> list[tuple[float, float]]:
    return [
        (
            float((pair[0] - body.own.centre) @ body.own.up),
            float((pair[1] - body.own.centre) @ body.own.up),
        )
        for pair in body.points_mm
    ]


def _around(grid: Grid, own: Own) -> tuple[slice, slice]:
    """Rows and columns of a slice around a body."""
    inverse = np.linalg.inv(grid.affine)
    index = inverse[:3, :3] @ own.centre + inverse[:3, 3]
    found = []
    for axis in (1, 2):
        half = _AXIAL_MM / grid.spacing_mm[axis]
        first = int(np.clip(index[axis] - half, 0, grid.shape[axis] - 2))
        last = int(np.clip(index[axis] + half, first + 1, grid.shape[axis]))
        found.append(slice(first, last))
    return found[0], found[1]


def oval_picture(grid: Grid, density: Density, plane: Plane, index: int, title: str) -> KeyImage:
    """The axial image through a body with the oval in which its attenuation was taken."""
    part = _around(grid, density.centre)
    rows = np.arange(part[0].start, part[0].stop)
    columns = np.arange(part[1].start, part[1].stop)
    places = np.stack(np.meshgrid(np.array([float(index)]), rows, columns, indexing="ij"), axis=-1)[
        0
    ].reshape(-1, 3)
    points = places @ grid.affine[:3, :3].T + grid.affine[:3, 3] - density.centre.centre
    left, back = points @ density.centre.left, points @ density.centre.back
    inside = (left / density.half_left_mm) ** 2 + (back / density.half_back_mm) ** 2 <= 1
    pixels: Floats = np.ascontiguousarray(grid.hu[index][part], dtype=np.float32)
    return KeyImage(
        pixels=pixels,
        window=say.BONE_WINDOW,
        pixel_mm=grid.spacing_mm[1:],
        caption=title,
        plane=plane,
        overlays=(
            Overlay(
                mask=np.asarray(inside.reshape(pixels.shape), np.bool_),
                colour=say.SOUND_COLOUR,
                label="oval of spongy bone",
                filled=False,
            ),
        ),
        edges=("R", "L", "A", "P"),
    )
