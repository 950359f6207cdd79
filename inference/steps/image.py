"""What steps work on: channels on a grid, and how the grid came about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.manifest_region import RegionOfInterest
from node.domain.imaging import Volume

Values = NDArray[Any]
Affine = NDArray[np.float64]
Points = NDArray[np.float64]

#: x and y turned round: LPS of DICOM to RAS of NIfTI and back.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True)
class Grid:
    """A raster in space.

    Attributes:
        shape: along the three axes.
        affine: (4, 4) float64, (i, j, k, 1) of voxel centres to RAS mm.
    """

    shape: tuple[int, int, int]
    affine: Affine

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of the voxel centres along each axis."""
        steps = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(steps[0]), float(steps[1]), float(steps[2])

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, ml."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000.0)


class Move(Protocol):
    """A spatial step that was done, and its way back."""

    @property
    def step(self) -> str:
        """The word of the step in `model.yaml`."""
        ...

    @property
    def source(self) -> Grid:
        """The grid before it."""
        ...

    @property
    def interpolates(self) -> bool:
        """Are values computed on its way back, not only moved and padded with 0?"""
        ...

    def undo(self, values: Values, interpolation: str) -> Values:
        """(channel, i, j, k) behind the step -> the same before it."""
        ...

    def points_back(self, points: Points) -> Points:
        """(n, 3) positions in voxels behind the step -> before it; centres are whole numbers."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Interest:
    """Where a network has to look, and what the rest is.

    Attributes:
        mask: (i, j, k) bool on the grid of the image, True somewhere.
        step: what the package says of it.
    """

    mask: NDArray[np.bool_]
    step: RegionOfInterest


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """Channels on one grid.

    Attributes:
        values: (channel, i, j, k); numbers of any type before the first intensity step, then
            float32; a label map is one channel of an unsigned integer.
        affine: (4, 4) float64, (i, j, k, 1) of voxel centres to RAS mm.
        trace: the spatial steps that were done, oldest first; `invert` undoes them.
        certainty: of a label map, (1, i, j, k) float32: the probability of the label that was
            chosen; None where nobody asked.
        region: where the network has to look; None for everywhere. Steps that change the grid
            lose it.
    """

    values: Values
    affine: Affine
    trace: tuple[Move, ...] = ()
    certainty: Values | None = None
    region: Interest | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Along the three axes."""
        i, j, k = self.values.shape[1:]
        return i, j, k

    @property
    def grid(self) -> Grid:
        """Its raster."""
        return Grid(self.shape, self.affine)

    def with_values(self, values: Values) -> Image:
        """Other values on the same grid."""
        if values.shape[1:] != self.shape:
            raise ValueError(f"values of shape {values.shape} on a grid of {self.shape}")
        return replace(self, values=values)

    def moved(self, values: Values, affine: Affine, move: Move) -> Image:
        """Values on another grid, with the step that led there."""
        return Image(values=values, affine=affine, trace=(*self.trace, move))


def image_of(volume: Volume) -> Image:
    """A volume as it lies: axes (slice, row, column), one channel; nothing is copied."""
    return Image(
        values=volume.voxels[np.newaxis],
        affine=np.asarray(_LPS_TO_RAS @ volume.affine, np.float64),
    )


def floats(image: Image) -> NDArray[np.float32]:
    """The values as float32 that may be written to."""
    return np.array(image.values, np.float32)
