"""Our own checks on result objects, made before anything is sent.

They do not replace the validators of the acceptance harness: they catch, on the appliance and
within a fraction of a second, what would make a PACS refuse an object or a viewer hide it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import highdicom
import structlog
from pydicom import Dataset, config, dcmread
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    KeyObjectSelectionDocumentStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pydicom.valuerep import validate_value

from dicom_sr.report_rules import report_faults
from dicom_sr.rtstruct import STUDY_CLASS
from node.domain.errors import ResultError
from node.domain.study import CompletedStudy

log = structlog.get_logger(__name__)

REPORTS: Final = (Comprehensive3DSRStorage, ComprehensiveSRStorage)

#: Type 1 (a value) and type 2 (present) in every object: Patient, General Study, General
#: Series, General Equipment and SOP Common modules, as we emit them.
TYPE_1: Final = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "SeriesNumber",
    "InstanceNumber",
    "SpecificCharacterSet",
    "Manufacturer",
    "ContentQualification",
    "SeriesDescription",
    "ContributingEquipmentSequence",
)
TYPE_2: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
TYPE_1_OF_CLASS: Final = {
    Comprehensive3DSRStorage: (
        "CompletionFlag",
        "VerificationFlag",
        "PreliminaryFlag",
        "ContentDate",
        "ContentTime",
        "ValueType",
        "ConceptNameCodeSequence",
        "ContentSequence",
        "ContentTemplateSequence",
        "CurrentRequestedProcedureEvidenceSequence",
    ),
    KeyObjectSelectionDocumentStorage: (
        "ContentDate",
        "ContentTime",
        "ValueType",
        "ConceptNameCodeSequence",
        "ContentSequence",
        "CurrentRequestedProcedureEvidenceSequence",
    ),
    SegmentationStorage: (
        "ImageType",
        "FrameOfReferenceUID",
        "SegmentationType",
        "ContentLabel",
        "SegmentSequence",
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
        "DimensionIndexSequence",
        "ReferencedSeriesSequence",
        "NumberOfFrames",
        "Rows",
        "Columns",
        "PixelData",
    ),
    RTStructureSetStorage: (
        "StructureSetLabel",
        "StructureSetDate",
        "StructureSetTime",
        "ReferencedFrameOfReferenceSequence",
        "StructureSetROISequence",
        "ROIContourSequence",
        "RTROIObservationsSequence",
        "ApprovalStatus",
    ),
    SecondaryCaptureImageStorage: (
        "ConversionType",
        "ImageType",
        "BurnedInAnnotation",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "PlanarConfiguration",
        "Rows",
        "Columns",
        "PixelData",
    ),
}
TYPE_1_OF_CLASS[ComprehensiveSRStorage] = TYPE_1_OF_CLASS[Comprehensive3DSRStorage]

#: Repeated from the source verbatim; its faults are not ours to correct or to refuse.
FROM_THE_SOURCE: Final = frozenset(
    {
        "PatientName",
        "PatientID",
        "IssuerOfPatientID",
        "PatientBirthTime",
        "PatientAge",
        "PatientSize",
        "PatientWeight",
        "DeidentificationMethod",
        "StudyID",
        "AccessionNumber",
        "ReferringPhysicianName",
        "StudyDescription",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "ReferencedSOPClassUID",
        "ReferencedSOPInstanceUID",
        "PixelSpacing",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "SliceThickness",
        "SpacingBetweenSlices",
        "FrameOfReferenceUID",
    }
)

UID_FORM: Final = re.compile(r"[0-9]+(\.(0|[1-9][0-9]*))*")


def validate(objects: Sequence[Dataset], study: CompletedStudy) -> dict[str, bytes]:
    """Check the objects of one result, singly and together.

    Args:
        objects: as `write_results` returned them.
        study: the study that they belong to.

    Returns:
        Each object by its SOP Instance UID as the DICOM file (PS3.10) that was read back.

    Raises:
        ResultError: with every fault that was found; nothing of the result may be sent.
    """
    faults = list(_of_the_set(objects, study))
    known = _known_images(objects, study)
    for data_set in objects:
        name = _name(data_set)
        contents = _Contents.of(data_set)
        faults += [f"{name}: {fault}" for fault in _singly(contents)]
        faults += [f"{name}: {fault}" for fault in _references(contents, known)]
        if data_set.get("SOPClassUID") in REPORTS:
            faults += [f"{name}: {fault}" for fault in report_faults(data_set, study)]
    files: dict[str, bytes] = {}
    if not faults:
        files, faults = _read_back(objects)
    if faults:
        log.error("results.invalid", study_uid=study.study_uid, faults=faults[:20])
        raise ResultError(
            f"{len(faults)} faults in the result objects, so none is sent: "
            + "; ".join(faults[:5])
            + " - report this to the maker of the node",
            study_uid=study.study_uid,
        )
    return files


def validate_alone(objects: Sequence[Dataset]) -> None:
    """Check objects that are no whole result; what they refer to is not looked at.

    Raises:
        ResultError: with every fault that was found; none of them may be sent.
    """
    faults = [
        f"{_name(data_set)}: {fault}"
        for data_set in objects
        for fault in _singly(_Contents.of(data_set))
    ]
    faults += [] if faults else _read_back(objects)[1]
    if faults:
        log.error("results.invalid", faults=faults[:20])
        raise ResultError(
            f"{len(faults)} faults in the objects of another form, so none is sent: "
            + "; ".join(faults[:5])
        )


def _name(data_set: Dataset) -> str:
    return f"{data_set.get('Modality', '?')} {data_set.get('SOPInstanceUID', '?')}"


def _of_the_set(objects: Sequence[Dataset], study: CompletedStudy) -> Iterator[str]:
    classes = [item.get("SOPClassUID") for item in objects]
    if sum(uid in REPORTS for uid in classes) != 1:
        yield "a result has exactly one report"
    if SecondaryCaptureImageStorage not in classes:
        yield "a result has at least one secondary capture"
    uids = [item.get("SOPInstanceUID") for item in objects]
    if len(set(uids)) < len(uids):
        yield "two objects share one SOP Instance UID"
    for item in objects:
        if str(item.get("StudyInstanceUID")) != str(study.study_uid):
            yield f"{_name(item)} belongs to another study"
        if _text(item.get("PatientID", "")) != study.patient.patient_id:
            yield f"{_name(item)} has another PatientID than the study"


def _text(value: object) -> str:
    """The value as its source wrote it, also where a backslash made it several."""
    if isinstance(value, MultiValue):
        return "\\".join(map(str, value))
    return str(value or "")


def _known_images(objects: Sequence[Dataset], study: CompletedStudy) -> dict[str, set[str]]:
    """SOP classes by instance UID of what may be referenced; an empty set allows any class."""
    known: dict[str, set[str]] = {str(study.study_uid): {STUDY_CLASS}}
    for series in study.series:
        for instance in series.instances:
            stated = {instance.sop_class_uid} if instance.sop_class_uid else set()
            known[str(instance.sop_instance_uid)] = {str(uid) for uid in stated}
    for item in objects:
        known[str(item.SOPInstanceUID)] = {str(item.SOPClassUID)}
    return known


def _attributes(data_set: Dataset) -> Iterator[str]:
    needed = (*TYPE_1, *TYPE_1_OF_CLASS.get(data_set.get("SOPClassUID", ""), ()))
    for keyword in needed:
        element = data_set.get(keyword)
        if element is None or (hasattr(element, "__len__") and len(element) == 0):
            yield f"{keyword} (type 1) has no value"
    yield from (f"{key} (type 2) is absent" for key in TYPE_2 if key not in data_set)
    meta = data_set.file_meta
    if meta.MediaStorageSOPInstanceUID != data_set.SOPInstanceUID:
        yield "file meta information names another instance"
    if meta.MediaStorageSOPClassUID != data_set.SOPClassUID:
        yield "file meta information names another SOP class"


@dataclass(frozen=True, slots=True)
class _Contents:
    """A data set and its sequences, walked once for all checks: pydicom sorts at each walk.

    Attributes:
        elements: all but sequences and pixels. sequences: keyword and items of each.
    """

    data_set: Dataset
    elements: tuple[DataElement, ...]
    sequences: tuple[tuple[str, tuple[_Contents, ...]], ...]

    @classmethod
    def of(cls, data_set: Dataset) -> _Contents:
        """Read it whole."""
        elements, sequences = [], []
        for element in data_set:
            if element.VR == "SQ":
                sequences.append((element.keyword, tuple(map(cls.of, element.value))))
            elif element.keyword != "PixelData":
                elements.append(element)
        return cls(data_set, tuple(elements), tuple(sequences))

    @property
    def items(self) -> Iterator[_Contents]:
        """Of all its sequences."""
        return (item for _, items in self.sequences for item in items)


def _singly(contents: _Contents) -> Iterator[str]:
    """What is wrong with an object by itself."""
    yield from _attributes(contents.data_set)
    yield from _values(contents)
    yield from _codes(contents)
    yield from _pixels(contents.data_set)


def _values(contents: _Contents) -> Iterator[str]:
    """Lengths and characters of value representations, and the form of UIDs."""
    for element in contents.elements:
        if element.keyword in FROM_THE_SOURCE or element.is_empty:
            continue
        values = element.value if element.VM > 1 else [element.value]
        for value in values:
            if element.VR == "UI":
                if len(value) > 64 or not UID_FORM.fullmatch(value):
                    yield f"{element.keyword} is not a valid UID"
            elif element.VR in ("LO", "SH", "CS", "ST", "LT", "DA", "TM", "DT", "DS", "IS", "PN"):
                try:
                    validate_value(element.VR, str(value), config.RAISE)
                except ValueError:
                    yield f"{element.keyword} is not a valid {element.VR}"
    for item in contents.items:
        yield from _values(item)


def _codes(contents: _Contents) -> Iterator[str]:
    """Value, scheme and meaning of every coded concept (PS3.3 table 8.8-1)."""
    for keyword, items in contents.sequences:
        # Items of this one describe a scheme; they are not codes.
        if keyword == "CodingSchemeIdentificationSequence":
            continue
        for item in items:
            yield from _code(item.data_set)
            yield from _codes(item)


def _code(item: Dataset) -> Iterator[str]:
    if "CodingSchemeDesignator" not in item and "CodeMeaning" not in item:
        return
    value = str(item.get("CodeValue", "") or item.get("LongCodeValue", ""))
    meaning = str(item.get("CodeMeaning", ""))
    if not value or not item.get("CodingSchemeDesignator") or not meaning:
        yield f"incomplete coded concept {value!r} {meaning!r}"


def _pixels(data_set: Dataset) -> Iterator[str]:
    if "PixelData" not in data_set:
        return
    frames = int(data_set.get("NumberOfFrames", 1))
    bits = data_set.Rows * data_set.Columns * data_set.SamplesPerPixel
    bits *= data_set.BitsAllocated * frames
    length = (bits + 7) // 8
    if len(data_set.PixelData) != length + length % 2:
        yield f"PixelData has {len(data_set.PixelData)} bytes, its description {length}"
    if "PerFrameFunctionalGroupsSequence" in data_set:
        groups = len(data_set.PerFrameFunctionalGroupsSequence)
        if groups != frames:
            yield f"{frames} frames but {groups} items of per-frame functional groups"


#: Sequences whose items name instances that are allowed to lie outside of the study and result.
ELSEWHERE: Final = frozenset({"PredecessorDocumentsSequence", "PertinentOtherEvidenceSequence"})


def _references(contents: _Contents, known: dict[str, set[str]]) -> Iterator[str]:
    """Whatever is referenced exists in the study or in this result, under that SOP class."""
    for keyword, items in contents.sequences:
        if keyword in ELSEWHERE:
            continue
        for item in items:
            uid = str(item.data_set.get("ReferencedSOPInstanceUID", ""))
            if uid and uid not in known:
                yield f"{keyword} refers to an instance outside of the study"
            elif uid and known[uid] and str(item.data_set.ReferencedSOPClassUID) not in known[uid]:
                yield f"{keyword} refers to an instance under another SOP class"
            yield from _references(item, known)


def _read_back(objects: Sequence[Dataset]) -> tuple[dict[str, bytes], list[str]]:
    """Encode, decode, and parse what highdicom can parse; the files, and what was wrong."""
    files: dict[str, bytes] = {}
    faults = []
    for data_set in objects:
        reader = _reader(data_set)
        stream = BytesIO()
        try:
            data_set.save_as(stream, enforce_file_format=True)
            files[str(data_set.SOPInstanceUID)] = stream.getvalue()
            stream.seek(0)
            reader(stream)
        except (ValueError, TypeError, AttributeError, KeyError, IndexError, OSError) as error:
            # The message may quote a value of the patient: its kind is enough.
            faults.append(f"{_name(data_set)}: cannot be read back ({type(error).__name__})")
    return files, faults


def _reader(data_set: Dataset) -> Callable[[BytesIO], object]:
    if data_set.SOPClassUID in REPORTS:
        return highdicom.sr.srread
    if data_set.SOPClassUID == SegmentationStorage:
        return highdicom.seg.segread
    return dcmread
