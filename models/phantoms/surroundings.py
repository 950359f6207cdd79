"""What lies round the trunk: arms, breasts, table, clothes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.phantoms.frame import Frame
from models.phantoms.muscles import smooth_noise
from models.phantoms.shapes import Canvas, Field, ellipsoid, table, tube
from models.phantoms.tissue import Tissue

AIR = table([Tissue.AIR])


def paint_breasts(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> None:
    """Breasts of a woman lying supine."""
    if frame.person.sex != "F":
        return
    s = frame.person.scale
    size = s * float(rng.uniform(0.6, 1.1)) * (1 + 0.02 * max(frame.person.bmi - 22, 0))
    front = float(np.interp(215 * s, canvas.z, frame.front))
    for sign in (-1, 1):
        centre = [215 * s, front + 10 * s, sign * 82 * s]
        for grow, tissue in ((1.0, Tissue.SKIN), (0.96, Tissue.SUBCUTANEOUS_FAT)):
            box, q = ellipsoid(canvas, centre, [size * grow * v for v in (55, 42, 55)])
            onto = table([Tissue.AIR, Tissue.SKIN])
            canvas.paint((box, q < 1), tissue, onto)
        box, q = ellipsoid(canvas, centre, [size * v for v in (32, 30, 32)])
        canvas.paint((box, q < 1), Tissue.BREAST, table([Tissue.SUBCUTANEOUS_FAT]))


def paint_arms(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> None:
    """Arms beside the trunk, on the belly, or (most often) raised out of the field."""
    choice = rng.random()
    if choice < 0.62:
        return
    s = frame.person.scale
    fat = 2.5 + 0.25 * frame.person.fat_mm[1]
    girth = s * float(np.clip(0.8 + 0.02 * (frame.person.bmi - 24), 0.6, 1.15))
    sides = (-1, 1) if choice < 0.92 else (int(rng.choice([-1, 1])),)
    for sign in sides:
        if rng.random() < 0.7:
            _hanging_arm(canvas, frame, sign, (girth, fat))
        else:
            front = float(np.interp(-20 * s, canvas.z, frame.front)) - frame.person.fat_mm[0]
            half = float(np.interp(40 * s, canvas.z, frame.half_width)) + frame.person.fat_mm[1]
            path = np.array(
                [[150 * s, 10.0, sign * (half + 32 * s)], [60 * s, -20.0, sign * (half + 30 * s)],
                 [20 * s, 0.7 * front, sign * half * 0.95], [-10 * s, front - 32 * s, sign * 40.0]]
            )  # fmt: skip
            _limb(canvas, path, np.array([38, 36, 32, 24]) * girth, fat)


def _hanging_arm(canvas: Canvas, frame: Frame, sign: int, build: tuple[float, float]) -> None:
    s = frame.person.scale
    path = []
    for z in (290, 150, 40, -80, -200, -260):
        half = float(np.interp(z * s, canvas.z, frame.half_width))
        path.append(
            [z * s, 12 * s, sign * (half + 1.3 * frame.person.fat_mm[1] + 40 * s + 0.04 * z)]
        )
    radii = np.array([44, 40, 36, 32, 24, 28]) * build[0]
    _limb(canvas, np.array(path), radii, build[1])


def _limb(
    canvas: Canvas, path: NDArray[np.float64], radii: NDArray[np.float64], fat: float
) -> None:
    box, depth = tube(canvas, path, radii + fat)
    free = canvas.labels[box] == Tissue.AIR
    canvas.paint((box, (depth > 0) & free), Tissue.ARM_SKIN)
    canvas.paint((box, (depth > 1.8) & free), Tissue.ARM_FAT)
    canvas.paint((box, (depth > fat) & free), Tissue.ARM_MUSCLE)
    core, inside = tube(canvas, path, 0.3 * radii)
    canvas.paint((core, inside > 0), Tissue.ARM_BONE, table([Tissue.ARM_MUSCLE]))


def paint_table(canvas: Canvas, skin: Field, rng: np.random.Generator) -> None:
    """A curved or flat tray below the lowest skin, and sheets of cloth on the patient."""
    lowest = float(canvas.y[int(np.nonzero((skin > 0).any(axis=(0, 2)))[0].max())])
    x = canvas.x[None, None, :]
    y = canvas.y[None, :, None]
    curve = float(rng.choice([0.0, rng.uniform(0.0004, 0.0014)]))
    gap = float(rng.uniform(2, 16))
    width = float(rng.uniform(190, 270))
    top = lowest + gap - curve * x * x
    thick = float(rng.uniform(10, 70))
    sheet = (np.abs(y - top) < 1.6) & (np.abs(x) < width)
    sheet |= (np.abs(y - top - thick * (1 - (x / width) ** 4)) < 1.4) & (np.abs(x) < 0.9 * width)
    full = np.broadcast_to(sheet, canvas.labels.shape)
    canvas.labels[full & (canvas.labels == Tissue.AIR)] = Tissue.TABLE
    if rng.random() < 0.6:
        dz, dy, dx = canvas.steps
        noise = smooth_noise(canvas.labels.shape, (30 / dz, 30 / dy, 30 / dx), rng)
        lift = 3 + 3 * np.abs(noise)
        cloth = (skin < -lift) & (skin > -lift - 1.8) & (noise > rng.uniform(-1, 1))
        canvas.labels[cloth & (canvas.labels == Tissue.AIR)] = Tissue.CLOTHES


def paint_metal(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> None:
    """In some patients screws in a vertebra, a hip prosthesis, or a wire on the skin."""
    s, draw = frame.person.scale, rng.random()
    if draw < 0.03:
        for body in frame.bodies[int(rng.integers(0, 3)) :][:2]:
            for sign in (-1, 1):
                path = np.array(
                    [[body.z + 4, 36 * s, 16 * sign * s], [body.z, -8 * s, 12 * sign * s]]
                )
                box, depth = tube(canvas, path, 3.0)
                canvas.paint((box, depth > 0), Tissue.METAL)
    elif draw < 0.06:
        side = float(rng.choice([-1, 1]))
        path = np.array([[-222, 6, 88 * side], [-240, 12, 118 * side], [-320, 6, 122 * side]]) * s
        box, depth = tube(canvas, path, [15, 11, 9])
        canvas.paint((box, depth > 0), Tissue.METAL)
