"""Organs that touch: a piece of one that lies in another, and looks like it, belongs to it.

The network places organs by where they usually lie; the back of a liver or the inner side of a
spleen is then called kidney. Fat parts a kidney from both. So a part of a kidney that is one piece
with a liver or spleen, with nothing in between, and has its density, is theirs. And what lies
below the diaphragm is nothing of a chest whose lungs go on beyond the lowest image.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.anatomy.sampling import FINE_MM, Sight
from models.anatomy.structures import Structure as S
from models.grid import Floats, Mask

_HOSTS: Final = (S.LIVER, S.SPLEEN)
#: None of them lies beside so much lung, cm2 of both, as the lowest images (so many) show.
_BELOW_LUNGS: Final = (
    S.SACRUM, S.HIP_BONE, S.FEMUR,
    S.KIDNEY, S.BLADDER, S.PSOAS, S.QUADRATUS, S.PELVIC_MUSCLE,
)  # fmt: skip
_WIDE_LUNG_CM2: Final = 60.0
_LOWEST: Final = 5
#: Density is compared in the mean of a cube of so many fine voxels (1 cm), free of noise.
_CUBE: Final = 5
#: Like the host's: so many times the spread of its own density from its median; the spread is
#: at least so many HU.
_SPREADS: Final = 2.0
_LEAST_SPREAD_HU: Final = 8.0
#: Fine voxels that are peeled off before pieces are told apart: a seam of fat is as thin.
_PEEL: Final = 1
#: A host with a smaller core has no density to compare with, fine voxels (4 ml).
_LEAST_CORE: Final = 500


def rejoined(sight: Sight) -> Sight:
    """The sight with kidney given back to the liver and the spleen."""
    labels = sight.labels.copy()
    box = _box(np.isin(labels, [*_HOSTS, S.KIDNEY]))
    if box is None:
        return sight
    part = labels[box]
    smooth = ndimage.uniform_filter(sight.hu[box], _CUBE, mode="nearest")
    for host in _HOSTS:
        _give_back(part, smooth, host)
    return replace(sight, labels=labels)


def above_the_abdomen(sight: Sight) -> Sight:
    """The sight without what lies below the diaphragm, where the images end above it.

    At the upper poles of the kidneys the recesses of both lungs together are far smaller than
    `_WIDE_LUNG_CM2`; shoulders and neck otherwise get pieces of kidney and psoas.
    """
    labels = sight.labels
    slices = np.flatnonzero((labels != S.OUTSIDE).any(axis=(1, 2)))[:_LOWEST]
    areas = (labels[slices] == S.LUNG).sum(axis=(1, 2)) * (FINE_MM / 10.0) ** 2
    if not len(areas) or float(np.median(areas)) < _WIDE_LUNG_CM2:
        return sight
    return replace(sight, labels=np.where(np.isin(labels, _BELOW_LUNGS), S.BODY, labels))


def _box(mask: Mask) -> tuple[slice, slice, slice] | None:
    spans = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(k for k in range(3) if k != axis)))
        if not hit.size:
            return None
        spans.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return spans[0], spans[1], spans[2]


def _give_back(labels: NDArray[np.uint8], smooth: Floats, host: S) -> None:
    own = labels == host
    core = ndimage.binary_erosion(own, iterations=2 + _PEEL)
    if core.sum() < _LEAST_CORE:
        return
    median = float(np.median(smooth[core]))
    spread = 1.4826 * float(np.median(np.abs(smooth[core] - median)))
    alike = np.abs(smooth - median) <= _SPREADS * max(spread, _LEAST_SPREAD_HU)
    kidney = labels == S.KIDNEY
    both = ndimage.binary_erosion(own | (kidney & alike), iterations=_PEEL)
    parts, count = cc3d.connected_components(both, connectivity=6, return_N=True)
    if not count:
        return
    counts = np.bincount(parts[own], minlength=count + 1)
    guests = np.bincount(parts[kidney], minlength=count + 1)
    # The host's own piece, of which it holds the larger part.
    hosts = np.flatnonzero((counts > guests) & (counts >= _LEAST_CORE))
    joined = np.isin(parts, hosts[hosts > 0])
    grown = ndimage.binary_dilation(joined, iterations=_PEEL + 1, mask=own | (kidney & alike))
    labels[kidney & grown] = host
