"""The centre line of the spine, and the attenuation along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.grid import Axis, Grid

Curve = NDArray[np.float64]
STEP_MM = 1.0
RADIUS_MM = 13.0


@dataclass(frozen=True, slots=True)
class Course:
    """The spine's centre line.

    Attributes:
        slices, rows, columns: canonical indices of its points, fractional, from below.
        height_mm: distance of each point along the slice axis from canonical slice 0.
        hu: mean over a small disc-shaped region across the spine.
    """

    slices: Curve
    rows: Curve
    columns: Curve
    height_mm: Curve
    hu: Curve


def course_of(
    grid: Grid,
    axes: tuple[Axis, Axis, Axis],
    body: NDArray[np.bool_],
    radius_mm: float = RADIUS_MM,
) -> Course | None:
    """Centre line and profile through the voxels marked as vertebral bodies, None if too short.

    Args:
        body: (slice, row, column) on the network's grid `axes`.
        radius_mm: of the region whose mean is taken at each point.
    """
    used = np.flatnonzero(body.sum(axis=(1, 2)) > 12)
    if used.size < 12:
        return None
    across = np.array([np.argwhere(body[k]).mean(axis=0) for k in used])
    where = (used, across[:, 0], across[:, 1])
    step = grid.spacing_mm
    mm = [axis.start + axis.step * np.asarray(v) for axis, v in zip(axes, where, strict=True)]
    z, y, x = (values * spacing for values, spacing in zip(mm, step, strict=True))
    centre = z.mean()
    line_y, line_x = np.polyfit(z - centre, y, 4), np.polyfit(z - centre, x, 3)
    at = np.arange(z[0], z[-1], STEP_MM)
    ys, xs = np.polyval(line_y, at - centre), np.polyval(line_x, at - centre)
    lean_y = np.polyval(np.polyder(line_y), at - centre)
    lean_x = np.polyval(np.polyder(line_x), at - centre)
    dy, dx = np.meshgrid(*[np.arange(-radius_mm, radius_mm + 1, 2.0)] * 2, indexing="ij")
    inside = dy**2 + dx**2 <= radius_mm**2
    dy, dx = dy[inside], dx[inside]
    points = [
        (at[:, None] - lean_y[:, None] * dy - lean_x[:, None] * dx) / step[0],
        (ys[:, None] + dy) / step[1],
        (xs[:, None] + dx) / step[2],
    ]
    box = [_around(one, length) for one, length in zip(points, grid.shape, strict=True)]
    part = np.asarray(grid.hu[tuple(box)], np.float32)
    hu = ndimage.map_coordinates(
        part,
        [one - span.start for one, span in zip(points, box, strict=True)],
        order=1,
        mode="nearest",
    )
    smooth = ndimage.gaussian_filter1d(hu.mean(axis=1).astype(np.float64), 1.5 / STEP_MM)
    return Course(at / step[0], ys / step[1], xs / step[2], at, smooth)


def _around(positions: Curve, length: int) -> slice:
    """The voxels of one axis that points at these positions are interpolated from.

    At least one, also where all points lie beyond an end.
    """
    first = min(max(int(positions.min()) - 1, 0), length - 1)
    return slice(first, max(min(int(positions.max()) + 3, length), first + 1))
