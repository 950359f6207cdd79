"""The form of one vertebral body in its own frame, as formulas: exact heights at any place.

The frame: x to the left, y to posterior, z to the head along the spine, mm, from its middle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.phantoms.fractures import Change, Deformity

Field = NDArray[np.float32]

#: The wall behind, as a part of the half depth.
BACK = 0.86
#: Parts of the depth (0 in front, 1 behind) over which the three heights are means.
BANDS = {"anterior": (0.06, 0.20), "middle": (0.42, 0.58), "posterior": (0.80, 0.94)}
#: Share of a loss that the upper endplate takes.
_ABOVE = {Deformity.WEDGE: 0.75, Deformity.BICONCAVE: 0.5, Deformity.CRUSH: 0.65}
_NODE_MM = 3.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One body.

    Attributes:
        half_width, half_depth: at the rims, mm. height: before any fracture, mm.
        tilt: (height in front - height behind) / height, before any fracture.
        hollow: depth of each endplate's bowl, mm.
    """

    half_width: float
    half_depth: float
    height: float
    tilt: float
    hollow: float
    change: Change | None = None

    def depth_of(self, y: Field) -> Field:
        """0 at the front wall to 1 at the wall behind."""
        part = (y + self.half_depth) / ((1 + BACK) * self.half_depth)
        return np.asarray(np.clip(part, 0.0, 1.0), np.float32)

    def endplates(self, x: Field, y: Field, *, whole: bool = False) -> tuple[Field, Field]:
        """z of the upper and of the lower endplate; `whole`: before any change, mm."""
        depth = self.depth_of(y)
        r2 = (x / self.half_width) ** 2 + (y / self.half_depth) ** 2
        half = self.height / 2 * (1 + self.tilt * (0.5 - depth))
        half = half - self.hollow * np.clip(1 - r2, 0, 1)
        top, bottom = half, -half
        change = self.change
        if change is not None and not whole:
            lost = change.lost(depth) * self.height
            above = _ABOVE.get(change.deformity, 0.5) if change.deformity else 0.5
            top = top - above * lost
            bottom = bottom + (1 - above) * lost
            node = np.exp(-((x - 5.0) ** 2 + (y - 0.1 * self.half_depth) ** 2) / 2 / _NODE_MM**2)
            top = top - change.node_mm * node
        return np.asarray(top, np.float32), np.asarray(bottom, np.float32)

    def inward(self, x: Field, y: Field, z: Field) -> Field:
        """Distance inside the walls, mm, about; negative outside."""
        high = np.clip(2 * z / self.height, -1, 1)
        waist = 1 - 0.12 * np.clip(1 - high**2, 0, 1)
        r = np.sqrt((x / self.half_width) ** 2 + (y / self.half_depth) ** 2)
        size = np.sqrt(x**2 + y**2) / np.maximum(r, 1e-3)
        rim = waist
        if self.change is not None:
            ahead = np.clip(-y / self.half_depth, 0, 1) ** 2
            rim = rim + self.change.spur_mm / self.half_depth * ahead * np.clip(
                (np.abs(high) - 0.55) / 0.45, 0, 1
            )
        behind = BACK * self.half_depth - y
        return np.asarray(np.minimum((rim - r) * size, behind), np.float32)

    def heights(self, *, whole: bool = False) -> tuple[float, float, float]:
        """Anterior, middle, posterior height in the middle plane, mm; `whole`: before a change."""
        found = []
        for first, last in BANDS.values():
            top, bottom = self.endplates(*self._band(first, last), whole=whole)
            found.append(float((top - bottom).mean()))
        return found[0], found[1], found[2]

    def points(self) -> NDArray[np.float64]:
        """(3, 2, 3) anterior, middle, posterior; upper, lower; (x, y, z) mm."""
        found = []
        for first, last in BANDS.values():
            x, y = self._band(first, last)
            top, bottom = self.endplates(x, y)
            at = float(y.mean())
            found.append([[0.0, at, float(top.mean())], [0.0, at, float(bottom.mean())]])
        return np.array(found)

    def _band(self, first: float, last: float) -> tuple[Field, Field]:
        depth = np.linspace(first, last, 29, dtype=np.float32)
        y = (1 + BACK) * self.half_depth * depth - self.half_depth
        return np.zeros_like(y), np.asarray(y, np.float32)
