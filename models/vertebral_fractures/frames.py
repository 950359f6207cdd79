"""The own frame of each vertebral body, and strips of the image in its middle plane.

A strip is one plane through a body that holds its axis and the direction to the canal: as a
radiologist would tilt a sagittal reformat for this body alone. It is a mean over a few mm from
side to side, which the endplates do not notice and the noise does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.grid import Floats, Grid

Vector = NDArray[np.float64]

#: Edge of a strip, mm; of the network's pixels, mm; of the finer rows, mm.
EDGE_MM, PIXEL_MM, FINE_MM = 64, 1.0, 0.5
#: Half the way from side to side that a strip is a mean of, mm.
HALF_WIDE_MM = 3.0
#: Air outside everything, HU.
_NOWHERE_HU = -1024.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Frame of one body.

    Attributes:
        centre: (3,) LPS mm. left, back, up: (3,) unit vectors at right angles, LPS: to the
            patient's left, to the canal, to the head along the body's axis.
        turned: the direction to the canal was seen, not assumed.
    """

    centre: Vector
    left: Vector
    back: Vector
    up: Vector
    turned: bool

    def at(self, left: Vector, back: Vector, up: Vector) -> Vector:
        """(..., 3) LPS mm of points given in this frame, mm."""
        return np.asarray(
            self.centre
            + left[..., None] * self.left
            + back[..., None] * self.back
            + up[..., None] * self.up,
            np.float64,
        )

    def moved(self, back_mm: float, up_mm: float, lean: float = 0.0) -> Own:
        """The frame with its centre moved, and its axis leant to the back by `lean` radians."""
        c, s = np.cos(lean), np.sin(lean)
        return replace(
            self,
            centre=self.centre + back_mm * self.back + up_mm * self.up,
            back=c * self.back - s * self.up,
            up=c * self.up + s * self.back,
        )

    def tilted(self, tilt: float) -> Own:
        """The frame with its left axis raised by an angle, radians."""
        c, s = np.cos(tilt), np.sin(tilt)
        return replace(self, left=c * self.left + s * self.up, up=c * self.up - s * self.left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """The image in one plane of a body's frame.

    Attributes:
        fine: (row, column) HU, rows of 0.5 mm from above, columns of 1 mm from the front.
        seen: (row, column) share of each pixel's way from side to side within the series.
    """

    fine: Floats
    seen: Floats

    @property
    def pixels(self) -> Floats:
        """(64, 64) HU on pixels of 1 mm: what the network is given."""
        return np.asarray(
            self.fine.reshape(EDGE_MM, 2, EDGE_MM).mean(axis=1, dtype=np.float32), np.float32
        )


#: Positions of fine rows, of rows of 1 mm (up), and of columns (back), mm from the centre.
FINE_UP = (EDGE_MM - FINE_MM) / 2 - FINE_MM * np.arange(2 * EDGE_MM)
ROW_UP = (EDGE_MM - PIXEL_MM) / 2 - PIXEL_MM * np.arange(EDGE_MM)
COLUMN_BACK = PIXEL_MM * np.arange(EDGE_MM) - (EDGE_MM - PIXEL_MM) / 2


def strip_of(grid: Grid, own: Own, left_mm: float = 0.0) -> Strip:
    """The strip of a frame, `left_mm` to the left of its middle plane."""
    wide = left_mm + np.arange(-HALF_WIDE_MM, HALF_WIDE_MM + 0.5, 1.0)
    left, up, back = np.meshgrid(wide, FINE_UP, COLUMN_BACK, indexing="ij")
    hu, seen = values_at(grid, own.at(left, back, up))
    return Strip(
        fine=np.asarray(hu.mean(axis=0), np.float32), seen=np.asarray(seen.mean(axis=0), np.float32)
    )


def values_at(grid: Grid, points: Vector) -> tuple[Floats, Floats]:
    """HU at (..., 3) points, LPS mm, and 1 where the series holds the point, else 0."""
    inverse = np.linalg.inv(grid.affine)
    index = points @ inverse[:3, :3].T + inverse[:3, 3]
    flat = index.reshape(-1, 3).T
    shape = np.array(grid.shape)[:, None]
    inside = ((flat > -0.5) & (flat < shape - 0.5)).all(axis=0)
    low = np.clip(np.floor(flat.min(axis=1)), 0, np.array(grid.shape) - 1).astype(int)
    high = np.clip(np.ceil(flat.max(axis=1)) + 1, 1, np.array(grid.shape)).astype(int)
    high = np.maximum(high, low + 1)
    part = np.asarray(
        grid.hu[low[0] : high[0], low[1] : high[1], low[2] : high[2]], np.float32, order="C"
    )
    found = ndimage.map_coordinates(part, flat - low[:, None], order=1, mode="nearest")
    found = np.where(inside, found, _NOWHERE_HU)
    return (
        np.asarray(found.reshape(points.shape[:-1]), np.float32),
        np.asarray(inside.reshape(points.shape[:-1]), np.float32),
    )
