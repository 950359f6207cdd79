"""Trachea and main bronchi, followed from slice to slice towards the feet."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from models.grid import Floats, Mask
from models.morphology import parts_of
from models.thorax.frame import Coarse

#: Cross-section of a trachea, cm2; larger ones are lung, smaller ones a gullet with air in it.
TRACHEA_CM2 = (0.5, 8.0)
#: A cut through one bronchus; beyond it the region has run into the lung.
BRONCHUS_CM2 = 5.0
#: Air in the airways on a coarse grid, looked for from the widest to the strictest limit.
AIR_HU = (-800.0, -880.0, -930.0, -960.0)
#: Somewhere in it a trachea holds plain air, which lung does not.
PLAIN_AIR_HU = -940.0
#: A trachea fills at least this part of its bounding box.
LEAST_COMPACT = 0.5
#: The trachea lies near the middle of the body and is compact, mm.
OFF_MIDDLE_MM, WIDEST_MM = 45.0, 42.0
#: Main bronchi are followed so far below the carina, mm.
BELOW_CARINA_MM = 50.0
#: How much lies between a first sight of the trachea and what confirms it, slices.
_RUN = 6


def find_airways(volume: Coarse, inside: Mask, start_from: tuple[int, float]) -> Mask:
    """Air of the trachea and main bronchi; all False where no trachea is in view.

    Args:
        inside: air that is enclosed by the body, on the grid of `volume`.
        start_from: lowest slice in which the trachea may be met first, and the middle column
            of the body.
    """
    airways = np.zeros(volume.shape, np.bool_)
    start = _first_sight(volume, inside, start_from)
    if start is None:
        return airways
    index, region = start
    airways[index] = region
    _follow(volume, inside, airways, (index, region))
    _upwards(volume, inside, airways, (index, region))
    return airways


def _first_sight(
    volume: Coarse, inside: Mask, start_from: tuple[int, float]
) -> tuple[int, Mask] | None:
    """The highest slice from which a trachea runs on through several slices."""
    lowest, middle = start_from
    for index in range(volume.shape[0] - 1, max(_RUN, lowest), -1):
        for region in _candidates(volume, inside[index], volume.hu[index], middle):
            if _runs_on(volume, inside, index, region):
                return index, region
    return None


def _candidates(volume: Coarse, inside: Mask, hu: Floats, middle: float) -> list[Mask]:
    air = inside & (hu < AIR_HU[0])
    parts = parts_of(air)
    found = []
    for number in range(1, int(parts.max(initial=0)) + 1):
        region = parts == number
        if not _in_range(volume, region, TRACHEA_CM2):
            continue
        rows, columns = np.nonzero(region)
        span = max(np.ptp(rows), np.ptp(columns)) + 1
        off = abs(float(columns.mean()) - middle) * volume.step_mm
        box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        compact = rows.size >= LEAST_COMPACT * box and float(hu[region].min()) < PLAIN_AIR_HU
        if compact and span * volume.step_mm < WIDEST_MM and off < OFF_MIDDLE_MM:
            found.append((off, region))
    return [region for _, region in sorted(found, key=lambda item: item[0])]


def _runs_on(volume: Coarse, inside: Mask, index: int, region: Mask) -> bool:
    """Does it stay a compact tube in the slices below?"""
    for below in range(index - 1, index - 1 - _RUN, -1):
        parts = _next(volume, inside[below], volume.hu[below], region)
        if not parts:
            return False
        region = np.logical_or.reduce(parts)
    return True


def _follow(volume: Coarse, inside: Mask, airways: Mask, start: tuple[int, Mask]) -> None:
    """Downwards, until every branch has run into the lung or its length is used up."""
    index, region = start
    carina: int | None = None
    for below in range(index - 1, -1, -1):
        parts = _next(volume, inside[below], volume.hu[below], region)
        if not parts:
            return
        if carina is None and len(parts) > 1:
            carina = below
        if carina is not None and (carina - below) * volume.step_mm > BELOW_CARINA_MM:
            return
        region = np.logical_or.reduce(parts)
        airways[below] |= region


def _upwards(volume: Coarse, inside: Mask, airways: Mask, start: tuple[int, Mask]) -> None:
    index, region = start
    for above in range(index + 1, volume.shape[0]):
        parts = _next(volume, inside[above], volume.hu[above], region)
        if not parts:
            return
        region = np.logical_or.reduce(parts)
        airways[above] |= region


def _next(volume: Coarse, inside: Mask, hu: Floats, region: Mask) -> list[Mask]:
    """What goes on from a region in the neighbouring slice, as parts of bounded size."""
    reach = ndimage.binary_dilation(region)
    for limit in AIR_HU:
        parts = parts_of(inside & (hu < limit))
        found = []
        leaked = False
        for number in np.unique(parts[reach]):
            if number == 0:
                continue
            part = parts == number
            most = TRACHEA_CM2[1] if region.sum() > part.sum() / 2 else BRONCHUS_CM2
            if part.sum() * volume.step_mm**2 / 100.0 > most:
                leaked = True
            elif part.sum() > 1:
                found.append(part)
        if not leaked:
            return found
    return found


def _in_range(volume: Coarse, region: Mask, limits: tuple[float, float]) -> bool:
    return bool(limits[0] <= region.sum() * volume.step_mm**2 / 100.0 <= limits[1])
