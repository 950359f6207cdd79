"""Copies of a real CT as if the patient had lain otherwise or been larger, or the dose lower.

A package that is right about one scan and wrong about a slightly moved copy of it is right by
chance. Copies are of one patient each: they show how steady an answer is, not how often it is
right in others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from node.evaluation.filing import CtArray

#: Largest angles about the left, back and head axes, degrees.
ANGLES = (9.0, 5.0, 8.0)
#: Range of the size of the whole, and of each axis on top of it.
SIZES, EACH = (0.9, 1.12), (0.96, 1.04)
#: Largest standard deviation of the added noise, HU, and its grain, pixels.
NOISE_HU, _GRAIN = 25.0, 0.6
#: Nothing, HU.
_AIR = -1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """How a copy differs from its scan.

    Attributes:
        angles: degrees about the axes to the left, to the back and to the head.
        sizes: factors along these axes. noise_hu: standard deviation of added noise.
    """

    angles: tuple[float, float, float]
    sizes: tuple[float, float, float]
    noise_hu: float

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(3, 3) LPS: of a point of the scan, about its middle, to one of the copy."""
        turned = Rotation.from_euler("xyz", self.angles, degrees=True).as_matrix()
        return np.asarray(np.diag(self.sizes) @ turned, np.float64)


def draw_move(seed: int) -> Move:
    """The same for the same seed."""
    draw = np.random.default_rng(seed)
    angles = draw.uniform(-1.0, 1.0, 3) * ANGLES
    sizes = draw.uniform(*SIZES) * draw.uniform(*EACH, 3)
    return Move(
        angles=(float(angles[0]), float(angles[1]), float(angles[2])),
        sizes=(float(sizes[0]), float(sizes[1]), float(sizes[2])),
        noise_hu=float(draw.uniform(0.0, NOISE_HU)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The grid of a copy, and where it lies in its scan.

    Attributes:
        move: what moves points of the scan, about its middle.
        whole: slices, rows and columns before slices at the ends are left out; kept: those left.
        affine: (4, 4), from voxels to LPS mm of the copy.
        index: (4, 4), from voxels of the copy to voxels of the scan.
    """

    move: Move
    whole: tuple[int, int, int]
    kept: slice
    affine: NDArray[np.float64]
    index: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns of the copy."""
        return self.kept.stop - self.kept.start, *self.whole[1:]


def frame_of(array: CtArray, seed: int, *, slices_mm: Sequence[float], pixel_mm: float) -> Frame:
    """An upright grid for the copy of a seed.

    Slices at both ends are left out where the middle third of the image is not of the scan.

    Args:
        slices_mm: distances of slices; the seed chooses one.
    """
    move = draw_move(seed)
    slice_mm = float(np.random.default_rng([seed, 1]).choice(np.asarray(slices_mm)))
    last = np.array(array.voxels.shape) - 1.0
    middle = _middle(array)
    extent = last * np.linalg.norm(array.affine[:3, :3], axis=0) * np.array(move.sizes[::-1])
    steps = np.array([slice_mm, pixel_mm, pixel_mm])
    slices, rows, columns = (int(count) for count in extent / steps + 1)
    affine = np.eye(4)
    # Slices go to the head, rows to the back, columns to the left.
    affine[:3, :3] = np.fliplr(np.diag(steps[::-1]))
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.array([slices, rows, columns]) - 1) / 2)
    index = np.linalg.inv(array.affine) @ _back(array, move) @ affine
    kept = _of_the_scan(index, (slices, rows, columns), last)
    affine[:3, 3] += kept.start * affine[:3, 0]
    index[:3, 3] += kept.start * index[:3, 0]
    return Frame(move=move, whole=(slices, rows, columns), kept=kept, affine=affine, index=index)


def moved(array: CtArray, seed: int, *, slices_mm: Sequence[float], pixel_mm: float) -> CtArray:
    """A copy on an upright grid of its own, as `frame_of` lays it."""
    frame = frame_of(array, seed, slices_mm=slices_mm, pixel_mm=pixel_mm)
    hu = ndimage.affine_transform(
        array.voxels.astype(np.float32),
        frame.index[:3, :3], frame.index[:3, 3], frame.shape,
        order=3, mode="constant", cval=_AIR,
    )  # fmt: skip
    grain = np.random.default_rng([seed, 2]).normal(size=frame.whole).astype(np.float32)
    grain = ndimage.gaussian_filter(grain, (0.0, _GRAIN, _GRAIN))
    hu += (grain * (frame.move.noise_hu / float(grain.std())))[frame.kept]
    return CtArray(
        name=f"{array.name}-moved-{seed}",
        voxels=np.clip(np.rint(hu), -1024, 3071).astype(np.int16),
        affine=frame.affine,
        patient=array.patient,
    )


def moved_labels(labels: CtArray, array: CtArray, seed: int, copy: CtArray) -> NDArray[np.int16]:
    """Labels of a scan on the voxels of its copy, nearest neighbour; 0 outside of the scan.

    Args:
        labels: on any grid. array: the scan. copy: what `moved` made of it with this seed.
    """
    way = np.linalg.inv(labels.affine) @ _back(array, draw_move(seed)) @ copy.affine
    return np.asarray(
        ndimage.affine_transform(
            labels.voxels, way[:3, :3], way[:3, 3], copy.voxels.shape, order=0, mode="constant"
        ),
        np.int16,
    )


def _middle(array: CtArray) -> NDArray[np.float64]:
    """LPS mm."""
    return np.asarray(array.affine @ np.r_[(np.array(array.voxels.shape) - 1) / 2, 1.0])[:3]


def _back(array: CtArray, move: Move) -> NDArray[np.float64]:
    """(4, 4) LPS mm: of a point of the copy to one of the scan."""
    middle, back = _middle(array), np.linalg.inv(move.matrix)
    way = np.eye(4)
    way[:3, :3], way[:3, 3] = back, middle - back @ middle
    return way


def _of_the_scan(
    index: NDArray[np.float64], shape: tuple[int, ...], last: NDArray[np.float64]
) -> slice:
    """Slices whose middle third lies within the scan."""
    rows, columns = ((n // 3, 2 * n // 3) for n in shape[1:])
    corners = np.array([(k, r, c) for k in range(shape[0]) for r in rows for c in columns])
    at = corners @ index[:3, :3].T + index[:3, 3]
    inside = ((at >= 0) & (at <= last)).all(axis=1).reshape(shape[0], 4).all(axis=1)
    numbers = np.flatnonzero(inside)
    if not len(numbers):
        return slice(0, shape[0])
    return slice(int(numbers[0]), int(numbers[-1]) + 1)
