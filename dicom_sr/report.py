"""Comprehensive 3D SR after TID 1500 Measurement Report.

The tree is put together here row by row; highdicom builds the measurement groups and checks
the relationships. Geometry is 2D SCOORD on source images only, and every tracking UID owns at
least one, because viewers show nothing of a report with a group that has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from highdicom import sr
from highdicom.sr import ContentSequence, RelationshipTypeValues
from pydicom import Dataset
from pydicom.uid import CTImageStorage

from dicom_sr import codes
from dicom_sr.codes import as_code
from dicom_sr.common import Kind, ResultInput, clipped, finish
from dicom_sr.context import Predecessor
from dicom_sr.measurement_groups import frames_of, measurement_groups, text_item
from dicom_sr.source import (
    bare_reference,
    class_of,
    classes,
    home_of,
    reference_to,
    study_class,
)
from dicom_sr.wording import (
    CLEARED_COMMENT,
    NO_RESULT,
    RESEARCH_COMMENT,
    has_result,
    rounded,
    status_sentence,
    text_of,
)
from node.domain.errors import ResultError
from node.domain.finding import CodedConcept, Status, derived_uid
from node.domain.study import Plane

CONTAINS: Final = RelationshipTypeValues.CONTAINS


def write_report(
    work: ResultInput, segmentation: Dataset | None, captures: Sequence[Dataset]
) -> Dataset:
    """One structured report with everything the findings say.

    Args:
        work: findings, images and labels.
        segmentation: the segmentation written with it, or None.
        captures: the secondary captures written with it; listed as evidence.

    Raises:
        ResultError: the findings cannot be expressed as a valid report.
    """
    results = [*captures, segmentation] if segmentation is not None else [*captures]
    try:
        content = _tree(work, segmentation)
        data_set: Dataset = sr.Comprehensive3DSR(
            evidence=[_some_evidence(work, results)],
            # Given the whole tree it would copy and parse it, as reading the report back does.
            content=_empty_root(),
            series_instance_uid=work.series_uid(Kind.REPORT),
            series_number=work.series_number(Kind.REPORT),
            sop_instance_uid=work.object_uid(Kind.REPORT),
            instance_number=work.context.instance_number,
            manufacturer=clipped(work.context.manufacturer),
            is_complete=work.findings.status not in (Status.PARTIAL, Status.FAILED),
            is_final=False,
            is_verified=False,
            specific_character_set="ISO_IR 192",
        )
        data_set.update(content)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ResultError(
            f"the findings cannot be written as a TID 1500 report: {error}",
            study_uid=work.study.study_uid,
            series_uid=work.series.series_uid,
        ) from error
    data_set.CurrentRequestedProcedureEvidenceSequence = [_evidence(work, results)]
    if data_set.CompletionFlag == "PARTIAL":
        data_set.CompletionFlagDescription = clipped(work.findings.reason)
    _references(data_set, work)
    _request(data_set, work)
    finish(data_set, work, Kind.REPORT)
    return data_set


def _evidence(work: ResultInput, results: Sequence[Dataset]) -> Dataset:
    """The results, every image of the series, and those of other series that the content names.

    All are of one study (PS3.3 C.17.2, CurrentRequestedProcedureEvidenceSequence).
    """
    listed: dict[str, dict[str, str]] = {}
    for result in results:
        series = listed.setdefault(str(result.SeriesInstanceUID), {})
        series[str(result.SOPInstanceUID)] = str(result.SOPClassUID)
    own = classes(work.series)
    listed.setdefault(str(work.series.series_uid), {}).update(own)
    for plane in _referenced_planes(work):
        uid = str(plane.sop_instance_uid)
        if uid not in own:
            home = home_of(work.study, work.series, uid)
            series = listed.setdefault(str(home.series_uid), {})
            series[uid] = classes(home).get(uid, class_of(home))
    study = Dataset()
    study.StudyInstanceUID = str(work.study.study_uid)
    study.ReferencedSeriesSequence = [_listed(*item) for item in listed.items()]
    return study


def _listed(series_uid: str, instances: Mapping[str, str]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = series_uid
    item.ReferencedSOPSequence = [reference_to(*pair) for pair in instances.items()]
    return item


def _some_evidence(work: ResultInput, results: Sequence[Dataset]) -> Dataset:
    """What highdicom takes study and patient from; the list it makes of it is replaced.

    It looks the class up in its tables: never an odd source's own.
    """
    known = results[0].SOPInstanceUID if results else work.series.planes[0].sop_instance_uid
    evidence = bare_reference(work.study, work.series, str(known))
    evidence.SOPClassUID = results[0].SOPClassUID if results else CTImageStorage
    return evidence


def _references(data_set: Dataset, work: ResultInput) -> None:
    """What this report replaces, and what of other studies it rests on (PS3.3 C.17.2)."""
    if work.context.predecessor:
        data_set.PredecessorDocumentsSequence = _by_study(work.context.predecessor)
    if work.context.other_evidence:
        data_set.PertinentOtherEvidenceSequence = _by_study(work.context.other_evidence)


def _by_study(objects: Sequence[Predecessor]) -> list[Dataset]:
    """Hierarchical SOP Instance References (PS3.3 C.17.2.1)."""
    studies: dict[str, dict[str, list[Dataset]]] = {}
    for one in objects:
        reference = Dataset()
        reference.ReferencedSOPClassUID = one.sop_class_uid
        reference.ReferencedSOPInstanceUID = one.sop_instance_uid
        series = studies.setdefault(one.study_uid, {})
        series.setdefault(one.series_uid, []).append(reference)
    items = []
    for study_uid, by_series in studies.items():
        item = Dataset()
        item.StudyInstanceUID = study_uid
        item.ReferencedSeriesSequence = []
        for series_uid, references in by_series.items():
            entry = Dataset()
            entry.SeriesInstanceUID = series_uid
            entry.ReferencedSOPSequence = references
            item.ReferencedSeriesSequence.append(entry)
        items.append(item)
    return items


def _request(data_set: Dataset, work: ResultInput) -> None:
    """The order that the images were made for, as far as they repeat it."""
    attributes = next(iter(work.header.get("RequestAttributesSequence") or ()), Dataset())
    procedure_id = str(attributes.get("RequestedProcedureID", "") or "")
    if not work.study.accession_number and not procedure_id:
        return
    item = Dataset()
    item.StudyInstanceUID = str(work.study.study_uid)
    item.ReferencedStudySequence = []
    item.AccessionNumber = work.study.accession_number
    item.PlacerOrderNumberImagingServiceRequest = ""
    item.FillerOrderNumberImagingServiceRequest = ""
    item.RequestedProcedureID = clipped(procedure_id, 16)
    item.RequestedProcedureDescription = clipped(
        str(attributes.get("RequestedProcedureDescription", "") or "")
    )
    item.RequestedProcedureCodeSequence = []
    data_set.ReferencedRequestSequence = [item]


def _empty_root() -> sr.ContainerContentItem:
    root = sr.ContainerContentItem(
        name=as_code(codes.IMAGING_MEASUREMENT_REPORT), template_id="1500"
    )
    root.ContentSequence = ContentSequence()
    return root


def _tree(work: ResultInput, segmentation: Dataset | None) -> Dataset:
    root = _empty_root()
    content = ContentSequence()
    content.extend(sr.LanguageOfContentItemAndDescendants(_english()))
    content.extend(_observer(work))
    content.append(
        sr.CodeContentItem(
            name=as_code(codes.PROCEDURE_REPORTED),
            value=as_code(codes.PROCEDURES.get(work.series.modality, codes.IMAGING_PROCEDURE)),
            relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD,
        )
    )
    referenced = _referenced_planes(work)
    if referenced:
        content.append(_image_library(work, referenced))
    groups = measurement_groups(work, segmentation)
    if groups:
        measured = _container(codes.IMAGING_MEASUREMENTS)
        for group in groups:
            measured.ContentSequence.extend(group)
        content.append(measured)
    if work.findings.exam_measurements:
        content.append(_derived(work))
    content.append(_evaluations(work))
    root.ContentSequence = content
    return root


def _english() -> sr.CodedConcept:
    return sr.CodedConcept("en-US", "RFC5646", "English (United States)")


def _container(concept: CodedConcept) -> sr.ContainerContentItem:
    item = sr.ContainerContentItem(name=as_code(concept), relationship_type=CONTAINS)
    item.ContentSequence = ContentSequence()
    return item


def _observer(work: ResultInput) -> sr.ObservationContext:
    context = work.context
    return sr.ObservationContext(
        observer_device_context=sr.ObserverContext(
            observer_type=sr.CodedConcept.from_code(as_code(codes.DEVICE)),
            observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
                uid=derived_uid("node", context.manufacturer, context.serial_number),
                name=context.station_name,
                manufacturer_name=context.manufacturer,
                model_name=context.model_name,
                serial_number=context.serial_number,
            ),
        )
    )


def _referenced_planes(work: ResultInput) -> list[Plane]:
    planes = [c.plane for finding in work.findings.findings for c in finding.contours]
    planes += [image.plane for image in work.findings.key_images if image.plane is not None]
    unique = {(plane.sop_instance_uid, plane.frame_number): plane for plane in planes}
    return list(unique.values())


def _image_library(work: ResultInput, planes: Sequence[Plane]) -> sr.ContainerContentItem:
    """TID 1600: the referenced images only, not the whole series."""
    library = _container(codes.IMAGE_LIBRARY)
    group = _container(codes.IMAGE_LIBRARY_GROUP)
    group.ContentSequence.append(
        sr.CodeContentItem(
            name=as_code(codes.MODALITY),
            value=as_code(codes.MODALITIES.get(work.series.modality, codes.OT)),
            relationship_type=RelationshipTypeValues.HAS_ACQ_CONTEXT,
        )
    )
    if work.series.frame_of_reference_uid:
        group.ContentSequence.append(
            sr.UIDRefContentItem(
                name=as_code(codes.FRAME_OF_REFERENCE),
                value=work.series.frame_of_reference_uid,
                relationship_type=RelationshipTypeValues.HAS_ACQ_CONTEXT,
            )
        )
    for plane in planes:
        group.ContentSequence.append(
            sr.ImageContentItem(
                name=as_code(codes.SOURCE),
                referenced_sop_class_uid=study_class(
                    work.study, work.series, plane.sop_instance_uid
                ),
                referenced_sop_instance_uid=plane.sop_instance_uid,
                referenced_frame_numbers=frames_of(plane),
                relationship_type=CONTAINS,
            )
        )
    library.ContentSequence.append(group)
    return library


def _coded(name: CodedConcept, value: CodedConcept) -> sr.CodeContentItem:
    return sr.CodeContentItem(name=as_code(name), value=as_code(value), relationship_type=CONTAINS)


def _derived(work: ResultInput) -> sr.ContainerContentItem:
    """TID 1420: measurements of the whole exam, which belong to no region."""
    container = _container(codes.DERIVED_MEASUREMENTS)
    for item in work.findings.exam_measurements:
        number = sr.NumContentItem(
            name=as_code(item.name),
            value=rounded(item),
            unit=as_code(item.unit),
            relationship_type=CONTAINS,
        )
        if item.derivation is not None:
            derivation = sr.CodeContentItem(
                name=as_code(codes.DERIVATION),
                value=as_code(item.derivation),
                relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD,
            )
            number.ContentSequence = ContentSequence([derivation])
        container.ContentSequence.append(number)
    return container


def _evaluations(work: ResultInput) -> sr.ContainerContentItem:
    """Row 12: how the run ended, answers about the exam, reason, limits, warning."""
    findings = work.findings
    container = _container(codes.QUALITATIVE_EVALUATIONS)
    content = container.ContentSequence
    content.append(_coded(*_outcome(findings.status, found=bool(findings.findings))))
    for evaluation in findings.exam_evaluations:
        if isinstance(evaluation.value, str):
            content.append(text_item(evaluation.name, evaluation.value))
        else:
            content.append(_coded(evaluation.name, evaluation.value))
    research = work.context.is_research
    comments = [RESEARCH_COMMENT if research else CLEARED_COMMENT]
    if findings.reason:
        comments.append(status_sentence(findings))
    if not has_result(findings.status):
        comments.append(NO_RESULT)
    comments += [f"{item.label}: {text_of(item)}" for item in findings.exam_measurements]
    comments += findings.limits
    for comment in comments:
        content.append(text_item(codes.COMMENT, comment))
    return container


def _outcome(status: Status, *, found: bool) -> tuple[CodedConcept, CodedConcept]:
    """The question and the coded answer that say how the run ended (results table)."""
    match status:
        case Status.FINDINGS:
            return codes.SUMMARY, codes.SUCCEEDED_WITH
        case Status.NO_FINDINGS:
            return codes.SUMMARY, codes.SUCCEEDED_WITHOUT
        case Status.PARTIAL:
            return codes.SUMMARY, codes.PARTLY_WITH if found else codes.PARTLY_WITHOUT
        case Status.FAILED:
            return codes.SUMMARY, codes.NONE_SUCCEEDED
        case Status.NOT_ELIGIBLE:
            return codes.SUMMARY_OF_DETECTIONS, codes.NOT_ATTEMPTED
