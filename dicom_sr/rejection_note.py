"""Key Object Selection that rejects result objects of ours (PS3.3 A.35.4, TID 2010, IHE IOCM).

Of the titles that IHE Imaging Object Change Management gives a meaning to, (113001, DCM,
"Rejected for Quality Reasons") says that an object is not to be used in the ordinary way; it is
the one for results that were replaced or withdrawn. (113038, DCM, "Incorrect Modality Worklist
Entry") says that an object is filed under a wrong patient or order. (113037) would claim a
danger to the patient and (113039) that a legal period is over; neither is ours to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from highdicom import ko, sr
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage, SegmentationStorage

from dicom_sr import codes
from dicom_sr.codes import as_code
from dicom_sr.common import Kind, clipped, file_meta
from dicom_sr.context import Predecessor
from dicom_sr.repeated import EQUIPMENT, IDENTITY
from node.domain.errors import ResultError
from node.domain.finding import CodedConcept, derived_uid

#: Longest text of a Key Object Description that every viewer shows whole.
DESCRIPTION_CHARACTERS: Final = 1024
#: Place in the series number block of a task, behind the kinds of result.
SERIES_PLACE: Final = 4
_OF_THE_PATIENT: Final = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
#: Copied from the template, verbatim: identity, equipment and labels; not what tells of the
#: person's state or of an instant, which a note about objects has its own of.
_COPIED: Final = (*IDENTITY, *EQUIPMENT, "TimezoneOffsetFromUTC", "ReferencedRequestSequence")
#: Objects that are referenced as images; everything else is a composite object (TID 2010).
_IMAGES: Final = (SecondaryCaptureImageStorage, SegmentationStorage)


class Rejection(Enum):
    """Why objects are rejected."""

    #: A newer result took their place, or somebody took them back.
    NOT_TO_BE_USED = "not to be used"
    #: They carry the identity of another patient or order.
    WRONG_IDENTITY = "wrong identity"

    @property
    def title(self) -> CodedConcept:
        """Document title, CID 7010."""
        if self is Rejection.WRONG_IDENTITY:
            return codes.INCORRECT_WORKLIST_ENTRY
        return codes.REJECTED_FOR_QUALITY


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a rejection note says.

    Attributes:
        reason: a sentence for people, with nothing about the patient.
        when: content time, aware; the same for every repetition.
    """

    rejection: Rejection
    reason: str
    when: datetime


def write_rejection_note(template: Dataset, rejected: Sequence[Predecessor], note: Note) -> Dataset:
    """One document that rejects all these objects; the same arguments give the same bytes.

    Args:
        template: a report of ours; the note takes over its patient, study and equipment.
        rejected: objects of the template's study.

    Raises:
        ResultError: nothing is rejected, or objects of another study are.
    """
    study_uid = str(template.StudyInstanceUID)
    if not rejected or any(item.study_uid != study_uid for item in rejected):
        raise ResultError("a rejection note is about objects of one study", study_uid=study_uid)
    evidence = [_reference(template, item) for item in rejected]
    series_uid = derived_uid("series", str(template.SeriesInstanceUID), "rejection")
    uid = derived_uid(
        "rejection", *(item.sop_instance_uid for item in rejected), note.reason, repr(note)
    )
    try:
        data_set: Dataset = ko.KeyObjectSelectionDocument(
            evidence=evidence,
            content=ko.KeyObjectSelection(
                document_title=as_code(note.rejection.title),
                referenced_objects=evidence,
                observer_device_context=_observer(template),
                description=clipped(note.reason, DESCRIPTION_CHARACTERS),
            ),
            series_instance_uid=series_uid,
            series_number=int(template.SeriesNumber) - Kind.REPORT + SERIES_PLACE,
            sop_instance_uid=uid,
            instance_number=int(template.InstanceNumber),
            manufacturer=str(template.Manufacturer),
            specific_character_set="ISO_IR 192",
        )
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ResultError(
            f"the rejection note cannot be written: {error}", study_uid=study_uid
        ) from error
    for keyword in _COPIED:
        if keyword in template:
            data_set[keyword] = template[keyword]
    data_set.SeriesDescription = clipped(
        str(template.SeriesDescription).replace(Kind.REPORT.word, "rejection note")
    )
    moment = note.when.astimezone()
    data_set.InstanceCreationDate = data_set.ContentDate = moment.strftime("%Y%m%d")
    data_set.InstanceCreationTime = data_set.ContentTime = moment.strftime("%H%M%S")
    data_set.file_meta = file_meta(data_set)
    return data_set


def _reference(template: Dataset, item: Predecessor) -> Dataset:
    found = Dataset()
    found.SOPClassUID = item.sop_class_uid
    found.SOPInstanceUID = item.sop_instance_uid
    found.StudyInstanceUID = item.study_uid
    found.SeriesInstanceUID = item.series_uid
    for keyword in _OF_THE_PATIENT:
        # Verbatim copies follow; highdicom would judge values that are the hospital's.
        setattr(found, keyword, "")
    if item.sop_class_uid in _IMAGES:
        found.Rows = found.Columns = 1
    return found


def _observer(template: Dataset) -> sr.ObserverContext:
    return sr.ObserverContext(
        observer_type=sr.CodedConcept.from_code(as_code(codes.DEVICE)),
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=derived_uid("node", str(template.Manufacturer), str(template.DeviceSerialNumber)),
            name=str(template.get("StationName", "") or ""),
            manufacturer_name=str(template.Manufacturer),
            model_name=str(template.ManufacturerModelName),
            serial_number=str(template.DeviceSerialNumber),
        ),
    )
