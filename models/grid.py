"""Voxel grids: a volume turned to the networks' axes, and resampling without aliasing.

The networks look at (slice, row, column) = (to the head, to posterior, to the left). Volumes
come in whatever order the scanner wrote: feet first, prone, lateral, columns reversed. The
affine alone says which; PatientPosition and the row order of the file are never trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from node.domain.errors import ModelError
from node.domain.imaging import Volume, Voxels

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Value = TypeVar("Value", bound=np.generic)

#: Patient axes in LPS that the canonical axes follow: z to the head, y to posterior, x to left.
_PATIENT_AXES = (2, 1, 0)
AIR_HU = -1024.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A volume in canonical order, with the way back.

    Attributes:
        hu: (slice, row, column) view of the volume's voxels: slice 0 lowest, row 0 anterior,
            column 0 the patient's right. Not copied, so int16 or float32.
        spacing_mm: along the three canonical axes; the first is the distance of the planes.
        affine: (4, 4) float64, canonical index to LPS mm.
        order: order[i] is the source axis that became canonical axis i.
        flipped: canonical axes that run against the source's.
    """

    hu: Voxels
    spacing_mm: tuple[float, float, float]
    affine: NDArray[np.float64]
    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        slices, rows, columns = self.hu.shape
        return slices, rows, columns

    @property
    def pixel_cm2(self) -> float:
        """Area of one pixel in the plane of the slices, cm2."""
        across = np.cross(self.affine[:3, 1], self.affine[:3, 2])
        return float(np.linalg.norm(across)) / 100.0

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel, ml."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    def height_mm(self, slice_index: float, row: float = 0.0, column: float = 0.0) -> float:
        """z of a point, LPS mm."""
        return float((self.affine @ np.array([slice_index, row, column, 1.0]))[2])

    def source_slice(self, index: int) -> int:
        """Index of the plane in `Volume.planes` for a canonical slice index."""
        return self.shape[0] - 1 - index if self.flipped[0] else index

    def plane_to_source(self, plane: NDArray[Value]) -> NDArray[Value]:
        """A canonical (row, column) plane in the (row, column) order of the source plane."""
        rows, columns = self.flipped[1:]
        turned = plane[:: -1 if rows else 1, :: -1 if columns else 1]
        if self.order[1] > self.order[2]:
            turned = turned.T
        return np.ascontiguousarray(turned)


def canonical(volume: Volume) -> Grid:
    """The volume in canonical order.

    Raises:
        ModelError: its slices are not axial, so the slice axis cannot lead.
    """
    order, flipped = _permutation(volume.affine)
    if order[0] != 0:
        raise ModelError(
            "the slices of this volume are not axial; "
            "check the orientations in the package's model.yaml",
            series_uid=volume.series_uid,
        )
    hu: Voxels = volume.voxels.transpose(order)
    affine = np.eye(4)
    affine[:3, :3] = volume.affine[:3, list(order)]
    affine[:3, 3] = volume.affine[:3, 3]
    for axis, backwards in enumerate(flipped):
        if backwards:
            affine[:3, 3] += affine[:3, axis] * (hu.shape[axis] - 1)
            affine[:3, axis] *= -1.0
    hu = hu[tuple(slice(None, None, -1 if backwards else 1) for backwards in flipped)]
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    # A tilted gantry shears the stack; what counts along z is the rise, not the slanted way.
    normal = np.cross(affine[:3, 1], affine[:3, 2])
    rise = abs(float(affine[:3, 0] @ normal) / float(np.linalg.norm(normal)))
    return Grid(
        hu=hu,
        spacing_mm=(rise, float(steps[1]), float(steps[2])),
        affine=affine,
        order=order,
        flipped=flipped,
    )


