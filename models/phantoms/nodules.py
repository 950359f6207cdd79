"""Lung nodules with exact shapes: solid, part-solid, ground glass, calcified; smooth to spiculated.

A nodule is a closed form in millimetres round its own centre, asked point by point, so that its
volume and its diameters are known as finely as one cares to sample them. Axes (z, y, x) = (to
the head, to posterior, to the left), as of `Grid`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]


class Density(StrEnum):
    """What a reader calls the density of a nodule."""

    SOLID = "solid"
    PART_SOLID = "part-solid"
    GROUND_GLASS = "ground glass"
    CALCIFIED = "calcified"


#: Share of each density and ranges of its attenuation, HU: (low, high).
DENSITY_SHARES = {
    Density.SOLID: 0.58,
    Density.PART_SOLID: 0.14,
    Density.GROUND_GLASS: 0.16,
    Density.CALCIFIED: 0.12,
}
SOLID_HU = (-60.0, 90.0)
GROUND_GLASS_HU = (-680.0, -350.0)
CALCIFIED_HU = (220.0, 900.0)
#: Directions whose bumps make a surface uneven.
_BUMPS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Spicule:
    """A tapered strand: from the surface outwards in a direction, mm."""

    direction: Points
    length_mm: float
    radius_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodule:
    """One nodule as a form round the origin.

    Attributes:
        density: its type. hu: of the body (of the ground glass in a part-solid nodule).
        radii_mm: (3,) half axes of the ellipsoid beneath. turn: (3, 3) rotation of it.
        bumps: (n, 3) unit directions; heights: (n,) relative to the radius; width: how narrow
            the bumps are: 4 is wide (lobulated), 25 narrow (irregular).
        core: None, or centre (3,) mm and radius mm of the solid part of a part-solid nodule, or
            of the calcified core.
        core_hu: attenuation of the core.
        spicules: strands that readers see but leave out of the diameter.
    """

    density: Density
    hu: float
    radii_mm: Points
    turn: Points
    bumps: Points
    heights: Points
    width: float
    core: tuple[Points, float] | None = None
    core_hu: float = 0.0
    spicules: tuple[Spicule, ...] = ()

    @property
    def reach_mm(self) -> float:
        """About the farthest that the body reaches from the origin; asked in all directions."""
        return 1.06 * float(self.radius(_SPHERE).max())

    @property
    def reach_with_spicules_mm(self) -> float:
        """No point of body or spicules is farther from the origin."""
        return self.reach_mm + max((s.length_mm for s in self.spicules), default=0.0)

    def body(self, points: Points) -> NDArray[np.bool_]:
        """Which of (..., 3) points in mm, (z, y, x), lie in the body (spicules left out)."""
        found = np.zeros(points.shape[:-1], np.bool_)
        near = (points**2).sum(axis=-1) <= self.reach_mm**2
        distance, direction = _polar(points[near])
        found[near] = distance <= self.radius(direction)
        return found

    def radius(self, direction: Points) -> Points:
        """Distance of the surface from the origin along (..., 3) unit directions, mm."""
        own = direction @ self.turn.T
        ellipsoid = 1.0 / np.sqrt(((own / self.radii_mm) ** 2).sum(axis=-1))
        rise = np.ones(ellipsoid.shape, np.float32)
        for bump, height in zip(self.bumps, self.heights, strict=True):
            rise += height * np.exp(self.width * (direction @ bump - 1.0))
        return np.asarray(ellipsoid * np.clip(rise, 0.55, 1.9), np.float32)

    def in_core(self, points: Points) -> NDArray[np.bool_]:
        """Which points lie in the solid or calcified core."""
        if self.core is None:
            return np.zeros(points.shape[:-1], np.bool_)
        centre, radius = self.core
        return np.asarray(((points - centre) ** 2).sum(axis=-1) <= radius**2, np.bool_)

    def in_spicules(self, points: Points) -> NDArray[np.bool_]:
        """Which points lie in a strand."""
        found = np.zeros(points.shape[:-1], np.bool_)
        square = (points**2).sum(axis=-1)
        near = square <= self.reach_with_spicules_mm**2
        points, square = points[near], square[near]
        strands = np.zeros(square.shape, np.bool_)
        for spicule in self.spicules:
            start = float(self.radius(spicule.direction[None])[0]) * 0.85
            along = points @ spicule.direction
            part = (along - start) / spicule.length_mm
            taper = spicule.radius_mm * np.clip(1.0 - part, 0.0, 1.0)
            strands |= (part > 0) & (square - along**2 <= taper**2)
        found[near] = strands
        return found


def draw_nodule(
    rng: np.random.Generator, diameter_mm: float, density: Density | None = None
) -> Nodule:
    """A nodule whose ellipsoid has about this mean diameter; its exact size is measured later."""
    if density is None:
        names = list(DENSITY_SHARES)
        density = names[int(rng.choice(len(names), p=list(DENSITY_SHARES.values())))]
    radius = diameter_mm / 2
    ratios = np.exp(rng.normal(0, 0.14, 3))
    ratios /= np.cbrt(ratios.prod())
    rough = float(rng.choice([0.02, 0.1, 0.2], p=[0.4, 0.35, 0.25]))
    if density is Density.CALCIFIED:
        rough = min(rough, 0.1)
    width = float(rng.uniform(4, 25))
    bumps = _directions(rng, _BUMPS)
    heights = rng.normal(0, rough, _BUMPS).astype(np.float32)
    hu = {
        Density.SOLID: rng.uniform(*SOLID_HU),
        Density.PART_SOLID: rng.uniform(GROUND_GLASS_HU[0], GROUND_GLASS_HU[1]),
        Density.GROUND_GLASS: rng.uniform(*GROUND_GLASS_HU),
        Density.CALCIFIED: rng.uniform(0, 120),
    }[density]
    core = None
    core_hu = 0.0
    if density is Density.PART_SOLID:
        size = radius * float(rng.uniform(0.3, 0.75))
        offset = _directions(rng, 1)[0] * (radius - size) * float(rng.uniform(0, 0.6))
        core, core_hu = (offset, size), float(rng.uniform(-20, 80))
    elif density is Density.CALCIFIED:
        share = float(rng.choice([0.5, 0.8, 1.6], p=[0.3, 0.3, 0.4]))
        core, core_hu = (np.zeros(3, np.float32), radius * share), float(rng.uniform(*CALCIFIED_HU))
    return Nodule(
        density=density,
        hu=float(hu),
        radii_mm=(radius * ratios).astype(np.float32),
        turn=_rotation(rng),
        bumps=bumps,
        heights=heights,
        width=width,
        core=core,
        core_hu=core_hu,
        spicules=_spicules(rng, diameter_mm, density),
    )


def _spicules(
    rng: np.random.Generator, diameter_mm: float, density: Density
) -> tuple[Spicule, ...]:
    chance = 0.3 if density in (Density.SOLID, Density.PART_SOLID) and diameter_mm > 7 else 0.0
    if rng.random() >= chance:
        return ()
    count = int(rng.integers(4, 14))
    return tuple(
        Spicule(
            direction=direction,
            length_mm=float(rng.uniform(0.25, 0.7)) * diameter_mm,
            radius_mm=float(rng.uniform(0.5, 1.1)),
        )
        for direction in _directions(rng, count)
    )


def _polar(points: Points) -> tuple[Points, Points]:
    distance = np.sqrt((points**2).sum(axis=-1))
    direction = points / np.maximum(distance, 1e-6)[..., None]
    # The centre itself lies in no direction; any will do.
    direction[distance < 1e-6] = (1.0, 0.0, 0.0)
    return np.asarray(distance, np.float32), np.asarray(direction, np.float32)


def _directions(rng: np.random.Generator, count: int) -> Points:
    drawn = rng.normal(size=(count, 3))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def _sphere(count: int = 400) -> Points:
    """Directions spread evenly over the sphere (a Fibonacci spiral)."""
    index = np.arange(count) + 0.5
    z = 1 - 2 * index / count
    turn = np.pi * (1 + np.sqrt(5)) * index
    flat = np.sqrt(1 - z**2)
    return np.stack([z, flat * np.sin(turn), flat * np.cos(turn)], axis=1).astype(np.float32)


_SPHERE = _sphere()


def _rotation(rng: np.random.Generator) -> Points:
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    return np.asarray(q * np.sign(np.diag(r)), np.float32)
