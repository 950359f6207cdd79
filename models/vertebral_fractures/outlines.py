"""The endplates of a body on its strip: first seen by a network, then found on the image.

The network says which pixels are the body in the middle, so that no spur, neighbour or pedicle is
taken for it. The image itself then says where bone ends: the steepest fall of attenuation from
bone to disc close to where the network sees the border, along one smooth line from front to back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from models.grid import Floats, Mask, normalised
from models.vertebral_fractures.frames import (
    COLUMN_BACK,
    FINE_MM,
    FINE_UP,
    PIXEL_MM,
    ROW_UP,
    Strip,
    Vector,
)
from node.domain.imaging import Network

NETWORK = "outline"
#: Values that the network tells apart, HU.
VALUE_RANGE = (-250.0, 950.0)
#: Classes of the network.
#: Class of the body in the middle; 0 is none, 2 its neighbours.
BODY = 1
#: Rows and columns of a strip that count as its middle.
MIDDLE = (slice(20, 44), slice(16, 48))
BATCH = 16
#: How far from the network's border the steepest fall is looked for, mm.
REACH_MM = 3.5
#: Weight of the image's own edge against the network's border.
EDGE_WEIGHT = 0.5
#: The steepest fall of a thin dense plate lies outside of it, by more the thicker the slices: mm,
#: and mm for each mm between slices. From drawn spines of known heights.
OUTSIDE_MM, OUTSIDE_PER_MM = 0.25, 0.22
#: How far from its end the shares of a column tell its doubt, pixels; of a column without an end.
_NEAR_PIXELS, _UNKNOWN_MM = 6, 3.0
#: What one step of 0.5 mm between neighbouring columns costs, of the steepest fall.
_STEP_COST = 0.12
#: Part of the depth in which an endplate is seen whatever the body leans.
_PLAIN = (0.2, 0.8)
#: A column of less bone than this part of the body's height is a spur, not the body.
_SPUR = 0.35
#: Smallest and largest depth of a body from front to back, mm.
LEAST_DEPTH_MM, MOST_DEPTH_MM = 16.0, 50.0
#: Smallest and largest height of a body, mm.
LEAST_HEIGHT_MM, MOST_HEIGHT_MM = 5.0, 42.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """One body on one strip, mm in the strip's frame.

    Attributes:
        mask: (64, 64) the pixels of 1 mm that are the body.
        front, back: its walls. columns: positions from front to back.
        seen_upper, seen_lower: the endplates as the network sees them, at each column.
        edge_upper, edge_lower: as the image has them.
        falls: (2, n) by how much attenuation falls outwards there, HU a mm; upper, lower.
        doubts: (2, n) standard deviation of where the network sees them, mm; upper, lower.
    """

    mask: Mask
    front: float
    back: float
    columns: Vector
    seen_upper: Vector
    seen_lower: Vector
    edge_upper: Vector
    edge_lower: Vector
    falls: Vector
    doubts: Vector

    @property
    def upper(self) -> Vector:
        """The upper endplate: both ways together."""
        return self.seen_upper + EDGE_WEIGHT * (self.edge_upper - self.seen_upper)

    @property
    def lower(self) -> Vector:
        """The lower endplate."""
        return self.seen_lower + EDGE_WEIGHT * (self.edge_lower - self.seen_lower)

    @property
    def disagreement_mm(self) -> float:
        """Mean distance of both ways, of the endplate where it is larger."""
        above = float(np.abs(self.edge_upper - self.seen_upper).mean())
        below = float(np.abs(self.edge_lower - self.seen_lower).mean())
        return max(above, below)

    @property
    def lean(self) -> float:
        """By how much the axis must lean to the back to stand on the endplates, radians."""
        depth = (self.columns - self.front) / (self.back - self.front)
        # Near its corners a body that leans shows its walls, which rise against its endplates.
        part = (depth >= _PLAIN[0]) & (depth <= _PLAIN[1])
        slopes = [
            float(np.polyfit(self.columns[part], line[part], 1)[0])
            for line in (self.upper, self.lower)
        ]
        # The mean direction of both plates is at right angles to the axis.
        return -float(np.mean(np.arctan(slopes)))


def shares_of(strips: Sequence[Strip], network: Network) -> list[Floats]:
    """For each strip the probability of each class: (3, 64, 64)."""
    found: list[Floats] = []
    for first in range(0, len(strips), BATCH):
        some = strips[first : first + BATCH]
        batch = np.stack([normalised(strip.pixels, VALUE_RANGE)[None] for strip in some])
        logits = np.asarray(network.run(batch), np.float32)
        logits = logits - logits.max(axis=1, keepdims=True)
        raised = np.exp(logits)
        found += list(np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32))
    return found


def outline_of(strip: Strip, shares: Floats, slice_mm: float) -> Outline | str:
    """The body in the middle of a strip; or why there is none, in words.

    Args:
        slice_mm: distance of the slices.
    """
    share = shares[BODY]
    mask = middle_part(share > 0.5)
    if mask is None:
        return "no vertebral body is seen where the anatomy has one"
    columns = np.flatnonzero(mask.any(axis=0))
    heights = np.where(mask, share, 0.0).sum(axis=0)
    tall = float(np.percentile(heights[columns], 85))
    if not LEAST_HEIGHT_MM <= tall <= MOST_HEIGHT_MM:
        return f"what is seen is {tall:.0f} mm high, which no vertebral body is"
    whole = np.flatnonzero(heights >= _SPUR * tall)
    whole = whole[(whole >= columns[0]) & (whole <= columns[-1])]
    front, back = (
        _crossing(heights, _SPUR * tall, whole[0], -1),
        _crossing(heights, _SPUR * tall, whole[-1], 1),
    )
    if not LEAST_DEPTH_MM <= back - front <= MOST_DEPTH_MM:
        return f"what is seen is {back - front:.0f} mm deep, which no vertebral body is"
    used = np.arange(whole[0], whole[-1] + 1)
    ends = np.array([_ends(share, mask, column) for column in used])
    upper, lower = _filled(ends[:, 0]), _filled(ends[:, 1])
    above = _edge(strip, used, upper, upwards=True)
    below = _edge(strip, used, lower, upwards=False)
    outside = OUTSIDE_MM + OUTSIDE_PER_MM * slice_mm
    return Outline(
        mask=mask,
        front=front,
        back=back,
        columns=np.asarray(COLUMN_BACK[used], np.float64),
        seen_upper=upper,
        seen_lower=lower,
        edge_upper=above[0] - outside,
        edge_lower=below[0] + outside,
        falls=np.stack([above[1], below[1]]),
        doubts=np.array([_doubts(share, mask, column) for column in used]).T,
    )


def middle_part(mask: Mask) -> Mask | None:
    """Of the connected parts the one with most pixels near the middle of the strip, filled."""
    labels, count = ndimage.label(mask)
    if not count:
        return None
    near = labels[MIDDLE]
    sizes = np.bincount(near[near > 0], minlength=count + 1) if near.any() else None
    if sizes is None:
        return None
    part = labels == int(sizes.argmax())
    filled = ndimage.binary_fill_holes(part)
    return np.asarray(filled, np.bool_)


def _crossing(heights: Floats, level: float, at: int, step: int) -> float:
    """Position (back, mm) where the height of the columns crosses a level beyond `at`."""
    beyond = at + step
    if not 0 <= beyond < len(heights):
        return float(COLUMN_BACK[at])
    inner, outer = float(heights[at]), float(heights[beyond])
    part = (inner - level) / (inner - outer) if inner > outer else 0.5
    return float(COLUMN_BACK[at]) + step * float(np.clip(part, 0.0, 1.0))


def _ends(share: Floats, mask: Mask, column: int) -> tuple[float, float]:
    """Where the share crosses one half at the top and at the bottom of a column, mm up."""
    rows = np.flatnonzero(mask[:, column])
    if not rows.size:
        return np.nan, np.nan
    return _half(share[:, column], int(rows[0]), -1), _half(share[:, column], int(rows[-1]), 1)


def _half(values: Floats, row: int, step: int) -> float:
    beyond = row + step
    if not 0 <= beyond < len(values):
        return float(ROW_UP[row])
    inner, outer = float(values[row]), float(values[beyond])
    part = (inner - 0.5) / (inner - outer) if inner > outer and inner >= 0.5 else 0.5
    return float(ROW_UP[row]) - step * float(np.clip(part, 0.0, 1.0))


def _doubts(share: Floats, mask: Mask, column: int) -> tuple[float, float]:
    """Standard deviation of the top and of the bottom of a column, mm.

    The share of a pixel is the probability that it is bone, so that along a column, outwards, the
    shares are those of an end that lies further out.
    """
    rows = np.flatnonzero(mask[:, column])
    if not rows.size:
        return _UNKNOWN_MM, _UNKNOWN_MM
    line = share[:, column].astype(np.float64)
    return _spread(line[::-1], len(line) - 1 - int(rows[0])), _spread(line, int(rows[-1]))


def _spread(line: Vector, end: int) -> float:
    """Standard deviation of an end near a pixel, of shares along a line outwards."""
    near = line[max(0, end - _NEAR_PIXELS) : end + _NEAR_PIXELS + 1]
    further = np.minimum.accumulate(near)
    mean = float(further.sum())
    square = float(((2 * np.arange(len(further)) + 1) * further).sum())
    # An end between two pixels is no doubt: a part of its pixel is bone.
    part = mean % 1.0
    return PIXEL_MM * float(np.sqrt(max(0.0, square - mean**2 - part * (1.0 - part))))


def _filled(line: Vector) -> Vector:
    """A line without gaps, and without single columns that jump."""
    known = np.isfinite(line)
    at = np.arange(len(line))
    whole = np.interp(at, at[known], line[known])
    return np.asarray(ndimage.median_filter(whole, 3, mode="nearest"), np.float64)


def _edge(strip: Strip, columns: Vector, near: Vector, *, upwards: bool) -> tuple[Vector, Vector]:
    """The steepest fall from bone outwards near a line, as one smooth line (dynamic programme).

    Returns:
        Positions, mm up, and the fall at each, HU a mm.
    """
    smooth = ndimage.gaussian_filter(strip.fine, (1.0, 1.0), mode="nearest")
    # Rows run downwards: attenuation falls outwards above where it rises from row to row.
    fall = np.gradient(smooth, axis=0) if upwards else -np.gradient(smooth, axis=0)
    steps = np.arange(-round(REACH_MM / FINE_MM), round(REACH_MM / FINE_MM) + 1)
    centre = np.round((FINE_UP[0] - near) / FINE_MM).astype(int)
    rows = np.clip(centre[:, None] + steps[None, :], 1, len(fall) - 2)
    gain = fall[rows, np.asarray(columns, int)[:, None]].astype(np.float64)
    # Near the border that the network sees, a fall counts for more.
    gain = np.clip(gain, 0.0, None) * np.exp(-0.5 * (steps[None, :] * FINE_MM / 2.2) ** 2)
    scale = float(np.percentile(gain, 95)) or 1.0
    gain /= max(scale, 1.0)
    chosen = _best_line(gain, rows)
    found, falls = [], []
    for index, (column, row) in enumerate(zip(np.asarray(columns, int), chosen, strict=True)):
        a, b, c = (float(fall[row + k, column]) for k in (-1, 0, 1))
        bend = a - 2 * b + c
        shift = float(np.clip(0.5 * (a - c) / bend, -0.5, 0.5)) if bend < 0 else 0.0
        # Without any fall the network's border stands.
        at = FINE_UP[row] - shift * FINE_MM if b > 0 else near[index]
        found.append(at)
        falls.append(max(0.0, b) / FINE_MM)
    line = ndimage.median_filter(np.array(found), 3, mode="nearest")
    return np.asarray(line, np.float64), np.array(falls)


def _best_line(gain: Vector, rows: Vector) -> list[int]:
    """Row of each column on the line of the largest gain, less the cost of its steps."""
    total, came = gain[0].copy(), []
    for index in range(1, len(gain)):
        jump = np.abs(rows[index][:, None] - rows[index - 1][None, :])
        options = total[None, :] - _STEP_COST * jump**1.5
        best = options.argmax(axis=1)
        came.append(best)
        total = gain[index] + options[np.arange(len(best)), best]
    at = int(total.argmax())
    line = [at]
    for best in reversed(came):
        at = int(best[at])
        line.append(at)
    line.reverse()
    return [int(rows[index][k]) for index, k in enumerate(line)]
