"""Every coded concept that this package writes of its own, in one table.

A test looks each one up in pydicom's PS3.16 dictionaries, or in a reviewed list of
exceptions. The concepts of a clinical task (findings, sites, measurements) come with the
`Findings` and are not listed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydicom.sr.coding import Code

from node.domain.finding import CodedConcept


@dataclass(frozen=True, slots=True)
class Entry:
    """A concept and the context group (CID) or template (TID) it is taken from."""

    concept: CodedConcept
    origin: str


TABLE: Final[list[Entry]] = []


def _code(value: str, scheme: str, meaning: str, origin: str) -> CodedConcept:
    concept = CodedConcept(value, scheme, meaning)
    TABLE.append(Entry(concept, origin))
    return concept


def as_code(concept: CodedConcept) -> Code:
    """The same concept as pydicom and highdicom spell it."""
    return Code(concept.value, concept.scheme, concept.meaning)


# TID 1500 and the templates below it
IMAGING_MEASUREMENT_REPORT = _code("126000", "DCM", "Imaging Measurement Report", "CID 7021")
IMAGING_MEASUREMENTS = _code("126010", "DCM", "Imaging Measurements", "TID 1500 row 6")
DERIVED_MEASUREMENTS = _code("126011", "DCM", "Derived Imaging Measurements", "TID 1500 row 10")
QUALITATIVE_EVALUATIONS = _code("C0034375", "UMLS", "Qualitative Evaluations", "TID 1500 row 12")
MEASUREMENT_GROUP = _code("125007", "DCM", "Measurement Group", "TID 1410 row 1")
PROCEDURE_REPORTED = _code("121058", "DCM", "Procedure reported", "TID 1500 row 4")
IMAGE_LIBRARY = _code("111028", "DCM", "Image Library", "TID 1600 row 1")
IMAGE_LIBRARY_GROUP = _code("126200", "DCM", "Image Library Group", "TID 1600 row 2")
MODALITY = _code("121139", "DCM", "Modality", "TID 1602 row 1")
SOURCE = _code("260753009", "SCT", "Source", "TID 1601 row 1")
FRAME_OF_REFERENCE = _code("112227", "DCM", "Frame of Reference UID", "TID 1602")
DEVICE = _code("121007", "DCM", "Device", "CID 270")
TRACKING_IDENTIFIER = _code("112039", "DCM", "Tracking Identifier", "TID 1410 row 2")
TRACKING_UID = _code("112040", "DCM", "Tracking Unique Identifier", "TID 1410 row 3")
DERIVATION = _code("121401", "DCM", "Derivation", "TID 1420")
COMMENT = _code("121106", "DCM", "Comment", "TID 1500 row 12")
ARTIFICIAL_INTELLIGENCE = _code("123110", "DCM", "Artificial Intelligence", "CID 7162")

# Procedure reported, TID 1500 row 4: the imaging procedure, not the algorithm
CT_PROCEDURE = _code("25045-6", "LN", "CT unspecified body region", "CID 100")
PET_PROCEDURE = _code("44139-4", "LN", "PET whole body", "CID 100")
IMAGING_PROCEDURE = _code("363679005", "SCT", "Imaging procedure", "CID 100")

# Modality of the image library
CT = _code("CT", "DCM", "Computed Tomography", "CID 29")
MR = _code("MR", "DCM", "Magnetic Resonance", "CID 29")
PT = _code("PT", "DCM", "Positron emission tomography", "CID 29")
MG = _code("MG", "DCM", "Mammography", "CID 29")
DX = _code("DX", "DCM", "Digital Radiography", "CID 29")
CR = _code("CR", "DCM", "Computed Radiography", "CID 29")
SM = _code("SM", "DCM", "Slide Microscopy", "CID 29")
OT = _code("OT", "DCM", "Other Modality", "CID 32")

# How the run ended: CAD codes borrowed by TID 1500 row 12 (our own convention)
SUMMARY = _code("111017", "DCM", "CAD Processing and Findings Summary", "TID 4000 row 3")
SUMMARY_OF_DETECTIONS = _code("111064", "DCM", "Summary of Detections", "TID 4000 row 6")
SUCCEEDED_WITHOUT = _code("111241", "DCM", "All algorithms succeeded; without findings", "CID 6047")
SUCCEEDED_WITH = _code("111242", "DCM", "All algorithms succeeded; with findings", "CID 6047")
PARTLY_WITHOUT = _code(
    "111243", "DCM", "Not all algorithms succeeded; without findings", "CID 6047"
)
PARTLY_WITH = _code("111244", "DCM", "Not all algorithms succeeded; with findings", "CID 6047")
NONE_SUCCEEDED = _code("111245", "DCM", "No algorithms succeeded; without findings", "CID 6047")
NOT_ATTEMPTED = _code("111225", "DCM", "Not Attempted", "CID 6042")

# Purpose of contributing equipment
ACQUISITION_EQUIPMENT = _code("109101", "DCM", "Acquisition Equipment", "CID 7005")
PROCESSING_EQUIPMENT = _code("109102", "DCM", "Processing Equipment", "CID 7005")

# Titles of rejection notes
REJECTED_FOR_QUALITY = _code("113001", "DCM", "Rejected for Quality Reasons", "CID 7010")
INCORRECT_WORKLIST_ENTRY = _code("113038", "DCM", "Incorrect Modality Worklist Entry", "CID 7010")

# Title of key object selections
OF_INTEREST = _code("113000", "DCM", "Of Interest", "CID 7010")

# Derivation and purpose of reference of a secondary capture
SOURCE_IMAGE = _code("121322", "DCM", "Source image for image processing operation", "CID 7202")

MODALITIES: Final = {"CT": CT, "MR": MR, "PT": PT, "MG": MG, "DX": DX, "CR": CR, "SM": SM}
PROCEDURES: Final = {"CT": CT_PROCEDURE, "PT": PET_PROCEDURE}
