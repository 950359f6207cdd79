"""Generated volumes on which our pipeline is compared with the framework's own.

No patient is needed, and each volume has a geometry that importers get wrong: axes that run the
other way, axes in another order, an oblique stack, odd sizes. Seeded: the same numbers each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Degrees by which the oblique stack is turned about two axes.
_OBLIQUE = (8.6, 5.2)
#: Air and soft tissue, HU.
_AIR, _TISSUE = -1000.0, 40.0
#: Scores of all classes on the grid of one volume, at most: the frameworks keep several copies of
#: them there, some in double precision.
_SCORES = 60e6


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedImage:
    """One generated volume or picture.

    Attributes:
        name: for files. description: for the card.
        voxels: (i, j, k) int16, C-contiguous, in HU or the scanner's units; of a picture
            (row, column, channel) uint8.
        affine: (4, 4) float64, (i, j, k, 1) to mm in RAS as NIfTI has it; every number is
            representable in float32, since NIfTI stores it so.
    """

    name: str
    description: str
    voxels: NDArray[np.int16] | NDArray[np.uint8]
    affine: NDArray[np.float64]

    def save(self, path: Path) -> None:
        """As .npz for a sandboxed program: `voxels`, `affine`."""
        np.savez(path, voxels=self.voxels, affine=self.affine)


def load_case(path: Path, name: str, description: str) -> GeneratedImage:
    """What `GeneratedImage.save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return GeneratedImage(
            name=name,
            description=description,
            voxels=arrays["voxels"],
            affine=arrays["affine"],
        )


def generate_cases(
    extent_mm: tuple[float, float, float],
    *,
    classes: int = 2,
    seed: int = 5,
    unit: str = "HU",
) -> tuple[GeneratedImage, ...]:
    """Four volumes of about that extent (right to left, back to front, foot to head).

    Args:
        classes: that the network tells apart. Where there are many, voxels are larger, so that
            the frameworks have memory for the scores of all.
        unit: "HU" gives values as of a CT, anything else positive values as of MR.
    """
    # No round numbers: where a voxel lies exactly between two others, or an axis needs no
    # resampling, the last bit decides what "nearest" or "other than 0" is.
    plain = np.diag([1.31, 1.27, 2.93])
    lps = np.diag([-1.13, -1.09, 2.47])
    # First index to the head, second to the left, third to the back: a sagittal stack.
    sagittal = np.array([[0.0, -1.21, 0.0], [0.0, 0.0, -1.19], [2.23, 0.0, 0.0]])
    turned = _rotation(0, _OBLIQUE[0]) @ _rotation(2, _OBLIQUE[1])
    oblique = turned @ np.diag([-0.97, -1.03, 1.91])
    drafts = (
        ("plain", "axial, axes as the network's", plain, 0),
        ("lps", "axial as a scanner stores it (LPS), odd sizes", lps, 1),
        ("oblique", "oblique stack, turned by 8.6 and 5.2 degrees", oblique, 1),
        ("sagittal", "sagittal stack: axes in another order", sagittal, 1),
    )
    coarser = max(_coarser(extent_mm, draft[2], classes) for draft in drafts)
    return tuple(
        _volume(name, text, coarser * directions, (extent_mm, odd), (seed + number, unit))
        for number, (name, text, directions, odd) in enumerate(drafts)
    )


def generate_pictures(
    size: tuple[int, int], channels: int, *, seed: int = 5
) -> tuple[GeneratedImage, ...]:
    """Three pictures of that size: smooth colours as of stained tissue, with noise."""
    pictures = []
    for number in range(3):
        rng = np.random.default_rng(seed + number)
        smooth = ndimage.gaussian_filter(rng.standard_normal((*size, channels)), (6, 6, 0))
        values = 170 + 45 * smooth / (smooth.std() + 1e-9) + rng.normal(0, 6, smooth.shape)
        pictures.append(
            GeneratedImage(
                name=f"picture{number}",
                description=f"picture {number + 1}; {size[0]} x {size[1]} x {channels}",
                voxels=np.clip(np.rint(values), 0, 255).astype(np.uint8),
                affine=np.eye(4),
            )
        )
    return tuple(pictures)


def _coarser(
    extent_mm: tuple[float, float, float], directions: NDArray[np.float64], classes: int
) -> float:
    """By how much voxels of these directions must grow along each axis; at least 1."""
    voxels = float(np.prod(extent_mm) / abs(np.linalg.det(directions)))
    return float(max(1.0, np.cbrt(voxels * classes / _SCORES)))


def _volume(
    name: str,
    description: str,
    directions: NDArray[np.float64],
    size: tuple[tuple[float, float, float], int],
    content: tuple[int, str],
) -> GeneratedImage:
    extent_mm, odd = size
    seed, unit = content
    steps = np.linalg.norm(directions, axis=0)
    # Which axis of the patient each index mostly runs along.
    along = np.abs(directions).argmax(axis=0)
    counts = [max(8, round(extent_mm[along[i]] / steps[i])) for i in range(3)]
    if odd:
        counts = [count | 1 for count in counts]
    affine = np.eye(4)
    affine[:3, :3] = directions
    affine[:3, 3] = (-83.25, 41.5, -310.75)
    affine = affine.astype(np.float32).astype(np.float64)
    voxels = _tissue(tuple(counts), steps, seed, unit)
    text = f"{description}; {counts[0]} x {counts[1]} x {counts[2]} voxels"
    return GeneratedImage(name=name, description=text, voxels=voxels, affine=affine)


def _tissue(
    counts: tuple[int, ...], steps: NDArray[np.float64], seed: int, unit: str
) -> NDArray[np.int16]:
    """A body of smooth tissues in air, with noise."""
    rng = np.random.default_rng(seed)
    smooth = np.zeros(counts)
    for width_mm, share in ((25.0, 1.0), (9.0, 0.6), (4.0, 0.3)):
        layer = ndimage.gaussian_filter(rng.standard_normal(counts), width_mm / steps)
        smooth += share * layer / (layer.std() + 1e-9)
    axes = np.meshgrid(*(np.linspace(-1, 1, count) for count in counts), indexing="ij")
    body = sum(axis**2 for axis in axes) < 1.6
    values = np.where(body, _TISSUE + 120.0 * smooth, _AIR) + rng.normal(0, 15, counts)
    if unit != "HU":
        values = np.where(body, 400.0 + 180.0 * smooth, 0.0) + rng.normal(0, 8, counts)
        values = np.clip(values, 0, None)
    return np.clip(np.rint(values), -1024, 3071).astype(np.int16)


def _rotation(axis: int, degrees: float) -> NDArray[np.float64]:
    angle = np.deg2rad(degrees)
    first, second = [other for other in range(3) if other != axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix
