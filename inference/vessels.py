"""The enhanced aorta, or a great vessel beside it, before the spine of one axial CT slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Blood without contrast lies at 30 to 60 HU.
ENHANCED_HU = (110.0, 700.0)
#: Cross-section of the aorta from the arch to the bifurcation, with room.
AREA_CM2 = (0.9, 16.0)
#: How far the vessel may lie from the middle of the spine: to the side, and before it.
ASIDE_MM = 45.0
BEFORE_MM = (5.0, 95.0)
#: Blood is even; the inside of a vertebra is not.
LARGEST_DEVIATION_HU = 32.0
#: A vertebra has a brighter shell, a vessel none.
SHELL_HU = 20.0
#: The same vessel lies at about the same place from slice to slice.
WANDER_MM = 45.0


@dataclass(frozen=True, slots=True)
class Vessel:
    """Mean attenuation, and its place against the spine: aside in the image, and before it, mm."""

    hu: float
    aside_mm: float
    before_mm: float


def vessel_in(
    image: NDArray[np.float32],
    body: NDArray[np.bool_],
    pixel: tuple[float, float],
    spine: tuple[float, float],
) -> Vessel | None:
    """The brightest even, round piece at the place of the aorta; None where there is none.

    Args:
        image: (row, column) HU, row 0 anterior. body: where the patient is.
        pixel: (between rows, between columns), mm. spine: from `spine_in`.
    """
    smooth = ndimage.uniform_filter(image, 3)
    square = ndimage.uniform_filter(image * image, 3)
    deviation = np.sqrt(np.maximum(0.0, square - smooth * smooth))
    bright = (smooth > ENHANCED_HU[0]) & (smooth < ENHANCED_HU[1]) & body
    # The rim of a vessel is steep; its inside is found first and grown back for its size.
    inside = bright & (deviation < LARGEST_DEVIATION_HU)
    labels, _ = ndimage.label(inside)
    found = [
        vessel
        for number, place in enumerate(ndimage.find_objects(labels), 1)
        if (vessel := _vessel(_Piece(image, labels, number, pixel), place, spine)) is not None
    ]
    return max(found, key=lambda one: one.hu, default=None)


def same_vessel(vessels: Sequence[Vessel]) -> list[Vessel]:
    """Those of the vessels that lie near their common middle."""
    if not vessels:
        return []
    aside = float(np.median([one.aside_mm for one in vessels]))
    before = float(np.median([one.before_mm for one in vessels]))
    return [
        one
        for one in vessels
        if abs(one.aside_mm - aside) < WANDER_MM and abs(one.before_mm - before) < WANDER_MM
    ]


def spine_in(
    image: NDArray[np.float32], body: NDArray[np.bool_], pixel: tuple[float, float]
) -> tuple[float, float] | None:
    """(row, column) of the front of the vertebra: middle of the bone near the middle, behind.

    None where there is not enough bone; image, body and pixel as for `vessel_in`.
    """
    rows, columns = np.nonzero(body)
    middle = (columns.min() + columns.max()) / 2
    back = rows.min() + 0.45 * (rows.max() - rows.min())
    row, column = np.nonzero((image > 220) & body)
    near = (np.abs(column - middle) * pixel[1] < 40) & (row > back)
    if int(near.sum()) * pixel[0] * pixel[1] < 250:
        return None
    # The vertebra lies before the spinous process: the front third of the bone.
    return float(np.quantile(row[near], 0.15)), float(np.median(column[near]))


@dataclass(frozen=True, slots=True)
class _Piece:
    """One connected piece of even brightness in the slice."""

    image: NDArray[np.float32]
    labels: NDArray[np.integer]
    number: int
    pixel: tuple[float, float]


def _vessel(piece: _Piece, place: tuple[slice, ...], spine: tuple[float, float]) -> Vessel | None:
    pixel = piece.pixel
    grown = (
        slice(max(0, place[0].start - 5), place[0].stop + 5),
        slice(max(0, place[1].start - 5), place[1].stop + 5),
    )
    inside = piece.labels[grown] == piece.number
    whole = ndimage.binary_fill_holes(ndimage.binary_dilation(inside))
    area = float(whole.sum()) * pixel[0] * pixel[1] / 100
    if not AREA_CM2[0] <= area <= AREA_CM2[1]:
        return None
    high = (place[0].stop - place[0].start + 2) * pixel[0]
    wide = (place[1].stop - place[1].start + 2) * pixel[1]
    if area * 100 < 0.55 * high * wide or max(high, wide) > 2.2 * min(high, wide):
        return None
    centre = ndimage.center_of_mass(inside)
    aside = (grown[1].start + centre[1] - spine[1]) * pixel[1]
    before = (spine[0] - grown[0].start - centre[0]) * pixel[0]
    if abs(aside) > ASIDE_MM or not -BEFORE_MM[0] <= before <= BEFORE_MM[1]:
        return None
    values = piece.image[grown]
    hu = float(values[inside].mean())
    ring = ndimage.binary_dilation(whole, iterations=2) & ~whole
    if float(np.quantile(values[ring], 0.75)) > hu - SHELL_HU:
        return None
    return Vessel(hu, aside, before)
