"""Tubes and lumps on the grid of a drawn window: vessels and airways that branch, nodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
STEP_MM = 1.25
SIZE = 48
AXIS = (np.arange(SIZE) - (SIZE - 1) / 2) * STEP_MM
HALF = SIZE * STEP_MM / 2


@dataclass(frozen=True, slots=True)
class Branch:
    """Points (n, 3), radii (n,), index of the parent or -1."""

    points: NDArray[np.float64]
    radii: NDArray[np.float64]
    parent: int


def turned(direction: NDArray[np.float64], angle: float, rng: np.random.Generator,
            side: NDArray[np.float64] | None = None) -> NDArray[np.float64]:  # fmt: skip
    other = rng.normal(size=3) if side is None else side
    other = other - (other @ direction) * direction
    other /= np.linalg.norm(other) + 1e-9
    return np.cos(angle) * direction + np.sin(angle) * other


def grow(
    start: NDArray[np.float64], direction: NDArray[np.float64], radius: float,
    rng: np.random.Generator, smallest: float = 0.7,
) -> list[Branch]:  # fmt: skip
    """A tree that branches until it leaves the window or is too thin."""
    out: list[Branch] = []
    todo = [(start, direction, radius, -1)]
    while todo and len(out) < 70:
        at, along, wide, parent = todo.pop(0)
        length = float(np.clip(wide * rng.uniform(2.5, 7) + rng.uniform(2, 8), 5, 40))
        count = max(3, int(length / 1.2))
        bend = rng.normal(size=3)
        points = [at]
        for _ in range(count):
            along = turned(along, float(rng.uniform(0, 0.09)), rng, bend)
            points.append(points[-1] + along * length / count)
        thin = wide * float(rng.uniform(0.82, 1.0))
        out.append(Branch(np.asarray(points), np.linspace(wide, thin, count + 1), parent))
        end = points[-1]
        if np.abs(end).max() > HALF + 12:
            continue
        ratio = float(rng.uniform(0.72, 0.97))
        big, small = thin * ratio, thin * (1 - ratio**3) ** (1 / 3)
        side = rng.normal(size=3)
        me = len(out) - 1
        for r, angle in ((big, rng.uniform(0.1, 0.5)), (small, -rng.uniform(0.4, 1.2))):
            if r >= smallest:
                todo.append((end, turned(along, float(angle), rng, side), float(r), me))
    return out


def depth_of(branches: list[Branch], widen: float = 0.0) -> Floats:
    """Depth inside the tubes, mm; -9 and below is far outside."""
    depth = np.full((SIZE,) * 3, -9.0, np.float32)
    for branch in branches:
        steps = np.linalg.norm(np.diff(branch.points, axis=0), axis=1)
        way = np.concatenate([[0.0], np.cumsum(steps)])
        step = max(0.7, 0.35 * float(branch.radii.min()))
        at = np.linspace(0, way[-1], max(2, int(way[-1] / step) + 1))
        radii = np.interp(at, way, branch.radii) + widen
        points = np.stack([np.interp(at, way, branch.points[:, k]) for k in range(3)], 1)
        reach = radii + 1.5
        low = np.ceil((points - reach[:, None] - AXIS[0]) / STEP_MM).astype(int).clip(0, SIZE)
        high = np.floor((points + reach[:, None] - AXIS[0]) / STEP_MM).astype(int) + 1
        high = high.clip(0, SIZE)
        for p, r, a, b in zip(points, radii, low, high, strict=True):
            if (b <= a).any():
                continue
            z = (AXIS[a[0] : b[0]] - p[0])[:, None, None]
            y = (AXIS[a[1] : b[1]] - p[1])[None, :, None]
            x = (AXIS[a[2] : b[2]] - p[2])[None, None, :]
            part = depth[a[0] : b[0], a[1] : b[1], a[2] : b[2]]
            np.maximum(part, (r - np.sqrt(z * z + y * y + x * x)).astype(np.float32), out=part)
    return depth


def filled(depth: Floats) -> Floats:
    """Share of each voxel that is inside."""
    return np.clip(depth / STEP_MM + 0.5, 0, 1)


def ellipsoid(
    rng: np.random.Generator, centre: NDArray[np.float64], low: float, high: float
) -> Floats:
    """Depth inside a lumpy ellipsoid."""
    radii = rng.uniform(low, high, 3)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    grid = np.stack(np.meshgrid(AXIS, AXIS, AXIS, indexing="ij"), -1) - centre
    way = np.linalg.norm((grid @ turn) / radii, axis=-1)
    return ((1 - way) * radii.min()).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Tubes:
    """Vessels and airways on the grid, before they are painted.

    Attributes:
        arteries, veins: share of each voxel; of each tree of veins. outer: of the airways with
            their walls. lumen: depth in mm inside the airways, whose walls are `wall` mm thick.
    """

    arteries: Floats
    veins: tuple[Floats, ...]
    outer: Floats
    lumen: Floats
    wall: float

    @classmethod
    def of(
        cls, arteries: list[list[Branch]], veins: list[list[Branch]], airways: list[Branch],
        wall: float,
    ) -> Tubes:  # fmt: skip
        """Of trees."""
        inside = np.zeros((SIZE,) * 3, np.float32)
        for tree in arteries:
            inside = np.maximum(inside, filled(depth_of(tree)))
        return cls(
            inside, tuple(filled(depth_of(tree)) for tree in veins),
            filled(depth_of(airways, wall)), depth_of(airways), wall,
        )  # fmt: skip
