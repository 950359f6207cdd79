"""Soft tissue where the other lung says that lung should be: a mass or airless lung, by rules.

A tumour that is joined to the mediastinum or blocks a bronchus leaves no border for the networks to
see. But the chest is nearly symmetric above heart and diaphragm: where the mirror image of one
lung falls on thick tissue of the other side, and the heart and the diaphragm cannot be meant
(airways still divide below, or lung lies beneath), something has taken the place of lung.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.distance import distance_inside
from models.grid import Mask
from models.lung_nodules.candidates import Candidate
from models.lung_nodules.refining import Look
from models.thorax.frame import Coarse
from models.thorax.lungs import Lungs

#: Tissue without bone and without vessels full of contrast medium, HU averaged over some mm.
TISSUE_HU = (-30.0, 130.0)
#: The mirrored lung counts so far inside its border, for the two sides are never quite alike, mm.
INSIDE_MM = 7.0
#: So much round the lungs is looked at, mm.
MARGIN_MM = 16.0
#: Air of the own lung ends so far from the tissue, mm.
CLEAR_MM = 3.0
#: Radius of the ball that must fit into the tissue, mm: thicker than vessels and fissures.
BALL_MM = 11.0
#: Smaller bodies of tissue are not told, ml: a ball of 30 mm holds 14.
LEAST_ML = 14.0
#: A column with so much air of the own lung below the tissue has no diaphragm there, mm.
LUNG_BELOW_MM = 12.0
#: The windpipe has divided where airways are farther apart than this and lie so far on both sides
#: of the middle, mm: what lies on one side only is a bronchus, or lung that was taken for one.
DIVIDED_MM, ASIDE_MM = 26.0, 5.0
#: Cross-section of a windpipe, cm2, and how far it lies from the middle at most, mm.
WINDPIPE_CM2, WINDPIPE_OFF_MM = (1.0, 6.0), 25.0
#: Bone beside the middle of the body, HU: the spine, whose middle is the mirror.
BONE_HU, BESIDE_MM = 180.0, 30.0
#: The steps of the coarse grid are smoothed away by this deviation, coarse voxels.
_SOFT = 0.8
#: The mirror is smoothed over so many mm along the body.
_SMOOTH_MM = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulge:
    """A body of tissue in the place of lung.

    Attributes:
        mask: (slice, row, column) on `volume`, a part of the coarse grid.
        side: "right" or "left". volume_ml: of the mask.
    """

    mask: Mask
    volume: Coarse
    side: str
    volume_ml: float


def find_bulges(lungs: Lungs) -> list[Bulge]:
    """Bodies of tissue in the place of lung, the largest first; at most one a side."""
    if not lungs.both.any():
        return []
    lungs = _near(lungs)
    volume = lungs.volume
    mirror = _mirror(volume, lungs)
    smooth = ndimage.gaussian_filter(volume.hu, 1.0)
    low, high = TISSUE_HU
    tissue = (smooth > low) & (smooth < high)
    found = []
    for side, own, other in (
        ("right", lungs.right, lungs.left),
        ("left", lungs.left, lungs.right),
    ):
        mask = _body(lungs, tissue & _expected(other, mirror, volume), own, mirror)
        millilitres = float(mask.sum()) * volume.voxel_ml
        if millilitres >= LEAST_ML:
            found.append(Bulge(mask=mask, volume=volume, side=side, volume_ml=millilitres))
    return sorted(found, key=lambda bulge: -bulge.volume_ml)


def _near(lungs: Lungs) -> Lungs:
    """The rows and columns that the lungs reach, with a margin; all slices.

    All columns where one lung is not seen: its place is looked at.
    """
    volume = lungs.volume
    margin = int(MARGIN_MM / volume.step_mm)
    box, axes = [slice(None)], [volume.axes[0]]
    for number in (1, 2):
        used = np.flatnonzero(lungs.both.any(axis=(0, 3 - number)))
        first = max(0, int(used[0]) - margin)
        last = min(volume.shape[number], int(used[-1]) + 1 + margin)
        if number == 2 and not (lungs.right.any() and lungs.left.any()):
            first, last = 0, volume.shape[number]
        axis = volume.axes[number]
        box.append(slice(first, last))
        axes.append(replace(axis, start=axis.start + axis.step * first, count=last - first))
    part = tuple(box)
    return replace(
        lungs,
        volume=replace(volume, hu=volume.hu[part], axes=(axes[0], axes[1], axes[2])),
        right=lungs.right[part],
        left=lungs.left[part],
        aerated=lungs.aerated[part],
        airways=lungs.airways[part],
    )


def look_of(bulge: Bulge) -> Look:
    """The body as something to be measured; its border is as fine as the coarse grid."""
    volume = bulge.volume
    share = ndimage.gaussian_filter(bulge.mask.astype(np.float32), _SOFT)
    middle = volume.to_grid(np.argwhere(bulge.mask).mean(axis=0)[None])[0]
    size = 2.0 * (3.0 * bulge.volume_ml * 1000.0 / (4.0 * np.pi)) ** (1 / 3)
    candidate = Candidate(centre=middle, diameter_mm=float(size), logit=0.0)
    return Look(
        candidate=candidate, share=share, axes=volume.axes, step_mm=volume.step_mm, logit=0.0
    )


def _mirror(volume: Coarse, lungs: Lungs) -> NDArray[np.float64]:
    """Column of the middle in each slice, from the spine."""
    columns = np.arange(volume.shape[2], dtype=np.float64)
    # With one lung alone, the windpipe is nearer to the middle than what the lung tells.
    of_two = lungs.right.any() and lungs.left.any()
    ends = np.flatnonzero((lungs.both if of_two else lungs.airways).any(axis=(0, 1)))
    guess = (ends[0] + ends[-1]) / 2 if ends.size else volume.shape[2] / 2
    rows = np.flatnonzero(lungs.both.any(axis=(0, 2)))
    behind = int(rows[0] + 0.55 * (rows[-1] - rows[0])) if rows.size else 0
    bone = volume.hu[:, behind:] > BONE_HU
    middles = np.full(volume.shape[0], np.nan)
    for _ in range(2):
        near = np.abs(columns - guess) * volume.step_mm < BESIDE_MM
        count = bone[:, :, near].sum(axis=1).astype(np.float64)
        total = count.sum(axis=1)
        enough = total > 20
        middles[:] = np.nan
        middles[enough] = (count[enough] @ columns[near]) / total[enough]
        if enough.any():
            guess = float(np.nanmedian(middles))
    known = np.flatnonzero(~np.isnan(middles))
    if not known.size:
        return np.full(volume.shape[0], guess)
    filled = np.interp(np.arange(volume.shape[0]), known, middles[known])
    smooth = ndimage.gaussian_filter1d(filled, _SMOOTH_MM / volume.step_mm / 2, mode="nearest")
    return np.asarray(smooth, np.float64)


def _expected(other: Mask, mirror: NDArray[np.float64], volume: Coarse) -> Mask:
    """The other lung, well inside its border, mirrored slice by slice."""
    out = np.zeros_like(other)
    # The ends of the series cut the lung; they are no border.
    padded = np.pad(other, ((1, 1), (0, 0), (0, 0)), mode="edge")
    depth = distance_inside(padded)[1:-1] * volume.step_mm
    inner = depth > INSIDE_MM
    width = volume.shape[2]
    for index in np.flatnonzero(inner.any(axis=(1, 2))):
        source = np.rint(2 * mirror[index] - np.arange(width)).astype(np.int64)
        valid = (source >= 0) & (source < width)
        out[index][:, valid] = inner[index][:, source[valid]]
    return out


def _body(lungs: Lungs, tissue: Mask, own: Mask, mirror: NDArray[np.float64]) -> Mask:
    """The largest body of tissue that a ball fits into, where no diaphragm and heart can be."""
    volume = lungs.volume
    air = lungs.aerated & own
    beside = tissue & ~_grown(air, CLEAR_MM / volume.step_mm)
    reach = int(LUNG_BELOW_MM / volume.step_mm)
    above_lung = np.cumsum(air, axis=0) >= reach
    above_lung[_divided(lungs, mirror) :] = True
    beside &= above_lung
    if beside.sum() * volume.voxel_ml < LEAST_ML:
        return np.zeros_like(beside)
    radius = BALL_MM / volume.step_mm
    padded = np.pad(beside, ((1, 1), (0, 0), (0, 0)), mode="edge")
    cores = (distance_inside(padded) > radius)[1:-1]
    parts = cc3d.connected_components(np.ascontiguousarray(cores), connectivity=6)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    if sizes.max() == 0:
        return np.zeros_like(beside)
    return beside & _grown(parts == int(sizes.argmax()), radius)


def _divided(lungs: Lungs, mirror: NDArray[np.float64]) -> int:
    """Lowest slice that lies above the diaphragm for sure: where the windpipe divides.

    Where the series ends above, all of it does; the number of slices where neither is seen.
    """
    step, airways = lungs.volume.step_mm, lungs.airways
    for index in range(airways.shape[0] - 1, -1, -1):
        columns = np.flatnonzero(airways[index].any(axis=0))
        if not columns.size:
            continue
        sides_mm = (mirror[index] - columns[0]) * step, (columns[-1] - mirror[index]) * step
        if sum(sides_mm) > DIVIDED_MM and min(sides_mm) > ASIDE_MM:
            return index
    lowest = airways[0]
    if lowest.any():
        off_mm = abs(float(np.nonzero(lowest)[1].mean() - mirror[0])) * step
        least, most = WINDPIPE_CM2
        if least <= lowest.sum() * step**2 / 100.0 <= most and off_mm <= WINDPIPE_OFF_MM:
            return 0
    return int(airways.shape[0])


def _grown(mask: Mask, radius: float) -> Mask:
    if not mask.any():
        return np.zeros_like(mask)
    return np.asarray(distance_inside(~mask) <= radius, np.bool_)
