"""Where pulmonary arteries can be: the room of the lungs and what lies between them.

Works on a field of view that cuts the chest as well (a heart CT): air at the border of the image
is lung where it is as dense as lung. What no lung is near is never searched for a clot.
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.distance import distance_inside
from models.grid import Floats, Mask
from models.pulmonary_embolism.space import COARSE_MM

#: Between lung and tissue. Median of a region of lung; of air around the patient.
LUNG_HU, LEAST_LUNG_HU, MOST_LUNG_HU = -450.0, -955.0, -550.0
#: Gas without lung around it: trachea, bowel.
GAS_HU = -945.0
#: Smallest connected part of a lung that counts, ml.
PART_ML = 40.0
#: The closing that takes vessels and hila in, mm.
CLOSING_MM = 10.0
VOXEL_ML = COARSE_MM**3 / 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Parts of a chest on the coarse grid, (slice, row, column).

    Attributes:
        air: lung that holds air. room: the same closed: vessels and hila are inside.
        between: mediastinum and heart: inside the outline that both lungs span, slice by slice.
        middle: column that parts right from left.
    """

    air: Mask
    room: Mask
    between: Mask
    middle: float

    @property
    def lung_ml(self) -> float:
        """Air-filled lung in view, ml."""
        return float(self.air.sum()) * VOXEL_ML

    def sides_ml(self) -> tuple[float, float]:
        """Air-filled lung right and left of the middle, ml."""
        cut = round(self.middle)
        return (
            float(self.air[:, :, :cut].sum()) * VOXEL_ML,
            float(self.air[:, :, cut:].sum()) * VOXEL_ML,
        )


def find_region(hu: Floats) -> Region:
    """The region of a series at 2.5 mm; all False where there is no lung."""
    air = _lung_air(hu)
    middle = _middle(hu, air)
    room = _closed(air)
    between = _between(air, room, middle)
    return Region(air=air, room=room, between=between, middle=middle)


def _medians(hu: Floats, parts: NDArray[np.integer], numbers: NDArray[np.integer]) -> Floats:
    """Of each of these parts; SciPy sorts all that it is given, so it is given no more."""
    held = np.isin(parts, numbers)
    return np.atleast_1d(ndimage.median(hu[held], parts[held], numbers))


def _lung_air(hu: Floats) -> Mask:
    low = hu < LUNG_HU
    kept = np.zeros_like(low)
    for index, plane in enumerate(low):
        parts = cc3d.connected_components(np.ascontiguousarray(plane), connectivity=4)
        border = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
        border = border[border > 0]
        here = plane.copy()
        if border.size:
            medians = _medians(hu[index], parts, border)
            for number, value in zip(border, medians, strict=True):
                if not LEAST_LUNG_HU < value < MOST_LUNG_HU:
                    here &= parts != number
                    here |= _beside_outside(hu[index], parts == number)
        kept[index] = here
    # A wall of bowel or of the trachea is thinner than a voxel.
    gas = ndimage.binary_opening(hu < GAS_HU, iterations=1)
    kept &= ~ndimage.binary_dilation(gas & _tissue_around(hu, gas), iterations=2)
    kept = ndimage.binary_opening(kept)
    parts = cc3d.connected_components(np.ascontiguousarray(kept), connectivity=6)
    count = int(parts.max(initial=0))
    if not count:
        return kept
    numbers = np.arange(1, count + 1)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:] * VOXEL_ML
    large = numbers[sizes >= PART_ML]
    if not large.size:
        return np.zeros_like(kept)
    medians = _medians(hu, parts, large)
    lungs = large[(medians > LEAST_LUNG_HU) & (medians < MOST_LUNG_HU)]
    return np.asarray(np.isin(parts, lungs), np.bool_)


