"""A scan made coarse enough to be registered in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from node.domain.imaging import Volume

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Voxels of the coarse grid, mm; slices that are thicker stay as they are.
COARSE_MM: Final = 3.0
#: Darker is air, HU; soft tissue and emphysema lie far from it on either side.
AIR_HU: Final = -400.0
#: Smallest part of the lungs that counts, ml.
PART_ML: Final = 50.0
#: Below, there is no lung to go by, ml.
LUNGS_ML: Final = 250.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Coarse:
    """Means over blocks of voxels.

    Attributes:
        hu: (slice, row, column) float32. affine: (4, 4), index of a block's centre to LPS mm.
        lungs: (slice, row, column) bool: air inside of the body, with the vessels in it.
    """

    hu: Floats
    affine: NDArray[np.float64]
    lungs: Mask

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """(3,) along the axes of the array."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def lung_ml(self) -> float:
        """Volume of the lungs."""
        return float(self.lungs.sum() * abs(np.linalg.det(self.affine[:3, :3])) / 1000.0)

    @property
    def centre_mm(self) -> NDArray[np.float64]:
        """(3,) centre of the lungs, LPS mm."""
        centre = np.array([axis.mean() for axis in np.nonzero(self.lungs)])
        return np.asarray(self.affine[:3, :3] @ centre + self.affine[:3, 3])


def coarse(volume: Volume) -> Coarse:
    """Blocks of about 3 mm; goes slice by slice, so it takes little memory beside the volume."""
    steps = [max(1, int(COARSE_MM / spacing + 0.2)) for spacing in volume.spacing_mm]
    sizes = [length // step for length, step in zip(volume.voxels.shape, steps, strict=True)]
    hu = np.empty(sizes, np.float32)
    rows, columns = sizes[1] * steps[1], sizes[2] * steps[2]
    for index in range(sizes[0]):
        block = volume.voxels[index * steps[0] : (index + 1) * steps[0], :rows, :columns]
        blocks = block.reshape(steps[0], sizes[1], steps[1], sizes[2], steps[2])
        hu[index] = blocks.mean(axis=(0, 2, 4), dtype=np.float32)
    affine = volume.affine.copy()
    middle = (np.asarray(steps, np.float64) - 1.0) / 2.0
    affine[:3, 3] += affine[:3, :3] @ middle
    affine[:3, :3] *= np.asarray(steps, np.float64)
    return Coarse(hu=hu, affine=affine, lungs=lungs_of(hu, affine))


def lungs_of(hu: Floats, affine: NDArray[np.float64]) -> Mask:
    """Air that does not reach the sides of its slice, with the vessels in it.

    The air around the patient reaches them; judged slice by slice, since a scan that ends inside
    of the lungs, or is padded, would join the two through its last slice.
    """
    air = hu < AIR_HU
    # Slices across the body axis, whatever the order of the axes.
    body_axis = int(np.abs(affine[2, :3] / np.linalg.norm(affine[:3, :3], axis=0)).argmax())
    in_slice = np.zeros((3, 3, 3), np.bool_)
    cross = ndimage.generate_binary_structure(2, 1)
    in_slice[tuple(1 if axis == body_axis else slice(None) for axis in range(3))] = cross
    labels, _ = ndimage.label(air, in_slice)
    sides = [axis for axis in range(3) if axis != body_axis]
    outer = np.zeros(int(labels.max()) + 1, np.bool_)
    for axis in sides:
        outer[np.take(labels, (0, -1), axis=axis).ravel()] = True
    inner, _ = ndimage.label(air & ~outer[labels])
    sizes = np.bincount(inner.ravel())
    kept = sizes * abs(np.linalg.det(affine[:3, :3])) / 1000.0 >= PART_ML
    kept[0] = False
    return np.asarray(ndimage.binary_closing(kept[inner], iterations=2), np.bool_)
