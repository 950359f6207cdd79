"""Where discs cross the course of the spine: a row of dark bands whose distances change slowly.

A disc is a dark band between bright endplates. Within a body the middle can be as dark, so a band
counts by what lies a few millimetres beside it; and since neighbouring vertebrae are about
equally high, a row is sought as a whole, each distance close to the one below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Curve = NDArray[np.float64]

#: Distances of neighbouring discs in adults, from the upper thorax to the lower lumbar spine, mm.
GAPS_MM: Final = np.arange(17, 47)
#: From below to above each distance is about this share of the one before.
_SHRINKS: Final = 0.975
#: What a change of the distance by 10 % costs, HU of darkness; the usual distance, and what a third
#: more or a quarter less costs: half the distance, which marrow that is dark in the middle of each
#: body would suggest, costs the more.
_CHANGE_HU: Final = 25.0
_USUAL_MM: Final = 30.0
_UNUSUAL_HU: Final = 12.0
#: Half the band of a disc, and from where to where its endplates lie beside it, mm.
_BAND_MM: Final = 2
_BESIDE_MM: Final = (4, 9)
#: More contrast than this proves no more.
_CLEAR_HU: Final = 90.0
#: What the network's word is worth beside the image, HU.
_NETWORK_HU: Final = 60.0
#: Half the height of a disc at least and at most, mm.
_HALF_MM: Final = (1.5, 6.5)


@dataclass(frozen=True, slots=True)
class Disc:
    """One disc.

    Attributes:
        low, middle, high: heights along the course, mm.
        contrast_hu: how much it looks like one.
    """

    low: float
    middle: float
    high: float
    contrast_hu: float


def discs_of(hu: Curve, disc: Curve, body: Curve, heights_mm: Curve) -> tuple[Disc, ...]:
    """The row of discs, from below.

    Args:
        hu: mean across the spine at points 1 mm apart. disc, body: share of the network's labels
            there.
    """
    evidence = _evidence(hu, disc, body)
    row = _row(evidence)
    found = []
    for at in row:
        low, high = _edges(hu, at)
        start = float(heights_mm[at])
        found.append(Disc(start - low, start, start + high, float(evidence[at])))
    return tuple(found)


def _evidence(hu: Curve, disc: Curve, body: Curve) -> Curve:
    """How much each point looks like the middle of a disc, HU."""
    width = 2 * _BAND_MM + 1
    band = ndimage.uniform_filter1d(hu, width, mode="nearest")
    first, last = _BESIDE_MM
    span = last - first + 1
    flank = ndimage.uniform_filter1d(hu, span, mode="nearest")
    off = (first + last) // 2
    below, above = _shifted(flank, off), _shifted(flank, -off)
    dark = np.clip((below + above) / 2 - band, -_CLEAR_HU, _CLEAR_HU)
    told = ndimage.uniform_filter1d(disc - body, width, mode="nearest")
    usual = ndimage.uniform_filter1d(disc - body, 31, mode="nearest")
    return np.asarray(dark + _NETWORK_HU * np.clip(told - usual, -1, 1), np.float64)


def _shifted(values: Curve, by: int) -> Curve:
    at = np.clip(np.arange(values.size) - by, 0, values.size - 1)
    return values[at]


def _row(evidence: Curve) -> list[int]:
    """Indices of the best row that reaches from one end to the other."""
    count, gaps = evidence.size, GAPS_MM
    change = np.log(gaps[:, None] / (_SHRINKS * gaps[None, :])) / 0.1
    cost = _CHANGE_HU * np.minimum(change**2, 25.0)
    usual = _UNUSUAL_HU * (np.log(gaps / _USUAL_MM) / np.log(4 / 3)) ** 2
    best = np.full((count, gaps.size), -np.inf)
    came = np.full((count, gaps.size), -1, np.int64)
    longest = int(gaps[-1])
    for at in range(count):
        for k, gap in enumerate(gaps):
            before = at - int(gap)
            if before < 0:
                break
            start = evidence[before] if before <= longest else -np.inf
            chain = best[before] - cost[k]
            way = int(chain.argmax())
            value = max(start, float(chain[way]))
            if np.isfinite(value):
                came[at, k] = -1 if start >= chain[way] else way
                best[at, k] = value + evidence[at] - usual[k]
    ends = best[max(0, count - longest) :]
    if not np.isfinite(ends).any():
        return []
    at, k = (int(v) for v in np.unravel_index(int(ends.argmax()), ends.shape))
    at += max(0, count - longest)
    row = [at]
    while k >= 0:
        row.append(row[-1] - int(gaps[k]))
        k = int(came[row[-2], k])
    return row[::-1]


def _edges(hu: Curve, at: int) -> tuple[float, float]:
    """How far the disc reaches below and above its middle: to half the contrast, mm."""
    reach = round(_HALF_MM[1]) + 3
    floor = float(hu[max(0, at - 1) : at + 2].min())
    found = []
    for side in (hu[max(0, at - reach) : at + 1][::-1], hu[at : at + reach + 1]):
        half = (floor + float(side.max())) / 2
        over = np.flatnonzero(side >= half)
        found.append(float(np.clip(over[0] if over.size else 0.0, *_HALF_MM)))
    return found[0], found[1]
