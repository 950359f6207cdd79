"""Liver, spleen and kidneys, each in one piece and with no more than what is its own.

The network places organs by where they usually lie; the back of a liver or the inner side of a
spleen is then called kidney, the back of a kidney quadratus lumborum, a gall bladder liver. Where
density and fat tell them apart, they decide. And what lies below the diaphragm is nothing of a
chest whose lungs go on beyond the lowest image.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from scipy import ndimage

from models.anatomy.claims import Claim, take, take_enclosed
from models.anatomy.organ_borders import without_fat, without_thin, without_unlike
from models.anatomy.sampling import FINE_MM, Sight
from models.anatomy.structures import Structure as S
from models.grid import Mask

_ORGANS: Final = (S.LIVER, S.SPLEEN, S.KIDNEY)
_AMONG_THEM: Final = (
    Claim(S.LIVER, (S.KIDNEY,)),
    Claim(S.SPLEEN, (S.KIDNEY,)),
    Claim(S.KIDNEY, (S.SPLEEN, S.LIVER)),
    # Cortex, medulla and sinus of a kidney differ.
    Claim(S.KIDNEY, (S.QUADRATUS, S.PSOAS, S.BODY), most_hu=40.0, reach=5),
)
_FROM_AROUND: Final = (
    Claim(S.LIVER, (S.BODY, S.ABDOMINAL_WALL), reach=6),
    Claim(S.SPLEEN, (S.BODY, S.ABDOMINAL_WALL), reach=4),
)
#: Fine voxels around the organs in which all of this happens.
_MARGIN: Final = 8
#: Density is compared in the mean of a cube of so many fine voxels (6 mm), freer of noise.
_CUBE: Final = 3
#: None of them lies beside so much lung, cm2 of both, as the lowest images (so many) show.
_BELOW_LUNGS: Final = (
    S.SACRUM, S.HIP_BONE, S.FEMUR,
    S.KIDNEY, S.BLADDER, S.PSOAS, S.QUADRATUS, S.PELVIC_MUSCLE,
)  # fmt: skip
_WIDE_LUNG_CM2: Final = 60.0
_LOWEST: Final = 5


def rejoined(sight: Sight) -> Sight:
    """The sight with organs to which the image gave back what is theirs, and no more."""
    box = _box(np.isin(sight.labels, _ORGANS))
    if box is None:
        return sight
    labels = sight.labels.copy()
    part, hu = labels[box], sight.hu[box]
    smooth = ndimage.uniform_filter(hu, _CUBE, mode="nearest")
    for claim in _AMONG_THEM:
        take(part, smooth, claim)
    for host in (S.LIVER, S.SPLEEN):
        take_enclosed(part, host, S.KIDNEY)
    without_fat(part, hu)
    for claim in _FROM_AROUND:
        take(part, smooth, claim)
    for organ in (S.LIVER, S.SPLEEN):
        without_unlike(part, smooth, organ)
    for organ in _ORGANS:
        without_thin(part, organ)
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
    """The mask and a margin around it."""
    spans = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(k for k in range(3) if k != axis)))
        if not hit.size:
            return None
        spans.append(slice(max(0, int(hit[0]) - _MARGIN), int(hit[-1]) + 1 + _MARGIN))
    return spans[0], spans[1], spans[2]
