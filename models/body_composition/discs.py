"""Moves vertebral middles to half-way between the discs that the image itself shows.

The network names the levels on 4 mm voxels; along the spine its middles can be off by up to half
a vertebra. Discs are dark bands between bright endplates in the mean of a small round region
that follows the spine at right angles. Naming stays the network's: only the middle moves, and
only where the nearest row of bodies between discs is clearly nearer than the next one. Where
two rows are equally near, the disc on the sacrum decides, if it is known: L5 stands on it. The
network's middles slip further with each body away from there, so that the mean over all of them
can lie half-way, or nearer to the wrong row. Where the mean and that disc contradict each other,
or nothing decides, nobody knows which vertebra was meant (`undecided`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.trunk.course import STEP_MM, Course

#: A disc is at least so much darker than the brighter of both endplates beside it, HU.
LEAST_DEPTH_HU = 20.0
#: A disc is narrower than this part of the distance of vertebrae. Spongy bone of the old can be as
#: dark as a disc between two endplates, but is wider.
WIDEST = 0.5
#: The chosen row must be nearer than the next one by this part of the distance of vertebrae.
CLEARLY = 0.15
#: L5 is at the body on the sacrum and not the next one if it lies within this part of the distance.
NEAR = (1.0 - CLEARLY) / 2


def disc_heights(course: Course, pitch_mm: float) -> list[float]:
    """Heights (mm, as `Course.height_mm`) of a row of discs about `pitch_mm` apart, from below."""
    hu, reach = course.hu, round(0.36 * pitch_mm / STEP_MM)
    candidates: list[tuple[float, float]] = []
    for k in range(1, hu.size - 1):
        if hu[k] < hu[k - 1] and hu[k] <= hu[k + 1]:
            below, above = hu[max(k - reach, 0) : k + 1].max(), hu[k : k + reach + 1].max()
            depth = float(min(below, above) - hu[k])
            if depth >= LEAST_DEPTH_HU and _width_mm(hu, k, depth) <= WIDEST * pitch_mm:
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


def _width_mm(hu: NDArray[np.float64], middle: int, depth: float) -> float:
    """How wide a dark band is at half of its depth, mm."""
    bright = hu > hu[middle] + depth / 2
    below, above = np.flatnonzero(bright[:middle]), np.flatnonzero(bright[middle:])
    first = below[-1] if below.size else -1
    last = middle + (above[0] if above.size else hu.size - middle)
    return float(last - first - 1) * STEP_MM


def moved(
    heights_mm: Sequence[float],
    discs_mm: Sequence[float],
    pitch_mm: float,
    on_sacrum: int | None = None,
) -> list[float]:
    """Middles of consecutive vertebrae moved to the middles between discs.

    Args:
        heights_mm: middles of vertebrae with consecutive names, from below.
        on_sacrum: index of the disc on which the lowest of them stands, where that is known.

    Returns:
        As many heights; the ones given where no row of discs is clearly the nearest. One that
        lies beyond the discs moves as far as its neighbour.
    """
    given = list(heights_mm)
    rows = _rows(given, discs_mm)
    if not rows or undecided(given, discs_mm, pitch_mm, on_sacrum):
        return given
    middles = [(a + b) / 2 for a, b in pairwise(discs_mm)]
    shift = _counted(given, middles, pitch_mm, on_sacrum)
    if shift is None:
        if rows[0][0] > 0.5 * pitch_mm:
            return given
        shift = rows[0][1]
    paired = [k for k in range(len(given)) if 0 <= k + shift < len(middles)]
    offsets = {k: middles[k + shift] - given[k] for k in paired}
    return [h + offsets[min(max(k, paired[0]), paired[-1])] for k, h in enumerate(given)]


def undecided(
    heights_mm: Sequence[float],
    discs_mm: Sequence[float],
    pitch_mm: float,
    on_sacrum: int | None = None,
) -> bool:
    """True where discs are seen, but not to which bodies between them the given middles belong.

    They lie half-way between two rows and the disc on the sacrum is not known, or the nearest
    row is not the one that is counted from there.
    """
    rows = _rows(heights_mm, discs_mm)
    if not rows:
        return False
    middles = [(a + b) / 2 for a, b in pairwise(discs_mm)]
    counted = _counted(heights_mm, middles, pitch_mm, on_sacrum)
    if _tied(rows, pitch_mm):
        return counted not in (rows[0][1], rows[1][1])
    return counted is not None and counted != rows[0][1]


def _counted(
    heights_mm: Sequence[float],
    middles_mm: Sequence[float],
    pitch_mm: float,
    on_sacrum: int | None,
) -> int | None:
    """The shift that puts the lowest vertebra on the sacrum, None where it lies elsewhere."""
    if on_sacrum is None or on_sacrum >= len(middles_mm):
        return None
    near = abs(heights_mm[0] - middles_mm[on_sacrum]) <= NEAR * pitch_mm
    return on_sacrum if near else None


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