def _beside_outside(hu: Floats, part: Mask) -> Mask:
    """What is left of a part of a slice without the air around the patient.

    Where the field of view ends in the wall of the chest, or the wall is thin, lung and the air
    outside are one: they are told apart by their attenuation.
    """
    smooth = ndimage.uniform_filter(hu, 3)
    outside = cc3d.connected_components(
        np.ascontiguousarray(part & (smooth < GAS_HU)), connectivity=4
    )
    border = np.unique(np.concatenate([outside[0], outside[-1], outside[:, 0], outside[:, -1]]))
    around = np.isin(outside, border[border > 0])
    # The skin, the table and blankets are no lung either.
    rest = part & ~ndimage.binary_dilation(around, iterations=_RIM)
    return np.asarray(ndimage.binary_opening(rest, iterations=_RIM) & rest, np.bool_)


#: Voxels beside the air around a patient that are partly something else.
_RIM = 2


def _tissue_around(hu: Floats, gas: Mask) -> Mask:
    """The bodies of gas that tissue surrounds, not lung."""
    parts = cc3d.connected_components(np.ascontiguousarray(gas), connectivity=6)
    found = np.zeros_like(gas)
    for number, box in enumerate(ndimage.find_objects(parts.astype(np.int32)), start=1):
        wide = tuple(slice(max(0, part.start - 4), part.stop + 4) for part in box)
        body = parts[wide] == number
        if body.sum() * VOXEL_ML < 1.0:
            continue
        grown = ndimage.binary_dilation(body, iterations=2)
        ring = ndimage.binary_dilation(grown, iterations=1) & ~grown
        if ring.any() and float(np.median(hu[wide][ring])) > -400.0:
            found[wide] |= body
    return found


def _middle(hu: Floats, air: Mask) -> float:
    """Column between the lungs: where the slices hold least air near the middle of the body."""
    columns = air.sum(axis=(0, 1)).astype(np.float64)
    if not columns.any():
        return float(hu.shape[2]) / 2
    span = np.flatnonzero(columns > 0.02 * columns.max())
    low, high = int(span[0]), int(span[-1])
    third = (high - low) // 3
    smooth = ndimage.gaussian_filter1d(columns, 10.0 / COARSE_MM)
    inner = smooth[low + third : high - third + 1]
    return low + third + float(np.argmin(inner)) if inner.size else float(hu.shape[2]) / 2


def _closed(air: Mask) -> Mask:
    radius = CLOSING_MM / COARSE_MM
    reach = int(np.ceil(radius)) + 1
    # The image's ends count as lung while closing, or the closing would eat into a cut lung.
    padded = np.pad(air, reach, mode="edge")
    grown = distance_inside(~padded) <= radius
    closed = distance_inside(grown) > radius
    inner = (slice(reach, -reach),) * 3
    return np.asarray(closed[inner] | air, np.bool_)


def _between(air: Mask, room: Mask, middle: float) -> Mask:
    """Slice by slice: rows and columns that lie between right and left lung."""
    cut = round(middle)
    found = np.zeros_like(air)
    for index in range(air.shape[0]):
        right, left = air[index, :, :cut], air[index, :, cut:]
        if right.sum() < 40 or left.sum() < 40:
            continue
        # For each row the innermost lung; rows without lung take their neighbours'.
        inner_right = _inner(right[:, ::-1])
        inner_left = _inner(left)
        rows = np.flatnonzero(right.any(axis=1) | left.any(axis=1))
        columns = np.arange(air.shape[2])
        for row in range(int(rows[0]), int(rows[-1]) + 1):
            found[index, row] = (columns > cut - 1 - inner_right[row]) & (
                columns < cut + inner_left[row]
            )
    return np.asarray(found & ~room, np.bool_)


def _inner(half: Mask) -> Floats:
    """Distance of the first lung voxel from the middle, row by row."""
    first = np.where(half.any(axis=1), half.argmax(axis=1), -1).astype(np.float64)
    known = np.flatnonzero(first >= 0)
    return np.asarray(np.interp(np.arange(len(first)), known, first[known]), np.float32)
