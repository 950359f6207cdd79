"""What a simulated voxel can be, and how the finer labels make up the compartments."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint8]


class Tissue(IntEnum):
    """Label of one voxel; a voxel has exactly one."""

    AIR = 0
    TABLE = 1
    CLOTHES = 2
    SKIN = 3
    SUBCUTANEOUS_FAT = 4
    WALL_MUSCLE = 5  # obliques, transversus, latissimus, serratus
    RECTUS = 6
    LINEA_ALBA = 7
    PSOAS = 8  # below the pelvic brim: iliopsoas
    QUADRATUS = 9
    ERECTOR = 10
    PELVIC_MUSCLE = 11  # gluteals, rotators, thigh
    INTERMUSCULAR_FAT = 12
    VISCERAL_FAT = 13  # intra- and retroperitoneal
    LIVER = 14
    SPLEEN = 15
    KIDNEY = 16
    KIDNEY_SINUS = 17
    ARTERY = 18
    VEIN = 19
    BOWEL_WALL = 20
    BOWEL_GAS = 21
    BOWEL_FLUID = 22
    BOWEL_CONTRAST = 23
    STOOL = 24
    BLADDER = 25
    LUNG = 26
    HEART = 27
    MEDIASTINAL_FAT = 28
    DIAPHRAGM = 29
    PANCREAS = 30
    PELVIC_ORGAN = 31
    GALLBLADDER = 32
    MESENTERIC_VESSEL = 33
    LUNG_VESSEL = 34
    ASCITES = 35
    RIB = 36
    CARTILAGE = 37
    HIP_BONE = 38
    FEMUR = 39
    ARCH = 40  # pedicles, laminae, processes
    CANAL = 41
    DISC = 42
    SACRUM = 43
    L5 = 44
    L4 = 45
    L3 = 46
    L2 = 47
    L1 = 48
    T12 = 49
    T11 = 50
    T10 = 51
    T9 = 52
    T8 = 53
    T7 = 54
    T6 = 55
    ARM_SKIN = 56
    ARM_FAT = 57
    ARM_MUSCLE = 58
    ARM_BONE = 59
    METAL = 60
    BREAST = 61
    THORACIC_VESSEL = 62  # great vessels above the diaphragm
    INTERCOSTAL = 63  # muscle between two ribs, counted with the rib cage


class Compartment(IntEnum):
    """Classes of the network that finds compartments, in its order."""

    OUTSIDE = 0
    SUBCUTANEOUS = 1
    MUSCLE = 2
    BONE = 3
    VISCERAL = 4
    THORAX = 5
    LIMB = 6


class Level(IntEnum):
    """Classes of the network that finds vertebral levels, in its order."""

    BACKGROUND = 0
    SACRUM = 1
    L5 = 2
    L4 = 3
    L3 = 4
    L2 = 5
    L1 = 6
    T12 = 7
    T11 = 8
    UPPER_THORACIC = 9
    POSTERIOR = 10
    RIBS = 11
    HIP_BONES = 12
    LUNGS = 13
    KIDNEYS = 14


MUSCLES = (
    Tissue.WALL_MUSCLE,
    Tissue.RECTUS,
    Tissue.LINEA_ALBA,
    Tissue.PSOAS,
    Tissue.QUADRATUS,
    Tissue.ERECTOR,
    Tissue.PELVIC_MUSCLE,
    Tissue.INTERMUSCULAR_FAT,
)
"""The muscle compartment, fat in it included."""

BODIES = (
    Tissue.L5,
    Tissue.L4,
    Tissue.L3,
    Tissue.L2,
    Tissue.L1,
    Tissue.T12,
    Tissue.T11,
    Tissue.T10,
    Tissue.T9,
    Tissue.T8,
    Tissue.T7,
    Tissue.T6,
)
"""Vertebral bodies from below to above."""

BONES = (
    Tissue.RIB,
    Tissue.HIP_BONE,
    Tissue.FEMUR,
    Tissue.ARCH,
    Tissue.SACRUM,
    Tissue.ARM_BONE,
    *BODIES,
)
"""Labels with a cortex and marrow."""


def _compartments() -> NDArray[np.uint8]:
    table = np.full(256, Compartment.VISCERAL, np.uint8)
    for tissue in (Tissue.AIR, Tissue.TABLE, Tissue.CLOTHES, Tissue.METAL):
        table[tissue] = Compartment.OUTSIDE
    for tissue in (Tissue.SKIN, Tissue.SUBCUTANEOUS_FAT, Tissue.BREAST):
        table[tissue] = Compartment.SUBCUTANEOUS
    table[list(MUSCLES)] = Compartment.MUSCLE
    table[list(BONES)] = Compartment.BONE
    for tissue in (Tissue.CANAL, Tissue.DISC, Tissue.CARTILAGE, Tissue.INTERCOSTAL):
        table[tissue] = Compartment.BONE
    table[Tissue.THORACIC_VESSEL] = Compartment.THORAX
    for tissue in (Tissue.LUNG, Tissue.LUNG_VESSEL, Tissue.HEART, Tissue.MEDIASTINAL_FAT):
        table[tissue] = Compartment.THORAX
    for tissue in (Tissue.ARM_SKIN, Tissue.ARM_FAT, Tissue.ARM_MUSCLE, Tissue.ARM_BONE):
        table[tissue] = Compartment.LIMB
    return table


def _levels() -> NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    table[Tissue.SACRUM] = Level.SACRUM
    for tissue, level in zip(BODIES[:7], range(Level.L5, Level.T11 + 1), strict=True):
        table[tissue] = level
    table[list(BODIES[7:])] = Level.UPPER_THORACIC
    table[Tissue.ARCH] = Level.POSTERIOR
    table[Tissue.RIB] = Level.RIBS
    table[Tissue.HIP_BONE] = Level.HIP_BONES
    table[Tissue.FEMUR] = Level.HIP_BONES
    table[Tissue.LUNG] = Level.LUNGS
    table[Tissue.LUNG_VESSEL] = Level.LUNGS
    table[Tissue.KIDNEY] = Level.KIDNEYS
    table[Tissue.KIDNEY_SINUS] = Level.KIDNEYS
    return table


COMPARTMENT_OF = _compartments()
"""(256,) uint8: `COMPARTMENT_OF[labels]` gives compartments."""

LEVEL_OF = _levels()
"""(256,) uint8: `LEVEL_OF[labels]` gives the classes of the level network."""
