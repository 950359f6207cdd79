"""What a report says is what was written into it, whatever its status."""

from __future__ import annotations

from copy import deepcopy
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from dicom_sr.fallback import as_comprehensive
from dicom_sr.reading import read_report, report_of
from node.domain.errors import OtherDocument, ResultError
from node.domain.finding import Evaluation, Status
from node.domain.reported import is_present, numbers
from tests.dicom_sr import results
from tests.dicom_sr.results import ABSENT, EMBOLISM, case


def written(folder: Path, status: Status) -> Dataset:
    return results.report_of(case(folder, status).results())


@pytest.mark.parametrize("status", Status)
def test_status_and_reason_come_back(tmp_path: Path, status: Status) -> None:
    made = case(tmp_path, status)
    report = report_of(results.report_of(made.results()))
    assert report.status is status
    assert report.reason == made.findings.reason
    assert (report.model, report.version) == ("body_composition", "1.2.3")
    assert report.study_uid == made.study.study_uid


def test_findings_come_back_with_place_and_numbers(tmp_path: Path) -> None:
    made = case(tmp_path)
    report = report_of(results.report_of(made.results()))
    (finding,) = report.findings
    (original,) = made.findings.findings
    assert finding.tracking_uid == original.tracking_uid
    assert finding.identifier == original.tracking_identifier
    assert (finding.finding, finding.category) == (original.finding, original.category)
    (outline,) = finding.outlines
    assert outline.sop_instance_uid == original.contours[0].plane.sop_instance_uid
    assert np.allclose(outline.points[:-1], original.contours[0].points)
    assert np.allclose(outline.points[-1], original.contours[0].points[0])
    assert {name: (one.value, one.unit.value) for name, one in numbers(report).items()} == {
        "L3 skeletal muscle: Area": (154.6, "cm2"),
        "L3 skeletal muscle: Volume": (41.2, "cm3"),
        "Volume": (1234.5, "cm3"),
    }


def test_an_answer_of_absent_is_not_present(tmp_path: Path) -> None:
    report = report_of(written(tmp_path, Status.NO_FINDINGS))
    assert report.exam_evaluations == (Evaluation(EMBOLISM, ABSENT),)
    assert not is_present(report, ("59282003", "SCT"))
    assert not is_present(report, None)


def test_the_form_that_a_destination_got_says_the_same(tmp_path: Path) -> None:
    original = dcmread(BytesIO(results.encoded(written(tmp_path, Status.FINDINGS))))
    other = report_of(as_comprehensive(original))
    same = report_of(original)
    assert other.sop_instance_uid != same.sop_instance_uid
    assert (other.status, other.model) == (same.status, same.model)
    assert numbers(other) == numbers(same)


def test_a_report_that_does_not_say_how_it_ended_has_no_status(tmp_path: Path) -> None:
    data_set = deepcopy(written(tmp_path, Status.NO_FINDINGS))
    for section in data_set.ContentSequence:
        if section.ConceptNameCodeSequence[0].CodeValue == "C0034375":
            section.ContentSequence = [
                item
                for item in section.ContentSequence
                if item.ConceptNameCodeSequence[0].CodeValue != "111017"
            ]
    report = report_of(data_set)
    assert report.status is None
    assert not report.is_whole


def test_a_report_of_another_device_is_named_by_its_algorithm(tmp_path: Path) -> None:
    data_set = deepcopy(written(tmp_path, Status.FINDINGS))
    del data_set.ContributingEquipmentSequence
    assert report_of(data_set).model == "body_composition"
    data_set.ContentSequence = data_set.ContentSequence[:3]
    assert report_of(data_set).model == "Vigie"


def test_what_is_no_measurement_report_is_refused_by_its_path(tmp_path: Path) -> None:
    data_set = deepcopy(written(tmp_path / "images", Status.FINDINGS))
    data_set.ConceptNameCodeSequence[0].CodeValue = "113701"
    with pytest.raises(OtherDocument, match="no Imaging Measurement Report"):
        report_of(data_set)
    path = tmp_path / "dose.dcm"
    data_set.save_as(path, enforce_file_format=True)
    with pytest.raises(OtherDocument, match=r"dose.dcm: no Imaging Measurement Report"):
        read_report(path)
    path.write_bytes(b"a picture")
    with pytest.raises(ResultError, match=r"dose.dcm: cannot be read as a report"):
        read_report(path)
