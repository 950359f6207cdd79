"""Cubes of simulated lung with what looks like nodules and is none; before any scanner.

Every cube is drawn anew: lung of some density, vessels that branch, airways with walls, chest
wall with ribs, diaphragm or heart, fissures, scars, plates of atelectasis, emphysema. Axes
(z, y, x); no direction is preferred, so that cubes may be turned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]

STEP_MM = 0.7
SIZE = 96
EXTENT_MM = STEP_MM * SIZE
AIR_HU, WALL_MUSCLE_HU, FAT_HU = -1000.0, 50.0, -100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cube:
    """One cube.

    Attributes:
        hu: (z, y, x) float32, `SIZE` each way, `STEP_MM` apart, without blur and noise.
        lung: where lung is (with its vessels). vessel: vessels within it.
        doubtful: what may be called a nodule or not (a granuloma of the anatomy), or None.
        scale: the cube is so many times larger than its grid says, as masses are looked at.
    """

    hu: Field
    lung: Mask
    vessel: Mask
    doubtful: Mask | None = None
    scale: float = 1.0


def draw_cube(seed: int) -> Cube:
    """The cube of a seed."""
    rng = np.random.default_rng([seed, 7])
    hu = _background(rng)
    lines = (np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2) * np.float32(STEP_MM)
    place = np.meshgrid(lines, lines, lines, indexing="ij")
    cover = np.zeros(hu.shape, np.float32)
    contrast = float(rng.choice([0.0, rng.uniform(60, 350)], p=[0.6, 0.4]))
    if rng.random() < 0.35:
        _emphysema(hu, rng)
    for _ in range(int(rng.choice([2, 3, 4, 6], p=[0.25, 0.35, 0.25, 0.15]))):
        _tree(hu, cover, rng, contrast)
    for _ in range(int(rng.integers(30, 150))):
        _strand(cover, rng, float(rng.uniform(0.25, 0.95)), float(rng.uniform(6, 30)))
    vessel_hu = float(rng.uniform(0, 60)) + contrast
    hu += cover * (np.float32(vessel_hu) - hu)
    vessel = cover > 0.5
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.3, 0.3, 0.2, 0.2]))):
        _airway(hu, rng)
    if rng.random() < 0.45:
        _fissure(hu, place, rng)
    for _ in range(int(rng.choice([0, 1, 2], p=[0.6, 0.25, 0.15]))):
        _scar(hu, rng)
    lung = np.ones(hu.shape, np.bool_)
    for _ in range(int(rng.choice([0, 1, 2], p=[0.35, 0.45, 0.2]))):
        _border(hu, lung, place, rng)
    return Cube(hu=hu, lung=lung & (hu < 600), vessel=vessel & lung)


def smooth_noise(rng: np.random.Generator, sigma_mm: float) -> Field:
    """Noise of unit deviation that changes over some millimetres."""
    step = max(1, int(sigma_mm / STEP_MM / 1.5))
    small = -(-SIZE // step) + 2
    coarse = gaussian_filter(
        rng.standard_normal((small,) * 3).astype(np.float32), sigma_mm / STEP_MM / step, mode="wrap"
    )
    coarse /= max(float(coarse.std()), 1e-6)
    fine = zoom(coarse, SIZE / (small - 1), order=1) if step > 1 else coarse
    return np.ascontiguousarray(fine[:SIZE, :SIZE, :SIZE], np.float32)


def _background(rng: np.random.Generator) -> Field:
    base = float(rng.uniform(-925, -760))
    hu = np.full((SIZE,) * 3, base, np.float32)
    hu += smooth_noise(rng, float(rng.uniform(6, 18))) * np.float32(rng.uniform(4, 30))
    hu += smooth_noise(rng, float(rng.uniform(1.0, 2.5))) * np.float32(rng.uniform(5, 40))
    slope = rng.normal(0, 0.8)
    axis = int(rng.integers(3))
    ramp = (np.arange(SIZE, dtype=np.float32) - SIZE / 2) * np.float32(slope)
    hu += ramp.reshape([-1 if a == axis else 1 for a in range(3)])
    return hu


def _emphysema(hu: Field, rng: np.random.Generator) -> None:
    holes = smooth_noise(rng, float(rng.uniform(2, 5))) > rng.uniform(0.8, 1.8)
    hu[holes] -= np.float32(rng.uniform(40, 130))
    np.maximum(hu, AIR_HU, out=hu)


def _direction(rng: np.random.Generator) -> NDArray[np.float64]:
    drawn = rng.normal(size=3)
    return np.asarray(drawn / np.linalg.norm(drawn))


def _bent(
    direction: NDArray[np.float64], by: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    turned = direction + rng.normal(0, by, 3)
    return np.asarray(turned / np.linalg.norm(turned))


def capsule(cover: Field, start: NDArray[np.float64], end: NDArray[np.float64],
            radii: tuple[float, float]) -> None:  # fmt: skip
    """Raise the share that a tapered tube takes of each voxel; positions in mm from a corner."""
    widest = max(radii) + STEP_MM
    low = np.floor((np.minimum(start, end) - widest) / STEP_MM).astype(int)
    high = np.ceil((np.maximum(start, end) + widest) / STEP_MM).astype(int) + 1
    low, high = np.maximum(low, 0), np.minimum(high, SIZE)
    if (high <= low).any():
        return
    z, y, x = (
        (np.arange(a, b, dtype=np.float32) * np.float32(STEP_MM)) - np.float32(s)
        for a, b, s in zip(low, high, start, strict=True)
    )
    along = (end - start).astype(np.float32)
    length2 = max(float(along @ along), 1e-6)
    part = (z[:, None, None] * along[0] + y[:, None] * along[1] + x * along[2]) / length2
    np.clip(part, 0, 1, out=part)
    distance = np.sqrt(
        (z[:, None, None] - part * along[0]) ** 2
        + (y[:, None] - part * along[1]) ** 2
        + (x - part * along[2]) ** 2
    )
    radius = radii[0] + part * np.float32(radii[1] - radii[0])
    # Thinner than a voxel: the share of the area that it takes.
    thin = np.minimum(1.0, (np.pi * radius**2) / STEP_MM**2)
    share = np.clip(0.5 + (radius - distance) / STEP_MM, 0, 1) * thin
    box = cover[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    np.maximum(box, share, out=box)


def _tree(hu: Field, cover: Field, rng: np.random.Generator, contrast: float) -> None:
    """A vessel that enters at the border and branches down to the smallest."""
    start = rng.uniform(0, EXTENT_MM, 3)
    start[int(rng.integers(3))] = rng.choice([0.0, EXTENT_MM])
    aim = rng.uniform(0.3, 0.7, 3) * EXTENT_MM - start
    radius = float(
        np.exp(rng.choice([rng.uniform(-0.2, 0.9), rng.uniform(0.7, 1.95)], p=[0.7, 0.3]))
    )
    open_ends = [(start, aim / np.linalg.norm(aim), radius)]
    drawn = 0
    while open_ends and drawn < 220:
        at, direction, r = open_ends.pop(0)
        for _ in range(int(rng.integers(1, 4))):
            end = at + direction * float(rng.uniform(2.0, 5.0)) * max(r, 0.8)
            tip = r * float(rng.uniform(0.88, 1.0))
            capsule(cover, at, end, (r, tip))
            drawn += 1
            if rng.random() < 0.5 and r > 0.8:
                side = _bent(np.cross(direction, _direction(rng)), 0.3, rng)
                thin = float(np.clip(r * rng.uniform(0.25, 0.6), 0.35, 2.5))
                open_ends.append((end, _bent(side + 0.5 * direction, 0.2, rng), thin))
            at, direction, r = end, _bent(direction, 0.18, rng), tip
            if (at < -5).any() or (at > EXTENT_MM + 5).any():
                break
        else:
            if r > 0.45:
                for sign in (1, -1):
                    angle = float(rng.uniform(0.3, 0.8)) * sign
                    side = np.cross(direction, _direction(rng))
                    share = float(rng.uniform(0.62, 0.9))
                    open_ends.append(
                        (at, _bent(direction + angle * side, 0.1, rng), max(r * share, 0.35))
                    )


def _strand(cover: Field, rng: np.random.Generator, radius: float, length: float) -> None:
    at, direction = rng.uniform(0, EXTENT_MM, 3), _direction(rng)
    for _ in range(3):
        end = at + direction * length / 3
        capsule(cover, at, end, (radius, radius * 0.9))
        at, direction = end, _bent(direction, 0.25, rng)


def _airway(hu: Field, rng: np.random.Generator) -> None:
    """A bronchus: air in a wall, beside nothing in particular; ends open or in the border."""
    at, direction = rng.uniform(0, EXTENT_MM, 3), _direction(rng)
    radius = float(np.exp(rng.uniform(np.log(0.9), np.log(5.0))))
    wall = 0.4 + 0.15 * radius + float(rng.uniform(0, 0.8))
    outer, lumen = np.zeros(hu.shape, np.float32), np.zeros(hu.shape, np.float32)
    artery = np.zeros(hu.shape, np.float32)
    beside = np.cross(direction, _direction(rng))
    beside *= (2 * radius + wall) / max(float(np.linalg.norm(beside)), 1e-6)
    with_artery = rng.random() < 0.7
    for _ in range(int(rng.integers(3, 9))):
        end = at + direction * 4 * max(radius, 1.0)
        capsule(outer, at, end, (radius + wall, radius * 0.93 + wall))
        capsule(lumen, at, end, (radius, radius * 0.93))
        if with_artery:
            capsule(artery, at + beside, end + beside, (radius * 1.1, radius))
        at, direction, radius = end, _bent(direction, 0.15, rng), max(radius * 0.9, 0.6)
    hu += artery * (np.float32(rng.uniform(0, 60)) - hu)
    hu += outer * (np.float32(rng.uniform(-150, 30)) - hu)
    hu += lumen * (np.float32(AIR_HU) - hu)


def _fissure(hu: Field, place: list[Field], rng: np.random.Generator) -> None:
    normal = _direction(rng)
    height = sum(n * p for n, p in zip(normal, place, strict=True)) - rng.uniform(-20, 20)
    height = height + smooth_noise(rng, 15) * np.float32(rng.uniform(0.5, 3))
    share = np.clip(0.5 + (rng.uniform(0.15, 0.6) - np.abs(height)) / STEP_MM, 0, 1)
    hu += share.astype(np.float32) * (np.float32(rng.uniform(-300, 0)) - hu)


def _scar(hu: Field, rng: np.random.Generator) -> None:
    """A band or a plate of scar or atelectasis."""
    normal, along = _direction(rng), _direction(rng)
    along -= normal * float(normal @ along)
    along /= np.linalg.norm(along)
    third = np.cross(normal, along)
    half = np.array([rng.uniform(0.5, 2.0), rng.uniform(6, 25), rng.uniform(1.0, 14)])
    at = rng.uniform(0.1, 0.9, 3) * EXTENT_MM
    reach = float(np.linalg.norm(half))
    low = np.maximum(np.floor((at - reach) / STEP_MM).astype(int), 0)
    high = np.minimum(np.ceil((at + reach) / STEP_MM).astype(int) + 1, SIZE)
    lines = [np.arange(a, b) * STEP_MM - c for a, b, c in zip(low, high, at, strict=True)]
    points = np.stack(np.meshgrid(*lines, indexing="ij"), -1)
    own = np.abs(points @ np.stack([normal, along, third], 1))
    own[..., 0] += np.sin(own[..., 1] / 3) * 0.4
    share = np.clip(0.5 + (half - own) / STEP_MM, 0, 1).prod(-1).astype(np.float32)
    box = hu[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    box += share * (np.float32(rng.uniform(-350, 40)) - box)


def _border(hu: Field, lung: Mask, place: list[Field], rng: np.random.Generator) -> None:
    """Chest wall with ribs (hollow seen from the lung), or heart and diaphragm (round)."""
    outward = _direction(rng)
    hollow = rng.random() < 0.6
    radius = float(rng.uniform(55, 160)) if hollow else float(rng.uniform(18, 110))
    depth = float(rng.uniform(-8, 30))
    centre = outward * (depth - radius) if hollow else outward * (depth + radius)
    distance = np.sqrt(sum((p - c) ** 2 for p, c in zip(place, centre, strict=True)))
    # Positive inside the tissue, mm from its surface.
    deep = (distance - radius) if hollow else (radius - distance)
    deep = deep + smooth_noise(rng, float(rng.uniform(8, 20))) * np.float32(rng.uniform(0, 2.0))
    if rng.random() < 0.3:
        deep = deep + smooth_noise(rng, float(rng.uniform(3, 6))) * np.float32(rng.uniform(0, 1.0))
    deep = deep.astype(np.float32)
    if hollow:
        tissue = _chest_wall(deep, place, outward, rng)
    else:
        tissue = np.full(hu.shape, rng.uniform(20, 70), np.float32)
        tissue += np.float32(rng.choice([0, rng.uniform(40, 300)]))
        fat = deep < rng.uniform(0, 6)
        tissue[fat] = FAT_HU if rng.random() < 0.5 else tissue[fat]
    share = np.clip(0.5 + deep / STEP_MM, 0, 1)
    if rng.random() < 0.3:
        # Dependent lung, and lung blurred by the moving heart, is denser before the wall.
        hu += np.exp(-np.clip(-deep, 0, None) / 6) * np.float32(rng.uniform(20, 200))
    hu += share * (tissue - hu)
    lung &= deep < 0


def _chest_wall(
    deep: Field, place: list[Field], outward: NDArray[np.float64], rng: np.random.Generator
) -> Field:
    tissue = np.full(deep.shape, rng.uniform(30, 70), np.float32)
    fat = smooth_noise(rng, 5) > rng.uniform(-0.5, 1.0)
    tissue[fat & (deep > rng.uniform(0, 3))] = FAT_HU
    across = np.cross(outward, _direction(rng))
    across /= np.linalg.norm(across)
    run = sum(a * p for a, p in zip(across, place, strict=True))
    pitch, half = float(rng.uniform(22, 36)), float(rng.uniform(4, 8))
    phase = (run + rng.uniform(0, pitch)) % pitch - pitch / 2
    middle = float(rng.uniform(5, 9))
    rib = (phase / half) ** 2 + ((deep - middle) / (0.75 * middle)) ** 2
    tissue[rib < 1] = np.float32(rng.uniform(60, 250))
    tissue[(rib < 1) & (rib > 0.6)] = np.float32(rng.uniform(300, 900))
    return tissue
