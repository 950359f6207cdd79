"""A result object in another form, for a destination that does not take the first.

The form is made from the object itself, so that it says what that says: same patient, study,
equipment, times and labels. Its UIDs are its own, and the same each time it is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Final

from pydicom import Dataset
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    SecondaryCaptureImageStorage,
)

from dicom_sr import codes
from dicom_sr.common import clipped, code_item
from dicom_sr.fallback_pages import IN_PLACE_OF, sources_of
from dicom_sr.page import Page
from dicom_sr.repeated import EQUIPMENT, IDENTITY
from dicom_sr.report_rules import named, walk
from dicom_sr.secondary_capture import PAGES_PER_RESULT, put_page
from dicom_sr.validation import validate_alone
from node.domain.errors import ResultError
from node.domain.finding import derived_uid
from node.domain.study import Plane

#: What every object of a result repeats: Patient, General Study, General Equipment and SOP
#: Common modules, and the times.
REPEATED: Final = (
    *IDENTITY,
    *EQUIPMENT,
    "InstanceCreationDate",
    "InstanceCreationTime",
    "ContentDate",
    "ContentTime",
    "TimezoneOffsetFromUTC",
    "PatientBirthTime",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
)
#: Behind the series number of the object that is replaced, in the block of its task.
SERIES_STEP: Final = 5
LONGEST_DESCRIPTION: Final = 64
RESEARCH_MARK: Final = " RESEARCH"


def other_uid(sop_instance_uid: str, form: str, number: int = 1) -> str:
    """SOP Instance UID of the n-th object that stands for another one, in this form."""
    return derived_uid("fallback", form, sop_instance_uid, str(number))


def as_comprehensive(report: Dataset, replaced: Mapping[str, str] | None = None) -> Dataset:
    """A Comprehensive 3D SR as Comprehensive SR (PS3.3 A.35.3): all of it but 3D coordinates.

    Args:
        report: not changed.
        replaced: SOP Instance UIDs of earlier reports that are Comprehensive SR at the
            destination, with the UIDs that they have there.

    Raises:
        ResultError: it holds 3D coordinates, or is no Comprehensive 3D SR.
    """
    if report.SOPClassUID != Comprehensive3DSRStorage:
        raise ResultError("only a Comprehensive 3D SR can be written as Comprehensive SR")
    if any(str(item.get("ValueType", "")).startswith("SCOORD3D") for item in walk(report)):
        raise ResultError("the report holds 3D coordinates, which Comprehensive SR cannot")
    written = deepcopy(report)
    written.SOPClassUID = ComprehensiveSRStorage
    written.SOPInstanceUID = UID(other_uid(str(report.SOPInstanceUID), "comprehensive"))
    written.file_meta.MediaStorageSOPClassUID = written.SOPClassUID
    written.file_meta.MediaStorageSOPInstanceUID = written.SOPInstanceUID
    _rename_predecessors(written, replaced or {})
    for section in written.ContentSequence:
        if named(section, codes.QUALITATIVE_EVALUATIONS):
            section.ContentSequence.append(
                _comment(
                    f"{IN_PLACE_OF} the Comprehensive 3D SR {report.SOPInstanceUID}, which this "
                    "destination does not take. The content is the same."
                )
            )
    validate_alone([written])
    return written


def as_captures(original: Dataset, pages: tuple[Page, ...], *, identified: bool) -> list[Dataset]:
    """Pages that show an object, as secondary captures in a series of their own.

    Args:
        identified: the pages name the patient (BurnedInAnnotation, PS3.3 C.7.6.1.1.2).

    Raises:
        ResultError: what was made is not valid.
    """
    written = [
        _capture(original, page, number, identified=identified)
        for number, page in enumerate(pages, start=1)
    ]
    validate_alone(written)
    return written


def _capture(original: Dataset, page: Page, number: int, *, identified: bool) -> Dataset:
    uid = str(original.SOPInstanceUID)
    data_set = Dataset()
    for keyword in REPEATED:
        if keyword in original:
            data_set[keyword] = deepcopy(original[keyword])
    data_set.SOPClassUID = SecondaryCaptureImageStorage
    data_set.SOPInstanceUID = UID(other_uid(uid, "pages", number))
    data_set.SeriesInstanceUID = UID(derived_uid("pages", str(original.SeriesInstanceUID)))
    data_set.SeriesNumber = int(original.SeriesNumber) + SERIES_STEP
    data_set.SeriesDescription = _description(str(original.SeriesDescription))
    data_set.Modality = "OT"
    data_set.InstanceNumber = number + PAGES_PER_RESULT * (int(original.InstanceNumber) - 1)
    data_set.ConversionType = "WSD"
    data_set.ImageType = ["DERIVED", "SECONDARY"]
    data_set.PatientOrientation = ""
    data_set.DerivationDescription = clipped(
        f"{page.title}; in place of the {UID(original.SOPClassUID).name} instance {uid}, which "
        "this destination does not take",
        1024,
    )
    data_set.BurnedInAnnotation = "YES" if identified else "NO"
    source = None if page.plane is None else _source(original, page.plane)
    if source is not None:
        data_set.SourceImageSequence = [source]
    put_page(data_set, page)
    data_set.file_meta = deepcopy(original.file_meta)
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    return data_set


def _source(original: Dataset, plane: Plane) -> Dataset | None:
    """The image that a page shows, under the class that a segmentation refers to it with."""
    if "PerFrameFunctionalGroupsSequence" not in original:
        return None
    for _, _, image in sources_of(original):
        if image.ReferencedSOPInstanceUID == plane.sop_instance_uid:
            item = Dataset()
            item.ReferencedSOPClassUID = image.ReferencedSOPClassUID
            item.ReferencedSOPInstanceUID = image.ReferencedSOPInstanceUID
            if plane.frame_number is not None:
                item.ReferencedFrameNumber = plane.frame_number
            item.PurposeOfReferenceCodeSequence = [code_item(codes.SOURCE_IMAGE)]
            return item
    return None


def _description(text: str) -> str:
    """ "AI Body composition report v1.2 as pages RESEARCH", within 64 characters."""
    mark = RESEARCH_MARK if text.endswith(RESEARCH_MARK) else ""
    tail = f" as pages{mark}"
    return text.removesuffix(RESEARCH_MARK)[: LONGEST_DESCRIPTION - len(tail)].rstrip() + tail


def _rename_predecessors(report: Dataset, replaced: Mapping[str, str]) -> None:
    """An earlier report that is there in this form only is replaced in this form."""
    for study in report.get("PredecessorDocumentsSequence") or ():
        for series in study.ReferencedSeriesSequence:
            for reference in series.ReferencedSOPSequence:
                there = replaced.get(str(reference.ReferencedSOPInstanceUID))
                if there is not None:
                    reference.ReferencedSOPInstanceUID = there
                    reference.ReferencedSOPClassUID = ComprehensiveSRStorage


def _comment(text: str) -> Dataset:
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = "TEXT"
    item.ConceptNameCodeSequence = [code_item(codes.COMMENT)]
    item.TextValue = text
    return item
