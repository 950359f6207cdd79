"""Codes and words of the results.

Codes read in PS3.16 unless marked; RadElement's (sets RDES195 and RDES267) are declared by their
scheme in each object; what has no code elsewhere is coded in our own scheme 99VIGIE.
"""

from __future__ import annotations

from models.lung_nodules.density import Density
from node.domain.finding import FINDING_SITE, CodedConcept, Column

NODULE = CodedConcept("27925004", "SCT", "Nodule")
MASS = CodedConcept("4147007", "SCT", "Mass")
ABNORMAL = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
LUNG = CodedConcept("39607008", "SCT", "Lung")
RIGHT = CodedConcept("24028007", "SCT", "Right")
LEFT = CodedConcept("7771000", "SCT", "Left")
PRESENT = CodedConcept("52101004", "SCT", "Present")
ABSENT = CodedConcept("272519000", "SCT", "Absent")
INDETERMINATE = CodedConcept("82334004", "SCT", "Indeterminate")

LONG_AXIS = CodedConcept("103339001", "SCT", "Long axis")
SHORT_AXIS = CodedConcept("103340004", "SCT", "Short axis")
DIAMETER = CodedConcept("81827009", "SCT", "Diameter")
MEAN = CodedConcept("373098007", "SCT", "Mean")
VOLUME = CodedConcept("118565006", "SCT", "Volume")
DIAMETER_3D = CodedConcept("L0JK", "IBSI", "Maximum 3D Diameter of a Mesh")
ATTENUATION = CodedConcept("112181", "DCM", "Mean Attenuation Coefficient")
CERTAINTY = CodedConcept("111012", "DCM", "Certainty of Finding")
SOLID_PART = CodedConcept("SOLID-PART", "99VIGIE", "Diameter of the solid part")

COMPOSITION = CodedConcept("RDE1301", "RADELEMENT", "Composition")
LUNG_RADS = CodedConcept("RDES267", "RADELEMENT", "Lung-RADS")
CALCIFICATION = CodedConcept("CALCIFICATION", "99VIGIE", "Calcification")
BASIS = CodedConcept("BASIS", "99VIGIE", "How it was found")
BORDER = CodedConcept("BORDER", "99VIGIE", "Border")
LOBE = CodedConcept("LOBE", "99VIGIE", "Lobe")
GROUND_GLASS = CodedConcept("112120", "DCM", "Ground glass opacity")
CHANGE = CodedConcept("CHANGE", "99VIGIE", "Change against the earlier scan")
TREND = CodedConcept("TREND", "99VIGIE", "Trend")
SMALL_ONES = CodedConcept("NOT-LISTED", "99VIGIE", "Less certain candidates, not listed")

MM = CodedConcept("mm", "UCUM", "mm")
MM3 = CodedConcept("mm3", "UCUM", "mm3")
HU = CodedConcept("[hnsf'U]", "UCUM", "Hounsfield unit")
PERCENT = CodedConcept("%", "UCUM", "%")

SIDES = {"right": RIGHT, "left": LEFT}
#: Answer to the composition: PS3.16 has a code for ground glass only.
COMPOSITIONS: dict[Density, CodedConcept | str] = {
    Density.SOLID: "solid",
    Density.PART_SOLID: "part-solid",
    Density.GROUND_GLASS: GROUND_GLASS,
}

#: sRGB of the nodules, in turn.
COLOURS = (
    (255, 191, 64),
    (88, 196, 255),
    (255, 120, 120),
    (120, 230, 140),
    (220, 140, 255),
    (255, 240, 120),
)

COLUMNS = (
    Column("Where", (FINDING_SITE,)),
    Column("Size", (DIAMETER,)),
    Column("Volume", (VOLUME,)),
    Column("Density", (COMPOSITION,)),
    Column("Lung-RADS", (LUNG_RADS,)),
    Column("Certainty", (CERTAINTY,)),
)
#: Beside the others where an earlier scan was compared.
CHANGE_COLUMN = Column("Change", (TREND,))

#: Of a possible mass.
POSSIBLE_MASS = (
    "tissue where the other side has lung: a mass, a collapsed lobe or consolidation; its border "
    "towards the mediastinum is not seen, so that size and volume are rough"
)

LIMITS = (
    "Only nodules and masses of the lungs were looked for; lymph nodes, airways, pleura, bones "
    "and everything else were not assessed.",
    "The networks learned from simulated lungs; look at every contour before using a number. "
    "Nodules below 6 mm are often missed, ground glass of that size mostly.",
    "Lung-RADS is told by size, density and calcification alone; it was made for screening, and "
    "juxtapleural shape, cysts and airway nodules are not judged, and a category is never stepped "
    "down because a nodule stayed as it was.",
    "A large mass that is joined to the mediastinum is told as a possible mass where the two lungs "
    "differ; it may be a collapsed lobe or consolidation. Beside the heart and above the diaphragm "
    "it may be missed.",
    "The lobe is not determined.",
)


def set_aside(count: int) -> str:
    """What is said of places that the further looks did not confirm."""
    places = "1 place" if count == 1 else f"{count} places"
    return (
        f"Not listed: {places} that looked like a nodule at first, and less so when looked at "
        "again, turned and scaled."
    )


def joined(share: float) -> str:
    """What is said of a nodule whose border is hardly seen; 0..1 of its surface."""
    return (
        f"not seen over {100 * share:.0f} % of the surface, which touches wall, mediastinum, "
        "diaphragm or airless lung: size and volume are rough"
    )
