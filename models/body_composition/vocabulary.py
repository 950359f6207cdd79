"""Codes, colours and words of the results.

Codes read in PS3.16 unless marked; what PS3.16 has no code for is coded in our own private
scheme 99VIGIE (PS3.16 8.2) rather than by a standard code of another meaning.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.body_composition.tissues import Tissue
from node.domain.finding import CodedConcept


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueWords:
    """How one tissue is named, coded and painted."""

    finding: CodedConcept
    label: str
    volume: CodedConcept
    colour: tuple[int, int, int]
    slug: str


AREA = CodedConcept("42798000", "SCT", "Area")
ATTENUATION = CodedConcept("112181", "DCM", "Mean Attenuation Coefficient")
MEAN = CodedConcept("373098007", "SCT", "Mean")
TISSUE = CodedConcept("85756007", "SCT", "Tissue")
L3 = CodedConcept("36470004", "SCT", "L3 vertebra")
SMI = CodedConcept("SMI", "99VIGIE", "Skeletal muscle index at L3")
SMI_COMPARISON = CodedConcept("SMI-CUTOFF", "99VIGIE", "Skeletal muscle index against cut-off")
LEVEL_ANCHOR = CodedConcept("LEVEL-ANCHOR", "99VIGIE", "Vertebral level counted from")
CONTRAST = CodedConcept("CONTRAST-SEEN", "99VIGIE", "Contrast medium seen in the pixels")

CM2 = CodedConcept("cm2", "UCUM", "cm2")
CM3 = CodedConcept("cm3", "UCUM", "cm3")
HU = CodedConcept("[hnsf'U]", "UCUM", "Hounsfield unit")
CM2_PER_M2 = CodedConcept("cm2/m2", "UCUM", "cm2/m2")

WORDS: dict[Tissue, TissueWords] = {
    Tissue.MUSCLE: TissueWords(
        finding=CodedConcept("127954009", "SCT", "Skeletal muscle"),
        label="Skeletal muscle",
        volume=CodedConcept("VOL-MUSCLE", "99VIGIE", "Skeletal muscle volume"),
        colour=(214, 69, 65),
        slug="muscle",
    ),
    Tissue.SUBCUTANEOUS: TissueWords(
        finding=CodedConcept("727176007", "SCT", "Entire subcutaneous fatty tissue"),
        label="Subcutaneous fat",
        volume=CodedConcept("VOL-SAT", "99VIGIE", "Subcutaneous fat volume"),
        colour=(66, 135, 245),
        slug="sat",
    ),
    Tissue.VISCERAL: TissueWords(
        finding=CodedConcept("725274000", "SCT", "Entire adipose tissue of abdomen"),
        label="Visceral fat",
        volume=CodedConcept("VOL-VAT", "99VIGIE", "Visceral fat volume"),
        colour=(245, 190, 65),
        slug="vat",
    ),
    Tissue.INTERMUSCULAR: TissueWords(
        finding=CodedConcept("IMAT", "99VIGIE", "Intermuscular adipose tissue"),
        label="Intermuscular fat",
        volume=CodedConcept("VOL-IMAT", "99VIGIE", "Intermuscular fat volume"),
        colour=(96, 200, 120),
        slug="imat",
    ),
}

LIMITS = (
    "Only muscle and fat were measured; organs, vessels and bones were not assessed.",
    "The networks learned from simulated anatomy; look at the coloured slice before using a "
    "number.",
    "L3 was counted from the stated anchor. A transitional vertebra (a lumbarised or sacralised "
    "level) shifts the count by one.",
)
