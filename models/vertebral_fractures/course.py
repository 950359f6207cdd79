"""The spine straightened: one image of its middle plane that follows its course."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from models.grid import Floats, Grid
from models.vertebral_fractures.frames import Own, Vector, values_at

#: Pixel, mm; how far the image goes to the front, to the back, and beyond the last bodies, mm.
STEP_MM, FRONT_MM, BACK_MM, BEYOND_MM = 0.5, 45.0, 55.0, 26.0
#: Half the way from side to side that the image is a mean of, mm.
_HALF_WIDE_MM = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A curved middle plane.

    Attributes:
        pixels: (row, column) HU; rows from the head down, columns from the front.
        middle, along, back: (row, 3) LPS: point of the course, unit vector to the head, and to
            the back, of each row.
    """

    pixels: Floats
    middle: Vector
    along: Vector
    back: Vector

    def place(self, point: Vector) -> tuple[float, float]:
        """(column, row) of a point, LPS mm, in pixels; pixel centres at halves."""
        away = point - self.middle
        height = (away * self.along).sum(axis=1)
        near = int(np.abs(height).argmin())
        column = (float(away[near] @ self.back[near]) + FRONT_MM) / STEP_MM
        return column + 0.5, near + 0.5 - float(height[near]) / STEP_MM


def course_of(grid: Grid, owns: Sequence[Own]) -> Course:
    """The image along the bodies, from below; at least two."""
    centres = np.array([own.centre for own in owns])
    lengths = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(centres, axis=0), axis=1))]
    curve = CubicSpline(lengths, centres, bc_type="natural")
    at = np.arange(lengths[-1] + BEYOND_MM, -BEYOND_MM, -STEP_MM)
    inside = np.clip(at, 0.0, lengths[-1])
    along = curve(inside, 1)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    # Beyond the last bodies the course goes straight on.
    middle = curve(inside) + (at - inside)[:, None] * along
    ways = np.array([own.back for own in owns])
    back = np.stack([np.interp(inside, lengths, ways[:, k]) for k in range(3)], axis=1)
    back -= (back * along).sum(axis=1, keepdims=True) * along
    back /= np.linalg.norm(back, axis=1, keepdims=True)
    left = np.cross(back, along)
    across = np.arange(-FRONT_MM, BACK_MM + STEP_MM / 2, STEP_MM)
    rows = []
    for first in range(0, len(at), 100):
        part = slice(first, first + 100)
        plane = middle[part, None, :] + across[None, :, None] * back[part, None, :]
        wide = [
            values_at(grid, plane + side * left[part, None, :])[0]
            for side in np.arange(-_HALF_WIDE_MM, _HALF_WIDE_MM + 0.5, 1.0)
        ]
        rows.append(np.mean(wide, axis=0))
    return Course(
        pixels=np.asarray(np.concatenate(rows), np.float32), middle=middle, along=along, back=back
    )
