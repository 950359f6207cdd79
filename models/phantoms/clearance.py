"""Room between tubes: no vessel runs through a bronchus or through another vessel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from models.phantoms.vessel_tree import Points, Samples

_FAR_MM = 12.0
_NEIGHBOURS = 12


def outer_mm(lumen: Samples) -> Samples:
    """Balls of airways with their wall and the sheath around it, from those of the lumen."""
    return Samples(lumen.points, lumen.radius_mm * 1.25 + 0.5, lumen.branch)


class Clearance:
    """Keeps points clear of balls along other tubes.

    Args:
        taken: balls that are there already. gap_mm: between their surface and that of a ball
            which is kept clear of them.
    """

    def __init__(self, taken: Sequence[Samples], gap_mm: float) -> None:
        self._points = np.concatenate([each.points for each in taken])
        self._radius = np.concatenate([each.radius_mm for each in taken])
        self._gap_mm = gap_mm
        self._index = cKDTree(self._points)

    def pushed(self, points: Points, radius: NDArray[np.float64], passes: int) -> Points:
        """Points moved sideways until balls of `radius` do not touch what is taken.

        Args:
            points: (n, 3) z, y, x, mm. radius: (n,) mm. passes: at most so many moves each.
        """
        out = points.copy()
        for turn in range(passes):
            _, near = self._index.query(out, k=_NEIGHBOURS, distance_upper_bound=_FAR_MM)
            known = near < len(self._points)
            safe = np.where(known, near, 0)
            away = out[:, None, :] - self._points[safe]
            distance = np.linalg.norm(away, axis=2)
            lack = np.where(
                known, self._radius[safe] + radius[:, None] + self._gap_mm - distance, 0
            )
            worst = np.argmax(lack, axis=1)
            rows = np.arange(len(out))
            need = lack[rows, worst]
            if not (need > 0).any():
                break
            step = away[rows, worst] / np.maximum(distance[rows, worst], 1e-3)[:, None]
            step[distance[rows, worst] < 1e-3] = (0.0, 1.0, 0.0)
            move = np.where(need > 0, need * (1.05 if turn < 4 else 1.4), 0)
            out += step * move[:, None]
        return out
