"""What a result consists of, for every way a run can end, and on odd source images."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import CTImageStorage

from dicom_sr.report_rules import walk
from dicom_sr.validation import validate
from dicom_sr.write import Predecessor
from node.domain.errors import ResultError
from node.domain.finding import CodedConcept, Status
from node.domain.study import CompletedStudy
from tests.dicom_factory import Person, enhanced_ct
from tests.dicom_sr.results import (
    CONTEXT,
    Case,
    captures_of,
    case,
    case_of,
    encoded,
    report_of,
    segmentations_of,
)


@pytest.mark.parametrize("status", list(Status))
def test_every_status_is_reported_and_shown_on_a_page(tmp_path: Path, status: Status) -> None:
    it = case(tmp_path, status)
    results = it.results()
    validate(results, it.study)
    assert report_of(results)
    assert captures_of(results)


@pytest.mark.parametrize(
    ("status", "question", "answer", "flag"),
    [
        (Status.FINDINGS, "111017", "111242", "COMPLETE"),
        (Status.NO_FINDINGS, "111017", "111241", "COMPLETE"),
        (Status.PARTIAL, "111017", "111244", "PARTIAL"),
        (Status.FAILED, "111017", "111245", "PARTIAL"),
        (Status.NOT_ELIGIBLE, "111064", "111225", "COMPLETE"),
    ],
)
def test_report_says_how_the_run_ended(
    tmp_path: Path, status: Status, question: str, answer: str, flag: str
) -> None:
    report = report_of(case(tmp_path, status).results())
    codes = {
        item.ConceptNameCodeSequence[0].CodeValue: item.ConceptCodeSequence[0].CodeValue
        for item in walk(report)
        if item.ValueType == "CODE"
    }
    assert codes[question] == answer
    assert report.CompletionFlag == flag
    assert ("CompletionFlagDescription" in report) == (flag == "PARTIAL")
    assert report.VerificationFlag == "UNVERIFIED"
    assert report.PreliminaryFlag == "PRELIMINARY"


def test_same_job_carried_out_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    it = case(tmp_path)
    first = [encoded(item) for item in it.results()]
    slower = it.having(seconds={"network": 99.0})
    assert [encoded(item) for item in slower.results()] == first


def test_anything_that_changes_the_result_changes_every_instance_uid(tmp_path: Path) -> None:
    it = case(tmp_path)
    before = {item.SOPInstanceUID for item in it.results()}
    model = replace(it.findings.model, version="1.2.4")
    for other, context in (
        (it.having(limits=("another limit",)), CONTEXT),
        (it.having(model=model), CONTEXT),
        (it, replace(CONTEXT, configuration_digest="00" * 32)),
        (it, CONTEXT.at(CONTEXT.moment + timedelta(seconds=1))),
    ):
        assert before.isdisjoint({item.SOPInstanceUID for item in other.results(context)})


def test_objects_name_node_model_and_scanner(tmp_path: Path) -> None:
    it = case(tmp_path)
    for item in it.results():
        assert (item.Manufacturer, item.StationName) == ("Vigie", "vigie")
        scanner, model = item.ContributingEquipmentSequence
        assert scanner.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"
        assert scanner.Manufacturer == "Vigie tests"
        assert model.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        assert item.DeviceUID == it.findings.model.device_uid
        assert it.findings.model.digest in model.ContributionDescription
        assert model.SoftwareVersions == "1.2.3"


def test_research_is_said_in_every_place_until_somebody_answers_for_it(tmp_path: Path) -> None:
    it = case(tmp_path)
    for item in it.results():
        assert item.ContentQualification == "RESEARCH"
        assert item.SeriesDescription.endswith(" RESEARCH")
    assert any("NOT FOR DIAGNOSIS" in text for text in _texts(report_of(it.results())))
    cleared = replace(CONTEXT, label="cleared", responsible_person="Ada Lovelace")
    results = it.results(cleared)
    validate(results, it.study)
    for item in results:
        assert item.ContentQualification == "PRODUCT"
        assert "RESEARCH" not in item.SeriesDescription
    assert not any("NOT FOR DIAGNOSIS" in text for text in _texts(report_of(results)))
    assert str(segmentations_of(results)[0].ContentCreatorName) == "Lovelace^Ada"


def test_cleared_results_without_a_responsible_person_are_refused() -> None:
    with pytest.raises(ResultError, match="responsible person"):
        replace(CONTEXT, label="cleared")


def test_series_sort_behind_the_images_and_description_fits(tmp_path: Path) -> None:
    it = case(tmp_path)
    title = "Quantification of everything in the abdomen and a little of the pelvis too"
    model = replace(it.findings.model, title=title, version="12.0.0-rc1")
    results = it.having(model=model).results()
    assert {item.SeriesNumber for item in results} == {9041, 9042, 9043}
    for item in results:
        assert len(item.SeriesDescription) <= 64
        assert "v12.0.0-rc1 RESEARCH" in item.SeriesDescription


def test_correction_goes_into_the_same_series_and_names_what_it_replaces(tmp_path: Path) -> None:
    it = case(tmp_path)
    first = it.results()
    old = report_of(first)
    context = CONTEXT.at(
        CONTEXT.moment + timedelta(hours=1),
        predecessor=(
            Predecessor(
                study_uid=old.StudyInstanceUID,
                series_uid=old.SeriesInstanceUID,
                sop_class_uid=old.SOPClassUID,
                sop_instance_uid=old.SOPInstanceUID,
                instance_number=int(old.InstanceNumber),
            ),
        ),
    )
    second = it.results(context)
    validate(second, it.study)
    new = report_of(second)
    assert (old.InstanceNumber, new.InstanceNumber) == (1, 2)
    assert new.ContentTime > old.ContentTime
    assert {i.SeriesInstanceUID for i in first} == {i.SeriesInstanceUID for i in second}
    assert {i.SOPInstanceUID for i in first}.isdisjoint({i.SOPInstanceUID for i in second})
    numbers = [{int(page.InstanceNumber) for page in captures_of(each)} for each in (first, second)]
    assert numbers[0].isdisjoint(numbers[1])
    replaced = new.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert replaced.SeriesInstanceUID == old.SeriesInstanceUID
    reference = replaced.ReferencedSOPSequence[0]
    assert reference.ReferencedSOPInstanceUID == old.SOPInstanceUID
    assert "PredecessorDocumentsSequence" not in old


def test_report_lists_images_segmentation_and_pages_as_evidence(tmp_path: Path) -> None:
    it = case(tmp_path)
    results = it.results()
    listed = {
        reference.ReferencedSOPInstanceUID
        for study in report_of(results).CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }
    others = {item.SOPInstanceUID for item in results if item.Modality != "SR"}
    assert listed == others | {str(image.sop_instance_uid) for image in it.series.instances}


@pytest.mark.parametrize("status", [Status.FINDINGS, Status.FAILED])
def test_identity_stands_in_the_patient_module_and_nowhere_else(
    tmp_path: Path, status: Status
) -> None:
    person = Person(name="Quibble^Zenobia", patient_id="PID-55512", birth_date="19481231")
    it = case(tmp_path, status, patient=person)
    for item in it.results():
        assert str(item.PatientName) == "Quibble^Zenobia"
        assert item.PatientID == "PID-55512"
        body = Dataset()
        body.update({e.tag: e for e in item if e.tag.group != 0x0010 and e.keyword != "PixelData"})
        text = str(body)
        for secret in ("Quibble", "Zenobia", "PID-55512", "19481231"):
            assert secret not in text


#: "Petrova^Lyubov" in Cyrillic letters.
RUSSIAN = "\u041f\u0435\u0442\u0440\u043e\u0432\u0430^\u041b\u044e\u0431\u043e\u0432\u044c"

NAMES = [
    ("Äneas^Rüdiger", None),
    ("Yamada^Tarou=山田^太郎=やまだ^たろう", None),
    (RUSSIAN, None),
    ("X" * 100, None),
    ("", None),
    ("Buc^Jérôme", "ISO_IR 100"),
    (RUSSIAN, "ISO_IR 144"),
]


@pytest.mark.filterwarnings("ignore:The PN component length:UserWarning")
@pytest.mark.parametrize(("name", "charset"), NAMES)
def test_patient_name_in_any_script_is_repeated_letter_by_letter(
    tmp_path: Path, name: str, charset: str | None
) -> None:
    changes = {"SpecificCharacterSet": charset} if charset else {}
    it = case(tmp_path, patient=Person(name=name), changes=changes)
    results = it.results()
    validate(results, it.study)
    for item in results:
        assert item.SpecificCharacterSet == "ISO_IR 192"
        read = _read_back(item)
        assert str(read.PatientName) == name


ODD: dict[str, dict[str, Any]] = {
    "no study date": {"StudyDate": None, "StudyTime": None},
    "no patient": {"PatientName": None, "PatientID": None, "PatientBirthDate": None},
    "two ids": {"PatientID": ["A-1", "B-2"]},
    "no sex": {"PatientSex": None},
    "another sex": {"PatientSex": "X"},
    "old date": {"StudyDate": "2026.01.05"},
    "birth year": {"PatientBirthDate": "1960"},
    "no order": {"AccessionNumber": None, "StudyID": None, "ReferringPhysicianName": None},
    "no manufacturer": {"Manufacturer": None, "ManufacturerModelName": None},
    "zone": {"TimezoneOffsetFromUTC": "+0530"},
    "broken zone": {"TimezoneOffsetFromUTC": "GMT"},
    "no character set": {"SpecificCharacterSet": None},
    "long text": {"StudyDescription": "y" * 90, "InstitutionName": "z" * 90},
}


@pytest.mark.filterwarnings("ignore:Invalid value:UserWarning")
@pytest.mark.filterwarnings("ignore:The value length:UserWarning")
@pytest.mark.filterwarnings("ignore:A value of type:UserWarning")
@pytest.mark.parametrize("changes", ODD.values(), ids=list(ODD))
def test_odd_headers_still_get_a_valid_result(tmp_path: Path, changes: dict[str, Any]) -> None:
    it = case(tmp_path, changes=changes)
    results = it.results()
    validate(results, it.study)
    for item in results:
        assert item.PatientSex in ("M", "F", "O", "", None)
        assert item.StudyDate in ("20260105", "", None)


def test_private_codes_say_whose_they_are(tmp_path: Path) -> None:
    it = case(tmp_path)
    private = CodedConcept("SMI", "99VIGIE", "Skeletal muscle index at L3")
    number = replace(it.findings.exam_measurements[0], name=private)
    results = it.having(exam_measurements=(number,)).results()
    validate(results, it.study)
    (scheme,) = report_of(results).CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99VIGIE"
    assert scheme.CodingSchemeResponsibleOrganization == "Vigie"
    assert "CodingSchemeIdentificationSequence" not in report_of(it.results())


def test_content_time_is_in_the_time_zone_of_the_images(tmp_path: Path) -> None:
    it = case(tmp_path, changes={"TimezoneOffsetFromUTC": "+0530"})
    for item in it.results():
        assert (item.ContentDate, item.ContentTime) == ("20260106", "150000")
        assert item.TimezoneOffsetFromUTC == "+0530"


def test_images_without_a_frame_of_reference_get_no_segmentation_but_a_reason(
    tmp_path: Path,
) -> None:
    it = case(tmp_path, changes={"FrameOfReferenceUID": None})
    results = it.results()
    validate(results, it.study)
    assert segmentations_of(results) == []
    assert any("no frame of reference" in text for text in _texts(report_of(results)))


def test_images_without_a_sop_class_are_referenced_by_the_inferred_one(tmp_path: Path) -> None:
    it = case(tmp_path, changes={"SOPClassUID": None})
    assert it.series.class_is_inferred
    results = it.results()
    validate(results, it.study)
    (image,) = [i for i in walk(report_of(results)) if i.ValueType == "SCOORD"]
    reference = image.ContentSequence[0].ReferencedSOPSequence[0]
    assert reference.ReferencedSOPClassUID == CTImageStorage


def test_frames_of_an_enhanced_image_are_referenced_by_number(tmp_path: Path) -> None:
    it = case_of([enhanced_ct(frames=20)], tmp_path)
    results = it.results()
    validate(results, it.study)
    (region,) = [i for i in walk(report_of(results)) if i.ValueType == "SCOORD"]
    reference = region.ContentSequence[0].ReferencedSOPSequence[0]
    assert reference.ReferencedFrameNumber == it.series.planes[12].frame_number
    (segmentation,) = segmentations_of(results)
    source = segmentation.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0]
    frame = source.SourceImageSequence[0].ReferencedFrameNumber
    assert frame == it.series.planes[12].frame_number


@pytest.mark.parametrize("status", [Status.FAILED, Status.NOT_ELIGIBLE])
def test_unreadable_images_are_still_answered_with_a_report(tmp_path: Path, status: Status) -> None:
    it = case(tmp_path, status)
    for image in it.series.instances:
        image.extent.path.write_bytes(b"gone")
    results = it.results()
    validate(results, it.study)
    assert str(report_of(results).PatientName) == "Test^Person"


def test_context_without_a_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="content time"):
        case(tmp_path).results(replace(CONTEXT, content_time=None))


Break = Callable[[Case, list[Dataset]], None]


def _drop_scoord(it: Case, results: list[Dataset]) -> None:
    for item in walk(report_of(results)):
        if "ContentSequence" in item:
            item.ContentSequence = [c for c in item.ContentSequence if c.ValueType != "SCOORD"]


def _leave_image(it: Case, results: list[Dataset]) -> None:
    region = next(item for item in walk(report_of(results)) if item.ValueType == "SCOORD")
    region.GraphicData = [900.0, *list(region.GraphicData)[1:-2], 900.0, region.GraphicData[1]]


def _foreign_evidence(it: Case, results: list[Dataset]) -> None:
    report = report_of(results)
    series = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3.4"


def _other_patient(it: Case, results: list[Dataset]) -> None:
    results[0].PatientID = "SOMEBODY-ELSE"


def _other_study(it: Case, results: list[Dataset]) -> None:
    results[0].StudyInstanceUID = "1.2.3"


def _no_capture(it: Case, results: list[Dataset]) -> None:
    results[:] = [item for item in results if item.Modality != "OT"]


def _short_pixels(it: Case, results: list[Dataset]) -> None:
    results[0].PixelData = results[0].PixelData[:-2]


def _no_unit(it: Case, results: list[Dataset]) -> None:
    number = next(item for item in walk(report_of(results)) if item.ValueType == "NUM")
    number.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = []


def _no_meaning(it: Case, results: list[Dataset]) -> None:
    del (
        segmentations_of(results)[0]
        .SegmentSequence[0]
        .SegmentedPropertyTypeCodeSequence[0]["CodeMeaning"]
    )


def _verified(it: Case, results: list[Dataset]) -> None:
    report_of(results).VerificationFlag = "VERIFIED"


def _no_outcome(it: Case, results: list[Dataset]) -> None:
    report_of(results).ContentSequence.pop()


def _no_tracking_uid(it: Case, results: list[Dataset]) -> None:
    for item in walk(report_of(results)):
        if "ContentSequence" in item:
            item.ContentSequence = [c for c in item.ContentSequence if "UID" not in c]


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_drop_scoord, "owns no SCOORD"),
        (_leave_image, "leaves its image"),
        (_foreign_evidence, "outside of the study"),
        (_other_patient, "another PatientID"),
        (_other_study, "another study"),
        (_no_capture, "at least one secondary capture"),
        (_short_pixels, "PixelData has"),
        (_no_unit, "no unit"),
        (_no_meaning, "incomplete coded concept"),
        (_verified, "must not verify"),
        (_no_outcome, "how the run ended"),
        (_no_tracking_uid, "lacks its tracking"),
    ],
)
def test_damaged_result_is_not_sent(tmp_path: Path, harm: Break, message: str) -> None:
    it = case(tmp_path)
    results = list(it.results())
    harm(it, results)
    with pytest.raises(ResultError, match=message) as refusal:
        validate(results, it.study)
    assert it.study.patient.patient_name not in str(refusal.value)


def test_validation_is_quick(tmp_path: Path) -> None:

    it: Case = case(tmp_path)
    results = it.results()
    study: CompletedStudy = it.study
    started = time.perf_counter()
    validate(results, study)
    assert time.perf_counter() - started < 1.0


def _texts(report: Dataset) -> list[str]:
    return [str(item.TextValue) for item in walk(report) if item.ValueType == "TEXT"]


def _read_back(data_set: Dataset) -> Dataset:

    return pydicom.dcmread(BytesIO(encoded(data_set)))
