"""Classes that a voxel's own density contradicts: air beside the patient is no lung, fat no muscle.

The network sees 4 mm voxels and learned from simulated images; where the image itself decides,
it is asked. Thresholds are those by which the tissues are defined, none is fitted to a scan.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.anatomy.sampling import FINE_MM, Sight
from models.anatomy.structures import Structure as S
from models.body_composition.plausibility import body_mask
from models.grid import Floats
from models.morphology import dilated

Mask = NDArray[np.bool_]
Labels = NDArray[np.uint8]

#: Less dense than this is gas or aerated lung, denser is not, HU.
AERATED_HU: Final = -500.0
#: A border voxel of the lung denser than this is chest wall, diaphragm or mediastinum, HU.
SOLID_HU: Final = -200.0
#: Less dense than this is fat or gas, HU: adipose tissue is -190 to -30, on average -100.
FAT_HU: Final = -50.0
#: How far the network's border of a lung may be off, fine voxels.
_REACH: Final = 3

#: Of one tissue without fat in it.
_LEAN: Final = (S.LIVER, S.SPLEEN, S.AORTA, S.BLADDER, S.PSOAS, S.ERECTOR, S.QUADRATUS,
                S.ABDOMINAL_WALL, S.PELVIC_MUSCLE)  # fmt: skip
#: Of what may hold fat or marrow, but no gas.
_AIRLESS: Final = (S.HEART, S.KIDNEY, S.SACRUM, S.HIP_BONE, S.FEMUR, S.POSTERIOR, S.CANAL, S.DISC,
                   S.RIB, S.RIB_11, S.RIB_12)  # fmt: skip
#: The aerated rim of a lung may have been given to these.
_BESIDE_LUNG: Final = (S.BODY, S.LIVER, S.SPLEEN, S.HEART, S.AORTA, S.RIB, S.RIB_11, S.RIB_12,
                       S.ABDOMINAL_WALL, S.ERECTOR, S.POSTERIOR)  # fmt: skip


def by_density(sight: Sight) -> Sight:
    """The sight with labels that agree with the image."""
    labels = sight.labels.copy()
    inside = bodies(sight.hu)
    labels[~inside & (labels != S.LIMB)] = S.OUTSIDE
    _lungs(labels, sight.hu, inside)
    labels[np.isin(labels, _LEAN) & (sight.hu < FAT_HU)] = S.BODY
    labels[np.isin(labels, _AIRLESS) & (sight.hu < AERATED_HU)] = S.BODY
    return replace(sight, labels=labels)


def bodies(hu: Floats) -> Mask:
    """(slice, row, column) within the skin, slice by slice; every second one is looked at."""
    out = np.zeros(hu.shape, np.bool_)
    for index in range(0, len(hu), 2):
        out[index : index + 2] = body_mask(hu[index], (FINE_MM, FINE_MM))
    return out


def _lungs(labels: Labels, hu: Floats, inside: Mask) -> None:
    """Draw the borders of the lungs, where the network has them, to where the air ends."""
    lung = labels == S.LUNG
    for index in np.flatnonzero(lung.any(axis=(1, 2))):
        here, plane = lung[index], hu[index]
        rim = dilated(~here, _REACH) & here
        labels[index][rim & (plane > SOLID_HU)] = S.BODY
        free = np.isin(labels[index], _BESIDE_LUNG) & inside[index]
        labels[index][dilated(here, _REACH) & free & (plane < AERATED_HU)] = S.LUNG
