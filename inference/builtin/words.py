"""Codes of what the built-in pipelines measure (PS3.16 unless the scheme is 99VIGIE)."""

from __future__ import annotations

from node.domain.finding import CodedConcept

PRESENT = CodedConcept("52101004", "SCT", "Present")
ABSENT = CodedConcept("272519000", "SCT", "Absent")
MEAN = CodedConcept("373098007", "SCT", "Mean")

VOLUME = CodedConcept("118565006", "SCT", "Volume")
ATTENUATION = CodedConcept("112181", "DCM", "Mean Attenuation Coefficient")
AREA = CodedConcept("42798000", "SCT", "Area")
LONG_AXIS = CodedConcept("103339001", "SCT", "Long axis")
SHORT_AXIS = CodedConcept("103340004", "SCT", "Short axis")
DIAMETER = CodedConcept("81827009", "SCT", "Diameter")
CERTAINTY = CodedConcept("111012", "DCM", "Certainty of Finding")
#: A bounding box is no contour: its side is not a diameter.
BOX_SIDE = CodedConcept("BOX-SIDE", "99VIGIE", "Longer side of the bounding box")
LESIONS = CodedConcept("LESION-COUNT", "99VIGIE", "Number of lesions")
VIEW = CodedConcept("VIEW-SCORE", "99VIGIE", "Score of each view")
TISSUE_AREA = CodedConcept("TISSUE-AREA", "99VIGIE", "Area of tissue looked at")
REGION_PART = CodedConcept("REGION-PART", "99VIGIE", "Part of the tissue looked at")
OBJECTS = CodedConcept("OBJECT-COUNT", "99VIGIE", "Number of objects")
OBJECT_DENSITY = CodedConcept("OBJECT-DENSITY", "99VIGIE", "Objects per area of tissue")

CM3 = CodedConcept("cm3", "UCUM", "cm3")
CM2 = CodedConcept("cm2", "UCUM", "cm2")
MM2 = CodedConcept("mm2", "UCUM", "mm2")
UM2 = CodedConcept("um2", "UCUM", "um2")
MM = CodedConcept("mm", "UCUM", "mm")
HU = CodedConcept("[hnsf'U]", "UCUM", "Hounsfield unit")
PERCENT = CodedConcept("%", "UCUM", "%")
ONE = CodedConcept("1", "UCUM", "no units")
PER_MM2 = CodedConcept("/mm2", "UCUM", "/mm2")
