"""Shape of one chest: spine, rib cage, diaphragm, landmarks, fissures, as functions of place.

Frame as in `shapes`: mm, z to the head, y to posterior, x to the left, origin in the middle of the
body of L3; sizes below are those of an adult of 172 cm and scale with the person. The carina lies
before T4/T5 (Gray's Anatomy, 41st ed., ch. 53); internal width and depth of the cage as in
Bellemare et al., Thorax 2001 (56:605) at inspiration; fissures as in Hayashi et al., RadioGraphics
2001 (21:861).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from models.phantoms.chest_tissue import Lobe
from models.phantoms.person import Person
from models.phantoms.shapes import Field, along

LOW_MM, HIGH_MM = 62.0, 452.0
"""Reach along z of the simulated chest at scale 1: from L1 to C6."""

_SPINE_Z = (0.0, 38.0, 74.0, 107.0, 138.0, 166.0, 193.0, 219.0, 244.0, 270.0, 294.0, 318.0, 341.0,
            363.0, 384.0, 402.0, 420.0, 452.0)  # fmt: skip
_SPINE_Y = (0.0, 4.0, 12.0, 21.0, 29.0, 35.0, 40.0, 44.0, 46.5, 47.0, 45.0, 41.0, 35.0, 26.0, 16.0,
            6.0, -3.0, -14.0)  # fmt: skip
VERTEBRA_Z = (74.0, 107.0, 138.0, 166.0, 193.0, 219.0, 244.0, 270.0, 294.0, 318.0, 341.0, 363.0,
              384.0, 402.0, 419.0)  # fmt: skip
"""Middle of the bodies of L1, T12 up to T1, C7, C6."""

_CAGE_Z = (60.0, 100.0, 140.0, 180.0, 220.0, 260.0, 300.0, 330.0, 352.0, 370.0, 384.0, 396.0, 404.0)
_HALF_WIDTH = (128.0, 133.0, 137.0, 138.0, 136.0, 131.0, 121.0, 108.0, 94.0, 78.0, 60.0, 36.0, 4.0)
_DEPTH = (122.0, 126.0, 126.0, 124.0, 118.0, 110.0, 98.0, 84.0, 68.0, 52.0, 40.0, 24.0, 4.0)
_BEHIND = (38.0, 44.0, 48.0, 50.0, 50.0, 48.0, 45.0, 40.0, 33.0, 26.0, 20.0, 12.0, 2.0)


@dataclass(frozen=True, slots=True)
class ChestFrame:
    """One chest.

    Attributes:
        person: who. scale: of the person. low, high: reach along z, mm.
        wide, deep: size of the cage relative to the scale. breath: shift of the diaphragm, mm.
        power: of the cage's superellipse. scoliosis: amplitude (mm) and phase.
        carina: z, y, x. heart: z, y, x of its middle.
        major, minor: parameters of the fissures.
    """

    person: Person
    scale: float
    wide: float
    deep: float
    round_back: float
    power: float
    scoliosis: tuple[float, float]
    dome: tuple[float, float]
    carina: tuple[float, float, float]
    heart: tuple[float, float, float]
    heart_size: float
    major: tuple[tuple[float, float, float, float], tuple[float, float, float, float]]
    minor: tuple[float, float, float]

    @property
    def low(self) -> float:
        return LOW_MM * self.scale

    @property
    def high(self) -> float:
        return HIGH_MM * self.scale

    def spine(self, z: ArrayLike) -> tuple[Field, Field]:
        """(y, x) of the middle of the vertebral bodies."""
        return _spine_y(self.scale, self.round_back, z), self._spine_x(z)

    def _spine_x(self, z: ArrayLike) -> Field:
        amount, phase = self.scoliosis
        at = np.asarray(z, np.float32) / np.float32(120 * self.scale)
        out: Field = (amount * (np.sin(at + phase) - np.sin(1.8 + phase))).astype(np.float32)
        return out

    def cage(self, z: ArrayLike) -> tuple[Field, Field, Field, Field]:
        """(half width, front y, back y, y of the greatest width) of the pleural outline."""
        s = self.scale
        knots = [k * s for k in _CAGE_Z]
        wide = along(knots, [v * s * self.wide for v in _HALF_WIDTH], z)
        y = self.spine(z)[0]
        front = y - 15 * s - along(knots, [v * s * self.deep for v in _DEPTH], z)
        back = y + along(knots, [v * s for v in _BEHIND], z)
        return wide, front, back, (0.35 * front + 0.65 * back - 14 * s).astype(np.float32)

    def cage_depth(self, z: Field, y: Field, x: Field) -> Field:
        """Approximate mm inside the cage, negative outside; arguments broadcast, z first axis."""
        heights = z.reshape(-1)
        column = (-1, 1, 1)
        wide, front, back, middle = (v.reshape(column) for v in self.cage(heights))
        dx = np.abs(x - self._spine_x(heights).reshape(column))
        dy = y - middle
        reach = np.maximum(np.where(dy < 0, middle - front, back - middle), np.float32(1))
        p = np.float32(self.power)
        rho = ((np.abs(dy) / reach) ** p + (dx / wide) ** p) ** np.float32(1 / self.power)
        rho = np.maximum(rho, np.float32(1e-3))
        out: Field = (np.sqrt(dx * dx + dy * dy) * (1 / rho - 1)).astype(np.float32)
        return out

    def bearing(self, z: Field, y: Field, x: Field) -> Field:
        """Angle about the cage's middle from straight backwards, 0 to pi, same on both sides."""
        heights = z.reshape(-1)
        middle = self.cage(heights)[3].reshape(-1, 1, 1)
        dx = np.abs(x - self._spine_x(heights).reshape(-1, 1, 1))
        out: Field = np.arctan2(dx, y - middle).astype(np.float32)
        return out

    def diaphragm(self, y: Field, x: Field) -> Field:
        """Height of the diaphragm's upper surface (y, x), mm; y and x broadcast."""
        s = self.scale
        wide, front, back, middle = (float(v) for v in self.cage(150.0 * s))
        dy = y - middle
        u = x / wide
        v = np.where(dy > 0, dy / (back - middle), dy / (middle - front))
        rho = np.clip(np.sqrt(u * u + v * v), 0, 1.05)
        turn = np.arctan2(np.abs(u), -v)
        edge = np.interp(turn, [0.0, 0.9, 1.8, 2.6, 3.2], [158, 140, 104, 92, 98]) * s
        right = np.exp(-(((u + 0.45) / 0.75) ** 4)) * self.dome[0]
        left = np.exp(-(((u - 0.48) / 0.75) ** 4)) * self.dome[1]
        peak = 0.04 * self.dome[0] + 0.96 * np.logaddexp(right / 6, left / 6) * 6
        middle_dip = 9 * s * np.exp(-((u / 0.2) ** 2))
        out: Field = (edge + (peak - middle_dip - edge) * (1 - rho**2.7)).astype(np.float32)
        return out

    def fissures(self, z: Field, y: Field, x: Field) -> tuple[Field, Field]:
        """Signed distances (mm) to the major (positive above) and the minor fissure.

        The minor fissure exists on the right, before the major one. Arguments broadcast.
        """
        right = x < 0
        base, slope, bow, lift = (
            np.where(right, self.major[0][k], self.major[1][k]).astype(np.float32) for k in range(4)
        )
        s = np.float32(self.scale)
        dy, ax = (y - np.float32(self.carina[1])) / s, np.abs(x) / s - 60
        wave = 4 * np.sin(ax / 17 + lift) + 3 * np.sin(dy / 23 + 2 * lift)
        height = (base + slope * dy + bow * (dy / 60) ** 2 - 0.16 * ax + wave) * s
        major = (z - height) / np.sqrt(1 + slope * slope)
        level, tilt, phase = self.minor
        wave = 3 * np.sin(dy / 19 + phase) + 2 * np.sin(ax / 13 + phase)
        floor = (level + tilt * dy - 0.0022 * (dy + 30) ** 2 - 0.05 * ax + wave) * s
        return major.astype(np.float32), (z - floor).astype(np.float32)

    def lobe_of(self, points: np.ndarray) -> list[Lobe]:
        """Lobe of each (n, 3) z, y, x point, taken to lie in a lung."""
        z, y, x = (np.asarray(points[:, k], np.float32) for k in range(3))
        major, minor = self.fissures(z, y, x)
        left = np.where(major > 0, Lobe.LEFT_UPPER, Lobe.LEFT_LOWER)
        upper = np.where(minor > 0, Lobe.RIGHT_UPPER, Lobe.RIGHT_MIDDLE)
        right = np.where(major > 0, upper, Lobe.RIGHT_LOWER)
        return [Lobe(v) for v in np.where(x > 0, left, right)]


