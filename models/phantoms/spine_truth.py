"""What is known exactly of the vertebral bodies of a spine in detail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.phantoms.acquisition import Pose, placed
from models.phantoms.anatomy import Trunk
from models.phantoms.fractures import Change
from models.phantoms.tissue import Tissue
from models.phantoms.vertebral_bodies import own_frame

Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyTruth:
    """One vertebral body.

    Attributes:
        points_mm: anterior, middle, posterior; of each the upper and the lower; LPS mm.
        heights_mm: anterior, middle, posterior. whole_mm: the same before any change.
        loss: largest share of the three heights that was lost.
    """

    body: Tissue
    points_mm: tuple[tuple[Point, Point], ...]
    heights_mm: tuple[float, float, float]
    whole_mm: tuple[float, float, float]
    change: Change | None

    @property
    def centre_mm(self) -> Point:
        """Mean of the six points, LPS mm."""
        x, y, z = np.array(self.points_mm).reshape(-1, 3).mean(axis=0)
        return float(x), float(y), float(z)

    @property
    def loss(self) -> float:
        """The largest share of a height that is lost, 0..1."""
        pairs = zip(self.heights_mm, self.whole_mm, strict=True)
        return max(1 - now / before for now, before in pairs)

    @property
    def grade(self) -> int:
        """Genant 0 to 3: losses of 20, 25 and 40 %."""
        return sum(self.loss >= limit for limit in (0.20, 0.25, 0.40))


def bodies_of(trunk: Trunk, pose: Pose) -> tuple[BodyTruth, ...]:
    """The truth of every body; () where the spine is not in detail."""
    found = []
    for body, shape in zip(trunk.frame.bodies, trunk.shapes, strict=False):
        own = own_frame(trunk.canvas, trunk.frame, body)
        points = placed(own.outward(shape.points()), pose)
        found.append(
            BodyTruth(
                body=body.tissue,
                points_mm=tuple((_point(upper), _point(lower)) for upper, lower in points),
                heights_mm=shape.heights(),
                whole_mm=shape.heights(whole=True),
                change=shape.change if shape.change and not _plain(shape.change) else None,
            )
        )
    return tuple(found)


def _plain(change: Change) -> bool:
    return change == Change(body=change.body)


def _point(values: np.ndarray) -> Point:
    x, y, z = (float(value) for value in values)
    return x, y, z
