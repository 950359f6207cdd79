"""The two grids that the anatomy is seen on: 4 mm for the network, 2 mm for its labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.anatomy.intensity import scale
from models.grid import Axis, Floats, Grid, sample_volume
from models.hounsfield import BODY_HU
from node.domain.imaging import Network

COARSE_MM, FINE_MM = 4.0, 2.0
WINDOW = (96, 80, 112)
"""(slices, rows, columns) of the network's window."""
_MARGIN_MM = 12.0
_LEAST_SHARE = 0.15

Axes = tuple[Axis, Axis, Axis]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A series through the network.

    Attributes:
        hu: (slice, row, column) float32 on the fine grid.
        logits: (class, slice, row, column) float32 on the coarse grid.
        labels: (slice, row, column) uint8 on the fine grid, classes of `Structure`.
        coarse, fine: both grids in canonical indices of the series.
    """

    hu: Floats
    logits: Floats
    labels: NDArray[np.uint8]
    coarse: Axes
    fine: Axes


def see(grid: Grid, network: Network) -> Sight:
    """Run the network over a whole series.

    The fine grid has two voxels for each of the coarse one, so that one pass over the images
    serves both.
    """
    coarse = coarse_axes(grid)
    fine = (halved(coarse[0]), halved(coarse[1]), halved(coarse[2]))
    hu = sample_volume(grid.hu, fine)
    slices, rows, columns = (axis.count for axis in coarse)
    blocks = hu.reshape(slices, 2, rows, 2, columns, 2).mean(axis=(1, 3, 5), dtype=np.float32)
    image = np.asarray(scale(blocks), np.float32)
    missing = max(0, WINDOW[0] - slices)
    first = missing // 2
    # What lies outside the series is air to the network, as in its training.
    padded = np.pad(image, ((first, missing - first), (0, 0), (0, 0)))
    logits = network.run_windows(padded[None])[:, first : first + slices]
    logits = np.ascontiguousarray(logits, np.float32)
    labels = fine_labels(logits)
    return Sight(hu=hu, logits=logits, labels=labels, coarse=coarse, fine=fine)


def halved(axis: Axis) -> Axis:
    """The axis with two points for each of its own."""
    return Axis(start=axis.start - axis.step / 4, step=axis.step / 2, count=2 * axis.count)


def coarse_axes(grid: Grid) -> Axes:
    """The network's voxels: all of the series along z, the body and its margin across."""
    slices = grid.shape[0]
    step = COARSE_MM / grid.spacing_mm[0]
    along = Axis.centred((slices - 1) / 2, step, max(1, int(np.ceil(slices / step))))
    body = grid.hu[:: max(1, slices // 40), ::4, ::4] > BODY_HU
    across = []
    for axis in (1, 2):
        # Most slices, so that one with an arm or a table corner does not move the window.
        share = body.any(axis=3 - axis).mean(axis=0)
        hit = np.flatnonzero(share > max(_LEAST_SHARE, 0.5 * float(share.max(initial=0)))) * 4.0
        if not hit.size:
            hit = np.array([0.0, grid.shape[axis] - 1.0])
        step = COARSE_MM / grid.spacing_mm[axis]
        wanted = (hit[-1] - hit[0]) / step + 2 * _MARGIN_MM / COARSE_MM
        count = max(WINDOW[axis], int(np.ceil(wanted)))
        across.append(Axis.centred((hit[0] + hit[-1]) / 2, step, count))
    return along, across[0], across[1]


def fine_labels(logits: Floats) -> NDArray[np.uint8]:
    """Classes on the grid of half the voxel size, by trilinear interpolation of the logits.

    Inside a structure, where all neighbours have one class, there is nothing to interpolate.
    """
    coarse = np.asarray(logits.argmax(axis=0), np.uint8)
    fine = coarse.repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2)
    padded = np.pad(coarse, 1, mode="edge")
    differs = np.zeros(coarse.shape, np.bool_)
    for offset in np.ndindex(3, 3, 3):
        part = tuple(slice(k, k + n) for k, n in zip(offset, coarse.shape, strict=True))
        differs |= padded[part] != coarse
    flat = np.ascontiguousarray(logits.reshape(len(logits), -1).T)
    where = np.argwhere(differs)
    for start in range(0, len(where), _CHUNK):
        at = where[start : start + _CHUNK]
        for corner in np.ndindex(2, 2, 2):
            mixed = _at_corner(flat, at, np.array(corner), coarse.shape)
            fine[tuple((2 * at + corner).T)] = mixed.argmax(axis=1)
    return fine


_CHUNK = 20_000


def _at_corner(
    flat: Floats, at: NDArray[np.int64], corner: NDArray[np.int64], shape: tuple[int, ...]
) -> Floats:
    """(voxel, class) logits a quarter of a voxel from each voxel's middle towards a corner."""
    mixed = np.zeros((len(at), flat.shape[1]), np.float32)
    for step in np.ndindex(2, 2, 2):
        weight = float(np.prod(np.where(step, 0.25, 0.75)))
        near = np.clip(at + np.array(step) * (2 * corner - 1), 0, np.array(shape) - 1)
        mixed += np.float32(weight) * flat[np.ravel_multi_index(tuple(near.T), shape)]
    return mixed
