"""Moves vertebral middles to half-way between the discs that the image itself shows.

The network names the levels on 4 mm voxels; along the spine its middles can be off by up to half
a vertebra. Discs are dark bands between bright endplates in the mean of a small round region
that follows the spine at right angles. Naming stays the network's: only the middle moves, and
only where the nearest row of bodies between discs is clearly nearer than the next one. Where
two rows are equally near, nobody knows which vertebra was meant (`undecided`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.grid import Axis, Grid

Curve = NDArray[np.float64]
STEP_MM = 1.0
RADIUS_MM = 13.0
#: A disc is at least so much darker than the brighter of both endplates beside it, HU.
LEAST_DEPTH_HU = 20.0
#: The chosen row must be nearer than the next one by this part of the distance of vertebrae.
CLEARLY = 0.15


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


def disc_heights(course: Course, pitch_mm: float) -> list[float]:
    """Heights (mm, as `Course.height_mm`) of a row of discs about `pitch_mm` apart, from below."""
    hu, reach = course.hu, round(0.36 * pitch_mm / STEP_MM)
    candidates: list[tuple[float, float]] = []
    for k in range(1, hu.size - 1):
        if hu[k] < hu[k - 1] and hu[k] <= hu[k + 1]:
            below, above = hu[max(k - reach, 0) : k + 1].max(), hu[k : k + reach + 1].max()
            depth = float(min(below, above) - hu[k])
            if depth >= LEAST_DEPTH_HU:
                # The darkest minima are discs; the middle of a body is a shallow one.
                candidates.append((float(course.height_mm[k]), depth))
    best: list[tuple[float, list[float]]] = []
    for height, depth in candidates:
        score, row = depth, [height]
        for (other, before), (lower, _) in zip(best, candidates, strict=False):
            if 0.72 * pitch_mm <= height - lower <= 1.35 * pitch_mm and other + depth > score:
                score, row = other + depth, [*before, height]
        best.append((score, row))
    return max(best, default=(0.0, []), key=lambda item: item[0])[1]


def moved(heights_mm: Sequence[float], discs_mm: Sequence[float], pitch_mm: float) -> list[float]:
    """Middles of consecutive vertebrae moved to the middles between discs.

    Args:
        heights_mm: middles of vertebrae with consecutive names, from below.

    Returns:
        As many heights; the ones given where no row of discs is clearly the nearest. One that
        lies beyond the discs moves as far as its neighbour.
    """
    given = list(heights_mm)
    rows = _rows(given, discs_mm)
    if not rows or rows[0][0] > 0.5 * pitch_mm or _tied(rows, pitch_mm):
        return given
    middles = [(a + b) / 2 for a, b in pairwise(discs_mm)]
    shift = rows[0][1]
    paired = [k for k in range(len(given)) if 0 <= k + shift < len(middles)]
    offsets = {k: middles[k + shift] - given[k] for k in paired}
    return [h + offsets[min(max(k, paired[0]), paired[-1])] for k, h in enumerate(given)]


def undecided(heights_mm: Sequence[float], discs_mm: Sequence[float], pitch_mm: float) -> bool:
    """True where discs are seen and the given middles lie on them, half-way between two bodies."""
    rows = _rows(heights_mm, discs_mm)
    return bool(rows) and _tied(rows, pitch_mm)


def _tied(rows: Sequence[tuple[float, int]], pitch_mm: float) -> bool:
    return len(rows) > 1 and rows[1][0] - rows[0][0] < CLEARLY * pitch_mm


def _rows(heights_mm: Sequence[float], discs_mm: Sequence[float]) -> list[tuple[float, int]]:
    """(mean distance to the middles between discs, shift) of each way to pair them, best first."""
    middles = [(a + b) / 2 for a, b in pairwise(discs_mm)]
    if len(middles) < 2 or len(heights_mm) < 2:
        return []
    rows = []
    for shift in range(1 - len(heights_mm), len(middles)):
        pairs = [
            (h, middles[k + shift])
            for k, h in enumerate(heights_mm)
            if 0 <= k + shift < len(middles)
        ]
        if len(pairs) >= 2:
            rows.append((float(np.mean([abs(h - m) for h, m in pairs])), shift))
    return sorted(rows)
