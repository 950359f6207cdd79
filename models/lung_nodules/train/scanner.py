"""What a scanner makes of a cube: kernel, slice thickness, noise; and patches cut out of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter1d

from models.grid import Axis
from models.lung_nodules.cubes import held_weights
from models.lung_nodules.train.parenchyma import SIZE, STEP_MM, Field

#: HU that the networks see, mapped to 0..1 (kept as 0..255 here).
RANGE_HU = (-1000.0, 400.0)
Bytes = NDArray[np.uint8]


def scanned(hu: Field, rng: np.random.Generator, scale: float) -> Field:
    """Kernel and slice thickness."""
    blur = float(rng.uniform(0.25, 0.85)) / STEP_MM / scale
    thick = float(rng.uniform(0.6, 1.5) if rng.random() < 0.7 else rng.uniform(1.5, 3.2)) / scale
    seen = gaussian_filter(hu, (0.3, blur, blur))
    wide = round(thick / STEP_MM)
    if wide > 1:
        seen = uniform_filter1d(seen, wide, axis=0, mode="nearest")
        every = thick * float(rng.uniform(0.6, 1.0)) / STEP_MM
        if every > 1.3:
            count = int((SIZE - 1) / every) + 1
            index = np.arange(count) * every
            low = np.floor(index).astype(int)
            high = np.minimum(low + 1, SIZE - 1)
            part = (index - low).astype(np.float32)[:, None, None]
            slices = seen[low] * (1 - part) + seen[high] * part
            axis = Axis(start=0.0, step=1 / every, count=SIZE)
            seen = np.tensordot(held_weights(axis, count), slices, 1).astype(np.float32)
    if rng.random() < 0.35:
        smooth = gaussian_filter(seen, (0, 1.2, 1.2))
        seen = seen + (seen - smooth) * np.float32(rng.uniform(0.3, 1.2))
    return np.asarray(seen, np.float32)


def sampled(volume: Field, axes: tuple[Axis, Axis, Axis], *, held: bool) -> Field:
    """A cube on other axes; beyond it the ends are held, or there is 0."""
    out = volume
    for number, axis in enumerate(axes):
        length = volume.shape[number]
        weights = held_weights(axis, length) if held else axis.weights(length)
        out = np.moveaxis(np.tensordot(weights, out, axes=(1, number)), 0, number)
    return np.ascontiguousarray(out, np.float32)


def noisy(hu: Field, noise: tuple[float, float], rng: np.random.Generator) -> Bytes:
    """HU with noise of a strength, HU, and a grain, voxels, as 0..255 of `RANGE_HU`."""
    strength, grain = noise
    white = rng.standard_normal(hu.shape).astype(np.float32)
    blurred = gaussian_filter(white, (0.25 * grain, grain, grain))
    hu = hu + blurred * np.float32(strength / max(float(blurred.std()), 1e-6))
    low, high = RANGE_HU
    return np.asarray(np.round(np.clip((hu - low) / (high - low), 0, 1) * 255), np.uint8)
