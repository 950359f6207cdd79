"""Heart, great vessels, trachea and main bronchi as ellipsoids and ducts, placed by the carina.

Calibres: ascending aorta 33 +- 4 mm, descending 25 +- 3 mm (Hager et al., J Thorac Cardiovasc Surg
2002, 123:1060); pulmonary trunk 25 +- 3 mm, right and left main 18-22 mm (Truong et al., Circ
Cardiovasc Imaging 2012, 5:147); trachea 15-20 mm (Breatnach et al., AJR 1984, 142:903); heart
chambers at mid-diastole (Lorenz et al., J Cardiovasc Magn Reson 1999, 1:7).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.phantoms.chest_frame import ChestFrame
from models.phantoms.chest_tissue import ChestTissue
from models.phantoms.chest_tissue import ChestTissue as T
from models.phantoms.shapes import Field
from models.phantoms.vessel_tree import Points


@dataclass(frozen=True, slots=True)
class Duct:
    """A tube: what, (n, 3) z, y, x points, (n,) radius of the lumen, wall thickness, mm."""

    tissue: ChestTissue
    points: Points
    radius_mm: NDArray[np.float64]
    wall_mm: float = 0.0


@dataclass(frozen=True, slots=True)
class Chamber:
    """An ellipsoid: what, middle z, y, x, unit axes in rows, half lengths, mm."""

    tissue: ChestTissue
    centre: Points
    axes: NDArray[np.float64]
    half: NDArray[np.float64]

    def depth(self, z: Field, y: Field, x: Field, grow: float = 0.0) -> Field:
        """Approximate mm inside, negative outside; arguments broadcast."""
        d = [v - np.float32(c) for v, c in zip((z, y, x), self.centre, strict=True)]
        total: Field = np.zeros(1, np.float32)
        for axis, half in zip(self.axes, self.half + grow, strict=True):
            along = sum(np.float32(a) * v for a, v in zip(axis, d, strict=True))
            total = total + (along / np.float32(half)) ** 2
        q = np.maximum(np.sqrt(total), np.float32(1e-3))
        distance = np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
        out: Field = (distance * (1 / q - 1)).astype(np.float32)
        return out


@dataclass(frozen=True, slots=True)
class Core:
    """Everything of fixed topology in the middle of the chest.

    Attributes:
        ducts: great vessels, azygos, oesophagus (those of the trees are in `chest_trees`).
        chambers: of the heart: left ventricle (muscle, then lumen), right ventricle, atria.
        pericardium: the hull of the heart.
        annulus: z, y, x of the pulmonary valve.
    """

    ducts: tuple[Duct, ...]
    chambers: tuple[Chamber, ...]
    pericardium: tuple[Chamber, ...]
    annulus: Points


def basis(axis: tuple[float, float, float], up: tuple[float, float, float]) -> NDArray[np.float64]:
    """Rows: the unit axis, the part of `up` across it, and their cross product (z, y, x)."""
    a = np.asarray(axis, np.float64) / np.linalg.norm(axis)
    u = np.asarray(up, np.float64)
    u = u - (u @ a) * a
    u = u / np.linalg.norm(u)
    return np.stack([a, u, np.cross(a, u)])


def smooth_path(points: Points, count: int) -> Points:
    """`count` points of a Catmull-Rom curve through `points`, evenly by knot."""
    p = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    at = np.linspace(0, len(points) - 1 - 1e-9, count)
    k = at.astype(int)
    t = (at - k)[:, None]
    a, b, c, d = p[k], p[k + 1], p[k + 2], p[k + 3]
    out: Points = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    return out


def build_core(frame: ChestFrame, rng: np.random.Generator) -> Core:
    """Heart and great vessels of one chest."""
    s, big = frame.scale, frame.heart_size
    h = np.array(frame.heart)
    c = np.array(frame.carina)
    swing = float(rng.normal(0, 0.12))
    # From base to apex: to the left, forwards and down; steeper in slim people.
    down = 0.42 + 0.25 * frame.person.slim + float(rng.normal(0, 0.08))
    axis = basis((-down, -0.62 + swing, 0.72 + swing), (1.0, 0.0, 0.3))
    turned = basis((-0.35, -0.34, 0.86), (1.0, 0.2, 0.2))
    flat = np.eye(3)

    def at(z: float, y: float, x: float) -> Points:
        return h + np.array([z, y, x]) * s * big

    def half(a: float, b: float, c: float) -> NDArray[np.float64]:
        return np.array([a, b, c]) * s * big

    wall = float(rng.normal(9.5, 1.2))
    left = at(-11, -4, 27)
    chambers = (
        Chamber(T.MYOCARDIUM, left, axis, half(48, 32, 32)),
        Chamber(T.LEFT_VENTRICLE, left - axis[0] * 5 * s, axis,
                half(47 - wall, 32 - wall, 32 - wall)),
        Chamber(T.RIGHT_VENTRICLE, at(-10, -31, 3), turned, half(44, 34, 20)),
        Chamber(T.RIGHT_ATRIUM, at(-4, -4, -37), flat, half(29, 26, 20)),
        Chamber(T.LEFT_ATRIUM, at(17, 26, -3), flat, half(23, 20, 34)),
        Chamber(T.LEFT_ATRIUM, at(24, 2, 34), basis((0.4, -0.8, 0.4), (1, 0, 0)), half(17, 8, 7)),
        Chamber(T.RIGHT_ATRIUM, at(28, -26, -26), basis((0.5, -0.6, 0.5), (1, 0, 0)),
                half(20, 10, 8)),
    )  # fmt: skip
    hull = (
        Chamber(T.PERICARDIUM, at(-6, -14, 14), axis, half(60, 44, 45)),
        Chamber(T.PERICARDIUM, at(6, -8, -18), flat, half(42, 42, 42)),
    )
    annulus = at(30, -36, 16)
    return Core(tuple(_ducts(frame, h, c, annulus, rng)), chambers, hull, annulus)


def _ducts(
    frame: ChestFrame, h: Points, c: Points, annulus: Points, rng: np.random.Generator
) -> list[Duct]:
    s, age = frame.scale, frame.person.age
    male = frame.person.sex == "M"
    spine_at = frame.spine

    def beside(z: float, dy: float, dx: float) -> list[float]:
        y, x = spine_at(z * s)
        return [z * s, float(y) + dy * s, float(x) + dx * s]

    wide = s * float(rng.normal(1, 0.07)) * (1 + 0.0045 * (age - 50)) * (1.0 if male else 0.93)
    cz, cy, _ = c / s
    root = h + np.array([18, -12, 2]) * s
    unfold = 0.12 * max(age - 55, 0)
    top = cz + 29 + 0.3 * unfold + float(rng.normal(0, 3))
    arch = np.array([
        root, [(cz - 30) * s, (cy - 50) * s, -16 * s],
        [(cz - 4) * s, (cy - 47) * s, (-22 - 0.3 * unfold) * s],
        [(top - 7) * s, (cy - 32) * s, -14 * s], [top * s, (cy - 12) * s, 4 * s],
        [(top - 4) * s, (cy + 8) * s, (18 + 0.3 * unfold) * s],
        [(cz + 10) * s, (cy + 25) * s, (25 + 0.5 * unfold) * s],
        beside(cz - 15, -7, 27 + 0.6 * unfold), beside(cz - 60, -10, 24 + 0.5 * unfold),
        beside(185, -20, 19 + 0.2 * unfold), beside(140, -25, 10), beside(90, -28, 6),
        beside(55, -28, 6),
    ])  # fmt: skip
    ducts = [
        Duct(T.AORTA, smooth_path(arch, 90),
             np.interp(np.linspace(0, 12, 90), [0, 0.6, 1, 2, 3, 4, 6, 9, 12],
                       [14, 16.5, 15.6, 15.6, 14.6, 13.4, 12.6, 11.8, 10.8]) * wide, 1.3),
    ]  # fmt: skip
    branches = (
        ([-8.0, -15.0], [-17.0, -16.0], 6.2, [-14.0, -20.0]),
        ([4.0, -8.0], [6.0, -8.0], 3.9, [14.0, -6.0]),
        ([14.0, 4.0], [22.0, 6.0], 4.8, [30.0, 12.0]),
    )
    for k, (foot, mid, r, tip) in enumerate(branches):
        path = np.array([
            [(top - 2) * s, (cy + foot[1] - 4) * s, foot[0] * s],
            [(top + 22) * s, (cy + mid[1] - 6) * s, mid[0] * s],
            [(top + 52) * s, (cy + tip[1] - 12) * s, tip[0] * s],
            [(top + 100) * s, (cy - 26) * s, (-26, 22, 30)[k] * s],
        ])  # fmt: skip
        if k == 2:
            path[3] = [395 * s, (cy + 2) * s, 62 * s]
        ducts.append(Duct(T.ARCH_BRANCH, smooth_path(path, 24), np.full(24, r * s), 0.8))
    artery = np.array([[top + 48, cy - 30, -20], [388, cy - 24, -40], [396, cy - 6, -70]]) * s
    ducts.append(Duct(T.ARCH_BRANCH, smooth_path(artery, 14), np.full(14, 4.4 * s), 0.8))
    slack = float(rng.normal(1, 0.12))
    cava = np.array([h + np.array([10, -4, -40]) * s, [(cz - 42) * s, (cy - 30) * s, -35 * s],
                     [(cz - 8) * s, (cy - 33) * s, -35 * s],
                     [(cz + 26) * s, (cy - 32) * s, -34 * s]])  # fmt: skip
    ducts.append(Duct(T.SUPERIOR_VENA_CAVA, smooth_path(cava, 20), np.full(20, 9.6 * s * slack)))
    innominate = [
        np.array([[(cz + 24) * s, (cy - 32) * s, -34 * s], [(cz + 48) * s, (cy - 34) * s, -38 * s],
                  [(cz + 76) * s, (cy - 36) * s, -44 * s], [(cz + 128) * s, (cy - 30) * s,
                                                            -42 * s]]),
        np.array([[(cz + 22) * s, (cy - 34) * s, -32 * s], [(cz + 38) * s, (cy - 46) * s, -6 * s],
                  [(cz + 52) * s, (cy - 46) * s, 20 * s], [(cz + 74) * s, (cy - 36) * s, 42 * s],
                  [(cz + 128) * s, (cy - 28) * s, 42 * s]]),
    ]  # fmt: skip
    for path in innominate:
        count = 8 * len(path)
        ducts.append(Duct(T.SUPERIOR_VENA_CAVA, smooth_path(path, count),
                          np.full(count, 7.2 * s * slack)))  # fmt: skip
    for side in (-1, 1):
        path = np.array([[(cz + 74) * s, (cy - 37) * s, side * 43 * s],
                         [388 * s, (cy - 34) * s, side * 62 * s],
                         [404 * s, (cy - 20) * s, side * 92 * s],
                         [398 * s, cy * s, side * 128 * s]])  # fmt: skip
        ducts.append(Duct(T.SUPERIOR_VENA_CAVA, smooth_path(path, 20), np.full(20, 5.4 * s)))
    low = np.array([h + np.array([-22, 6, -34]) * s, h + np.array([-48, 12, -32]) * s,
                    beside(140, -48, -30), beside(90, -36, -24), beside(55, -32, -21)])  # fmt: skip
    ducts.append(Duct(T.INFERIOR_VENA_CAVA, smooth_path(low, 30), np.full(30, 11.5 * s)))
    lane = np.array([beside(80, -20, -6), beside(180, -20, -6), beside(cz - 30, -20, -8),
                     beside(cz + 4, -18, -12), [(cz + 18) * s, (cy + 2) * s, -24 * s],
                     [(cz + 14) * s, (cy - 22) * s, -33 * s]])  # fmt: skip
    ducts.append(Duct(T.AZYGOS, smooth_path(lane, 50), np.linspace(2.2, 4.2, 50) * s))
    gullet = np.array([beside(452, -26, 2), beside(380, -24, 5), beside(cz + 20, -23, 4),
                       beside(cz - 30, -24, 4), beside(230, -26, 3), beside(190, -36, 10),
                       beside(165, -48, 20), beside(150, -50, 34)])  # fmt: skip
    ducts.append(Duct(T.OESOPHAGUS, smooth_path(gullet, 60), np.full(60, float(rng.uniform(6, 9))
                                                                    * s)))  # fmt: skip
    return ducts
