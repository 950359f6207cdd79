"""Sizes of a mask in its plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

#: From the centre of a pixel to the middles of its four sides, in pixels.
_SIDES = np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, -0.5], [0.0, 0.5]])


def axes_mm(mask: NDArray[np.bool_], pixel_mm: tuple[float, float]) -> tuple[float, float]:
    """Longest diameter of a (row, column) mask, and the longest one at right angles to it, mm.

    Measured on the convex hull of the sides of the pixels, as RECIST 1.1 has a reader do it
    with callipers. (0, 0) for an empty mask.
    """
    edge = mask & ~ndimage.binary_erosion(mask)
    pixels = np.argwhere(edge)
    if not len(pixels):
        return 0.0, 0.0
    points = (pixels[:, None, :] + _SIDES[None]).reshape(-1, 2) * np.array(pixel_mm)
    try:
        hull = points[ConvexHull(points).vertices]
    except QhullError:  # never of two or more sides of a pixel, whatever its spacing
        hull = points
    apart = np.linalg.norm(hull[:, None] - hull[None], axis=2)
    first, second = np.unravel_index(int(apart.argmax()), apart.shape)
    long_axis = float(apart[first, second])
    along = (hull[second] - hull[first]) / long_axis
    across = np.array([-along[1], along[0]])
    return long_axis, _longest_chord((hull - hull[first]) @ along, (hull - hull[first]) @ across)


def _longest_chord(along: NDArray[np.float64], across: NDArray[np.float64]) -> float:
    """Of a convex polygon, over all lines at right angles to the long axis.

    The chord is a concave function of the place, with its bends at the corners.
    """
    chords = np.zeros(len(along))
    for sign in (1.0, -1.0):
        chosen = sign * across >= -1e-9
        order = np.argsort(along[chosen])
        chords += np.interp(along, along[chosen][order], (sign * across[chosen])[order])
    return float(chords.max())