def _permutation(
    affine: NDArray[np.float64],
) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """For each canonical axis, the source axis closest to it and whether it runs backwards."""
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    order: list[int] = []
    for patient_axis in _PATIENT_AXES:
        free = [axis for axis in range(3) if axis not in order]
        order.append(max(free, key=lambda axis: abs(cosines[patient_axis, axis])))
    flipped = [bool(cosines[p, a] < 0) for p, a in zip(_PATIENT_AXES, order, strict=True)]
    return (order[0], order[1], order[2]), (flipped[0], flipped[1], flipped[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Sampling of one axis: `count` points `step` apart, the first at `start`.

    Positions count source samples: 0.0 is the centre of the first one. A step above 1
    averages over the footprint of the new sample; below 1 it interpolates linearly.
    """

    start: float
    step: float
    count: int

    @classmethod
    def centred(cls, centre: float, step: float, count: int) -> Axis:
        """`count` points around `centre`."""
        return cls(start=centre - step * (count - 1) / 2, step=step, count=count)

    def positions(self) -> NDArray[np.float64]:
        """Position of each point, in source samples."""
        return np.asarray(self.start + self.step * np.arange(self.count), np.float64)

    def weights(self, length: int) -> Floats:
        """(count, length) matrix that samples an axis of `length` samples; 0 outside it.

        Read-only: neighbouring slices share it.
        """
        return _weights(self, length)

    def sampler(self, length: int) -> csr_array:
        """`weights` without its zeros, of which a row has all but a few. Read-only."""
        return _sampler(self, length)

    def inverse(self, length: int) -> Floats:
        """(length, count) matrix that interpolates the points back to the source samples.

        Beyond the first and the last point their values are held. Read-only.
        """
        return _inverse(self, length)

    def points_at(self, length: int) -> NDArray[np.float64]:
        """Where each of `length` source samples lies among the points, held at the ends."""
        return np.clip((np.arange(length) - self.start) / self.step, 0, self.count - 1)


#: Axes whose matrices are kept: those of neighbouring slices are mostly the same.
_KEPT_AXES = 16


@lru_cache(maxsize=_KEPT_AXES)
def _weights(axis: Axis, length: int) -> Floats:
    return _shared(_share(axis, axis.positions()[:, None], np.arange(length)[None, :]))


@lru_cache(maxsize=_KEPT_AXES)
def _sampler(axis: Axis, length: int) -> csr_array:
    centres = axis.positions()[:, None]
    reach = max(axis.step / 2 + 0.5, 1.0)
    # From the first sample that a point has part in, as many as any point has part in.
    first = np.floor(centres - reach).astype(np.int64)
    samples = first + np.arange(int(2 * reach) + 2)
    share = _shared(_share(axis, centres, samples))
    used = (share > 0) & (samples >= 0) & (samples < length)
    ends = np.concatenate([[0], np.cumsum(used.sum(axis=1))])
    return csr_array((share[used], samples[used], ends), shape=(axis.count, length))


def _share(
    axis: Axis, centres: NDArray[np.float64], samples: NDArray[np.int64]
) -> NDArray[np.float64]:
    """How much of each point of the axis is of each sample."""
    if axis.step > 1.0:
        half = axis.step / 2
        upper = np.minimum(centres + half, samples + 0.5)
        lower = np.maximum(centres - half, samples - 0.5)
        return np.asarray(np.clip(upper - lower, 0.0, None) / axis.step, np.float64)
    return np.asarray(np.clip(1.0 - np.abs(centres - samples), 0.0, None), np.float64)


@lru_cache(maxsize=_KEPT_AXES)
def _inverse(axis: Axis, length: int) -> Floats:
    at = axis.points_at(length)[:, None]
    distance = np.abs(at - np.arange(axis.count)[None, :])
    return _shared(np.clip(1.0 - distance, 0.0, None))


def _shared(matrix: NDArray[np.float64]) -> Floats:
    kept = np.asarray(matrix, np.float32)
    kept.setflags(write=False)
    return kept


def normalised(hu: Floats, value_range: tuple[float, float]) -> Floats:
    """HU clipped to the range and mapped to 0..1."""
    low, high = value_range
    return np.asarray((np.clip(hu, low, high) - low) / (high - low), np.float32)


def most_probable(scores: Floats) -> NDArray[np.uint8]:
    """`scores.argmax(axis=0)` as uint8, the first of equal ones; faster class by class."""
    best = scores[0].copy()
    labels = np.zeros(best.shape, np.uint8)
    for index in range(1, len(scores)):
        np.putmask(labels, scores[index] > best, index)
        np.maximum(best, scores[index], out=best)
    return labels


def sample_plane(plane: Voxels, rows: Axis, columns: Axis) -> Floats:
    """(row, column) image in HU on new axes; air outside the image."""
    return _sampled(plane, rows, columns) + np.float32(AIR_HU)


def _sampled(plane: Voxels, rows: Axis, columns: Axis) -> Floats:
    """`sample_plane` in HU above air, so that what lies outside is 0."""
    above_air = plane.astype(np.float32, order="C")
    above_air -= np.float32(AIR_HU)
    across = rows.sampler(plane.shape[0]) @ above_air
    # A sparse matrix adds whole rows of what it is applied to, so columns are turned to rows.
    turned = columns.sampler(plane.shape[1]) @ np.ascontiguousarray(across.T)
    return np.ascontiguousarray(turned.T, np.float32)


def sample_volume(hu: Voxels, axes: tuple[Axis, Axis, Axis]) -> Floats:
    """(slice, row, column) volume in HU on new axes; air outside it.

    Goes slice by slice, so that a long thin-slice series needs little memory.
    """
    along = axes[0].weights(hu.shape[0])
    out = np.full((axes[0].count, axes[1].count, axes[2].count), AIR_HU, np.float32)
    for index in range(hu.shape[0]):
        used = np.flatnonzero(along[:, index])
        if used.size:
            plane = _sampled(hu[index], axes[1], axes[2])
            for at in used:
                out[at] += along[at, index] * plane
    return out
