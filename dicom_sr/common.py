"""What all result objects share: identity, series, equipment, labels, UIDs, times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from functools import cached_property
from typing import Final

import structlog
from pydicom import DataElement, Dataset, config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicom_sr import codes
from dicom_sr.context import ResultContext
from dicom_sr.fingerprint import findings_digest
from dicom_sr.source import REPEATED, first_header
from node.domain.finding import CodedConcept, Findings, derived_uid
from node.domain.study import CompletedStudy, Series

log = structlog.get_logger(__name__)

#: Implementation class of every file that this package makes (PS3.7 D.3.3.2).
IMPLEMENTATION_CLASS_UID: Final = UID(derived_uid("implementation", "dicom_sr"))
IMPLEMENTATION_VERSION_NAME: Final = "VIGIE"

LONG_STRING: Final = 64
SHORT_STRING: Final = 16


class Kind(IntEnum):
    """Kind of object, and its place in the series number block of its task."""

    REPORT = 1
    SEGMENTATION = 2
    CAPTURE = 3
    #: 4 is taken by rejection notes.
    KEY_OBJECTS = 5
    STRUCTURE_SET = 6

    @property
    def word(self) -> str:
        """As a series description says it."""
        words = {1: "report", 2: "segmentation", 3: "summary", 5: "key images", 6: "contours"}
        return words[self.value]


@dataclass(frozen=True, kw_only=True)
class ResultInput:
    """One result to be written: what was found, on which images, for whom."""

    findings: Findings
    study: CompletedStudy
    series: Series
    context: ResultContext

    @cached_property
    def header(self) -> Dataset:
        """Header of the first readable source image; empty when there is none."""
        return first_header(self.series)

    @cached_property
    def _identity(self) -> tuple[str, ...]:
        model, context = self.findings.model, self.context
        # The same job writes the same UIDs; whatever could change a byte is in here.
        return (
            str(self.study.study_uid),
            str(self.series.series_uid),
            *sorted(str(item.sop_instance_uid) for item in self.series.instances),
            self.series.digest,
            model.name,
            model.version,
            model.digest,
            context.configuration_digest,
            repr(context),
            findings_digest(self.findings),
        )

    def object_uid(self, kind: Kind, number: int = 1) -> str:
        """SOP Instance UID of the n-th object of a kind."""
        return derived_uid("object", *self._identity, kind.name, str(number))

    def series_uid(self, kind: Kind) -> str:
        """Series Instance UID: the same for every corrected result of a task and study."""
        return derived_uid("series", str(self.study.study_uid), self.findings.model.name, kind.name)

    def series_number(self, kind: Kind) -> int:
        """In a block that sorts behind the images and never meets another task's."""
        return self.context.series_number_base + 10 * self.findings.model.task_number + kind

    def series_description(self, kind: Kind) -> str:
        """ "AI <Task> <kind> v<model>", marked RESEARCH until cleared; at most 64 characters."""
        mark = " RESEARCH" if self.context.is_research else ""
        tail = f" {kind.word} v{self.findings.model.version}"[:40] + mark
        title = self.findings.model.title
        return f"AI {title[: LONG_STRING - 3 - len(tail)].rstrip()}{tail}"

    @cached_property
    def local_time(self) -> datetime:
        """The content time as a clock beside the scanner shows it.

        TimezoneOffsetFromUTC speaks for every date and time in a data set, the copied study
        time included. So it is repeated from the source where the source has it, and where
        it has none, ours is the local time of this node.
        """
        offset = re.fullmatch(r"([+-])(\d\d)(\d\d)", self.timezone)
        if offset is None:
            return self.context.moment.astimezone()
        sign = -1 if offset[1] == "-" else 1
        shift = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return self.context.moment.astimezone(timezone(sign * shift) if shift else UTC)

    @property
    def timezone(self) -> str:
        """TimezoneOffsetFromUTC of the source, or "" when it has no valid one."""
        offset = str(self.header.get("TimezoneOffsetFromUTC", "") or "").strip()
        return offset if re.fullmatch(r"[+-](0\d|1[0-4])[0-5]\d", offset) else ""


