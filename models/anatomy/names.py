"""Names and label values of what the package hands out.

Names are those of public segmentation models (`models.importers.structures` knows their codes).
"""

from __future__ import annotations

from collections.abc import Mapping

from models.anatomy.structures import Structure
from node.domain.anatomy import LEVELS

RIGHT, LEFT = "right", "left"

#: Structures without sides: label value and name.
SINGLE: Mapping[Structure, tuple[int, str]] = {
    Structure.BODY: (1, "body"),
    Structure.LIMB: (2, "limbs"),
    Structure.SACRUM: (3, "sacrum"),
    Structure.DISC: (4, "intervertebral_discs"),
    Structure.POSTERIOR: (5, "vertebral_posterior_elements"),
    Structure.CANAL: (6, "spinal_canal"),
    Structure.HEART: (7, "heart"),
    Structure.AORTA: (8, "aorta"),
    Structure.LIVER: (9, "liver"),
    Structure.SPLEEN: (10, "spleen"),
    Structure.BLADDER: (11, "urinary_bladder"),
    Structure.ABDOMINAL_WALL: (12, "abdominal_wall_muscles"),
    Structure.PELVIC_MUSCLE: (13, "pelvic_muscles"),
}

#: Structures with sides: label values (right, left) and name without its side.
PAIRED: Mapping[Structure, tuple[tuple[int, int], str]] = {
    Structure.LUNG: ((20, 21), "lung"),
    Structure.KIDNEY: ((22, 23), "kidney"),
    Structure.HIP_BONE: ((24, 25), "hip"),
    Structure.FEMUR: ((26, 27), "femur"),
    Structure.RIB: ((28, 29), "ribs"),
    Structure.RIB_11: ((30, 31), "rib_11"),
    Structure.RIB_12: ((32, 33), "rib_12"),
    Structure.PSOAS: ((34, 35), "iliopsoas"),
    Structure.ERECTOR: ((36, 37), "autochthon"),
    Structure.QUADRATUS: ((38, 39), "quadratus_lumborum"),
}

FIRST_LEVEL = 50
"""Label value of L5; the next level above has the next value."""
FIRST_UNNAMED = 80
"""Label value of the lowest vertebra where no level can be stated."""


def sided(name: str, side: str) -> str:
    """ "kidney" and "left" as "kidney_left", "rib_12" as "rib_left_12"."""
    head, _, number = name.rpartition("_")
    return f"{head}_{side}_{number}" if number.isdecimal() else f"{name}_{side}"


def vertebra_value(level: str) -> int:
    """Label value of a named vertebra."""
    return FIRST_LEVEL + LEVELS.index(level)
