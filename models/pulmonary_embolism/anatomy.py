"""The `central` network: pulmonary trunk, heart chambers and aorta at 2.5 mm.

It says where a central clot can lie and where nothing must be called one: a thrombus of the aorta,
streams of contrast in the right atrium, the left auricle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.grid import Floats, Mask
from models.morphology import largest_component
from models.pulmonary_embolism.region import VOXEL_ML, Region
from models.pulmonary_embolism.windows import probabilities
from node.domain.imaging import Network

NETWORK = "central"
PATCH = 64
VALUE_RANGE = (-1000.0, 600.0)
CLASSES = (
    "other",
    "pulmonary_artery",
    "right_ventricle",
    "left_ventricle",
    "right_atrium",
    "left_atrium",
    "aorta",
    "vena_cava",
    "pulmonary_vein",
)
#: The trunk and main arteries count as seen from so much, ml.
LEAST_TRUNK_ML = 4.0
#: Search goes so far into the mediastinum from the room of the lungs, and around the central
#: arteries, coarse voxels. Veins in the lung are searched as well: they are not told from arteries.
_ROOM_STEPS, _CENTRAL_STEPS = 1, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """Parts of the chest on the coarse grid.

    Attributes:
        labels: (slice, row, column) uint8, indices of `CLASSES`.
        trunk_hu: median attenuation inside the trunk and main arteries, None where not seen.
    """

    labels: NDArray[np.uint8]
    trunk_hu: float | None

    def mask(self, name: str) -> Mask:
        """One class."""
        return np.asarray(self.labels == CLASSES.index(name), np.bool_)


def find_anatomy(hu: Floats, region: Region, network: Network) -> Anatomy:
    """Run the network where mediastinum and lungs meet."""
    near = ndimage.binary_dilation(region.between, iterations=6)
    chances = probabilities(hu, near, network, PATCH, VALUE_RANGE)
    labels = np.where(near, chances.argmax(axis=0), 0).astype(np.uint8)
    for number in range(1, len(CLASSES)):
        mask = labels == number
        if mask.any() and CLASSES[number] not in ("vena_cava", "pulmonary_vein"):
            labels[mask & ~largest_component(mask)] = 0
    trunk = ndimage.binary_erosion(labels == 1)
    seen = float(trunk.sum()) * VOXEL_ML >= LEAST_TRUNK_ML
    return Anatomy(labels=labels, trunk_hu=float(np.median(hu[trunk])) if seen else None)


def search_mask(hu: Floats, region: Region, anatomy: Anatomy) -> Mask:
    """Where a clot is looked for: hila and lungs, trunk and main arteries.

    Not the wall of the chest, the diaphragm, the heart with its muscle, or the aorta: what lies
    beside the lung there has the attenuation of a clot.
    """
    beside = ndimage.binary_dilation(region.room, iterations=_ROOM_STEPS) & region.between
    wall = (hu > _TISSUE_HU) & ~region.room & ~region.between
    barred = ndimage.binary_dilation(wall, iterations=_WALL_STEPS)
    for name, steps in _BARRED.items():
        mask = anatomy.mask(name)
        barred |= ndimage.binary_dilation(mask, iterations=steps) if steps else mask
    central = ndimage.binary_dilation(anatomy.mask("pulmonary_artery"), iterations=_CENTRAL_STEPS)
    return np.asarray(((region.room | beside) & ~barred) | central, np.bool_)


#: Coarse voxels around the wall of the chest that are not searched.
_TISSUE_HU, _WALL_STEPS = -150.0, 2
#: The same around parts of the heart (its muscle) and the aorta (its wall).
_BARRED = {
    "right_ventricle": 3,
    "left_ventricle": 5,
    "right_atrium": 2,
    "left_atrium": 0,
    "aorta": 1,
    "vena_cava": 1,
}
