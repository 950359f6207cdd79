"""A reader's structured report about a report of ours, as a viewer would send it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
from highdicom import sr
from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from dicom_sr.assessment import ASSESSMENT, ASSESSMENTS
from dicom_sr.codes import as_code
from dicom_sr.document import ReportContent, TrackedGroup, read_content
from node.domain.feedback import Answer

VERIFIER = "Lovelace^Ada"


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the reader does with one finding. `area`: another number, cm2; `moved`: pixels.

    `finding`: called so instead. `bare`: neither numbers nor outlines of ours, a point instead.
    """

    answer: Answer | None = None
    code: Code | None = None
    area: float | None = None
    moved: float = 0.0
    comment: str = ""
    finding: Code | None = None
    bare: bool = False


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the document is written.

    `names_us`: our report is its predecessor. `study_uid`: of another study, "" for ours.
    """

    verified: bool = False
    reader: str = VERIFIER
    names_us: bool = True
    study_uid: str = ""
    uid: str = field(default_factory=lambda: str(generate_uid()))
    series_uid: str = field(default_factory=lambda: str(generate_uid()))
    own_findings: Sequence[str] = ()


def answer_to(
    report: Dataset, images: Sequence[Dataset], said: Mapping[str, Said], options: Options
) -> Dataset:
    """A Comprehensive SR after TID 1500 that repeats the named findings of a report of ours.

    Args:
        said: by tracking identifier ("L3 skeletal muscle"); other findings are left out.
        images: of the study; the outlines are drawn on them.
    """
    content = read_content(report)
    planes = {str(image.SOPInstanceUID): image for image in images}
    groups = []
    for group in content.groups:
        if group.identifier in said:
            groups += _groups(group, planes, said[group.identifier])
    for uid in options.own_findings:
        template = next(one for one in content.groups if one.regions)
        own = TrackedGroup(tracking_uid=uid, identifier="mine", regions=template.regions)
        groups += _groups(own, planes, Said())
    evidence = [planes[uid] for uid in sorted(_drawn_on(content))]
    document = sr.ComprehensiveSR(
        evidence=evidence,
        content=_measurement_report(groups, options),
        series_instance_uid=options.series_uid,
        series_number=700,
        sop_instance_uid=options.uid,
        instance_number=1,
        manufacturer="Viewer",
        is_complete=True,
        is_verified=options.verified,
        verifying_observer_name=options.reader if options.verified else None,
        verifying_organization="Radiology" if options.verified else None,
    )
    if options.names_us:
        document.PredecessorDocumentsSequence = [_reference(report)]
    scheme = Dataset()
    scheme.CodingSchemeDesignator = ASSESSMENT.scheme
    scheme.CodingSchemeName = "Vigie"
    scheme.CodingSchemeResponsibleOrganization = "Vigie"
    document.CodingSchemeIdentificationSequence = [scheme]
    if options.study_uid:
        document.StudyInstanceUID = options.study_uid
    return document


def verified_copy(report: Dataset, *, uid: str = "") -> Dataset:
    """Our report as a workstation verifies it, under its own UID or a new one."""
    copy = deepcopy(report)
    copy.VerificationFlag = "VERIFIED"
    observer = Dataset()
    observer.VerifyingObserverName = VERIFIER
    observer.VerifyingObserverIdentificationCodeSequence = [_coded("4711", "99STAFF", "Reader")]
    observer.VerifyingOrganization = "Radiology"
    observer.VerificationDateTime = "20260107080000"
    copy.VerifyingObserverSequence = [observer]
    if uid:
        copy.PredecessorDocumentsSequence = [_reference(report)]
        copy.SOPInstanceUID = uid
        copy.file_meta.MediaStorageSOPInstanceUID = uid
    return copy


def _measurement_report(groups: Sequence[object], options: Options) -> sr.MeasurementReport:
    observer = sr.ObserverContext(
        observer_type=Code("121006", "DCM", "Person"),
        observer_identifying_attributes=sr.PersonObserverIdentifyingAttributes(name=options.reader),
    )
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_person_context=observer),
        procedure_reported=Code("25045-6", "LN", "CT unspecified body region"),
        imaging_measurements=groups,
        title=Code("126000", "DCM", "Imaging Measurement Report"),
    )


def _groups(
    group: TrackedGroup, planes: Mapping[str, Dataset], said: Said
) -> list[sr.PlanarROIMeasurementsAndQualitativeEvaluations]:
    evaluations = []
    code = as_code(ASSESSMENTS[said.answer]) if said.answer is not None else said.code
    if code is not None:
        evaluations.append(sr.QualitativeEvaluation(name=as_code(ASSESSMENT), value=code))
    written = []
    for number, region in enumerate(group.regions):
        image = planes[region.sop_instance_uid]
        points = [(x + said.moved, y) for x, y in region.points]
        planar = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(
                uid=group.tracking_uid, identifier=group.identifier
            ),
            referenced_region=sr.ImageRegion(
                graphic_type="POINT" if said.bare else region.graphic_type,
                graphic_data=np.asarray(points[:1] if said.bare else points, np.float64),
                source_image=sr.SourceImageForRegion(
                    referenced_sop_class_uid=image.SOPClassUID,
                    referenced_sop_instance_uid=image.SOPInstanceUID,
                ),
            ),
            finding_type=said.finding or _finding(group),
            measurements=_numbers(group, said) if number == 0 and not said.bare else None,
            qualitative_evaluations=evaluations if number == 0 and evaluations else None,
        )
        if said.comment and number == 0:
            comment = sr.TextContentItem(
                name=Code("121106", "DCM", "Comment"),
                value=said.comment,
                relationship_type=sr.RelationshipTypeValues.CONTAINS,
            )
            planar[0].ContentSequence.append(comment)
        written.append(planar)
    return written


def _finding(group: TrackedGroup) -> Code:
    value, _, scheme = (group.finding_code or "52988006 SCT").partition(" ")
    return Code(value, scheme, group.finding or "Lesion")


def _numbers(group: TrackedGroup, said: Said) -> list[sr.Measurement] | None:
    numbers = []
    for item in group.measurements:
        if ", " in item.code:
            continue
        value, scheme = item.code.split(" ")
        changed = said.area if item.name == "Area" and said.area is not None else item.value
        numbers.append(
            sr.Measurement(
                name=Code(value, scheme, item.name),
                value=changed,
                unit=Code(item.unit, "UCUM", item.unit),
            )
        )
    return numbers or None


def _drawn_on(content: ReportContent) -> set[str]:
    return {region.sop_instance_uid for group in content.groups for region in group.regions}


def _reference(report: Dataset) -> Dataset:
    item, series, reference = Dataset(), Dataset(), Dataset()
    item.StudyInstanceUID = report.StudyInstanceUID
    series.SeriesInstanceUID = report.SeriesInstanceUID
    reference.ReferencedSOPClassUID = report.SOPClassUID
    reference.ReferencedSOPInstanceUID = report.SOPInstanceUID
    series.ReferencedSOPSequence = [reference]
    item.ReferencedSeriesSequence = [series]
    return item


def _coded(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


__all__ = ["Options", "Said", "answer_to", "verified_copy"]
