"""The step that says where a network has to look, and what it means for the network's outputs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference.steps.image import Image, Interest
from inference.steps.labels import components
from inference.steps.verdict import NothingLeft
from models.manifest_region import RegionOfInterest

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]


def region_of_interest(image: Image, step: RegionOfInterest) -> Image:
    """The same image, which knows where the network has to look.

    Raises:
        NothingLeft: no voxel is above the limit.
    """
    mask = np.asarray((image.values > step.above).any(axis=0), np.bool_)
    if not mask.any():
        raise NothingLeft(
            f"no voxel of these images is above {step.above:g}, so there is nothing to look at"
        )
    if step.parts == "largest":
        parts, _ = components(mask, 6)
        mask = np.asarray(parts == np.bincount(parts[mask]).argmax(), np.bool_)
    if step.filled:
        mask = _filled(mask, _head_to_foot(image))
    return replace(image, region=Interest(mask=_grown(mask, image, step.margin_mm), step=step))


def scores_outside(interest: Interest, scores: Floats, *, competing: bool) -> Floats:
    """(class, i, j, k) scores, in place: all that lies outside the region is background.

    Args:
        competing: the channels compete (softmax, argmax), so that one of them is background.
    """
    low, high = interest.step.outside
    outside = ~interest.mask
    for number, channel in enumerate(scores):
        is_background = competing and number == interest.step.background
        channel[outside] = high if is_background else low
    return scores


def coarse(mask: Mask, shape: tuple[int, ...], stride: tuple[int, ...]) -> Mask:
    """Which cells of a coarser map hold a voxel of a region.

    Args:
        mask: of the image. shape: of the map. stride: voxels of one cell, axis by axis.
    """
    cells = mask
    for axis, (size, step) in enumerate(zip(shape, stride, strict=True)):
        # What is left over beyond the last whole cell counts for that one.
        cells = np.logical_or.reduceat(cells, np.arange(size) * step, axis=axis)
    return np.asarray(cells, np.bool_)


def _head_to_foot(image: Image) -> int:
    """The array's axis that is closest to the patient's."""
    along = np.abs(image.affine[2, :3]) / np.linalg.norm(image.affine[:3, :3], axis=0)
    return int(np.argmax(along))


def _filled(mask: Mask, axis: int) -> Mask:
    """Holes of each plane along an axis; a lung is open at the ends of a scan, not in a plane."""
    filled = mask.copy()
    for plane in np.moveaxis(filled, axis, 0):
        around, count = ndimage.label(~plane)
        is_open = np.zeros(count + 1, np.bool_)
        for edge in (around[0], around[-1], around[:, 0], around[:, -1]):
            is_open[edge] = True
        is_open[0] = False
        plane[...] = ~is_open[around]
    return filled


def _grown(mask: Mask, image: Image, margin_mm: float) -> Mask:
    """Larger by a margin along every axis."""
    grown = mask.view(np.uint8)
    for axis, spacing in enumerate(image.grid.spacing_mm):
        reach = math.ceil(margin_mm / spacing - 1e-6)
        if reach > 0:
            grown = ndimage.maximum_filter1d(
                grown, 2 * reach + 1, axis=axis, mode="constant", cval=0
            )
    return np.asarray(grown, np.bool_)
