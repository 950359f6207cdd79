"""What the networks learn from: cubes with nodules, as scanners of all kinds would show them.

`python -m models.lung_nodules.train.samples --first 0 --cubes 400` writes shards of samples to
`train-out/nodule-samples`. Every sample has its own kernel, slice thickness, grain and noise.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (
    binary_dilation,
    distance_transform_edt,
    gaussian_filter,
)

from models.grid import Axis, sample_volume
from models.lung_nodules.train.parenchyma import SIZE, STEP_MM, Cube, Field, Mask, draw_cube
from models.lung_nodules.train.scanner import Bytes, noisy, sampled, scanned
from models.phantoms.insertion import Inserted, Physics, Scan, insert_nodule
from models.phantoms.nodules import Density, draw_nodule

FOLDER = Path("train-out") / "nodule-samples"
WINDOW, WINDOW_MM = 64, 1.0
#: The detector answers on cubes of two voxels.
STRIDE = 2
PATCH, PATCH_MM, WIDE_MM = 48, 0.7, 1.4
#: From this mean diameter on a nodule is looked at with the wide patch (both between the two).
WIDE_FROM, WIDE_ONLY = 14.0, 24.0
#: A target: nothing, nodule, neither (not learned from).
NOTHING, NODULE, NEITHER = 0, 1, 2
#: Up to this size so many more are ground glass or part-solid, and so many of these ground glass.
SMALL_MM, VEILED_SHARE, GLASS_SHARE = 12.0, 0.4, 0.6
#: Of the masses so many have their middle outside of the lung that they bulge into, at most this
#: part of their radius away.
CENTRAL_SHARE, CENTRAL_DEPTH = 0.3, 0.35
#: Smaller ones are not learned from.
LEAST_MM = 3.2
DRAWS = 4


@dataclass(slots=True)
class Shard:
    """Samples of both networks; see `_detector` and `add_patches` for the arrays."""

    window: list[Bytes] = field(default_factory=list)
    target: list[Bytes] = field(default_factory=list)
    size: list[Bytes] = field(default_factory=list)
    patch: list[Bytes] = field(default_factory=list)
    mask: list[Bytes] = field(default_factory=list)
    label: list[int] = field(default_factory=list)
    diameter: list[float] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        part = path.with_name("part-" + path.name)
        np.savez(
            part,
            window=np.stack(self.window),
            target=np.stack(self.target),
            size=np.stack(self.size),
            patch=np.stack(self.patch),
            mask=np.stack(self.mask),
            label=np.array(self.label, np.uint8),
            diameter=np.array(self.diameter, np.float32),
        )
        part.rename(path)


#: Places in a window (uint8, 64^3 at 1 mm) where a detector sees something, (z, y, x) voxels.
Finder = Callable[[Bytes], list[NDArray[np.float64]]]


def add_draws(
    shard: Shard,
    cube: Cube,
    rng: np.random.Generator,
    draws: int = DRAWS,
    finder: Finder | None = None,
) -> None:
    """Several samples of one cube, turned, with nodules, each seen by another scanner.

    Args:
        finder: names the places that a detector takes for nodules; the refiner learns from them.
    """
    for _ in range(draws):
        turned = turn_cube(cube, rng)
        ideal = Physics(blur_mm=0.3, slice_mm=STEP_MM, noise_hu=0.0, grain_mm=0.5)
        scan = Scan(hu=turned.hu.copy(), spacing_mm=(STEP_MM,) * 3, physics=ideal)
        count = int(rng.choice([0, 1, 2, 3], p=[0.15, 0.35, 0.3, 0.2]))
        nodules = put_nodules(scan, turned, rng, count, partial(_kind, turned, rng))
        seen = scanned(scan.hu, rng, cube.scale)
        strength = float(np.exp(rng.uniform(np.log(4), np.log(75)))) / cube.scale
        noise = (strength, float(rng.uniform(0.3, 0.9)))
        _detector(shard, seen, nodules, (noise, rng))
        if turned.doubtful is not None:
            _leave_out(shard.target[-1], turned.doubtful)
        mined = [] if finder is None else _mined(finder(shard.window[-1]), nodules, turned.doubtful)
        others = [*mined, *_others(seen, turned, nodules, rng)]
        add_patches(shard, seen, nodules, (noise, rng, others))


def turn_cube(cube: Cube, rng: np.random.Generator) -> Cube:
    """The cube with its axes exchanged and reversed at random."""
    axes = rng.permutation(3)
    flips = tuple(slice(None, None, int(rng.choice([-1, 1]))) for _ in range(3))
    hu, lung, vessel = (
        np.ascontiguousarray(a.transpose(axes)[flips]) for a in (cube.hu, cube.lung, cube.vessel)
    )
    doubtful = cube.doubtful
    if doubtful is not None:
        doubtful = np.ascontiguousarray(doubtful.transpose(axes)[flips])
    return replace(cube, hu=hu, lung=lung, vessel=vessel, doubtful=doubtful)


def _leave_out(target: Bytes, doubtful: Mask) -> None:
    """Cells near what may be a nodule or not teach nothing."""
    if not doubtful.any():
        return
    away = distance_transform_edt(~doubtful) * STEP_MM
    cells = len(target)
    middle = (np.arange(cells) * STRIDE + (STRIDE - 1) / 2 - (WINDOW - 1) / 2) * WINDOW_MM
    at = np.clip(np.rint(middle / STEP_MM + (SIZE - 1) / 2).astype(int), 0, SIZE - 1)
    near = away[np.ix_(at, at, at)] < 3.0
    target[near & (target == NOTHING)] = NEITHER


def put_nodules(
    scan: Scan,
    cube: Cube,
    rng: np.random.Generator,
    count: int,
    kind: Callable[[], tuple[float, Density | None]],
) -> list[Inserted]:
    """Up to so many nodules, apart from each other.

    Args:
        kind: draws the diameter of one, mm, and its density; None for what nature has.
    """
    found: list[Inserted] = []
    if not cube.lung.any():
        return found
    wall = distance_transform_edt(cube.lung) * STEP_MM
    for _ in range(count):
        diameter, density = kind()
        centre = find_place(cube, wall, diameter / 2, rng)
        if centre is None or any(
            np.linalg.norm(centre - n.centre) * STEP_MM < (diameter + n.mean_mm) / 2 + 4
            for n in found
        ):
            continue
        put = insert_nodule(scan, draw_nodule(rng, diameter, density), centre, rng)
        if put is not None:
            found.append(put)
    return found


def _kind(cube: Cube, rng: np.random.Generator) -> tuple[float, Density | None]:
    """Diameter, mm, and density."""
    diameter = float(np.exp(rng.uniform(np.log(3.0), np.log(36.0))))
    if cube.scale > 1:
        diameter = float(rng.uniform(10.0, 41.0))
    elif rng.random() < 0.5:
        diameter = float(rng.uniform(3.5, 11))
    return diameter, _density(rng, diameter)


def _density(rng: np.random.Generator, diameter: float) -> Density | None:
    """Small ones are veiled more often than nature has it: they are what is missed."""
    if diameter > SMALL_MM or rng.random() > VEILED_SHARE:
        return None
    return Density.GROUND_GLASS if rng.random() < GLASS_SHARE else Density.PART_SOLID


def find_place(
    cube: Cube, wall: Field, radius: float, rng: np.random.Generator
) -> NDArray[np.float64] | None:
    """A voxel for the middle of a nodule: at the pleura, at a vessel or free; None without lung."""
    # Masses lie at the pleura or the mediastinum more often than free in the lung.
    how = rng.random() * (0.5 if cube.scale > 1 and rng.random() < 0.6 else 1.0)
    inner = np.zeros(cube.lung.shape, np.bool_)
    edge = 6
    inner[edge:-edge, edge:-edge, edge:-edge] = True
    allowed = cube.lung & inner
    if cube.scale > 1 and rng.random() < CENTRAL_SHARE:
        away = distance_transform_edt(~cube.lung) * STEP_MM
        allowed = inner & ~cube.lung & (away < CENTRAL_DEPTH * radius)
    elif how < 0.3:
        allowed &= (wall > 0.1 * radius) & (wall < 1.05 * radius + 0.7)
    elif how < 0.55:
        allowed &= cube.vessel
    else:
        allowed &= wall > min(radius, 4.0)
    where = np.flatnonzero(allowed)
    if not where.size:
        return None
    at = np.array(np.unravel_index(int(rng.choice(where)), allowed.shape), np.float64)
    if 0.3 <= how < 0.55 and cube.vessel[tuple(at.astype(int))]:
        offset = rng.normal(size=3)
        at += offset / np.linalg.norm(offset) * radius * rng.uniform(0.3, 1.0) / STEP_MM
    return at + rng.uniform(-0.5, 0.5, 3)


def _axes(centre: NDArray[np.float64], step_mm: float, count: int) -> tuple[Axis, Axis, Axis]:
    first, second, third = (Axis.centred(float(c), step_mm / STEP_MM, count) for c in centre)
    return first, second, third


def _detector(
    shard: Shard,
    seen: Field,
    nodules: list[Inserted],
    draw: tuple[tuple[float, float], np.random.Generator],
) -> None:
    """window (64^3) at 1 mm; target and size (mean diameter, 1/6 mm) on its 2 mm cells."""
    centre = np.full(3, (SIZE - 1) / 2)
    axes = _axes(centre, WINDOW_MM, WINDOW)
    noise, rng = draw
    shard.window.append(noisy(sample_volume(seen, axes), noise, rng))
    cells = WINDOW // STRIDE
    middle = axes[0].start + axes[0].step * (np.arange(cells) * STRIDE + (STRIDE - 1) / 2)
    target = np.zeros((cells,) * 3, np.uint8)
    size = np.zeros((cells,) * 3, np.uint8)
    for nodule in nodules:
        away = np.sqrt(
            sum(
                ((middle - c) * STEP_MM).reshape([-1 if a == k else 1 for a in range(3)]) ** 2
                for k, c in enumerate(nodule.centre)
            )
        )
        radius = nodule.mean_mm / 2
        target[away < 1.25 * radius + 2.0] = NEITHER
        if nodule.mean_mm >= LEAST_MM:
            near = away < max(2.0, 0.5 * radius)
            target[near] = NODULE
            size[near] = int(np.clip(round(nodule.mean_mm * 6), 1, 255))
    shard.target.append(target)
    shard.size.append(size)


def add_patches(
    shard: Shard,
    seen: Field,
    nodules: list[Inserted],
    draw: tuple[tuple[float, float], np.random.Generator, list[NDArray[np.float64]]],
) -> None:
    """patch (48^3) at 0.7 or 1.4 mm; mask: share of each voxel, 0..255; label 1 for a nodule.

    Args:
        draw: strength and grain of the noise, the draws, and places at which no nodule is.
    """
    noise, rng, others = draw
    truth = np.zeros(seen.shape, np.float32)
    for nodule in nodules:
        np.maximum(truth[nodule.box], nodule.coverage, out=truth[nodule.box])
    places = []
    for nodule in nodules:
        if nodule.mean_mm < LEAST_MM:
            continue
        wide = nodule.mean_mm > WIDE_ONLY or (nodule.mean_mm > WIDE_FROM and rng.random() < 0.5)
        jitter = rng.normal(0, min(1.5, 0.25 * nodule.mean_mm), 3) / STEP_MM
        places.append((nodule.centre + jitter, WIDE_MM if wide else PATCH_MM, nodule.mean_mm))
    for at in others:
        places.append((at, WIDE_MM if rng.random() < 0.2 else PATCH_MM, 0.0))
    for centre, step, diameter in places:
        axes = _axes(centre, step * float(rng.uniform(0.95, 1.05)), PATCH)
        shard.patch.append(noisy(sampled(seen, axes, held=True), noise, rng))
        inside = np.clip(sampled(truth, axes, held=False), 0, 1)
        shard.mask.append(np.asarray(np.round(inside * 255), np.uint8))
        shard.label.append(int(diameter > 0))
        shard.diameter.append(diameter)


def _mined(
    places: list[NDArray[np.float64]], nodules: list[Inserted], doubtful: Mask | None
) -> list[NDArray[np.float64]]:
    """At most three places, as voxels of the cube, that lie at no nodule."""
    near = None if doubtful is None else binary_dilation(doubtful, iterations=6)
    found = []
    for place in places:
        at = (SIZE - 1) / 2 + (place - (WINDOW - 1) / 2) * WINDOW_MM / STEP_MM
        clear = all(np.linalg.norm(at - n.centre) * STEP_MM > n.mean_mm * 0.75 + 3 for n in nodules)
        if clear and near is not None:
            clear = not near[tuple(np.clip(np.rint(at).astype(int), 0, SIZE - 1))]
        if clear:
            found.append(at)
    return found[:3]


def _others(
    seen: Field, cube: Cube, nodules: list[Inserted], rng: np.random.Generator
) -> list[NDArray[np.float64]]:
    """Bright places in lung that are no nodule: bends and forks of vessels, pleura, scars."""
    smooth = gaussian_filter(seen, 1.8)
    inner = np.zeros(seen.shape, np.bool_)
    inner[8:-8, 8:-8, 8:-8] = True
    bright = inner & (smooth > np.median(smooth[cube.lung]) + 60 if cube.lung.any() else inner)
    bright &= distance_transform_edt(cube.lung) < 12 if rng.random() < 0.3 else cube.lung
    if cube.doubtful is not None:
        bright &= ~binary_dilation(cube.doubtful, iterations=5)
    where = np.flatnonzero(bright)
    found: list[NDArray[np.float64]] = []
    for _ in range(6):
        if len(found) == 2 or not where.size:
            break
        at = np.array(np.unravel_index(int(rng.choice(where)), bright.shape))
        low = at - 4
        box = tuple(slice(a, a + 9) for a in low)
        local = np.unravel_index(int(smooth[box].argmax()), (9, 9, 9))
        place = (low + np.array(local)).astype(np.float64)
        if all(np.linalg.norm(place - n.centre) * STEP_MM > n.mean_mm * 0.75 + 3 for n in nodules):
            found.append(place + rng.uniform(-1, 1, 3))
    return found


def write(seed: int, folder: Path = FOLDER, finder: Finder | None = None) -> Path:
    """The shard of one seed, unless it is there."""
    path = folder / f"cube-{seed:07d}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shard = Shard()
        add_draws(shard, draw_cube(seed), np.random.default_rng([seed, 8]), DRAWS, finder)
        if shard.patch:
            shard.save(path)
    return path


def main() -> None:
    """Write the shards of a range of seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--cubes", type=int, default=400)
    parser.add_argument("--step", type=int, default=1)
    asked = parser.parse_args()
    os.nice(5)
    for seed in range(asked.first, asked.first + asked.cubes, asked.step):
        write(seed)


if __name__ == "__main__":
    main()
