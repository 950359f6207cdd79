"""Codes, colours and words of the results.

Codes read in PS3.16 unless marked; what has no code there is coded in our own scheme 99VIGIE
rather than by a standard code of another meaning.
"""

from __future__ import annotations

from models.vertebral_fractures.genant import Deformity
from node.domain.finding import CodedConcept, Column

#: From community code lists, not in PS3.16.
FRACTURE = CodedConcept("42942008", "SCT", "Compression fracture of vertebral column")
DEFORMITY = CodedConcept("VERT-DEFORMITY", "99VIGIE", "Possible fracture of vertebra")
MEASURED = CodedConcept("VERTEBRAL-BODY", "99VIGIE", "Vertebral body without loss of height")
UNGRADED = CodedConcept("VERT-UNGRADED", "99VIGIE", "Vertebral body, not graded")
FRACTURES = CodedConcept("FRACTURES", "99VIGIE", "Fractures found")
POSSIBLE = CodedConcept("POSSIBLE-FRACT", "99VIGIE", "Possible fractures")
BODY = CodedConcept("51282000", "SCT", "Vertebra")
ABNORMAL = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
ANATOMICAL = CodedConcept("91723000", "SCT", "Anatomical Structure")
PRESENT = CodedConcept("52101004", "SCT", "Present")
ABSENT = CodedConcept("272519000", "SCT", "Absent")
INDETERMINATE = CodedConcept("82334004", "SCT", "Indeterminate")

HEIGHT = CodedConcept("121207", "DCM", "Height")
ANTERIOR = CodedConcept("255549009", "SCT", "Anterior")
CENTRAL = CodedConcept("26216008", "SCT", "Central")
POSTERIOR = CodedConcept("255551008", "SCT", "Posterior")
PLACES = (
    (ANTERIOR, "Anterior height"),
    (CENTRAL, "Middle height"),
    (POSTERIOR, "Posterior height"),
)
LOSS = CodedConcept("HEIGHT-LOSS", "99VIGIE", "Largest loss of height")
CERTAINTY = CodedConcept("CERTAINTY-GRADE2", "99VIGIE", "Certainty of grade 2 or more")
ATTENUATION = CodedConcept("112181", "DCM", "Mean Attenuation Coefficient")
MEAN = CodedConcept("373098007", "SCT", "Mean")
GENANT = CodedConcept("GENANT-GRADE", "99VIGIE", "Genant grade")
SHAPE = CodedConcept("VERTEBRAL-SHAPE", "99VIGIE", "Shape of the loss of height")
DOUBT = CodedConcept("GENANT-DOUBT", "99VIGIE", "What is uncertain")
LEVELS_FIXED = CodedConcept("LEVELS-FIXED", "99VIGIE", "What fixes the vertebral levels")
NOT_MEASURED = CodedConcept("NOT-MEASURED", "99VIGIE", "Vertebrae in view that were not measured")
BONE = CodedConcept("TRABECULAR-BONE", "99VIGIE", "Spongy bone")
TRABECULAR = CodedConcept("TRABECULAR-HU", "99VIGIE", "Attenuation of spongy bone")

MM = CodedConcept("mm", "UCUM", "mm")
HU = CodedConcept("[hnsf'U]", "UCUM", "Hounsfield unit")
PERCENT = CodedConcept("%", "UCUM", "%")

GRADE_WORDS = {0: "none", 1: "mild", 2: "moderate", 3: "severe"}
SHAPES = {
    Deformity.NONE: "",
    Deformity.WEDGE: "wedge",
    Deformity.BICONCAVE: "biconcave",
    Deformity.CRUSH: "crush",
}

#: sRGB of bodies that keep their height, that may be fractured, that are; that have no grade.
SOUND_COLOUR, POSSIBLE_COLOUR, FRACTURE_COLOUR = (96, 214, 148), (255, 191, 64), (255, 84, 84)
UNGRADED_COLOUR = (140, 190, 255)
#: (centre, width), HU.
BONE_WINDOW = (350.0, 1500.0)
SPINE_WINDOW = (250.0, 1100.0)

COLUMNS = (
    Column("Genant", (GENANT,)),
    Column("Loss", (LOSS,)),
    Column("Heights a, m, p", (HEIGHT,)),
    Column("HU", (ATTENUATION,)),
)

#: Simulated fractures of grade 2 or more that were called, per cent of the card, not rounded up.
CALLED_THIN, CALLED_THICK = 95, 87
CALLED_WORDS = (
    f"Of simulated fractures of grade 2 or more {CALLED_THICK} % were called on slices of 5 mm, "
    f"{CALLED_THIN} % on slices up to 3 mm."
)

LIMITS = (
    "Only the heights of vertebral bodies were judged: no fracture without loss of height, none of "
    "arches, processes, sacrum or ribs, no tumour, no infection, no canal.",
    "A loss of height can be old, and can have other causes than a fracture (Scheuermann, form "
    "from birth). New or old is not told.",
    "The network learned from drawn vertebrae; look at the height points before using a number.",
    "Attenuation is no bone density: it depends on scanner, tube voltage and contrast medium. "
    "For L1 at 120 kV without contrast medium, Pickhardt et al. (Ann Intern Med 2013;158:588) "
    "found 160 HU or less 90 % sensitive, and 110 HU or less more than 90 % specific, for "
    "osteoporosis.",
)
