"""Bones of the chest as balls along curves: ribs, sternum, shoulder girdle, arches.

The bodies of the vertebrae are shapes of their own (`body_depth`). Ribs fall by 30 to 100 mm from
head to tip and are about 12 mm high and 7 mm thick (Mohr et al., J Biomech 2007, 40:3327).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.phantoms.chest_core import smooth_path
from models.phantoms.chest_frame import VERTEBRA_Z, ChestFrame
from models.phantoms.chest_tissue import ChestTissue as T
from models.phantoms.shapes import Field
from models.phantoms.vessel_tree import Points, Samples

_FALL = (30, 46, 60, 72, 82, 90, 96, 99, 98, 92, 80, 60)
_TIP = (2.32, 2.42, 2.50, 2.52, 2.52, 2.50, 2.42, 2.28, 2.12, 1.92, 1.40, 0.85)
_RISE = (0, 4, 8, 22, 52, 84, 112, 118, 118, 110)
_GRISTLE = (0.62, 0.60, 0.54, 0.52, 0.54, 0.56, 0.62, 0.42, 0.38, 0.36)
"""Rib 1 to 12: fall from head to tip (mm); bearing of the tip; rise of the cartilage (mm/rad) and
its length (rad)."""

_Part = tuple[Points, NDArray[np.float64] | float]
"""A curve (z, y, x mm) and the radius of its balls: one for all, or one for each point."""


@dataclass(frozen=True)
class Bone:
    """One kind of bone as balls, and its compact layer, mm."""

    tissue: T
    samples: Samples
    cortex_mm: float


def _balls(parts: list[_Part]) -> Samples:
    points, radii = [], []
    for path, radius in parts:
        at = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
        width = np.broadcast_to(np.asarray(radius, np.float64), (len(path),))
        step = float(np.clip(0.25 * width.mean(), 0.5, 1.5))
        fine = np.linspace(0, at[-1], max(2, int(at[-1] / step) + 1))
        points.append(np.stack([np.interp(fine, at, path[:, a]) for a in range(3)], 1))
        radii.append(np.interp(fine, at, width))
    total = np.concatenate(points)
    return Samples(total, np.concatenate(radii), np.zeros(len(total), np.intp))


def on_shell(frame: ChestFrame, z: Field, phi: Field, outside: float, side: int) -> Points:
    """(n, 3) points `outside` mm off the cage at heights `z` and bearings `phi` from behind."""
    wide, front, back, middle = frame.cage(z)
    p = frame.power
    dy, dx = np.cos(phi), np.sin(phi)
    reach = np.where(dy < 0, middle - front, back - middle)
    radius = ((np.abs(dy) / reach) ** p + (np.abs(dx) / wide) ** p) ** (-1 / p) + outside
    x = frame.spine(z)[1] + side * radius * dx
    out: Points = np.stack([z, middle + radius * dy, x], 1).astype(np.float64)
    return out


def _strings(path: Points, radius: float, half_height: float) -> list[_Part]:
    """A flat bar as parallel strings of balls, stacked along z."""
    lift = max(half_height - radius, 0.0)
    return [(path + np.array([d, 0, 0]), radius) for d in (-lift, 0.0, lift)]


def ribs(frame: ChestFrame, rng: np.random.Generator) -> list[Bone]:
    """Ribs, cartilages and sternum."""
    s = frame.scale
    bone: list[_Part] = []
    gristle: list[_Part] = []
    heads = VERTEBRA_Z[12:0:-1]
    spread = float(rng.normal(1, 0.04))
    fall_by = float(rng.normal(1, 0.07))
    last = float(rng.uniform(0.5, 1.2))
    for k in range(12):
        tip = _TIP[k] * (spread if k < 11 else last)
        for side in (-1, 1):
            head = (heads[k] + (8 if 0 < k < 10 else 3) + float(rng.normal(0, 0.8))) * s
            phi = np.linspace(0.34, tip, 44)
            course = head - fall_by * _FALL[k] * s * (phi / 2.35) ** 1.12
            thick = float(rng.normal(3.5, 0.2)) * s * (0.85 if k > 9 else 1.0)
            path = on_shell(frame, course.astype(np.float32), phi.astype(np.float32),
                            thick + 0.9, side)  # fmt: skip
            y, x = (float(v) for v in frame.spine(head))
            neck = np.array([[head, y + 5 * s, x + side * 17 * s],
                             [head - s, y + 20 * s, x + side * 33 * s]])  # fmt: skip
            whole = smooth_path(np.vstack([neck, path[1::3]]), 80)
            tall = (5.4 if k < 10 else 4.4) * s
            bone.extend(_strings(whole, thick, tall))
            if k < 10:
                phi = np.linspace(tip, min(tip + _GRISTLE[k], 2.98), 20)
                rise = course[-1] + (phi - tip) * _RISE[k] * s * 1.05
                path = on_shell(frame, rise.astype(np.float32), phi.astype(np.float32),
                                thick + 1.6, side)  # fmt: skip
                gristle.extend(_strings(path, thick * 1.05, tall * 1.05))
    sternum: list[_Part] = []
    z = np.linspace(204, 352, 40) * s
    front = frame.cage(z.astype(np.float32))[1] - 7.0 * s
    x0 = 0.3 * frame.spine(z.astype(np.float32))[1]
    half = np.interp(z / s, [204, 225, 290, 306, 330, 352], [10, 15, 15, 15, 26, 24]) * s
    for t in np.linspace(-1, 1, 15):
        bar = np.stack([z, front + 1.2 * abs(t) * s, x0 + t * half], 1)
        sternum.append((bar, np.full(40, 4.9 * s)))
    xiphoid = np.array([[204 * s, front[0], x0[0]], [178 * s, front[0] + 4 * s, x0[0]]])
    gristle.append((xiphoid, 4.0 * s))
    return [
        Bone(T.CARTILAGE, _balls(gristle), 0.0),
        Bone(T.STERNUM, _balls(sternum), 0.9),
        Bone(T.RIB, _balls(bone), 1.15),
    ]


def girdle(frame: ChestFrame, arms_up: bool) -> list[Bone]:
    """Clavicles, scapulae and the upper part of the humeri."""
    s = frame.scale
    clavicle: list[_Part] = []
    blade: list[_Part] = []
    arm: list[_Part] = []
    for side in (-1, 1):
        head = humeral_head(frame, side, arms_up)
        z = 356 * s
        start = np.array([z, float(frame.cage(z)[1]) - 9 * s, side * 24 * s])
        tip = head + np.array([24, -6, side * 2]) * s
        middle = (start + tip) / 2
        path = smooth_path(
            np.array([start, 0.6 * start + 0.4 * middle + np.array([6, -8, side * 4]) * s,
                      middle + np.array([10, 0, 0]) * s,
                      0.3 * middle + 0.7 * tip + np.array([7, 10, 0]) * s, tip]), 50)  # fmt: skip
        clavicle.append((path, np.interp(np.linspace(0, 1, 50), [0, 0.2, 1], [8, 5.4, 6]) * s))
        blade.extend(_scapula(frame, side, head, arms_up))
        arm.append((np.stack([head, head]) + np.array([[0, 0, 0], [0.5, 0, 0]]), 23.5 * s))
        away = np.array([120, -18, side * 34]) if arms_up else np.array([-170, 6, side * 22])
        arm.append((np.stack([head, head + away * s]), np.array([15.0, 11.5]) * s))
    return [
        Bone(T.SCAPULA, _balls(blade), 1.0),
        Bone(T.CLAVICLE, _balls(clavicle), 1.5),
        Bone(T.HUMERUS, _balls(arm), 2.0),
    ]


def humeral_head(frame: ChestFrame, side: int, arms_up: bool) -> Points:
    """z, y, x of the middle of the head of the humerus."""
    s = frame.scale
    y = float(frame.spine(370 * s)[0])
    place = (394, -2, 140) if arms_up else (368, 0, 160)
    return np.array([place[0] * s, y + place[1] * s, side * place[2] * s])


def _scapula(frame: ChestFrame, side: int, head: Points, arms_up: bool) -> list[_Part]:
    """Body as strings on the back of the cage, thick borders, spine, acromion, glenoid."""
    s = frame.scale
    turn = 0.22 if arms_up else 0.0
    parts: list[_Part] = []
    heights = np.linspace(258 + 14 * (arms_up), 366, 75)
    for z in heights:
        t = (z - heights[0]) / (heights[-1] - heights[0])
        medial = 0.62 + 0.10 * (1 - t) + turn * (1 - t)
        lateral = medial + 0.06 + 0.62 * t + 0.1 * turn
        phi = np.linspace(medial, lateral, 16).astype(np.float32)
        outside = (19 + 9 * np.linspace(0, 1, 16)) * s
        points = on_shell(frame, np.full(16, z * s, np.float32), phi, 0.0, side)
        middle = np.array([z * s, float(frame.cage(z * s)[3]), float(frame.spine(z * s)[1])])
        ray = points - middle
        ray = ray / np.linalg.norm(ray, axis=1)[:, None]
        path = points + ray * outside[:, None]
        edge = np.interp(np.linspace(0, 1, 16), [0, 0.08, 0.8, 1], [2.6, 1.35, 1.6, 4.2])
        parts.append((path, edge * s))
        if abs(z - 336) < 2.0:
            root = path[1]
            ridge = path[10] + ray[10] * 22 * s
            parts.append((np.stack([root, ridge, head + np.array([16, 26, side * 6]) * s,
                                    head + np.array([25, 4, side * 14]) * s]),
                          np.array([3.0, 4.2, 5.6, 5.0]) * s))  # fmt: skip
    neck = head + np.array([-4, 6, -side * 33]) * s
    socket = head + np.array([-1, 3, -side * 27]) * s
    parts.append((np.stack([neck, socket]), np.array([10.0, 14.0]) * s))
    parts.append((np.stack([neck, head + np.array([10, -22, -side * 24]) * s]),
                  np.array([7.0, 6.0]) * s))  # fmt: skip
    return parts


def arches(frame: ChestFrame) -> Bone:
    """Pedicles, laminae, transverse and spinous processes of all vertebrae."""
    s = frame.scale
    parts: list[_Part] = []
    for k, level in enumerate(VERTEBRA_Z):
        z = level * s
        y, x = (float(v) for v in frame.spine(z))
        cervical = k > 12
        reach = (24.0 if cervical else 30.0 + 0.4 * k) * s
        drop = (6 if k in {0, 13, 14} else 15) * s
        r = (15.0 if k < 2 else 13.5 - 0.1 * k) * s

        def at(dz: float, dy: float, dx: float, base: tuple[float, float, float] = (z, y, x)
               ) -> list[float]:  # fmt: skip
            return [base[0] + dz, base[1] + dy, base[2] + dx]

        for side in (-1, 1):
            w = side * 11.0 * s
            parts.append((np.array([at(4 * s, r * 0.7, w), at(3 * s, r + 12 * s, w * 1.05)]),
                          4.3 * s))  # fmt: skip
            tip = at(6 * s, r + (6 if cervical else 22) * s, side * reach)
            parts.append((np.array([at(3 * s, r + 10 * s, w * 1.1), tip]), 4.2 * s))
            for low in (0.0, -5.0, -10.0):
                parts.append((np.array([at(low * s, r + 13 * s, w), at((low - 4) * s, r + 21 * s,
                                                                      0)]), 3.2 * s))  # fmt: skip
            for up in (10.0, -13.0):
                facet = [at(up * s, r + 12 * s, w * 1.15), at((up - 4) * s, r + 13 * s, w * 1.1)]
                parts.append((np.array(facet), 4.8 * s))
        for d in (-7.0, -3.0, 1.0):
            parts.append((np.array([at(d * s, r + 20 * s, 0),
                                    at(d * s - drop, r + (40 if k < 13 else 34) * s, 0)]),
                          np.array([2.6, 3.3]) * s))  # fmt: skip
    return Bone(T.VERTEBRA, _balls(parts), 1.0)


def body_depth(frame: ChestFrame, z: Field, y: Field, x: Field) -> tuple[Field, Field, Field]:
    """(vertebral bodies, discs, canal): mm inside; arguments broadcast, z first axis."""
    s = frame.scale
    heights = z.reshape(-1)
    sy, sx = (v.reshape(-1, 1, 1) for v in frame.spine(heights))
    centres = np.array(VERTEBRA_Z) * s
    near = np.argmin(np.abs(heights[:, None] - centres[None, :]), 1)
    gap = np.interp(np.arange(len(centres)), [0, 1, 6, 14], [8.0, 6.0, 4.4, 4.6]) * s
    half_up = np.diff(centres, append=centres[-1] + 17 * s) / 2
    half_down = np.diff(centres, prepend=centres[0] - 36 * s) / 2
    rise = heights - centres[near]
    half = (np.where(rise > 0, half_up[near], half_down[near]) - gap[near] / 2).reshape(-1, 1, 1)
    rise = rise.reshape(-1, 1, 1)
    size = np.interp(near, [0, 3, 7, 11, 14], [1.22, 1.08, 1.0, 0.92, 0.86]).reshape(-1, 1, 1) * s
    dx, dy = x - sx, y - sy
    waist = 1 - 0.10 * np.clip(1 - (rise / half) ** 2, 0, 1)
    q = np.sqrt((dx / (16.5 * size * waist)) ** 2 + (dy / (14.2 * size * waist)) ** 2)
    radial = (1 - q) * 14.5 * size
    radial = np.minimum(radial, 12.6 * size - dy)
    end = half - 1.1 * s * np.clip(1 - q * q, 0, 1) - np.abs(rise)
    body = np.minimum(radial, end)
    disc = np.minimum(radial - 0.4, -end)
    canal = 7.8 * s - np.sqrt(dx * dx * 0.85 + (dy - 20.5 * size) ** 2)
    return body.astype(np.float32), disc.astype(np.float32), canal.astype(np.float32)
