"""Muscles, fat and skin round the cage, as depth fields on a coarse lattice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from models.phantoms.chest_bones import humeral_head
from models.phantoms.chest_core import Chamber, basis
from models.phantoms.chest_frame import ChestFrame
from models.phantoms.chest_lattice import Axes, LatticeField
from models.phantoms.chest_tissue import ChestTissue as T
from models.phantoms.shapes import Canvas, Field
from models.phantoms.vessel_tree import Points

STEP_MM = 3.0
_FAR = 30.0


@dataclass(frozen=True)
class Wall:
    """Depth fields (mm inside, negative outside), cut far from the surface.

    Attributes:
        skin: of the body's surface. muscle: of all muscles together.
        breasts: glandular bodies.
    """

    skin: LatticeField
    muscle: LatticeField
    breasts: tuple[Chamber, ...]


def _axes(frame: ChestFrame) -> Axes:
    fat = 2.2 * max(frame.person.fat_mm)
    s = frame.scale
    canvas = Canvas.empty(
        (frame.low - 6, -140 * s * max(frame.deep, 1) - fat - 40, -265 * s - fat),
        (frame.high + 6, 150 * s + fat, 265 * s + fat),
        (STEP_MM,) * 3,
    )
    return canvas.z, canvas.y, canvas.x


def _capsules(parts: list[tuple[Points, list[float]]], axes: Axes, margin: float) -> Field:
    """Depth in tapered capsules along polylines, mm; -200 further than `margin` outside."""
    grid = Canvas(*axes, np.zeros(tuple(axis.size for axis in axes), np.uint8))
    out = np.full(grid.labels.shape, -200.0, np.float32)
    for path, radius in parts:
        for k in range(len(path) - 1):
            a, b = (path[k + d].astype(np.float32) for d in (0, 1))
            wide = max(radius[k], radius[k + 1]) + margin
            box = grid.box(np.minimum(a, b) - wide, np.maximum(a, b) + wide)
            p = [v - np.float32(c) for v, c in zip(grid.coordinates(box), a, strict=True)]
            d = b - a
            t = np.clip(
                sum(v * c for v, c in zip(p, d, strict=True)) / max(float(d @ d), 1e-6), 0, 1
            )
            away = np.sqrt(sum((v - t * c) ** 2 for v, c in zip(p, d, strict=True)))
            inside = np.float32(radius[k]) + t * np.float32(radius[k + 1] - radius[k]) - away
            region = out[box]
            np.maximum(region, np.where(inside > -margin, inside, -200), out=region)
    return out


def _bump(v: Field, centre: float, width: float) -> Field:
    out: Field = np.exp(-(((v - np.float32(centre)) / np.float32(width)) ** 2))
    return out


def _outer(frame: ChestFrame, rise: Field, phi: Field, arms_up: bool) -> Field:
    """Thickness of the muscles outside the ribs, mm; rise is z at scale 1, phi from behind."""
    m = frame.person.muscle * frame.scale
    male = 1.0 if frame.person.sex == "M" else 0.72
    pectoral = 17 * male * _bump(phi, 2.42, 0.36) * _bump(rise, 330, 44)
    serratus = 9 * _bump(phi, 1.55, 0.42) * _bump(rise, 260, 62)
    latissimus = 9 * _bump(phi, 0.98, 0.45) * _bump(rise, 190, 90)
    trapezius = 11 * _bump(phi, 0.32, 0.42) * _bump(rise, 330, 90)
    shift = 0.14 if arms_up else 0.0
    blade = 30 * _bump(phi, 1.0 + shift, 0.36) * _bump(rise, 335, 46)
    blade += 16 * _bump(phi, 1.05 + shift, 0.3) * _bump(rise, 285, 34)
    rectus = 8 * _bump(phi, 2.9, 0.35) * np.clip((215 - rise) / 40, 0, 1)
    oblique = 8 * np.clip((150 - rise) / 60, 0, 1)
    out: Field = (
        np.float32(m) * (pectoral + serratus + latissimus + trapezius + blade + rectus + oblique)
    ).astype(np.float32)
    return out


def _shoulders(frame: ChestFrame, arms_up: bool) -> list[tuple[Points, list[float]]]:
    s, m = frame.scale, float(np.sqrt(frame.person.muscle))
    parts: list[tuple[Points, list[float]]] = []
    for side in (-1, 1):
        head = humeral_head(frame, side, arms_up)
        front, back = (float(v) for v in frame.cage(340 * s)[1:3])
        up = np.array([118, -18, side * 36]) if arms_up else np.array([-90, 4, side * 18])
        parts.append((np.stack([head, head + 0.5 * up * s]), [40 * m * s, 36 * m * s]))
        elbow = head + up * s * (1.0 if arms_up else 2.6)
        parts.append((np.stack([head + 0.5 * up * s, elbow]), [36 * m * s, 36 * m * s]))
        chest = np.array([338 * s, front + 2 * s, side * 84 * s])
        parts.append((np.stack([chest, head + np.array([-8, -20, 0]) * s]), [11 * m * s, 17 * m
                                                                            * s]))  # fmt: skip
        rear = np.array([300 * s, back + 8 * s, side * 112 * s])
        parts.append((np.stack([rear, head + np.array([-14, 22, 0]) * s]), [13 * m * s, 20 * m
                                                                           * s]))  # fmt: skip
        neck_y = float(frame.spine(400 * s)[0])
        nape = np.array([[350 * s, neck_y + 52 * s, side * 40 * s],
                         head + np.array([12, 26, -side * 6]) * s])  # fmt: skip
        parts.append((nape, [16 * s, 17 * m * s]))
        for z, dy, dx, r in ((396, 30, 18, 24), (396, -6, 40, 13), (396, -30, 26, 8)):
            y = float(frame.spine(z * s)[0])
            top = np.array([[(z - 26) * s, y + (dy + 6) * s, side * (dx + 8) * s],
                            [470 * s, y + dy * s - 14 * s, side * dx * s]])  # fmt: skip
            parts.append((top, [r * m * s, r * m * s]))
    return parts


def _fillings(frame: ChestFrame, arms_up: bool) -> list[tuple[Points, list[float]]]:
    """Fat and small muscles above the clavicles and in the armpits."""
    s = frame.scale
    parts: list[tuple[Points, list[float]]] = []
    for side in (-1, 1):
        head = humeral_head(frame, side, arms_up)
        front = float(frame.cage(356 * s)[1])
        notch = np.array([356 * s, front - 6 * s, side * 22 * s])
        tip = head + np.array([20, -6, 0]) * s
        parts.append((np.stack([notch, (notch + tip) / 2 + [8 * s, -4 * s, 0], tip]),
                      [13 * s, 15 * s, 20 * s]))  # fmt: skip
        y = float(frame.spine(396 * s)[0])
        parts.append((np.array([[392 * s, y - 4 * s, side * 36 * s], head]), [34 * s, 34 * s]))
        parts.append((np.array([[350 * s, y + 8 * s, side * 96 * s], head]), [34 * s, 30 * s]))
    return parts


def build_wall(frame: ChestFrame, arms_up: bool, rng: np.random.Generator) -> Wall:
    """Muscles and skin for one posture of the arms."""
    axes, s, person = _axes(frame), np.float32(frame.scale), frame.person
    z, y, x = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
    clamp = np.clip(axes[0], frame.low - 50, 392 * s)
    cage = frame.cage_depth(clamp, y, x)
    phi = frame.bearing(clamp, y, x)
    rise = (z / s).astype(np.float32)
    outer = _outer(frame, rise, phi, arms_up)
    intercostal = np.float32(7.6) * s
    shell = np.minimum(-cage, cage + intercostal)
    gap = np.float32(0.9 + 0.05 * person.fat_mm[1]) * (1 + 0.5 * _bump(phi, 2.4, 0.4))
    layer = np.minimum(-cage - intercostal - gap, cage + intercostal + gap + outer)
    muscle = np.maximum(shell, np.where(outer > 2.5, layer, np.float32(-200)))
    np.maximum(muscle, _capsules(_shoulders(frame, arms_up), axes, 60.0), out=muscle)
    column: list[tuple[Points, list[float]]] = []
    heights = np.linspace(frame.low - 5, 400 * s, 20)
    sy, sx = frame.spine(heights)
    for side in (-1, 1):
        girth = np.interp(heights / s, [60, 150, 260, 400], [21, 19, 15, 15])
        girth = girth * s * np.sqrt(person.muscle)
        for off_y, off_x in ((34, 16), (37, 28)):
            path = np.stack([heights, sy + off_y * s, sx + side * off_x * s], 1)
            column.append((path, list(girth * (1.0 if off_x < 20 else 0.85))))
    spine = _capsules(column, axes, 60.0)
    np.maximum(muscle, np.minimum(spine, -cage + 4), out=muscle)
    fascia = np.maximum(muscle, cage + intercostal + gap + outer)
    np.maximum(fascia, 40 * s - np.hypot(y - sy_at(frame, axes) - 14 * s, x), out=fascia)
    np.maximum(fascia, _capsules(_fillings(frame, arms_up), axes, 60.0), out=fascia)
    low = fascia.clip(-150, 60)
    smooth = gaussian_filter(low, (2.0, 3.0, 3.0))
    skin = np.maximum(smooth, gaussian_filter(low, 1.0)) + _fat(frame, rise, phi)
    breasts: list[Chamber] = []
    if person.sex == "F":
        size = float(s) * float(rng.uniform(0.65, 1.05)) * (1 + 0.02 * max(person.bmi - 22, 0))
        for side in (-1, 1):
            front = float(frame.cage(262 * s)[1]) - 4 - 0.5 * person.fat_mm[0]
            centre = np.array([262 * s, front, side * 84 * s])
            hull = Chamber(T.BREAST, centre, np.eye(3), np.array([56.0, 30.0, 58.0]) * size)
            np.maximum(skin, hull.depth(z, y, x), out=skin)
            tilted = basis((1, 0.2, 0), (0, 1, 0))
            core = centre + np.array([-2, -6, side * 4.0]) * size
            breasts.append(Chamber(T.BREAST, core, tilted, np.array([33.0, 17.0, 36.0]) * size))
        skin = gaussian_filter(skin, 1.0)
    np.minimum(muscle, skin - 2.2, out=muscle)
    origin = (float(axes[0][0]), float(axes[1][0]), float(axes[2][0]))
    return Wall(
        LatticeField(np.clip(skin, -_FAR, _FAR).astype(np.float32), origin, STEP_MM),
        LatticeField(
            gaussian_filter(np.clip(muscle, -12, 12), 0.4).astype(np.float32), origin, STEP_MM
        ),
        tuple(breasts),
    )


def sy_at(frame: ChestFrame, axes: Axes) -> Field:
    """(z, 1, 1) y of the spine."""
    out: Field = frame.spine(axes[0])[0].reshape(-1, 1, 1)
    return out


def _fat(frame: ChestFrame, rise: Field, phi: Field) -> Field:
    """Subcutaneous thickness by height and bearing from behind, mm."""
    front, side, back = frame.person.fat_mm
    turn = np.interp(phi, [0.0, 0.5, 1.5, 2.3, 2.8, 3.15], [0.5, 0.75, 0.8, 0.55, 0.4, 0.3])
    mix = np.interp(phi, [0.0, 1.5, 3.15], [back, side, front])
    belly = np.interp(phi, [1.2, 2.2, 3.15], [0.0, 0.3, 1.0]) * np.clip((205 - rise) / 90, 0, 1)
    bulge = np.minimum(belly * (0.25 * front + 0.45 * frame.person.belly_mm[0]), 48)
    upper = np.interp(rise, [100, 300, 380, 420], [1.0, 0.75, 0.65, 0.5])
    out: Field = (2.2 + mix * turn * upper * 0.8 + bulge).astype(np.float32)
    return out
