"""From the probabilities of the `clots` network to candidates with what is known of each."""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.distance import distance_inside
from models.grid import Floats, Mask
from models.pulmonary_embolism.space import FINE_MM

CLASSES = ("other", "vessel", "airway", "clot")
NETWORK = "clots"
PATCH = 48
VALUE_RANGE = (-1000.0, 600.0)
VOXEL_ML = FINE_MM**3 / 1000.0
#: Probability from which a voxel belongs to a candidate, and that one of its voxels must reach.
EDGE, PEAK = 0.3, 0.5
#: Smaller ones are noise, ml: ten voxels.
LEAST_ML = 0.02
#: Opacified blood: from this share of the measured attenuation.
BLOOD_SHARE = 0.5
#: Voxels around a candidate that count as its surroundings.
_RING = 2
_LUNG_HU = -200.0
#: Half the widest gap in the stream of blood that still counts as inside of it.
_GAP_MM = 4.0

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One connected region that may be a clot, on the fine grid.

    Attributes:
        box, mask: where it is; the mask has the shape of the box.
        ml: volume. peak, mean: of the network's probability in it.
        hu: mean of its inner voxels. blood_hu: attenuation of the opacified blood.
        blood: share of the surroundings that is opacified blood. lung: that is lung.
        around_ml: volume of the surroundings.
        round: share of the candidate that balls of nearly its own radius fill: a cast of a vessel
            is round, tissue in the gaps between vessels and bronchi is not.
        enclosed: share of the candidate itself that gaps of the blood stream hold (closing of
            the blood by `_GAP_MM`).
        radius_mm: of the vessel there, clot included.
        centre: (slice, row, column) of the voxel deepest inside of it.
    """

    box: Box
    mask: Mask
    ml: float
    peak: float
    mean: float
    hu: float
    blood_hu: float
    blood: float
    around_ml: float
    lung: float
    round: float
    enclosed: float
    radius_mm: float
    centre: tuple[int, int, int]

    @property
    def blood_ml(self) -> float:
        """Volume of the opacified blood in its surroundings."""
        return self.blood * self.around_ml

    @property
    def ratio(self) -> float:
        """Its attenuation over that of the blood."""
        return self.hu / self.blood_hu

    @property
    def fall_hu(self) -> float:
        """How much darker it is than the opacified blood, HU."""
        return self.blood_hu - self.hu

    @property
    def features(self) -> NDArray[np.float64]:
        """What the certainty is calculated from, in the order of `certainty.NAMES`."""
        return np.array(
            [
                self.peak,
                self.mean,
                np.log(self.ml / 0.1),
                min(self.ratio, 1.5),
                self.blood,
                self.lung,
                self.round,
                self.enclosed,
                min(self.radius_mm, 10.0) / 5.0,
            ]
        )


def find_candidates(
    hu: Floats, chances: Floats, where: Mask, blood_hu: float
) -> tuple[Candidate, ...]:
    """Connected regions of clot, the largest first.

    Args:
        chances: (class, slice, row, column). where: voxels that may be pulmonary artery.
        blood_hu: attenuation of the opacified blood.
    """
    clot = np.where(where, chances[3], 0.0)
    parts, count = cc3d.connected_components(
        np.ascontiguousarray(clot > EDGE), connectivity=18, return_N=True
    )
    if not count:
        return ()
    held = parts > 0
    peaks = np.zeros(count + 1, np.float32)
    np.maximum.at(peaks, parts[held], clot[held])
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:] * VOXEL_ML
    boxes = ndimage.find_objects(parts.astype(np.int32))
    found = [
        _candidate(hu, chances, (parts, number, boxes[number - 1]), blood_hu)
        for number in range(1, count + 1)
        if peaks[number] >= PEAK and sizes[number - 1] >= LEAST_ML
    ]
    return tuple(sorted(found, key=lambda one: -one.ml))


def _candidate(
    hu: Floats,
    chances: Floats,
    part: tuple[NDArray[np.integer], int, tuple[slice, ...]],
    blood_hu: float,
) -> Candidate:
    parts, number, tight = part
    reach = _RING + 8
    box: Box = tuple(  # type: ignore[assignment]
        slice(max(0, side.start - reach), min(size, side.stop + reach))
        for side, size in zip(tight, hu.shape, strict=True)
    )
    mask = parts[box] == number
    here, answers = hu[box], chances[(slice(None), *box)]
    ring = ndimage.binary_dilation(mask, iterations=_RING) & ~mask
    # Bone is as dense as blood, but no vessel to the network.
    blood = (here > BLOOD_SHARE * blood_hu) & (answers[1] > answers[0])
    stream = _closed(blood, _GAP_MM / FINE_MM)
    lumen = (answers[1] + answers[3] > 0.5) | mask
    calibre = distance_inside(lumen) * FINE_MM
    depth = distance_inside(np.pad(mask, 1))[1:-1, 1:-1, 1:-1]
    inner = mask & (depth >= min(2.0, 0.6 * float(depth.max())))
    deepest = np.unravel_index(int(depth.argmax()), depth.shape)
    return Candidate(
        box=box,
        mask=mask,
        ml=float(mask.sum()) * VOXEL_ML,
        peak=float(answers[3][mask].max()),
        mean=float(answers[3][mask].mean()),
        hu=float(here[inner].mean()),
        blood_hu=blood_hu,
        blood=float(blood[ring].mean()),
        around_ml=float(ring.sum()) * VOXEL_ML,
        lung=float((here[ring] < _LUNG_HU).mean()),
        round=_roundness(mask, depth),
        enclosed=float(stream[mask].mean()),
        radius_mm=float(calibre[mask].max()),
        centre=(
            box[0].start + int(deepest[0]),
            box[1].start + int(deepest[1]),
            box[2].start + int(deepest[2]),
        ),
    )


def _roundness(mask: Mask, depth: NDArray[np.floating]) -> float:
    """Part of the mask that is left when it is opened by a ball of 0.75 of its depth."""
    limit = 0.75 * float(depth.max())
    cores = np.pad(depth >= limit, 1)
    back = distance_inside(~cores)[1:-1, 1:-1, 1:-1] < limit
    return float((back & mask).sum() / mask.sum())


def _closed(mask: Mask, radius: float) -> Mask:
    if not mask.any():
        return mask
    reach = int(np.ceil(radius)) + 1
    grown = distance_inside(~np.pad(mask, reach)) <= radius
    closed = distance_inside(grown) > radius
    inner = (slice(reach, -reach),) * 3
    return np.asarray(closed[inner] | mask, np.bool_)
