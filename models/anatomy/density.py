"""Classes that the image contradicts: air beside the patient is no lung, fat and bone no muscle.

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
from models.anatomy.structures import BODIES
from models.anatomy.structures import Structure as S
from models.grid import Floats, Mask
from models.hounsfield import BODY_HU
from models.morphology import dilated, holes_filled, largest_component, opened
from models.trunk.pixels import LEAST_LUNG, LUNG_HU

Labels = NDArray[np.uint8]

#: Less dense than this is gas or aerated lung, denser is not, HU.
AERATED_HU: Final = -500.0
#: A border voxel of the lung denser than this is chest wall, diaphragm or mediastinum, HU.
SOLID_HU: Final = -200.0
#: Less dense than this is fat or gas, HU: adipose tissue is -190 to -30, on average -100.
FAT_HU: Final = -50.0
#: The densest that skeletal muscle is, enhanced or not, HU; what reaches the other is surely bone.
MUSCLE_HU: Final = 150.0
BONE_HU: Final = 200.0
#: A piece is bone that has so many fine voxels (0.3 ml), a third of so many surely bone, and a
#: twentieth of its own called so by the network.
_PIECE: Final = 38
_SURE: Final = 1 / 3
_CALLED: Final = 1 / 20
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
#: What looks like air within the patient.
_AIRY: Final = (S.BODY, S.LUNG)
_MUSCLES: Final = (S.ABDOMINAL_WALL, S.ERECTOR, S.QUADRATUS, S.PSOAS, S.PELVIC_MUSCLE)
_BONES: Final = (S.SACRUM, *BODIES, S.POSTERIOR, S.RIB, S.RIB_11, S.RIB_12, S.HIP_BONE, S.FEMUR)

#: Never beside or above lung.
_PELVIC: Final = (S.SACRUM, S.HIP_BONE, S.FEMUR, S.BLADDER, S.PELVIC_MUSCLE)


def by_density(sight: Sight) -> Sight:
    """The sight with labels that agree with the image."""
    labels = sight.labels.copy()
    inside = bodies(sight.hu)
    labels[~inside & (labels != S.LIMB)] = S.OUTSIDE
    _likeliest(labels, sight.logits, inside & (labels == S.OUTSIDE), _AIRY)
    _bones(labels, sight)
    first = _first_chest_slice(sight.hu, inside)
    above = labels[first:]
    above[np.isin(above, _PELVIC)] = S.BODY
    _lungs(labels, sight.hu, inside)
    labels[np.isin(labels, _LEAN) & (sight.hu < FAT_HU)] = S.BODY
    labels[np.isin(labels, _AIRLESS) & (sight.hu < AERATED_HU)] = S.BODY
    return replace(sight, labels=labels)


def _likeliest(labels: Labels, logits: Floats, where: Mask, among: tuple[S, ...]) -> None:
    """Give voxels the class that the network holds likeliest among some."""
    at = np.nonzero(where)
    if not at[0].size or not among:
        return
    # Two fine voxels for each coarse one, on every axis.
    z, y, x = (axis // 2 for axis in at)
    scores = np.stack([logits[structure, z, y, x] for structure in among])
    labels[at] = np.array(among, np.uint8)[scores.argmax(axis=0)]


def _bones(labels: Labels, sight: Sight) -> None:
    """Turn muscle that is too dense, and one piece with a bone, into the likeliest bone."""
    dense = sight.hu > MUSCLE_HU
    muscle = np.isin(labels, _MUSCLES) & dense
    bone = np.isin(labels, _BONES) & dense
    pieces, count = cc3d.connected_components(muscle | bone, connectivity=6, return_N=True)
    sizes, sure, called = (
        np.bincount(pieces[mask], minlength=count + 1) for mask in (dense, sight.hu > BONE_HU, bone)
    )
    good = (sizes >= _PIECE) & (sure >= _SURE * _PIECE) & (called >= _CALLED * sizes)
    good[0] = False
    # Of a bone that the network sees nowhere there is nothing to add to.
    seen = np.bincount(labels[bone], minlength=len(S))
    among = tuple(one for one in _BONES if seen[one] >= _PIECE)
    turned = labels.copy()
    _likeliest(turned, sight.logits, muscle & good[pieces], among)
    # Bodies stay as they were: where they end is told from their discs.
    np.copyto(labels, turned, where=~np.isin(turned, BODIES))


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
