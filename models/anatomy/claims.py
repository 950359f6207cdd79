"""A piece of one structure that is one with another, and as dense, is given to that one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.anatomy.structures import Structure as S
from models.grid import Floats, Mask
from models.morphology import dilated, eroded

Labels = NDArray[np.uint8]

_MUSCLES: Final = (S.PSOAS, S.QUADRATUS, S.ERECTOR, S.ABDOMINAL_WALL)
#: Like the host's: so many times the spread of its own density from its median; the spread is
#: at least so many HU.
_SPREADS: Final = 2.0
_LEAST_SPREAD_HU: Final = 8.0
#: Density is that of what lies so deep in an organ or in what it takes from, fine voxels.
_DEPTH, _GUEST_DEPTH = 3, 2
#: What is smaller there has no density to compare with, fine voxels (2.4 ml).
_LEAST_CORE: Final = 300
#: Fine voxels that are peeled off before pieces are told apart: a seam of fat is as thin.
_PEEL: Final = 2
#: What is smaller after that is no organ, fine voxels (4 ml).
_LEAST_PIECE: Final = 500
#: So much of the surface of a piece within another structure lies against that one.
_ENCLOSED: Final = 0.6


@dataclass(frozen=True, slots=True)
class Claim:
    """What a structure may take from whom.

    Attributes:
        most_hu: no more than so far from the host's median density, HU: an organ that the network
            mixed up with another has a spread that says nothing.
        reach: no farther from the host, fine voxels; None: however far.
    """

    host: S
    guests: tuple[S, ...]
    most_hu: float = 20.0
    reach: int | None = None


@dataclass(frozen=True, slots=True)
class Density:
    """HU of the inner part of a structure: median, and standard deviation by the median."""

    median: float
    spread: float


def density_of(mask: Mask, smooth: Floats, depth: int = _DEPTH) -> Density | None:
    """The density of a structure, or None where it is too small to have one.

    Args:
        mask, smooth: (slice, row, column) on the fine grid, `smooth` in HU.
        depth: fine voxels from its border.
    """
    inner = smooth[eroded(mask, depth, beyond=False)]
    if inner.size < _LEAST_CORE:
        return None
    median = float(np.median(inner))
    return Density(median, 1.4826 * float(np.median(np.abs(inner - median))))


def take(labels: Labels, smooth: Floats, claim: Claim) -> None:
    """Give the host what it claims; in place.

    Args:
        labels, smooth: (slice, row, column) on the fine grid, `smooth` in HU, free of noise.
    """
    own = labels == claim.host
    density = density_of(own, smooth)
    if density is None:
        return
    away = np.abs(smooth - density.median)
    alike = away <= min(_SPREADS * max(density.spread, _LEAST_SPREAD_HU), claim.most_hu)
    guest = alike & _nearer_than_own(labels, smooth, claim, away)
    if claim.reach is not None:
        guest &= dilated(own, claim.reach)
    both = own | guest
    pieces, count = cc3d.connected_components(
        eroded(both, _PEEL, beyond=False), connectivity=6, return_N=True
    )
    hosts = np.bincount(pieces[own], minlength=count + 1)
    # A piece of which the guest holds more is the guest's own.
    good = (hosts > np.bincount(pieces[guest], minlength=count + 1)) & (hosts >= _LEAST_PIECE)
    good[0] = False
    joined = good[pieces]
    for _ in range(_PEEL + 1):
        joined = dilated(joined) & both
    labels[guest & joined] = claim.host


def take_enclosed(labels: Labels, host: S, guest: S) -> None:
    """Give the host the pieces of another structure that lie within it; in place.

    Args:
        labels: (slice, row, column) on the fine grid.
    """
    mask = labels == guest
    pieces = cc3d.connected_components(mask, connectivity=6)
    for number, box in enumerate(ndimage.find_objects(pieces.astype(np.int32)), start=1):
        around = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)
        piece = pieces[around] == number
        shell = labels[around][dilated(piece) & ~piece]
        if shell.size and (shell == host).mean() >= _ENCLOSED:
            labels[around][piece] = host


def _nearer_than_own(labels: Labels, smooth: Floats, claim: Claim, away: Floats) -> Mask:
    """The voxels of the guests that are not more like what they are called."""
    out = np.zeros(labels.shape, np.bool_)
    for structure in claim.guests:
        mask = labels == structure
        # What has no name has no density of its own; muscles are equally dense.
        if structure is not S.BODY:
            kind = np.isin(labels, _MUSCLES) if structure in _MUSCLES else mask
            density = density_of(kind, smooth, _GUEST_DEPTH)
            if density is not None:
                mask = mask & (away < np.abs(smooth - density.median))
        out |= mask
    return out
