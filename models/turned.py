"""How a further look lies in an image: turned, scaled and mirrored a little."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def turn(
    degrees: tuple[float, float, float], size: float, *, mirrored: bool
) -> NDArray[np.float64]:
    """(3, 3) in slices, rows and columns: from a turned window to the image.

    Args:
        degrees: about the slice, row and column axes. size: of what one voxel of the window
            covers. mirrored: columns run the other way.
    """
    turned = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        first, second = (k for k in range(3) if k != axis)
        step = np.eye(3)
        step[first, first] = step[second, second] = np.cos(angle)
        step[first, second], step[second, first] = -np.sin(angle), np.sin(angle)
        turned = step @ turned
    return turned @ np.diag([size, size, -size if mirrored else size])
