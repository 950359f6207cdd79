"""Classes of the anatomy network, in its order."""

from __future__ import annotations

from enum import IntEnum


class Structure(IntEnum):
    """What a voxel belongs to; a voxel has exactly one.

    Vertebrae are bodies without discs; `POSTERIOR` is pedicles, arches and processes of all of
    them. `BODY` is everything inside the skin that has no name of its own.
    """

    OUTSIDE = 0
    BODY = 1
    LIMB = 2
    SACRUM = 3
    L5 = 4
    L4 = 5
    L3 = 6
    L2 = 7
    L1 = 8
    T12 = 9
    T11 = 10
    T10 = 11
    UPPER_THORACIC = 12  # bodies of T9 and above
    DISC = 13
    POSTERIOR = 14
    CANAL = 15
    RIB = 16  # ribs 1 to 10, sternum
    RIB_11 = 17
    RIB_12 = 18
    HIP_BONE = 19
    FEMUR = 20
    LUNG = 21
    HEART = 22
    AORTA = 23
    LIVER = 24
    SPLEEN = 25
    KIDNEY = 26
    BLADDER = 27
    PSOAS = 28
    ERECTOR = 29
    QUADRATUS = 30
    ABDOMINAL_WALL = 31  # rectus, obliques, transversus, latissimus
    PELVIC_MUSCLE = 32  # gluteals, rotators, thigh


BODIES = (
    Structure.L5,
    Structure.L4,
    Structure.L3,
    Structure.L2,
    Structure.L1,
    Structure.T12,
    Structure.T11,
    Structure.T10,
    Structure.UPPER_THORACIC,
)
"""Classes of vertebral bodies from below to above."""
