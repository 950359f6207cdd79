"""Codes, colours and words of the results.

Codes read in PS3.16 unless marked; what PS3.16 has no code for is coded in our own private
scheme 99VIGIE (PS3.16 8.2) rather than by a standard code of another meaning.
"""

from __future__ import annotations

from enum import StrEnum

from node.domain.finding import CodedConcept

EMBOLISM = CodedConcept("59282003", "SCT", "Pulmonary embolism")
EMBOLUS = CodedConcept("55584005", "SCT", "Embolus")
ABNORMAL = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
PRESENT = CodedConcept("52101004", "SCT", "Present")
ABSENT = CodedConcept("272519000", "SCT", "Absent")
INDETERMINATE = CodedConcept("82334004", "SCT", "Indeterminate")

PULMONARY_ARTERY = CodedConcept("81040000", "SCT", "Pulmonary artery")
PULMONARY_TRUNK = CodedConcept("45341000", "SCT", "Pulmonary trunk")
RIGHT_PULMONARY_ARTERY = CodedConcept("78480002", "SCT", "Right pulmonary artery")
LEFT_PULMONARY_ARTERY = CodedConcept("50408007", "SCT", "Left pulmonary artery")
RIGHT = CodedConcept("24028007", "SCT", "Right")
LEFT = CodedConcept("7771000", "SCT", "Left")

CERTAINTY = CodedConcept("111012", "DCM", "Certainty of Finding")
VOLUME = CodedConcept("118565006", "SCT", "Volume")
ATTENUATION = CodedConcept("112181", "DCM", "Mean Attenuation Coefficient")
MEAN = CodedConcept("373098007", "SCT", "Mean")
CLOT_BURDEN = CodedConcept("CLOT-BURDEN", "99VIGIE", "Volume of all emboli")
BLOOD = CodedConcept("PA-ATTENUATION", "99VIGIE", "Attenuation of pulmonary artery blood")
VENTRICLE_RATIO = CodedConcept("RV-LV-RATIO", "99VIGIE", "Right to left ventricle diameter ratio")
LEVEL = CodedConcept("EMBOLUS-LEVEL", "99VIGIE", "Most central vessel of the embolus")
HIGHEST_LEVEL = CodedConcept("EMBOLUS-MAXLEVEL", "99VIGIE", "Most central vessel of all emboli")
VENTRICLES = CodedConcept("RV-LV-TEXT", "99VIGIE", "Ventricles")

PERCENT = CodedConcept("%", "UCUM", "%")
MM3 = CodedConcept("mm3", "UCUM", "mm3")
HU = CodedConcept("[hnsf'U]", "UCUM", "Hounsfield unit")
RATIO = CodedConcept("{ratio}", "UCUM", "ratio")

CLOT_COLOUR = (255, 64, 64)
POSSIBLE_COLOUR = (245, 190, 65)
#: Window of CT pulmonary angiography: dense blood and clot both inside.
ANGIOGRAPHY_WINDOW = (150.0, 700.0)


class Level(StrEnum):
    """The most central vessel that a clot lies in, as reports name it."""

    CENTRAL = "central"
    LOBAR = "lobar"
    SEGMENTAL = "segmental"
    SUBSEGMENTAL = "subsegmental"

    @property
    def rank(self) -> int:
        """0 is the most central."""
        return tuple(Level).index(self)


LIMITS = (
    "No annotated real embolus was at hand when this model was made: it learned from simulated "
    "arteries and clots. Read the images.",
    "Arteries below 3 mm are not judged reliably: that nothing is marked there excludes nothing.",
    "Only clots in the pulmonary arteries were looked for: no thrombus in the heart or in veins, "
    "no aorta, no other finding.",
    "Level and side follow from the calibre and place of the vessel, not from a traced tree.",
)
