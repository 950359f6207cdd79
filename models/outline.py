"""The outline of a mask as a polygon on the source image (SCOORD coordinates)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.morphology import Mask, largest_component

#: Viewers keep every point of a contour in memory and redraw them; more brings nothing.
MAX_POINTS = 500

# Directions of an edge walk with the mask on its right: right, down, left, up as (row, column).
_STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))
#: Pixels beyond a corner, on the right and on the left of the walk, from the corner's own.
_AHEAD_RIGHT = ((0, 0), (0, -1), (-1, -1), (-1, 0))
_AHEAD_LEFT = ((-1, 0), (0, 0), (0, -1), (-1, -1))
#: Of a simplified outline, in pixels.
_LEAST_TOLERANCE = 0.5


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
    if len(corners) > max_points:
        weights = _weights(corners)
        tolerance = _LEAST_TOLERANCE
        while np.count_nonzero(weights > tolerance) > max_points:
            tolerance *= 1.5
        corners = corners[weights > tolerance]
    return np.asarray(corners[:, ::-1], np.float32)


def _walk(part: Mask) -> NDArray[np.float64]:
    """Corners (row, column) of the outer edge, starting at the topmost left pixel."""
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    box = part[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # A list is read pixel by pixel many times quicker than an array.
    padded = np.pad(box, 1).tolist()
    start = (1, padded[1].index(True))
    (row, column), direction = start, 0
    corners: list[tuple[int, int]] = [start]
    while True:
        down, right = _STEPS[direction]
        row, column = row + down, column + right
        if (row, column) == start:
            break
        turned = _turn(padded, row, column, direction)
        if turned != direction:
            corners.append((row, column))
        direction = turned
    corner_of_box = np.array([rows[0], columns[0]], np.float64) - 1.0
    return np.asarray(corners, np.float64) + corner_of_box


def _turn(padded: list[list[bool]], row: int, column: int, direction: int) -> int:
    """Direction of the next edge at a corner: right where open, else on, else left.

    Corner (r, c) lies above and left of pixel (r, c). Turning right first keeps two pixels
    that touch only by a corner apart, as a part whose pixels share faces needs it.
    """
    down, right = _AHEAD_RIGHT[direction]
    if not padded[row + down][column + right]:
        return (direction + 1) % 4
    down, right = _AHEAD_LEFT[direction]
    return (direction - 1) % 4 if padded[row + down][column + right] else direction


def _weights(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Up to which tolerance, in pixels, Douglas and Peucker keep each point of a closed polygon.

    A point is kept where it and all points between which it lies are further away than the
    tolerance; 0 for points that even the least tolerance drops.
    """
    far = int(np.argmax(((points - points[0]) ** 2).sum(axis=1)))
    closed = np.vstack([points, points[:1]])
    weights = np.zeros(len(closed))
    weights[[0, far]] = np.inf
    spans = [(0, far, np.inf), (far, len(closed) - 1, np.inf)]
    while spans:
        first, last, above = spans.pop()
        if last - first < 2:
            continue
        distance = _distances(closed[first + 1 : last], closed[first], closed[last])
        worst = int(distance.argmax())
        weight = min(float(distance[worst]), above)
        if weight > _LEAST_TOLERANCE:
            middle = first + 1 + worst
            weights[middle] = weight
            spans += [(first, middle, weight), (middle, last, weight)]
    return weights[:-1]


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
