"""Where the spine runs and how the outlines of the trunk change with height.

All in the patient's frame of `shapes`: mm, origin in the middle of the body of L3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.phantoms.person import Person
from models.phantoms.shapes import Field, along
from models.phantoms.tissue import BODIES, Tissue

_HEIGHTS = (27.5, 28.0, 28.0, 27.5, 26.5, 25.0, 23.5, 22.5, 22.0, 21.5, 21.0, 20.5)
_DISCS = (10.0, 11.0, 10.5, 9.5, 8.5, 7.0, 5.5, 5.0, 4.5, 4.5, 4.5, 4.5)
"""Body height and the disc above it, L5 to T6, mm, adult of 172 cm."""

_SPINE_Z = (-215.0, -180.0, -145.0, -122.0, -104.0, -74.0, -38.0, 0.0, 38.0, 74.0, 107.0)
_SPINE_Y = (78.0, 90.0, 80.0, 62.0, 38.0, 7.0, -1.0, 0.0, 4.0, 12.0, 21.0)
_THORAX_Z = (138.0, 166.0, 193.0, 219.0, 244.0, 290.0)
_THORAX_Y = (29.0, 35.0, 40.0, 44.0, 46.0, 44.0)


@dataclass(frozen=True, slots=True)
class Body:
    """One vertebra: which, middle height, body height and disc above, mm."""

    tissue: Tissue
    z: float
    height: float
    disc: float


@dataclass(frozen=True, slots=True)
class Frame:
    """The spine's course and the fascia's outline, per slice of a canvas.

    Attributes:
        person: who. bodies: L5 to T6.
        spine_x, spine_y: course of the vertebral bodies' centres for each slice, mm.
        slope_x, slope_y: d(spine)/dz for each slice.
        half_width, front, back: of the muscular outline (superellipse), mm; front < 0 < back.
        widest: y of the greatest width. power: of the superellipse.
        turn: by how much a vertebra is turned about z there, radians, its front to the left where
            positive; None: nowhere.
        below: a lumbar body more than usual, between L5 and the sacrum.
    """

    person: Person
    bodies: tuple[Body, ...]
    spine_x: Field
    spine_y: Field
    slope_x: Field
    slope_y: Field
    half_width: Field
    front: Field
    back: Field
    widest: Field
    power: float
    turn: Field | None = None
    below: Body | None = None

    def turned_at(self, slice_index: int) -> float:
        """`turn` on one slice of the canvas, radians."""
        return 0.0 if self.turn is None else float(self.turn[slice_index])

    @property
    def spine(self) -> tuple[Field, Field]:
        """Offsets for sweeps that follow the spine."""
        return self.spine_x, self.spine_y


def _stack(person: Person, rng: np.random.Generator) -> tuple[Body, ...]:
    scale = person.scale
    jitter = rng.normal(1, 0.025, len(_HEIGHTS))
    worn = 1 - 0.25 * np.clip((person.age - 50) / 40, 0, 1)
    heights = [h * scale * j for h, j in zip(_HEIGHTS, jitter, strict=True)]
    discs = [d * scale * float(rng.normal(worn, 0.12)) for d in _DISCS]
    if person.sacralised:
        heights[0] *= 0.9
    centres = [0.0] * len(heights)
    for k in range(3, len(heights)):
        centres[k] = centres[k - 1] + heights[k - 1] / 2 + discs[k - 1] + heights[k] / 2
    for k in (1, 0):
        centres[k] = centres[k + 1] - heights[k + 1] / 2 - discs[k] - heights[k] / 2
    return tuple(
        Body(t, z, h, d) for t, z, h, d in zip(BODIES, centres, heights, discs, strict=True)
    )


def build_frame(z: Field, person: Person, rng: np.random.Generator) -> Frame:
    """Posture and outline of a person on the slices `z` (mm)."""
    s = person.scale
    knots = [s * k for k in (*_SPINE_Z, *_THORAX_Z)]
    depth = [s * v for v in (*_SPINE_Y, *_THORAX_Y)]
    bend = [person.lordosis_mm * np.sin(np.pi * (k / s + 90) / 200) for k in knots]
    round_back = float(rng.normal(0, 8))
    back = [max(k / s - 90, 0) / 130 * round_back for k in knots]
    spine_y = along(knots, [d + b + r for d, b, r in zip(depth, bend, back, strict=True)], z)
    spine_y -= np.interp(0, z, spine_y).astype(np.float32)
    phase = rng.uniform(-0.6, 0.6)
    spine_x = (
        person.scoliosis_mm * (np.sin(np.pi * z / (190 * s) + phase) - np.sin(phase))
    ).astype(np.float32)
    male = person.sex == "M"
    belly, side = person.belly_mm
    thin = person.slim
    waist = s * (112 + 8 * male + 6 * (person.muscle - 1) - 8 * thin) + side
    chest = s * (133 + 9 * male - 5 * thin) + 0.35 * side
    hips = s * (158 + (4 if not male else 0) - 8 * thin) + 6 * (person.muscle - 1)
    crest = s * (134 + 2 * (not male) - 4 * thin) + 0.55 * side
    w = [float(rng.normal(1, 0.03)) for _ in range(4)]
    half_width = along(
        [s * k for k in (-310, -235, -170, -110, -60, -15, 40, 95, 160, 290)],
        [hips * w[0], hips * w[0], 0.96 * hips * w[0], crest * w[1] * 1.03, crest * w[1],
         waist * w[2], waist * w[2] * 1.02, (waist + 2 * chest) / 3 * w[3], chest * w[3],
         1.06 * chest * w[3]],
        z,
    )  # fmt: skip
    navel = s * (72 + 6 * male - 26 * thin) + belly
    upper = s * (88 + 8 * male - 18 * thin) + 0.75 * belly
    front = -along(
        [s * k for k in (-310, -250, -200, -150, -95, -40, 20, 75, 125, 185, 290)],
        [70 * s, s * 66, s * 62 + 0.15 * belly, s * (66 - 8 * thin) + 0.45 * belly, 0.85 * navel,
         navel, 0.5 * (navel + upper), upper, s * 96 + 0.45 * belly, s * 98 + 0.2 * belly, s * 85],
        z,
    )  # fmt: skip
    behind = float(rng.normal(1, 0.05))
    back_y = along(
        [s * k for k in (-310, -250, -185, -130, -90, -50, 0, 60, 120, 185, 290)],
        [s * 92, s * 108, s * 112, s * 100, s * 82, s * 66 * behind, s * 59 * behind,
         s * 64 * behind, s * 75, s * 86, s * 93],
        z,
    )  # fmt: skip
    front = front.astype(np.float32)
    return Frame(
        person=person,
        bodies=_stack(person, rng),
        spine_x=spine_x,
        spine_y=spine_y,
        slope_x=np.gradient(spine_x, z).astype(np.float32),
        slope_y=np.gradient(spine_y, z).astype(np.float32),
        half_width=half_width,
        front=front,
        back=back_y,
        widest=(0.25 * front + 0.3 * back_y - 4).astype(np.float32),
        power=float(rng.uniform(2.15, 2.65)),
    )
