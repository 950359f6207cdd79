"""Where in its lung a nodule lies: by height only, for the lobe is not known."""

from __future__ import annotations

import numpy as np

from models.lung_nodules.cubes import Point
from models.thorax.lungs import Lungs

#: From the base of the lung to its top.
THIRDS = ("lower", "middle", "upper")


def third_of(lungs: Lungs, centre: Point, side: str) -> str:
    """Third of the height of its lung that holds a place; "" where that lung is cut or not known.

    Args:
        centre: (3,) position among the samples of the grid. side: "right", "left" or "".
    """
    room = {"right": lungs.right, "left": lungs.left}.get(side)
    if room is None or lungs.cut_below or lungs.cut_above:
        return ""
    planes = np.flatnonzero(room.any(axis=(1, 2)))
    if not planes.size:
        return ""
    height = float(lungs.volume.from_grid(centre[None])[0, 0]) - planes[0] + 0.5
    part = height / (planes[-1] - planes[0] + 1)
    return THIRDS[int(np.clip(3 * part, 0, 2))]


def said(third: str, side: str) -> str:
    """What stands where the lobe is asked for."""
    if not third:
        return "not determined"
    return f"not determined; in the {third} third of the {side} lung's height"
