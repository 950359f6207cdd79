"""What lies beside vessels at the hilum, is as dense as a clot, and is none.

Sheaths of connective tissue that fill the gaps between vessels and bronchi, lymph nodes in their
forks, veins without contrast medium that end at bright ones. On any grid of `STEP_MM`, so that
both drawn windows and simulated chests can be dressed with them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from models.pulmonary_embolism.train.branches import STEP_MM, Floats

#: What is denser is tissue already, HU; sheaths lie in lung and fat.
_SOFT_HU = 0.0


def smooth(rng: np.random.Generator, cells: int, shape: tuple[int, ...]) -> Floats:
    """Smooth noise about N(0, 1), `cells` bumps along the first axis."""
    steps = [max(2, round(cells * size / shape[0])) for size in shape]
    small = rng.normal(size=steps).astype(np.float32)
    factors = [size / step for size, step in zip(shape, steps, strict=True)]
    return np.asarray(zoom(small, factors, order=1, grid_mode=True, mode="nearest"), np.float32)


def sheath(occupied: Floats, rng: np.random.Generator) -> Floats:
    """Share of each voxel that tissue around and between vessels and bronchi takes.

    A blurred image of them is highest in their forks and gaps: from a level on it is tissue. Only
    here and there, as fibrosis, fat and nodes are.

    Args:
        occupied: share of each voxel that vessels and airways with their walls take.
    """
    reach = float(rng.uniform(1.5, 4.5)) / STEP_MM
    level = float(rng.uniform(0.22, 0.5))
    near = gaussian_filter(occupied, reach, truncate=2.5)
    where = smooth(rng, max(2, round(occupied.shape[0] / 10)), occupied.shape)
    level_here = level - 0.1 * where + float(rng.choice([0.0, rng.uniform(0.0, 0.15)]))
    return np.asarray(np.clip((near - level_here) * 2.2 * reach + 0.5, 0, 1), np.float32)


def tissue(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """HU of a sheath: soft tissue, now and then with fat in it."""
    middle = float(rng.uniform(-10, 95)) if rng.random() < 0.75 else float(rng.uniform(-100, 10))
    cells = max(3, round(shape[0] / 4))
    return np.asarray(middle + smooth(rng, cells, shape) * float(rng.uniform(0, 22)), np.float32)


def dressed(
    hu: Floats, occupied: NDArray[np.bool_], free: NDArray[np.bool_], rng: np.random.Generator
) -> Floats:
    """A recorded image with sheaths in its lung and fat.

    Args:
        hu: as scanned. occupied: vessels and airways. free: where a sheath may lie; edges of
            vessels, which are partly lung, must be part of it.
    """
    share = sheath(gaussian_filter(occupied.astype(np.float32), 0.5), rng)
    share *= np.clip((_SOFT_HU - hu) / 60.0, 0, 1) * free
    grain = rng.normal(size=hu.shape).astype(np.float32) * float(rng.uniform(4, 22))
    return np.asarray(hu + share * (tissue(rng, hu.shape) + grain - hu), np.float32)