def _spine_y(scale: float, round_back: float, z: ArrayLike) -> Field:
    at = np.asarray(z, np.float32) / np.float32(scale)
    curve = along(_SPINE_Z, _SPINE_Y, at)
    hump = np.exp(-(((at - 280) / 90) ** 2)) * round_back
    out: Field = ((curve + hump) * np.float32(scale)).astype(np.float32)
    return out


def build_chest_frame(person: Person, rng: np.random.Generator) -> ChestFrame:
    """Draw the shape of one person's chest."""
    s = person.scale
    male = person.sex == "M"
    emphysema = float(rng.normal(0, 0.04))
    round_back = float(rng.normal(0, 4) + 0.12 * max(person.age - 60, 0))
    breath = float(np.clip(rng.normal(0, 11), -14, 30))
    carina_z = float(302 + rng.normal(0, 5))
    carina_y = float(_spine_y(1.0, round_back, carina_z)) - 34 + float(rng.normal(0, 2))
    carina = (carina_z * s, carina_y * s, float(rng.normal(-3, 2)) * s)
    size = float(np.clip(rng.normal(1.0, 0.09), 0.84, 1.28))
    dome = (188 + breath + float(rng.normal(0, 3)), 176 + breath + float(rng.normal(0, 4)))
    heart_z = min(carina_z - 74, dome[1] + 46 + 12 * (size - 1))
    heart = (
        0.6 * (carina_z - 74) * s + 0.4 * heart_z * s,
        carina[1] - 42 * s,
        (10 + float(rng.normal(0, 4))) * s,
    )

    def major(base: float) -> tuple[float, float, float, float]:
        return (
            base + float(rng.normal(0, 7)),
            float(np.clip(rng.normal(1.12, 0.12), 0.8, 1.5)),
            float(rng.normal(-7, 4)),
            float(rng.uniform(0, 6.3)),
        )

    return ChestFrame(
        person=person,
        scale=s,
        wide=float(rng.normal(1.0 if male else 0.94, 0.035)),
        deep=float(rng.normal(1.0 if male else 0.93, 0.06)) * (1 + 0.0015 * (person.age - 50))
        + max(emphysema, 0.0)
        + 0.003 * max(person.bmi - 26, 0),
        round_back=round_back,
        power=float(rng.uniform(2.1, 2.5)),
        scoliosis=(
            float(rng.normal(0, 9) if rng.random() < 0.2 else rng.normal(0, 2)) * s,
            float(rng.uniform(0, 6.3)),
        ),
        dome=(dome[0] * s, dome[1] * s),
        carina=carina,
        heart=heart,
        heart_size=size * (1.0 if male else 0.94),
        major=(major(carina_z - 58), major(carina_z - 54)),
        minor=(carina_z - 40 + float(rng.normal(0, 7)), float(rng.normal(-0.08, 0.08)),
               float(rng.uniform(0, 6.3))),
    )  # fmt: skip
