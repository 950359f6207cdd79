"""Reads a TID 1500 report back into what it says: the inverse of `dicom_sr/report.py`.

Reports of this node come back whole; of other devices, whatever follows TID 1500. Nothing that
is not in a report is made up: a report that does not say how its run ended has no status.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from pydicom import Dataset, config, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
)

from dicom_sr import codes
from dicom_sr.content import children, code_of, concept_name, listed_instances, text_of
from dicom_sr.report_rules import groups, named, walk
from dicom_sr.wording import STATUS_WORDS
from node.domain.errors import OtherDocument, ResultError
from node.domain.finding import CodedConcept, Evaluation, Measurement, Status
from node.domain.reported import Outline, Report, ReportedFinding

#: Classes that a TID 1500 report may have.
REPORT_CLASSES: Final = frozenset(
    (EnhancedSRStorage, ComprehensiveSRStorage, Comprehensive3DSRStorage)
)
#: Items of a measurement group (TID 1501, TID 1410), and of the algorithm (TID 4019).
_FINDING: Final = CodedConcept("121071", "DCM", "Finding")
_CATEGORY: Final = CodedConcept("276214006", "SCT", "Finding category")
_SITE: Final = CodedConcept("363698007", "SCT", "Finding Site")
_LATERALITY: Final = CodedConcept("272741003", "SCT", "Laterality")
_ALGORITHM_NAME: Final = CodedConcept("111001", "DCM", "Algorithm Name")
_ALGORITHM_VERSION: Final = CodedConcept("111003", "DCM", "Algorithm Version")
_NOT_STATED: Final = CodedConcept("", "", "not stated")
#: PS3.16 CID 6047 and CID 6042, as `dicom_sr/report.py` writes them.
_STATUS: Final = {
    codes.SUCCEEDED_WITH.value: Status.FINDINGS,
    codes.SUCCEEDED_WITHOUT.value: Status.NO_FINDINGS,
    codes.PARTLY_WITH.value: Status.PARTIAL,
    codes.PARTLY_WITHOUT.value: Status.PARTIAL,
    codes.NONE_SUCCEEDED.value: Status.FAILED,
    codes.NOT_ATTEMPTED.value: Status.NOT_ELIGIBLE,
}
#: What pydicom raises over a damaged file or a value that is not what it claims to be.
_UNREADABLE: Final = (
    InvalidDicomError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
    ArithmeticError,
    RecursionError,
)


def read_report(path: Path) -> Report:
    """Read one file.

    Raises:
        ResultError: it cannot be read.
        OtherDocument: it is no measurement report.
    """
    try:
        with warnings.catch_warnings(), config.disable_value_validation():
            # pydicom's warnings quote the values that they are about.
            warnings.simplefilter("ignore")
            return report_of(dcmread(path))
    except OtherDocument as error:
        raise OtherDocument(f"{path}: {error}") from None
    except _UNREADABLE as error:
        cause = getattr(error, "strerror", None) or type(error).__name__
        raise ResultError(f"{path}: cannot be read as a report ({cause})") from error


def report_of(data_set: Dataset) -> Report:
    """What a report says.

    Raises:
        OtherDocument: it is no Imaging Measurement Report (TID 1500).
    """
    if not named(data_set, codes.IMAGING_MEASUREMENT_REPORT):
        raise OtherDocument(
            "no Imaging Measurement Report (TID 1500)",
            instance_uid=str(data_set.get("SOPInstanceUID", "")),
        )
    sections = list(data_set.get("ContentSequence") or ())
    answers = [
        item for one in _sections(sections, codes.QUALITATIVE_EVALUATIONS) for item in children(one)
    ]
    status = _status(answers)
    model, version = _model(data_set)
    scanner = _equipment(data_set, codes.ACQUISITION_EQUIPMENT)
    return Report(
        sop_instance_uid=str(data_set.SOPInstanceUID),
        study_uid=str(data_set.StudyInstanceUID),
        accession_number=text_of(data_set, "AccessionNumber"),
        model=model,
        version=version,
        status=status,
        reason=_reason(answers, status),
        findings=_findings(data_set),
        exam_measurements=tuple(
            _number(item)
            for one in _sections(sections, codes.DERIVED_MEASUREMENTS)
            for item in children(one)
            if _is_number(item)
        ),
        exam_evaluations=tuple(_evaluations(answers)),
        instance_number=int(data_set.get("InstanceNumber") or 1),
        written_at=text_of(data_set, "ContentDate") + text_of(data_set, "ContentTime"),
        predecessors=tuple(_predecessors(data_set)),
        institution=text_of(data_set, "InstitutionName"),
        manufacturer=text_of(scanner, "Manufacturer"),
        scanner=text_of(scanner, "ManufacturerModelName"),
        patient=(text_of(data_set, "IssuerOfPatientID"), text_of(data_set, "PatientID")),
    )


def _sections(sections: list[Dataset], concept: CodedConcept) -> Iterator[Dataset]:
    for item in sections:
        if named(item, concept):
            yield item


def _name(item: Dataset) -> CodedConcept:
    return concept_name(item) or _NOT_STATED


def _value(item: Dataset) -> CodedConcept | None:
    return code_of(item, "ConceptCodeSequence")


def _equipment(data_set: Dataset, purpose: CodedConcept) -> Dataset:
    for item in data_set.get("ContributingEquipmentSequence") or ():
        found = code_of(item, "PurposeOfReferenceCodeSequence")
        if found is not None and (found.value, found.scheme) == (purpose.value, purpose.scheme):
            contributing: Dataset = item
            return contributing
    return Dataset()


def _model(data_set: Dataset) -> tuple[str, str]:
    """Name and version: of the contributing model, else of the algorithm, else of the device."""
    model = _equipment(data_set, codes.PROCESSING_EQUIPMENT)
    if "ManufacturerModelName" in model:
        return text_of(model, "ManufacturerModelName"), text_of(model, "SoftwareVersions")
    told = {
        concept.value: text_of(item, "TextValue")
        for item in walk(data_set)
        for concept in (_ALGORITHM_NAME, _ALGORITHM_VERSION)
        if named(item, concept)
    }
    if _ALGORITHM_NAME.value in told:
        return told[_ALGORITHM_NAME.value], told.get(_ALGORITHM_VERSION.value, "")
    return text_of(data_set, "ManufacturerModelName"), text_of(data_set, "SoftwareVersions")


def _status(answers: list[Dataset]) -> Status | None:
    for item in answers:
        if named(item, codes.SUMMARY) or named(item, codes.SUMMARY_OF_DETECTIONS):
            value = _value(item)
            if value is not None and value.scheme == "DCM" and value.value in _STATUS:
                return _STATUS[value.value]
    return None


def _reason(answers: list[Dataset], status: Status | None) -> str:
    """The reason behind the words of the status, as `wording.status_sentence` puts them."""
    if status is None:
        return ""
    head = f"{STATUS_WORDS[status]}: "
    for item in answers:
        text = text_of(item, "TextValue")
        if named(item, codes.COMMENT) and text.startswith(head):
            return text.removeprefix(head)
    return ""


def _evaluations(items: list[Dataset]) -> Iterator[Evaluation]:
    outcome = (codes.SUMMARY, codes.SUMMARY_OF_DETECTIONS, codes.COMMENT)
    for item in items:
        if any(named(item, concept) for concept in outcome):
            continue
        value = _value(item)
        if value is not None:
            yield Evaluation(_name(item), value)
        elif "TextValue" in item:
            yield Evaluation(_name(item), text_of(item, "TextValue"))


def _is_number(item: Dataset) -> bool:
    return item.get("ValueType") == "NUM" and bool(item.get("MeasuredValueSequence"))


def _number(item: Dataset) -> Measurement:
    """A NUM item; its label is its name, with the derivation in front where there is one."""
    measured = item.MeasuredValueSequence[0]
    name = _name(item)
    derivation = next(
        (_value(child) for child in children(item) if named(child, codes.DERIVATION)), None
    )
    label = name.meaning
    if derivation is not None and derivation.meaning.lower() not in label.lower():
        label = f"{derivation.meaning} {label}"
    return Measurement(
        name=name,
        value=float(measured.NumericValue),
        unit=code_of(measured, "MeasurementUnitsCodeSequence") or _NOT_STATED,
        label=label,
        derivation=derivation,
    )


def _predecessors(data_set: Dataset) -> Iterator[str]:
    for reference in listed_instances(data_set, "PredecessorDocumentsSequence"):
        yield text_of(reference, "ReferencedSOPInstanceUID")


def _findings(data_set: Dataset) -> tuple[ReportedFinding, ...]:
    """Groups with one tracking UID are one finding: its contours, and its volume."""
    members: dict[str, list[Dataset]] = {}
    for number, group in enumerate(groups(data_set)):
        uids = [text_of(item, "UID") for item in children(group) if named(item, codes.TRACKING_UID)]
        members.setdefault(uids[0] if uids else f"group {number + 1}", []).append(group)
    return tuple(_finding(uid, found) for uid, found in members.items())


def _finding(tracking_uid: str, members: list[Dataset]) -> ReportedFinding:
    items = [item for group in members for item in children(group)]

    def coded(concept: CodedConcept) -> CodedConcept | None:
        return next((_value(item) for item in items if named(item, concept)), None)

    identifiers = [
        text_of(item, "TextValue") for item in items if named(item, codes.TRACKING_IDENTIFIER)
    ]
    sides = [
        _value(child)
        for item in items
        if named(item, _SITE)
        for child in children(item)
        if named(child, _LATERALITY)
    ]
    known = (_FINDING, _CATEGORY, _SITE, codes.TRACKING_IDENTIFIER, codes.TRACKING_UID)
    spatial = [_points_mm(item) for item in items if item.get("ValueType") == "SCOORD3D"]
    algorithm = (_ALGORITHM_NAME, _ALGORITHM_VERSION)
    others = [
        item
        for item in members[0].get("ContentSequence") or ()
        if item.get("RelationshipType") == "CONTAINS"
        and not any(named(item, concept) for concept in (*known, *algorithm))
    ]
    return ReportedFinding(
        tracking_uid=tracking_uid,
        identifier=identifiers[0] if identifiers else "",
        finding=coded(_FINDING) or _NOT_STATED,
        category=coded(_CATEGORY),
        laterality=sides[0] if sides else None,
        outlines=tuple(
            _outline(item) for item in items if item.get("ValueType") == "SCOORD" and _image(item)
        ),
        points_mm=np.concatenate(spatial) if spatial else np.empty((0, 3)),
        measurements=tuple(_number(item) for item in items if _is_number(item)),
        evaluations=tuple(_evaluations(others)),
    )


def _image(item: Dataset) -> Dataset | None:
    for child in children(item):
        if child.get("ValueType") == "IMAGE" and child.get("ReferencedSOPSequence"):
            reference: Dataset = child.ReferencedSOPSequence[0]
            return reference
    return None


def _outline(item: Dataset) -> Outline:
    image = _image(item)
    assert image is not None
    frames = image.get("ReferencedFrameNumber")
    first = frames[0] if isinstance(frames, list | tuple) and frames else frames
    data = np.asarray(item.GraphicData, np.float64)
    return Outline(
        sop_instance_uid=str(image.ReferencedSOPInstanceUID),
        frame_number=int(str(first)) if first else None,
        points=data.reshape(-1, 2),
    )


def _points_mm(item: Dataset) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.asarray(item.GraphicData, np.float64).reshape(-1, 3)
