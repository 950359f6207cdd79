"""What a voxel of the simulated chest can be."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Lobe(StrEnum):
    """A lobe of the lungs, or the mediastinum for what lies before the lobes."""

    RIGHT_UPPER = "right upper"
    RIGHT_MIDDLE = "right middle"
    RIGHT_LOWER = "right lower"
    LEFT_UPPER = "left upper"
    LEFT_LOWER = "left lower"
    MEDIASTINUM = "mediastinum"


class ChestTissue(IntEnum):
    """Label of one voxel; a voxel has exactly one (the one that fills most of it)."""

    AIR = 0
    TABLE = 1
    CLOTHES = 2
    SKIN = 3
    SUBCUTANEOUS_FAT = 4
    MUSCLE = 5
    INTERMUSCULAR_FAT = 6
    BREAST = 7
    RIB = 8
    CARTILAGE = 9
    STERNUM = 10
    CLAVICLE = 11
    SCAPULA = 12
    HUMERUS = 13
    VERTEBRA = 14
    DISC = 15
    CANAL = 16
    RIGHT_UPPER_LOBE = 20
    RIGHT_MIDDLE_LOBE = 21
    RIGHT_LOWER_LOBE = 22
    LEFT_UPPER_LOBE = 23
    LEFT_LOWER_LOBE = 24
    FISSURE = 25
    TRACHEA = 26  # lumen, down to the carina
    AIRWAY = 27  # lumen of the bronchi
    AIRWAY_WALL = 28
    PULMONARY_ARTERY = 30
    PULMONARY_VEIN = 31
    AORTA = 32
    ARCH_BRANCH = 33  # brachiocephalic trunk, carotid, subclavian arteries
    SUPERIOR_VENA_CAVA = 34  # with the brachiocephalic veins
    INFERIOR_VENA_CAVA = 35
    AZYGOS = 36
    LEFT_VENTRICLE = 40
    RIGHT_VENTRICLE = 41
    LEFT_ATRIUM = 42
    RIGHT_ATRIUM = 43
    MYOCARDIUM = 44
    PERICARDIUM = 45
    MEDIASTINAL_FAT = 46
    LYMPH_NODE = 47
    OESOPHAGUS = 48
    OESOPHAGEAL_GAS = 49
    THYROID = 50
    EFFUSION = 51
    ATELECTASIS = 52
    SCAR = 53  # bands and scars
    GRANULOMA = 54  # calcified
    BULLA = 55  # emphysema
    DIAPHRAGM = 56
    LIVER = 57
    SPLEEN = 58
    STOMACH = 59
    STOMACH_GAS = 60
    KIDNEY = 61
    ABDOMINAL_FAT = 62
    METAL = 63


LOBE_TISSUE: dict[Lobe, ChestTissue] = {
    Lobe.RIGHT_UPPER: ChestTissue.RIGHT_UPPER_LOBE,
    Lobe.RIGHT_MIDDLE: ChestTissue.RIGHT_MIDDLE_LOBE,
    Lobe.RIGHT_LOWER: ChestTissue.RIGHT_LOWER_LOBE,
    Lobe.LEFT_UPPER: ChestTissue.LEFT_UPPER_LOBE,
    Lobe.LEFT_LOWER: ChestTissue.LEFT_LOWER_LOBE,
}

LUNG_LOBES = tuple(LOBE_TISSUE.values())

LUNG_CONTENT = (
    *LUNG_LOBES,
    ChestTissue.FISSURE,
    ChestTissue.BULLA,
    ChestTissue.SCAR,
    ChestTissue.GRANULOMA,
)
"""Parenchyma and what lies in it; vessels and airways have labels of their own."""
