"""The outline of a mask as a polygon on the source image (SCOORD coordinates)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.morphology import Mask, largest_component

#: Viewers keep every point of a contour in memory and redraw them; more brings nothing.
MAX_POINTS = 500

# Directions of an edge walk with the mask on its right: right, down, left, up as (row, column).
_STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))


def outer_polygon(mask: Mask, max_points: int = MAX_POINTS) -> NDArray[np.float32]:
    """Outer outline of the largest part of a (row, column) mask.

    The outline runs along the edges of the pixels, so the polygon encloses exactly the pixels
    (and the holes) of that part; only where it would have too many points is it simplified.

    Returns:
        (n, 2) float32 (column, row), SCOORD coordinates (PS3.3 C.18.6.1.1: 0.0 is the outer edge
        of the first pixel); clockwise on the screen, the first point is not repeated; (0, 2) for
        an empty mask.
    """
    part = largest_component(mask)
    if not part.any():
        return np.zeros((0, 2), np.float32)
    corners = _walk(part)
    tolerance = 0.0
    points = corners
    while len(points) > max_points:
        tolerance = tolerance * 1.5 if tolerance else 0.5
        points = _simplified(corners, tolerance)
    return np.asarray(points[:, ::-1], np.float32)


def _walk(part: Mask) -> NDArray[np.float64]:
    """Corners (row, column) of the outer edge, starting at the topmost left pixel."""
    padded = np.pad(part, 1)
    start_row = int(np.flatnonzero(padded.any(axis=1))[0])
    start = (start_row, int(np.flatnonzero(padded[start_row])[0]))
    corner, direction = start, 0
    corners: list[tuple[int, int]] = [start]
    while True:
        corner = (corner[0] + _STEPS[direction][0], corner[1] + _STEPS[direction][1])
        if corner == start:
            break
        turned = _turn(padded, corner, direction)
        if turned != direction:
            corners.append(corner)
        direction = turned
    return np.array(corners, np.float64) - 1.0


def _turn(padded: Mask, corner: tuple[int, int], direction: int) -> int:
    """Direction of the next edge at a corner: right where open, else on, else left.

    Corner (r, c) lies above and left of pixel (r, c). Turning right first keeps two pixels
    that touch only by a corner apart, as a part whose pixels share faces needs it.
    """
    row, column = corner
    ahead = {
        0: ((row, column), (row - 1, column)),
        1: ((row, column - 1), (row, column)),
        2: ((row - 1, column - 1), (row, column - 1)),
        3: ((row - 1, column), (row - 1, column - 1)),
    }[direction]
    right, left = (bool(padded[pixel]) for pixel in ahead)
    if not right:
        return (direction + 1) % 4
    return (direction - 1) % 4 if left else direction


def _simplified(points: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """Douglas-Peucker on a closed polygon; `tolerance` in pixels."""
    far = int(np.argmax(((points - points[0]) ** 2).sum(axis=1)))
    closed = np.vstack([points, points[:1]])
    keep = np.zeros(len(closed), np.bool_)
    keep[[0, far]] = True
    spans = [(0, far), (far, len(closed) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        distance = _distances(closed[first + 1 : last], closed[first], closed[last])
        worst = int(distance.argmax())
        if distance[worst] > tolerance:
            middle = first + 1 + worst
            keep[middle] = True
            spans += [(first, middle), (middle, last)]
    return closed[:-1][keep[:-1]]


def _distances(
    points: NDArray[np.float64], first: NDArray[np.float64], last: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance of each point from the segment between two others."""
    along = last - first
    length = float(along @ along)
    if length == 0.0:
        return np.asarray(np.linalg.norm(points - first, axis=1), np.float64)
    at = np.clip((points - first) @ along / length, 0.0, 1.0)[:, None]
    return np.asarray(np.linalg.norm(points - (first + at * along), axis=1), np.float64)
