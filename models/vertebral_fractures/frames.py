"""The own frame of each vertebral body, and strips of the image in its middle plane.

A strip is one plane through a body that holds its axis and the direction to the canal: as a
radiologist would tilt a sagittal reformat for this body alone. It is a mean over a few mm from
side to side, which the endplates do not notice and the noise does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.grid import Floats, Grid
from node.domain.anatomy import Anatomy, Vertebra

Vector = NDArray[np.float64]

#: Edge of a strip, mm; of the network's pixels, mm; of the finer rows, mm.
EDGE_MM, PIXEL_MM, FINE_MM = 64, 1.0, 0.5
#: Half the way from side to side that a strip is a mean of, mm.
HALF_WIDE_MM = 3.0
#: Where the canal of a body is looked for: up and down, and how far away, mm.
_CANAL_UP_MM, _CANAL_AWAY_MM = 16.0, 45.0
_LEAST_CANAL = 40
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
        return self.fine.reshape(EDGE_MM, 2, EDGE_MM).mean(axis=1, dtype=np.float32)


#: Positions of fine rows, of rows of 1 mm (up), and of columns (back), mm from the centre.
FINE_UP = (EDGE_MM - FINE_MM) / 2 - FINE_MM * np.arange(2 * EDGE_MM)
ROW_UP = (EDGE_MM - PIXEL_MM) / 2 - PIXEL_MM * np.arange(EDGE_MM)
COLUMN_BACK = PIXEL_MM * np.arange(EDGE_MM) - (EDGE_MM - PIXEL_MM) / 2


def frames_of(anatomy: Anatomy, vertebrae: Sequence[Vertebra]) -> list[Own]:
    """A first frame for each body, from the shared anatomy: right to about 4 mm and 10 degrees."""
    canal = np.argwhere(anatomy.mask("spinal_canal"))
    points = canal @ anatomy.affine[:3, :3].T + anatomy.affine[:3, 3]
    ways = [_to_canal(points, one) for one in vertebrae]
    return [_frame(one, _agreed(ways, index)) for index, one in enumerate(vertebrae)]


def _to_canal(points: Vector, body: Vertebra) -> Vector | None:
    """Unit vector from the body to its canal, at right angles to its axis; None: not seen."""
    up, centre = np.array(body.upwards), np.array(body.centre_mm)
    if not len(points):
        return None
    away = points - centre
    along = away @ up
    across = away - along[:, None] * up
    distance = np.linalg.norm(across, axis=1)
    near = (np.abs(along) < _CANAL_UP_MM) & (distance < _CANAL_AWAY_MM)
    if near.sum() < _LEAST_CANAL:
        return None
    way = across[near].mean(axis=0)
    length = float(np.linalg.norm(way))
    return np.asarray(way / length, np.float64) if length > 8.0 else None


def _agreed(ways: Sequence[Vector | None], index: int) -> Vector | None:
    """The way to the canal, steadied by the neighbours' ways."""
    near = [
        weight * ways[k]  # type: ignore[operator]
        for k, weight in ((index - 1, 0.5), (index, 1.0), (index + 1, 0.5))
        if 0 <= k < len(ways) and ways[k] is not None
    ]
    return np.asarray(np.sum(near, axis=0), np.float64) if near else None


def _frame(body: Vertebra, way: Vector | None) -> Own:
    up = np.array(body.upwards, np.float64)
    up /= np.linalg.norm(up)
    back = np.array([0.0, 1.0, 0.0]) if way is None else way
    back = back - (back @ up) * up
    back /= np.linalg.norm(back)
    left = np.cross(back, up)
    return Own(
        centre=np.array(body.centre_mm, np.float64), left=left, back=back, up=up,
        turned=way is not None,
    )  # fmt: skip


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
