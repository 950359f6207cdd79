"""Codes, labels and colours of what the package reports."""

from __future__ import annotations

from models.importers.structures import STRUCTURE, Structure, colour_of, structure_of
from node.domain.anatomy import LEVELS
from node.domain.finding import CodedConcept

VOLUME = CodedConcept("118565006", "SCT", "Volume")
VOLUME_IN_VIEW = CodedConcept("VOLUME-IN-VIEW", "99VIGIE", "Volume in view")
CM3 = CodedConcept("cm3", "UCUM", "cm3")
CATEGORY = CodedConcept(*STRUCTURE)
LEVEL_ANCHOR = CodedConcept("LEVEL-ANCHOR", "99VIGIE", "Vertebral level counted from")
LEVEL_DOUBT = CodedConcept("LEVEL-DOUBT", "99VIGIE", "Vertebral level not stated because")
NOT_SEEN = CodedConcept("NOT-SEEN", "99VIGIE", "Looked for and not seen")

#: Not reported: the rest of the body, the arms, and discs, which are here to part vertebrae.
NOT_REPORTED = frozenset({"body", "limbs", "intervertebral_discs"})

LIMITS = (
    "The network learned from simulated anatomy alone; look at the contours before using a volume "
    "or a contour.",
    "Structures are drawn on 2 mm voxels; vessels, ribs and processes thinner than 4 mm are drawn "
    "in part.",
    "Diseased organs were not simulated: a tumour, a cyst or fluid may be left out of its organ.",
    "Only what is named here was looked for; nothing else was assessed.",
)

#: Said where something that is looked for was not drawn.
UNSEEN = (
    "What was looked for and not seen was not recognised: that does not say that it is missing, "
    "or sound. It may lie beyond the images."
)
#: Said where only some of the vertebrae have a level.
PARTLY_COUNTED = (
    "Vertebrae beyond a disc that is not clear are only numbered: their levels cannot be counted "
    "from what fixes the others."
)

IN_VIEW = " in view"
#: Said where a structure reaches the edge of what was imaged.
CUT = (
    'What is named "in view" is cut by the first or last image or by the field of view: its '
    "volume and its contour are of the part in view, not of the whole."
)

_COLOURS: dict[str, tuple[int, int, int]] = {
    "liver": (168, 92, 60),
    "spleen": (157, 108, 162),
    "kidney_left": (205, 120, 66),
    "kidney_right": (185, 102, 83),
    "lung_left": (120, 180, 220),
    "lung_right": (90, 150, 210),
    "heart": (206, 110, 84),
    "aorta": (224, 70, 60),
    "urinary_bladder": (222, 205, 90),
    "sacrum": (212, 188, 102),
}


def structure(name: str) -> Structure:
    """Readable name, code and side of one of our structures."""
    return structure_of(name.replace("rib_left_", "left rib_").replace("rib_right_", "right rib_"))


def code(name: str) -> CodedConcept:
    """What it is."""
    return CodedConcept(*structure(name).code)


def laterality(name: str) -> CodedConcept | None:
    """Its side, where it has one."""
    side = structure(name).laterality
    return None if side is None else CodedConcept(*side)


def label(name: str, *, cut: bool = False) -> str:
    """As people read it: "Kidney left", "Vertebra L3"; "Liver in view" of one that is cut."""
    words = name.replace("_", " ")
    return f"{words[:1].upper()}{words[1:]}{IN_VIEW if cut else ''}"


def colour(name: str, value: int) -> tuple[int, int, int]:
    """sRGB; vertebrae take turns, so that neighbours differ."""
    if name in _COLOURS:
        return _COLOURS[name]
    level = name.removeprefix("vertebra_")
    if level in LEVELS:
        return colour_of(3 * LEVELS.index(level) + 1)
    return colour_of(value)
