"""Classes that a voxel's own density contradicts: air beside the patient is no lung, fat no muscle.

The network sees 4 mm voxels and learned from simulated images; where the image itself decides,
it is asked. Thresholds are those by which the tissues are defined, none is fitted to a scan.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import cc3d
import numpy as np
from numpy.typing import NDArray

from models.anatomy.sampling import Sight
from models.anatomy.structures import Structure as S
from models.grid import Floats, Mask
from models.morphology import dilated, holes_filled, largest_component, opened
from models.trunk.pixels import BODY_HU, LEAST_LUNG, LUNG_HU

Labels = NDArray[np.uint8]

#: Less dense than this is gas or aerated lung, denser is not, HU.
AERATED_HU: Final = -500.0
#: A border voxel of the lung denser than this is chest wall, diaphragm or mediastinum, HU.
SOLID_HU: Final = -200.0
#: Less dense than this is fat or gas, HU: adipose tissue is -190 to -30, on average -100.
FAT_HU: Final = -50.0
#: The largest section of a vessel within a lung, fine voxels (4 cm2).
_VESSEL: Final = 100
#: What is thinner than twice so many fine voxels is no part of a trunk: tubes, the table's top.
_OPENED: Final = 2
#: How far beyond the air, and how far before its end, the network may draw a lung, fine voxels.
_RIM: Final = 3
_REACH: Final = 8

#: Of one tissue without fat in it.
_LEAN: Final = (S.LIVER, S.SPLEEN, S.AORTA, S.BLADDER, S.PSOAS, S.ERECTOR, S.QUADRATUS,
                S.ABDOMINAL_WALL, S.PELVIC_MUSCLE)  # fmt: skip
#: Of what may hold fat or marrow, but no gas.
_AIRLESS: Final = (S.HEART, S.KIDNEY, S.SACRUM, S.HIP_BONE, S.FEMUR, S.POSTERIOR, S.CANAL, S.DISC,
                   S.RIB, S.RIB_11, S.RIB_12)  # fmt: skip

#: Never beside or above lung.
_PELVIC: Final = (S.SACRUM, S.HIP_BONE, S.FEMUR, S.BLADDER, S.PELVIC_MUSCLE)


def by_density(sight: Sight) -> Sight:
    """The sight with labels that agree with the image."""
    labels = sight.labels.copy()
    inside = bodies(sight.hu)
    labels[~inside & (labels != S.LIMB)] = S.OUTSIDE
    first = _first_chest_slice(sight.hu, inside)
    above = labels[first:]
    above[np.isin(above, _PELVIC)] = S.BODY
    _lungs(labels, sight.hu, inside)
    labels[np.isin(labels, _LEAN) & (sight.hu < FAT_HU)] = S.BODY
    labels[np.isin(labels, _AIRLESS) & (sight.hu < AERATED_HU)] = S.BODY
    return replace(sight, labels=labels)


def bodies(hu: Floats) -> Mask:
    """(slice, row, column) the patient, slice by slice: without the table, with all within."""
    row, column = np.ogrid[-_OPENED : _OPENED + 1, -_OPENED : _OPENED + 1]
    disc = np.asarray(row**2 + column**2 <= _OPENED**2, np.bool_)
    # Filled first: a chest wall is thin, and would be opened into the lung.
    filled = [holes_filled(plane > BODY_HU) for plane in hu]
    return np.stack([largest_component(opened(one, disc, beyond=True)) for one in filled])


def _first_chest_slice(hu: Floats, inside: Mask) -> int:
    """Lowest slice from which on lung is seen; the number of slices where there is none."""
    low, high = LUNG_HU
    lung = ((hu > low) & (hu < high) & inside).sum(axis=(1, 2))
    chest = lung > LEAST_LUNG * np.maximum(1, inside.sum(axis=(1, 2)))
    # Three in a row: a slice of bowel gas and its borders is not a chest.
    row = np.flatnonzero(chest[:-2] & chest[1:-1] & chest[2:])
    return int(row[0]) if row.size else len(hu)


def _lungs(labels: Labels, hu: Floats, inside: Mask) -> None:
    """Draw the borders of the lungs, where the network has them, to where the air ends."""
    lung = labels == S.LUNG
    for index in np.flatnonzero(lung.any(axis=(1, 2))):
        here, plane, drawn = lung[index], hu[index], labels[index]
        rim = dilated(~here, _RIM) & here
        drawn[rim & (plane > SOLID_HU)] = S.BODY
        # Through air alone, so that a wall stops it and bowel beyond the diaphragm stays out.
        free = inside[index] & (plane < AERATED_HU)
        grown = here & free
        for _ in range(_REACH):
            grown = dilated(grown) & free
        drawn[grown] = S.LUNG
        drawn[_small_holes(drawn == S.LUNG) & (drawn == S.BODY)] = S.LUNG


def _small_holes(lung: Mask) -> Mask:
    """What a (row, column) lung encloses and is no larger than a vessel."""
    parts = cc3d.connected_components(holes_filled(lung) & ~lung, connectivity=4)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(((sizes > 0) & (sizes <= _VESSEL))[parts], np.bool_)
