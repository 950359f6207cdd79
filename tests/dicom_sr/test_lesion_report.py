"""Several lesions in one report: regions, volumes, codes, and the selection of key images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from dicom_sr import codes
from dicom_sr.report_rules import groups, named, walk
from dicom_sr.validation import validate
from node.domain.finding import FINDING_SITE, CodedConcept, Evaluation, Status
from tests.dicom_sr.lesions import (
    CERTAINTY,
    COMMENT,
    COMPOSITION,
    LONG,
    LUNG_RADS,
    MESH,
    NODULE,
    PRESENT,
    VOLUME,
    case_with_lesions,
)
from tests.dicom_sr.results import (
    CONTEXT,
    TISSUE,
    Case,
    captures_of,
    case,
    encoded,
    report_of,
    segmentations_of,
)

WITH_KEYS = replace(CONTEXT, key_objects=True)
TOPOGRAPHY = CodedConcept("106233006", "SCT", "Topographical modifier")
LATERALITY = CodedConcept("272741003", "SCT", "Laterality")


@pytest.fixture
def it(tmp_path: Path) -> Case:
    return case_with_lesions(tmp_path)


def uid_of(group: Dataset) -> str:
    (item,) = [child for child in group.ContentSequence if named(child, codes.TRACKING_UID)]
    return str(item.UID)


def selection_of(objects: tuple[Dataset, ...]) -> list[Dataset]:
    return [item for item in objects if item.SOPClassUID == KeyObjectSelectionDocumentStorage]


def test_each_lesion_has_a_region_and_a_volume_under_one_tracking_uid(it: Case) -> None:
    objects = it.results()
    validate(objects, it.study)
    found = groups(report_of(objects))
    (segmentation,) = segmentations_of(objects)
    for number, lesion in enumerate(it.findings.findings, start=1):
        planar, volumetric = (group for group in found if uid_of(group) == lesion.tracking_uid)
        assert any(child.ValueType == "SCOORD" for child in planar.ContentSequence)
        assert not any(named(child, VOLUME) for child in planar.ContentSequence)
        assert any(named(child, VOLUME) for child in volumetric.ContentSequence)
        (image,) = [c for c in volumetric.ContentSequence if c.ValueType == "IMAGE"]
        assert image.ReferencedSOPSequence[0].ReferencedSegmentNumber == number
        segment = segmentation.SegmentSequence[number - 1]
        assert segment.TrackingUID == lesion.tracking_uid
    assert len(found) == 2 * len(it.findings.findings)


def test_certainty_side_place_and_level_are_coded(it: Case) -> None:
    report = report_of(it.results())
    planar = [g for g in groups(report) if any(c.ValueType == "SCOORD" for c in g.ContentSequence)]
    (certainty,) = [c for c in planar[0].ContentSequence if named(c, CERTAINTY)]
    value = certainty.MeasuredValueSequence[0]
    assert float(value.NumericValue) == 87
    assert value.MeasurementUnitsCodeSequence[0].CodeValue == "%"
    assert any(named(c, MESH) for c in planar[0].ContentSequence)
    sites = [c for c in planar[1].ContentSequence if named(c, FINDING_SITE)]
    below = {
        c.ConceptNameCodeSequence[0].CodeValue: c.ConceptCodeSequence[0].CodeMeaning
        for c in sites[0].ContentSequence
    }
    assert below == {LATERALITY.value: "Right", TOPOGRAPHY.value: "Segmental level"}


def test_answers_about_the_lesion_and_the_exam_are_coded_and_long_texts_are_whole(
    it: Case,
) -> None:
    said = it.findings
    more = (*said.exam_evaluations, Evaluation(COMMENT, LONG))
    report = report_of(it.having(exam_evaluations=more).results())
    (group, *_) = groups(report)
    coded = [c for c in group.ContentSequence if named(c, COMPOSITION)]
    assert coded[0].ConceptCodeSequence[0].CodingSchemeDesignator == "RADELEMENT"
    assert any(named(c, LUNG_RADS) and c.ValueType == "TEXT" for c in group.ContentSequence)
    exam = [c for c in walk(report) if named(c, NODULE) and c.ValueType == "CODE"]
    assert exam[0].ConceptCodeSequence[0].CodeValue == PRESENT.value
    assert LONG in [c.TextValue for c in walk(report) if c.ValueType == "TEXT"]


def test_schemes_that_readers_may_not_know_are_declared(it: Case) -> None:
    declared = {
        item.CodingSchemeDesignator: item
        for item in report_of(it.results()).CodingSchemeIdentificationSequence
    }
    assert declared["RADELEMENT"].CodingSchemeUID == "1.2.840.10008.2.16.15"
    assert declared["99VIGIE"].CodingSchemeResponsibleOrganization == "Vigie"
    assert "SCT" not in declared


def test_key_images_are_selected_with_the_pages(it: Case) -> None:
    objects = it.results(WITH_KEYS)
    validate(objects, it.study)
    (selection,) = selection_of(objects)
    title = selection.ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("113000", "DCM")
    listed = [
        str(c.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for c in walk(selection)
        if c.ValueType == "IMAGE"
    ]
    marked = {str(f.contours[0].plane.sop_instance_uid) for f in it.findings.findings}
    pages = {str(page.SOPInstanceUID) for page in captures_of(objects)}
    assert set(listed) == marked | pages
    assert len(listed) == len(set(listed))
    evidence = {
        str(reference.ReferencedSOPInstanceUID)
        for item in selection.CurrentRequestedProcedureEvidenceSequence
        for series in item.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }
    assert evidence == set(listed)
    assert selection.ContentQualification == "RESEARCH"
    assert [encoded(item) for item in it.results(WITH_KEYS)] == [encoded(item) for item in objects]


def test_nothing_is_selected_where_nothing_was_found_or_nobody_wants_it(
    it: Case, tmp_path: Path
) -> None:
    assert selection_of(it.results()) == []
    for number, status in enumerate((Status.NO_FINDINGS, Status.FAILED, Status.NOT_ELIGIBLE)):
        other = case(tmp_path / str(number), status)
        assert selection_of(other.results(WITH_KEYS)) == []


def test_what_was_measured_and_is_sound_is_no_key_image(it: Case) -> None:
    sound = [replace(one, category=TISSUE) for one in it.findings.findings[1:]]
    few = it.having(findings=(it.findings.findings[0], *sound))
    (selection,) = selection_of(few.results(WITH_KEYS))
    wanted = {c.plane.sop_instance_uid for c in it.findings.findings[0].contours}
    shown = [
        child.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for child in selection.ContentSequence
        if child.ValueType == "IMAGE"
    ]
    sources = {str(plane.sop_instance_uid) for plane in it.series.planes}
    assert set(shown) & sources == wanted
