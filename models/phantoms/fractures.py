"""What can be wrong with a simulated spine: its course, its number, fractures, lesions, metal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from models.phantoms.tissue import BODIES, Tissue


class Deformity(StrEnum):
    """How a fractured body has lost height."""

    WEDGE = "wedge"
    BICONCAVE = "biconcave"
    CRUSH = "crush"


class Lesion(StrEnum):
    """A round part of a body that is denser or less dense than the rest."""

    SCLEROTIC = "sclerotic"
    LYTIC = "lytic"


class Junction(StrEnum):
    """A transitional vertebra between the lumbar spine and the sacrum.

    Levels are those that counting from the ribs gives: a lumbarised S1 is a sixth body below L5,
    a sacralised L5 is a part of the sacrum.
    """

    SIX = "lumbarised S1"
    FOUR = "sacralised L5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A metastasis: a ball that is denser or less dense, and spares no wall that it reaches.

    Attributes:
        middle: (x, y, z) in the body's own frame, as parts of its half width, depth and height.
        radius_mm: of the ball.
    """

    lesion: Lesion
    middle: tuple[float, float, float]
    radius_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One body that is not as it was.

    Attributes:
        body: of `BODIES`.
        deformity: None: it keeps its height. loss: of its height, 0..1, where it is lowest.
        acute: with a band of denser bone below the broken endplate and a step of its front.
        spur_mm: osteophytes in front, at both rims. node_mm: depth of a Schmorl's node above.
        lesion: in its middle. cement: fills a part of it. spots: metastases.
    """

    body: Tissue
    deformity: Deformity | None = None
    loss: float = 0.0
    acute: bool = False
    spur_mm: float = 0.0
    node_mm: float = 0.0
    lesion: Lesion | None = None
    cement: bool = False
    spots: tuple[Spot, ...] = ()

    def lost(self, depth: np.ndarray) -> np.ndarray:
        """Share of the height that is lost at each depth, 0 in front to 1 behind."""
        if self.deformity is Deformity.WEDGE:
            return np.asarray(self.loss * np.clip(1.15 - 1.3 * depth, 0.0, 1.0))
        if self.deformity is Deformity.BICONCAVE:
            return np.asarray(self.loss * np.exp(-(((depth - 0.5) / 0.26) ** 2)))
        if self.deformity is Deformity.CRUSH:
            return np.asarray(self.loss * (1.0 - 0.1 * depth))
        return np.zeros_like(depth)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpineOptions:
    """A spine in detail: bodies with endplates, and what is wrong with them.

    Attributes:
        changes: at most one for each body.
        marrow_hu: mean of trabecular bone, in place of the person's; None leaves it.
        cobb_degrees: of a scoliosis, convex to the left where positive; 0 leaves the person's own
            course. turn_degrees: how far the bodies at its apex are turned to the convex side.
        junction: a transitional vertebra.
        screws: bodies that hold a pedicle screw on each side, joined by rods.
        bridged: bodies whose spurs meet those of the body above, across the disc.
    """

    changes: tuple[Change, ...] = ()
    marrow_hu: float | None = None
    cobb_degrees: float = 0.0
    turn_degrees: float = 0.0
    junction: Junction | None = None
    screws: tuple[Tissue, ...] = ()
    bridged: tuple[Tissue, ...] = ()

    def of(self, body: Tissue) -> Change | None:
        """What is wrong with one body."""
        return next((one for one in self.changes if one.body is body), None)


#: Losses of height of the grades of Genant (J Bone Miner Res 1993;8:1137), away from the limits.
LOSSES = {1: (0.205, 0.245), 2: (0.27, 0.38), 3: (0.42, 0.55)}


def draw_spine(seed: int, *, grades: tuple[int, ...], among: tuple[Tissue, ...]) -> SpineOptions:
    """A spine with one fracture of each grade, and harmless changes of other bodies.

    Args:
        among: bodies that may be fractured.
    """
    rng = np.random.default_rng([seed, 40])
    broken = [among[k] for k in rng.permutation(len(among))[: len(grades)]]
    changes = []
    for body, grade in zip(broken, grades, strict=True):
        changes.append(
            Change(
                body=body,
                deformity=tuple(Deformity)[int(rng.choice(3, p=(0.5, 0.3, 0.2)))],
                loss=float(rng.uniform(*LOSSES[grade])),
                acute=bool(rng.random() < 0.5),
                spur_mm=float(rng.choice((0.0, rng.uniform(2, 6)))),
            )
        )
    for body in BODIES:
        if body in broken or rng.random() < 0.6:
            continue
        what = int(rng.integers(3))
        changes.append(
            Change(
                body=body,
                spur_mm=float(rng.uniform(2, 7)) if what == 0 else 0.0,
                node_mm=float(rng.uniform(3, 5)) if what == 1 else 0.0,
                lesion=tuple(Lesion)[int(rng.integers(2))] if what == 2 else None,
            )
        )
    return SpineOptions(changes=tuple(changes))
