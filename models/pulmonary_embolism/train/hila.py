"""Windows out of a real contrast scan without embolism: what a hilum looks like, and no clot.

Nodes, fat and walls of bronchi between opacified vessels are richer than any simulation of them.
Nobody labelled vessels there, so that only one thing is learned: none of it is a clot.
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom

from models.pulmonary_embolism.region import find_region
from models.pulmonary_embolism.space import doubled, halved
from models.pulmonary_embolism.train.scenes import SIZE, STEP_MM

Window = tuple[NDArray[np.float32], NDArray[np.uint8]]
#: Label of voxels that may be anything but a clot.
NO_CLOT = 255


class Hila:
    """Windows round the hila of one scan, mirrored and noisy at random."""

    def __init__(self, path: Path) -> None:
        image = nib.as_closest_canonical(nib.load(path))
        # RAS to slice, row from anterior, column from the right.
        hu = np.asanyarray(image.dataobj).astype(np.float32)[::-1, ::-1].transpose(2, 1, 0)
        step = [float(s) / STEP_MM for s in image.header.get_zooms()[2::-1]]
        self._hu = zoom(hu, step, order=1, mode="nearest")
        even = tuple(slice(0, n // 2 * 2) for n in self._hu.shape)
        self._hu = self._hu[even]
        region = find_region(halved(self._hu))
        inside = doubled(region.room & ~region.air, self._hu.shape)
        self._centres = np.argwhere(inside & (self._hu > -50) & (self._hu < 200))

    def __call__(self, rng: np.random.Generator) -> Window:
        """(hu, labels); every label is `NO_CLOT`."""
        centre = self._centres[int(rng.integers(len(self._centres)))] + rng.integers(-14, 15, 3)
        limit = np.array(self._hu.shape) - SIZE
        start = np.clip(centre - SIZE // 2, 0, limit)
        box = tuple(slice(int(a), int(a) + SIZE) for a in start)
        flips = tuple(slice(None, None, int(rng.choice([1, -1]))) for _ in range(3))
        hu = self._hu[box][flips] * float(rng.uniform(0.75, 1.1))
        hu = hu + rng.normal(size=hu.shape).astype(np.float32) * float(rng.uniform(0, 18))
        return hu.astype(np.float32), np.full(hu.shape, NO_CLOT, np.uint8)
