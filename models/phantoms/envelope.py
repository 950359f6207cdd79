"""The layers that wrap the trunk: skin, subcutaneous fat, muscular wall, cavity, diaphragm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.phantoms.frame import Frame
from models.phantoms.shapes import Canvas, Field, Sweep, along, table
from models.phantoms.tissue import Tissue

FAT = table([Tissue.SUBCUTANEOUS_FAT])
CAVITY = table([Tissue.VISCERAL_FAT])


@dataclass(frozen=True, slots=True)
class Envelope:
    """Depth fields of the wrapping layers over a whole canvas.

    Attributes:
        fascia: (z, y, x) mm below the outer surface of the muscles, negative outside.
        base: the same without the bulge of the erector spinae.
        skin: (z, y, x) mm below the skin, negative outside.
        wall: (z, y, x) mm, thickness of the muscular wall in that direction.
        bearing: (z, y, x) radians from straight forward, 0 to pi, the same on both sides.
    """

    fascia: Field
    base: Field
    skin: Field
    wall: Field
    bearing: Field


@dataclass(frozen=True, slots=True)
class _Outline:
    half_width: Field
    front: Field
    back: Field
    widest: Field
    power: float

    def depth(self, canvas: Canvas, centre_x: Field) -> Field:
        """Approximate mm inside the superellipse, negative outside."""
        x = np.abs(canvas.x[None, None, :] - centre_x[:, None, None])
        dy = canvas.y[None, :, None] - self.widest[:, None, None]
        reach = np.where(
            dy < 0,
            (self.widest - self.front)[:, None, None],
            (self.back - self.widest)[:, None, None],
        )
        p = np.float32(self.power)
        along_y = (np.abs(dy) / reach) ** p
        along_x = (x / self.half_width[:, None, None]) ** p
        rho = np.maximum((along_x + along_y) ** (1 / p), np.float32(1e-3))
        radius = np.sqrt(x * x + dy * dy)
        out: Field = (radius * (1 / rho - 1)).astype(np.float32)
        return out


def erector_sweeps(frame: Frame) -> tuple[Sweep, Sweep]:
    """The two columns of erector spinae, following the spine."""
    s, m = frame.person.scale, np.sqrt(frame.person.muscle)
    knots = [s * k for k in (-175, -150, -122, -95, -74, -38, 0, 38, 74, 107, 140, 193, 290)]
    left = Sweep(
        knots,
        [s * v for v in (8, 14, 22, 31, 35, 37, 37, 36, 33, 29, 26, 23, 20)],
        [s * v for v in (20, 24, 34, 50, 53, 50, 48, 47, 45, 42, 40, 37, 35)],
        [s * m * v for v in (3, 10, 19, 28, 32, 35, 35, 34, 32, 29, 27, 25, 22)],
        [s * m * v for v in (3, 8, 13, 20, 24, 26, 25, 23, 21, 19, 17, 14, 12)],
        power=2.3,
    )
    return left, left.mirrored()


def _sagging(frame: Frame, z: Field, rng: np.random.Generator) -> tuple[Field, Field, Field]:
    """Subcutaneous fat in front, at the sides and behind for every slice, mm."""
    s = frame.person.scale
    front, side, back = frame.person.fat_mm
    female = frame.person.sex == "F"
    knots = [s * k for k in (-310, -240, -170, -100, -45, 10, 80, 160, 290)]
    pannus = 1 + 0.5 * rng.random() * min(front / 40, 1)
    hips = (1.3 if female else 0.9) * rng.uniform(0.8, 1.2)
    f = [0.9, 1.1, 1.05 * pannus, 1.15 * pannus, 1.0, 0.9, 0.65, 0.5, 0.5]
    si = [1.2 * hips, 1.25 * hips, 1.3 * hips, 1.25, 1.15, 1.0, 0.6, 0.55, 0.6]
    b = [0.9, 1.0, 1.2 * hips, 1.3, 1.25, 1.0, 0.6, 0.5, 0.6]
    return (
        along(knots, [max(front * v, 2.0) for v in f], z),
        along(knots, [max(side * v, 2.0) for v in si], z),
        along(knots, [max(back * v, 2.5) for v in b], z),
    )


def _wall_thickness(
    canvas: Canvas, frame: Frame, bearing: Field, rng: np.random.Generator
) -> tuple[Field, Field]:
    """(thickness of the wall, half width of the rectus per slice), mm."""
    person, s, z = frame.person, frame.person.scale, canvas.z
    belly = person.belly_mm[0]
    rectus_width = along(
        [s * k for k in (-250, -180, -100, -40, 60, 130, 290)],
        [s * v for v in (22, 38, 56 + 0.15 * belly, 64 + 0.25 * belly, 68 + 0.2 * belly, 70, 60)],
        z,
    )
    x = np.abs(canvas.x[None, None, :] - frame.spine_x[:, None, None])
    t = x / rectus_width[:, None, None]
    front = float(rng.uniform(0.6, 1.15))
    rectus = np.float32(front * s * 11.5 * person.muscle / (1 + belly / 220)) * np.clip(
        1 - np.abs(2 * t - 1) ** 3, 0, 1
    )
    rectus = np.where(bearing < 1.6, rectus, 0)
    ramp = np.clip((x - rectus_width[:, None, None] - 3) / 32, 0, 1)
    ramp = np.where(bearing < 1.6, ramp, 1)
    # Above the costal margin the wall is ribs and intercostals, much the same in everybody.
    bulk = person.muscle**0.7 * float(rng.uniform(0.75, 1.2)) / (1 + belly / 260)
    chest = float(rng.uniform(0.9, 1.3))
    flank = along(
        [s * k for k in (-120, -40, 15, 45, 75, 110, 290)],
        [s * v for v in (18 * bulk, 20 * bulk, 18 * bulk, 13 * bulk, 10.2 * chest, 9.6 * chest,
                         10.5 * chest)],
        z,
    )  # fmt: skip
    profile = np.interp(bearing, [0.0, 1.2, 1.75, 2.3, 2.7, 3.2], [0.9, 1.0, 0.95, 0.6, 0.5, 0.5])
    oblique = flank[:, None, None] * profile.astype(np.float32) * ramp
    thickness = np.maximum(np.maximum(rectus, oblique), np.float32(2.2))
    thickness += latissimus(canvas, frame, bearing)
    thickness = thickness.astype(np.float32)
    return thickness, rectus_width


def latissimus(canvas: Canvas, frame: Frame, bearing: Field) -> Field:
    """Muscle outside the ribs at the back and sides, mm."""
    s = frame.person.scale
    bulk = along([20 * s, 70 * s, 200 * s, 290 * s], [0, 5.5 * s, 8 * s, 10 * s], canvas.z)
    where = np.exp(-(((bearing - np.float32(2.15)) / np.float32(0.42)) ** 2))
    out: Field = (np.float32(frame.person.muscle) * bulk[:, None, None] * where).astype(np.float32)
    return out


def build_envelope(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> Envelope:
    """Depth fields, and skin, fat and wall painted into the canvas."""
    person, s, z = frame.person, frame.person.scale, canvas.z
    centre = (0.5 * frame.spine_x).astype(np.float32)
    outline = _Outline(frame.half_width, frame.front, frame.back, frame.widest, frame.power)
    base = outline.depth(canvas, centre)
    fascia = base.copy()
    for sweep in erector_sweeps(frame):
        box, q = sweep.on(canvas, frame.spine)
        rim = np.float32(s * 22) * (1 - q)
        np.maximum(fascia[box], rim, out=fascia[box], where=rim > -8)
    front, side, back = _sagging(frame, z, rng)
    behind = np.maximum(frame.back, frame.spine_y + np.where(np.abs(z) < 110 * s, 70 * s, 48 * s))
    skin = _Outline(
        frame.half_width + side,
        frame.front - front,
        (behind + back).astype(np.float32),
        frame.widest,
        float(rng.uniform(2.1, 2.5)),
    ).depth(canvas, centre)
    thinnest = np.float32(2.5 + 0.12 * min(person.fat_mm))
    skin = np.maximum(skin, fascia + thinnest)
    x = canvas.x[None, None, :] - frame.spine_x[:, None, None]
    dy = canvas.y[None, :, None] - frame.widest[:, None, None]
    # The furrow over the spine, and the natal cleft below the sacrum.
    furrow = along(
        [s * k for k in (-310, -215, -170, -130, -40, 60, 290)],
        [s * v for v in (75, 55, 26, 4, 6, 7, 3)],
        z,
    ) * np.float32(rng.uniform(0.6, 1.3))
    width = along([s * k for k in (-310, -170, -120, 290)], [s * v for v in (7, 7, 16, 18)], z)
    groove = furrow[:, None, None] * np.exp(-((x / width[:, None, None]) ** 2)) * (dy > 0)
    skin = (skin - groove).astype(np.float32)
    navel = float(rng.normal(-42, 8)) * s
    dent = np.exp(-((z[:, None, None] - navel) ** 2 + x * x) / (8.0 * s) ** 2) * (dy < 0)
    skin -= (dent * np.float32(0.6 * front[np.argmin(np.abs(z - navel))])).astype(np.float32)
    fascia = np.minimum(fascia, skin - 2.0).astype(np.float32)
    base = np.minimum(base, fascia)
    bearing = np.arctan2(np.abs(x), -dy).astype(np.float32)
    wall, rectus_width = _wall_thickness(canvas, frame, bearing, rng)
    _paint_layers(canvas, skin, fascia)
    canvas.labels[base > wall] = Tissue.VISCERAL_FAT
    _paint_front(canvas, frame, rectus_width, bearing)
    return Envelope(fascia, base, skin, wall, bearing)


def _paint_layers(canvas: Canvas, skin: Field, fascia: Field) -> None:
    labels = canvas.labels
    labels[skin > 0] = Tissue.SKIN
    labels[skin > 1.6] = Tissue.SUBCUTANEOUS_FAT
    labels[fascia > 0] = Tissue.WALL_MUSCLE


def _paint_front(canvas: Canvas, frame: Frame, width: Field, bearing: Field) -> None:
    """Turn the front of the wall into rectus and linea alba."""
    x = np.abs(canvas.x[None, None, :] - frame.spine_x[:, None, None])
    wall = (canvas.labels == Tissue.WALL_MUSCLE) & (bearing < 1.4)
    wall[canvas.z > 175 * frame.person.scale] = False
    inner = along(
        [frame.person.scale * k for k in (-200, -60, 60, 150)],
        [1.5, 4 + 0.08 * frame.person.belly_mm[0], 7 + 0.1 * frame.person.belly_mm[0], 10],
        canvas.z,
    )
    canvas.labels[wall & (x < width[:, None, None])] = Tissue.RECTUS
    canvas.labels[wall & (x < inner[:, None, None])] = Tissue.LINEA_ALBA


def diaphragm_height(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> NDArray[np.float32]:
    """(y, x) height of the diaphragm's upper surface, mm."""
    s = frame.person.scale
    breath = float(rng.normal(0, 14))
    middle = int(np.argmin(np.abs(canvas.z - 150 * s)))
    a = float(frame.half_width[middle]) - 12
    y0 = float(frame.widest[middle])
    x, y = canvas.x[None, :] / a, canvas.y[:, None] - y0
    back, front = float(frame.back[middle]) - y0 - 8, y0 - float(frame.front[middle]) - 12
    y = np.where(y > 0, y / back, y / front)
    rho = np.clip(np.sqrt(x * x + y * y), 0, 1)
    bearing = np.arctan2(np.abs(x), -y)
    edge = np.interp(bearing, [0.0, 0.9, 1.8, 2.6, 3.2], [150, 128, 92, 84, 92]) * s
    right = np.exp(-(((x + 0.48) / 0.5) ** 2)) * 190
    left = np.exp(-(((x - 0.5) / 0.48) ** 2)) * float(rng.normal(176, 5))
    peak = np.maximum(np.maximum(right, left), 165) * s + breath
    shape = 1 - rho ** float(rng.uniform(3.2, 4.6))
    height: NDArray[np.float32] = (edge + (peak - edge) * shape).astype(np.float32)
    return height
