"""Every outline of a mask along the edges of its pixels, holes joined to what surrounds them.

`models.outline` gives the one outer outline that a report shows; a structure set needs all of
them. Polygons here enclose exactly the pixels of the mask, so areas and volumes are its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.grid import Mask

Loop = list[tuple[int, int]]


def polygons(mask: Mask, most_points: int | None = None) -> tuple[NDArray[np.float32], ...]:
    """Closed polygons round a (row, column) mask, one for each part whose pixels share a face.

    A hole is joined to its surroundings by a channel without width (keyhole, PS3.3 C.8.8.6.3), so
    that a reader who fills each polygon by itself gets the mask.

    Args:
        most_points: of one polygon. A part with more is cut in two along a line between pixels,
            so the pixels stay exactly those of the mask.

    Returns:
        (n, 2) float32 (column, row), SCOORD coordinates: 0.0 is the outer edge of the first
        pixel; clockwise on the screen, the first point is not repeated.
    """
    loops = _loops(mask)
    outer = [loop for loop in loops if _doubled_area(loop) > 0]
    holes = sorted((loop for loop in loops if _doubled_area(loop) < 0), key=_corner)
    for hole in holes:
        _join(hole, outer, mask)
    found = [np.asarray(loop, np.float32) for loop in outer]
    if most_points is None or all(len(points) <= most_points for points in found):
        return tuple(found)
    return _halves(mask, most_points)


def _halves(mask: Mask, most_points: int) -> tuple[NDArray[np.float32], ...]:
    """The polygons of both halves of a mask, cut across its longer side."""
    axis = int(np.argmax([np.ptp(np.flatnonzero(mask.any(axis=1 - k))) for k in (0, 1)]))
    used = np.flatnonzero(mask.any(axis=1 - axis))
    behind = np.arange(mask.shape[axis]) > (int(used[0]) + int(used[-1])) // 2
    second = mask & (behind[:, None] if axis == 0 else behind[None, :])
    return (*polygons(mask & ~second, most_points), *polygons(second, most_points))


def area(points: NDArray[np.floating]) -> float:
    """Area of a closed polygon (n, 2), in the units of its points; a channel adds nothing."""
    x, y = points[:, 0].astype(np.float64), points[:, 1].astype(np.float64)
    return float(abs((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2)


def inset(points: NDArray[np.float32], by: float) -> NDArray[np.float64]:
    """A polygon of `polygons` with its edges moved into the mask; channels become as wide twice.

    Readers that round corners to whole pixels and draw the edges too (OpenCV's fillPoly) then get
    the pixels of the mask; corners halfway between pixels would be rounded either way.

    Args:
        by: pixels, less than half of one.
    """
    corners = points.astype(np.float64)
    ahead = np.sign(np.roll(corners, -1, axis=0) - corners)
    # The mask lies on the right of the way: below a step to the right.
    right = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    before = np.roll(right, 1, axis=0)
    straight = (right == before).all(axis=1, keepdims=True)
    return np.asarray(corners + by * np.where(straight, right, right + before), np.float64)


def _doubled_area(loop: Loop) -> int:
    points = np.asarray(loop, np.int64)
    following = np.roll(points, -1, axis=0)
    return int((points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]).sum())


def _corner(loop: Loop) -> tuple[int, int]:
    """Its leftmost point, the topmost of several."""
    return min(loop)


def _runs(edges: NDArray[np.int8]) -> tuple[NDArray[np.int64], ...]:
    """Straight runs of edges of one sense along axis 1: (line, first, behind the last, sense)."""
    lines, length = edges.shape
    padded = np.zeros((lines, length + 2), np.int8)
    padded[:, 1:-1] = edges
    change = padded[:, 1:] != padded[:, :-1]
    line, at = np.nonzero(change)
    before, behind = padded[line, at], padded[line, at + 1]
    starts, ends = behind != 0, before != 0
    return line[starts], at[starts], at[ends], behind[starts].astype(np.int64)


def _loops(mask: Mask) -> list[Loop]:
    """Closed walks (column, row) along pixel edges with the mask on the right-hand side."""
    if not mask.any():
        return []
    padded = np.pad(mask, 1).astype(np.int8)
    # Edges between a pixel and the one above it: to the right where the lower one is inside.
    across = padded[1:, 1:-1] - padded[:-1, 1:-1]
    # Edges between a pixel and the one on its left: upwards where the right one is inside.
    along = (padded[1:-1, 1:] - padded[1:-1, :-1]).T
    row, first, last, sense = _runs(across)
    right = sense > 0
    h_start = np.stack([np.where(right, first, last), row], 1)
    h_end = np.stack([np.where(right, last, first), row], 1)
    column, top, bottom, inner = _runs(along)
    up = inner > 0
    v_start = np.stack([column, np.where(up, bottom, top)], 1)
    v_end = np.stack([column, np.where(up, top, bottom)], 1)
    after_h = _following(h_end, right, v_start, up, from_across=True)
    after_v = _following(v_end, up, h_start, right, from_across=False)
    return _walks(h_start, v_start, after_h, after_v)


def _following(
    ends: NDArray[np.int64],
    senses: Mask,
    starts: NDArray[np.int64],
    starting: Mask,
    *,
    from_across: bool,
) -> NDArray[np.int64]:
    """For each run the index of the run of the other direction that goes on from its end.

    Two start where two pixels touch by a corner only; the walk turns right there, which keeps
    them apart. Right of "to the right" is down, right of "up" is to the right.
    """
    width = int(max(ends[:, 0].max(), starts[:, 0].max())) + 1
    keys = (starts[:, 1] * width + starts[:, 0]) * 2 + starting
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    turned_right = ~senses if from_across else senses
    base = (ends[:, 1] * width + ends[:, 0]) * 2
    preferred = base + turned_right
    at = np.minimum(np.searchsorted(ordered, preferred), len(ordered) - 1)
    missing = ordered[at] != preferred
    other = np.searchsorted(ordered, base[missing] + ~turned_right[missing])
    at[missing] = np.minimum(other, len(ordered) - 1)
    return np.asarray(order[at], np.int64)


def _walks(
    h_start: NDArray[np.int64],
    v_start: NDArray[np.int64],
    after_h: NDArray[np.int64],
    after_v: NDArray[np.int64],
) -> list[Loop]:
    h_points = [(int(x), int(y)) for x, y in h_start]
    v_points = [(int(x), int(y)) for x, y in v_start]
    to_v, to_h = after_h.tolist(), after_v.tolist()
    done = bytearray(len(h_points))
    loops: list[Loop] = []
    for begin in range(len(h_points)):
        if done[begin]:
            continue
        loop: Loop = []
        at = begin
        while not done[at]:
            done[at] = 1
            loop.append(h_points[at])
            turn = to_v[at]
            loop.append(v_points[turn])
            at = to_h[turn]
        loops.append(loop)
    return loops


def _join(hole: Loop, outer: list[Loop], mask: Mask) -> None:
    """Join a hole to the polygon on its left, at the height of its leftmost topmost corner."""
    column, row = _corner(hole)
    at = hole.index((column, row))
    turned = [*hole[at:], *hole[:at]]
    reach = column - 1
    while not _is_border(mask, reach, row):
        reach -= 1
    target = (reach, row)
    for loop in outer:
        index = _place(loop, target)
        if index is not None:
            back = [] if loop[index % len(loop)] == target else [target]
            loop[index:index] = [target, *turned, turned[0], *back]
            return
    raise AssertionError("a hole lies within a part of the mask")


def _is_border(mask: Mask, column: int, row: int) -> bool:
    """Do the four pixels round a corner differ?"""
    block = np.zeros((2, 2), np.bool_)
    for dr in (0, 1):
        for dc in (0, 1):
            r, c = row - 1 + dr, column - 1 + dc
            inside = 0 <= r < mask.shape[0] and 0 <= c < mask.shape[1]
            block[dr, dc] = inside and bool(mask[r, c])
    return bool(block.any() and not block.all())


def _place(loop: Loop, point: tuple[int, int]) -> int | None:
    """Where the point belongs in the loop, on a corner or on an edge; None where it does not."""
    x, y = point
    for index, (first, second) in enumerate(zip(loop, [*loop[1:], loop[0]], strict=True)):
        if first == point:
            return index
        if first[0] == second[0] == x and min(first[1], second[1]) < y < max(first[1], second[1]):
            return index + 1
        if first[1] == second[1] == y and min(first[0], second[0]) < x < max(first[0], second[0]):
            return index + 1
    return None