def put(data_set: Dataset, keyword: str, value: object) -> None:
    """Set an attribute verbatim, without judging it: it is the source's value, not ours.

    A value that cannot be encoded at all ("1,78" m, "76 kg") is left empty: a result without
    the patient's weight is owed, no result because of it is not.
    """
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    vr = dictionary_VR(tag)
    try:
        element = DataElement(tag, vr, value, validation_mode=config.IGNORE)
    except (ValueError, TypeError, ArithmeticError, AttributeError):
        log.warning("result.value_left_out", keyword=keyword)
        element = DataElement(tag, vr, None)
    data_set.add(element)


def code_item(concept: CodedConcept) -> Dataset:
    """One item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue = concept.value
    item.CodingSchemeDesignator = concept.scheme
    item.CodeMeaning = concept.meaning
    return item


def clipped(text: str, length: int = LONG_STRING) -> str:
    """A text of ours, cut to the length of its value representation."""
    return text.replace("\\", "/")[:length].rstrip()


def person_name(name: str) -> str:
    """ "Ada Lovelace" as a DICOM person name, "Lovelace^Ada"; one with ^ is left alone."""
    words = name.replace("=", " ").replace("\\", " ").split()
    if "^" in name or len(words) < 2:
        return name.strip()
    return f"{words[-1]}^{' '.join(words[:-1])}"[:LONG_STRING]


def finish(data_set: Dataset, work: ResultInput, kind: Kind, number: int = 1) -> None:
    """Give an object made with highdicom its identity, labels, times and file meta.

    Whatever highdicom took from the clock or from chance is replaced, so that a job that is
    carried out twice writes the same bytes.
    """
    data_set.SpecificCharacterSet = "ISO_IR 192"
    data_set.SOPInstanceUID = work.object_uid(kind, number)
    _patient_and_study(data_set, work)
    data_set.SeriesInstanceUID = work.series_uid(kind)
    data_set.SeriesNumber = work.series_number(kind)
    data_set.SeriesDescription = work.series_description(kind)
    _equipment(data_set, work)
    _times(data_set, work)
    # PS3.3 C.12.1.1: RESEARCH until somebody answers for clinical use.
    data_set.ContentQualification = "RESEARCH" if work.context.is_research else "PRODUCT"
    if "DimensionOrganizationSequence" in data_set:
        _dimension_uid(data_set, derived_uid("dimension", data_set.SOPInstanceUID))
    _coding_schemes(data_set, work)
    data_set.file_meta = file_meta(data_set)


def _patient_and_study(data_set: Dataset, work: ResultInput) -> None:
    study, patient = work.study, work.study.patient
    put(data_set, "PatientName", patient.patient_name)
    put(data_set, "PatientID", patient.patient_id)
    if patient.issuer_of_patient_id:
        put(data_set, "IssuerOfPatientID", patient.issuer_of_patient_id)
    put(data_set, "PatientBirthDate", date_or_nothing(patient.birth_date))
    put(data_set, "PatientSex", patient.sex if patient.sex in ("M", "F", "O") else "")
    for keyword in REPEATED:
        if work.header.get(keyword) not in (None, ""):
            put(data_set, keyword, work.header[keyword].value)
    data_set.StudyInstanceUID = str(study.study_uid)
    put(data_set, "StudyID", study.study_id)
    put(data_set, "StudyDate", date_or_nothing(study.study_date))
    put(data_set, "StudyTime", time_or_nothing(study.study_time))
    put(data_set, "AccessionNumber", study.accession_number)
    put(data_set, "ReferringPhysicianName", study.referring_physician)
    if study.study_description:
        put(data_set, "StudyDescription", study.study_description)


def date_or_nothing(value: str) -> str:
    """A DICOM date, or "": these attributes are type 2, and a malformed date is refused."""
    return value if re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", value) else ""


def time_or_nothing(value: str) -> str:
    """A DICOM time, or ""."""
    valid = r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?"
    return value if re.fullmatch(valid, value) else ""


def _equipment(data_set: Dataset, work: ResultInput) -> None:
    context = work.context
    data_set.Manufacturer = clipped(context.manufacturer)
    data_set.ManufacturerModelName = clipped(context.model_name)
    data_set.SoftwareVersions = clipped(context.software_version)
    data_set.DeviceSerialNumber = clipped(context.serial_number)
    # In General Equipment (PS3.3 C.7.5.1), where every edition has it: validators of older
    # editions refuse it inside the Contributing Equipment Sequence.
    data_set.DeviceUID = work.findings.model.device_uid
    data_set.StationName = clipped(context.station_name, SHORT_STRING)
    institution = context.institution or str(work.header.get("InstitutionName", "") or "")
    if institution:
        data_set.InstitutionName = clipped(institution)
    data_set.ContributingEquipmentSequence = [*_scanner(work), _model(work)]


def _scanner(work: ResultInput) -> list[Dataset]:
    maker = str(work.header.get("Manufacturer", "") or "")
    if not maker:
        return []
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(codes.ACQUISITION_EQUIPMENT)]
    item.Manufacturer = clipped(maker)
    model = str(work.header.get("ManufacturerModelName", "") or "")
    if model:
        item.ManufacturerModelName = clipped(model)
    return [item]


def _model(work: ResultInput) -> Dataset:
    """The model as contributing equipment, with the digest of its package."""
    model = work.findings.model
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(codes.PROCESSING_EQUIPMENT)]
    item.Manufacturer = clipped(model.manufacturer)
    item.ManufacturerModelName = clipped(model.name)
    item.SoftwareVersions = clipped(model.version)
    item.ContributionDescription = f"{model.title}; package sha256 {model.digest}"
    return item


def _times(data_set: Dataset, work: ResultInput) -> None:
    date = work.local_time.strftime("%Y%m%d")
    time = work.local_time.strftime("%H%M%S")
    data_set.InstanceCreationDate = data_set.ContentDate = date
    data_set.InstanceCreationTime = data_set.ContentTime = time
    if work.timezone:
        data_set.TimezoneOffsetFromUTC = work.timezone


def _dimension_uid(data_set: Dataset, uid: str) -> None:
    for item in data_set.DimensionOrganizationSequence:
        item.DimensionOrganizationUID = uid
    for item in data_set.get("DimensionIndexSequence", []):
        item.DimensionOrganizationUID = uid


#: Schemes of PS3.16 table 8-1 that older readers do not know: declared by their UID.
DECLARED: Final = {
    "RADELEMENT": ("1.2.840.10008.2.16.15", "RadElement", "RSNA and ACR, radelement.org"),
}


def _coding_schemes(data_set: Dataset, work: ResultInput) -> None:
    """Say whose every private ("99...") or young coding scheme is (PS3.3 C.12.1, PS3.16 8.2)."""
    items = []
    for designator in sorted(set(_designators(data_set))):
        item = Dataset()
        item.CodingSchemeDesignator = designator
        if designator in DECLARED:
            uid, name, organization = DECLARED[designator]
            item.CodingSchemeUID = uid
            item.CodingSchemeName = name
            item.CodingSchemeResponsibleOrganization = organization
        elif designator.startswith("99"):
            item.CodingSchemeName = "Private codes of the models that this node runs"
            item.CodingSchemeResponsibleOrganization = work.findings.model.manufacturer
        else:
            continue
        items.append(item)
    if items:
        data_set.CodingSchemeIdentificationSequence = items


def _designators(data_set: Dataset) -> Iterator[str]:
    for element in data_set:
        if element.VR == "SQ":
            # All frames have the codes of the first, and there may be thousands.
            alike = element.keyword == "PerFrameFunctionalGroupsSequence"
            for item in element.value[:1] if alike else element.value:
                yield from _designators(item)
        elif element.keyword == "CodingSchemeDesignator":
            yield str(element.value)


def file_meta(data_set: Dataset) -> FileMetaDataset:
    """File meta information of an object that this package made (PS3.10 7.1)."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(data_set.SOPClassUID)
    meta.MediaStorageSOPInstanceUID = UID(data_set.SOPInstanceUID)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return meta
