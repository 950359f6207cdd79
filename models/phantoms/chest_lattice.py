"""Smooth fields over the whole chest that give the same value whatever grid asks.

A whole chest and a small block of it must show the same anatomy, so everything random lives on
lattices fixed in the patient's frame and is interpolated by separable cubic B-splines.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from models.phantoms.shapes import Field

Axes = tuple[Field, Field, Field]
"""z, y, x of voxel centres, mm."""


def _weights(at: NDArray[np.float64], size: int, wrap: bool) -> tuple[int, int, Field]:
    """(first, stop, (n, stop - first)) B-spline weights of knots `first..stop` for places `at`."""
    low = np.floor(at).astype(np.intp)
    t = at - low
    taps = (
        np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], 1)
        / 6
    )
    knots = low[:, None] + np.arange(-1, 3)
    if wrap:
        knots %= size
        first, stop = 0, size
    else:
        knots = np.clip(knots, 0, size - 1)
        first, stop = int(knots.min()), int(knots.max()) + 1
    out = np.zeros((at.size, stop - first), np.float32)
    np.add.at(out, (np.arange(at.size)[:, None], knots - first), taps)
    return first, stop, out


def _expand(values: Field, z: Field, y: Field, x: Field) -> Field:
    """Separable interpolation by weight matrices (n, knots) of the three axes."""
    wide = np.tensordot(z, values, 1)
    out: Field = np.matmul(np.matmul(y[None], wide), x.T)
    return out


@dataclass(frozen=True)
class LatticeField:
    """Values on an even lattice.

    Attributes:
        values: (z, y, x) float32. origin: z, y, x of values[0, 0, 0], mm. step: mm.
    """

    values: Field
    origin: tuple[float, float, float]
    step: float

    def on(self, axes: Axes) -> Field:
        """(z, y, x) values at the voxel centres; held constant beyond the lattice."""
        parts, box = [], []
        for axis, start, size in zip(axes, self.origin, self.values.shape, strict=True):
            at = np.clip((axis.astype(np.float64) - start) / self.step, 0, size - 1)
            first, stop, weight = _weights(at, size, wrap=False)
            parts.append(weight)
            box.append(slice(first, stop))
        return _expand(self.values[tuple(box)], parts[0], parts[1], parts[2])

    def at(self, points: NDArray[np.float64]) -> Field:
        """Values at (n, 3) z, y, x points, linearly."""
        where = (np.asarray(points, np.float64) - self.origin) / self.step
        out: Field = map_coordinates(self.values, where.T, order=1, mode="nearest")
        return out


@lru_cache(maxsize=96)
def _knots(seed: tuple[int, ...], size: int) -> Field:
    rng = np.random.default_rng(list(seed))
    # A B-spline keeps 0.48 of the deviation along each axis.
    out: Field = (rng.standard_normal((size,) * 3) / 0.48**1.5).astype(np.float32)
    return out


@dataclass(frozen=True)
class Noise:
    """Endless smooth noise of mean 0 and deviation about 1, fixed in the patient's frame.

    Attributes:
        seed: of the lattice, with the role it has. size: knots after which it repeats.
    """

    seed: tuple[int, ...]
    size: int = 48

    def on(self, axes: Axes, step_mm: float | tuple[float, float, float]) -> Field:
        """(z, y, x) noise whose knots lie `step_mm` apart."""
        steps = (step_mm,) * 3 if isinstance(step_mm, float | int) else step_mm
        parts = [
            _weights(axis.astype(np.float64) / step, self.size, wrap=True)[2]
            for axis, step in zip(axes, steps, strict=True)
        ]
        return _expand(_knots(self.seed, self.size), parts[0], parts[1], parts[2])
