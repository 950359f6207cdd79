"""What a reader's report says about a finding of ours, and what it leaves open."""

from __future__ import annotations

import shutil
import subprocess
from copy import deepcopy
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from dicom_sr.assessment import STANDARD_VOCABULARY, Assessed, assess
from dicom_sr.document import MAX_DEPTH, read_content
from node.domain.errors import DocumentError
from node.domain.feedback import Answer
from tests.dicom_sr.results import case
from tests.node.reader_sr import VERIFIER, Options, Said, answer_to, verified_copy

MUSCLE = "L3 skeletal muscle"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, list[Dataset]]:
    """Our report, and the images that it is about."""
    folder = tmp_path_factory.mktemp("study")
    results = case(folder).results()
    (report,) = (item for item in results if item.Modality == "SR")
    return report, [dcmread(path) for path in sorted(folder.rglob("*.dcm"))]


def said(
    written: tuple[Dataset, list[Dataset]], what: Said, options: Options | None = None
) -> Assessed:
    report, images = written
    document = read_content(answer_to(report, images, {MUSCLE: what}, options or Options()))
    (found,) = assess(document, read_content(report).groups, STANDARD_VOCABULARY)
    return found


@pytest.mark.parametrize("answer", list(Answer))
def test_an_explicit_assessment_counts_as_said(
    written: tuple[Dataset, list[Dataset]], answer: Answer
) -> None:
    assert said(written, Said(answer=answer)).answer is answer


def test_a_code_of_the_site_counts_and_an_unknown_code_does_not(
    written: tuple[Dataset, list[Dataset]],
) -> None:
    report, images = written
    code = Code("NO", "99SITE", "Not confirmed")
    document = read_content(answer_to(report, images, {MUSCLE: Said(code=code)}, Options()))
    ours = read_content(report).groups
    (unknown,) = assess(document, ours, STANDARD_VOCABULARY)
    assert unknown.answer is None
    (known,) = assess(document, ours, {("NO", "99SITE"): Answer.REJECTED})
    assert known.answer is Answer.REJECTED


def test_another_number_is_a_correction_and_is_kept(
    written: tuple[Dataset, list[Dataset]],
) -> None:
    found = said(written, Said(area=120.0))
    assert found.answer is Answer.CORRECTED
    (number,) = found.measurements
    assert (number.name, number.value, number.unit) == ("Area", 120.0, "cm2")
    assert "Area" in found.why


def test_a_number_measured_anew_within_two_per_cent_is_no_correction(
    written: tuple[Dataset, list[Dataset]],
) -> None:
    assert said(written, Said(area=154.6 * 1.015)).answer is None
    assert said(written, Said(area=154.6 * 1.03)).answer is Answer.CORRECTED


def test_a_moved_outline_is_a_correction(written: tuple[Dataset, list[Dataset]]) -> None:
    found = said(written, Said(moved=3.0))
    assert found.answer is Answer.CORRECTED
    assert "outline" in found.why
    assert said(written, Said(moved=0.3)).answer is None


def test_an_unverified_copy_says_nothing_and_a_verified_one_accepts(
    written: tuple[Dataset, list[Dataset]],
) -> None:
    assert said(written, Said()).answer is None
    assert said(written, Said(), Options(verified=True)).answer is Answer.ACCEPTED
    assert said(written, Said(area=99.0), Options(verified=True)).answer is Answer.CORRECTED


def test_a_verified_document_that_leaves_a_doubt_accepts_nothing(
    written: tuple[Dataset, list[Dataset]],
) -> None:
    verified = Options(verified=True)
    artefact = Code("47973001", "SCT", "Artifact")
    for doubtful, why in (
        (Said(bare=True), "repeats nothing"),
        (Said(finding=artefact), "calls it something else"),
        (Said(comment="bowel, no muscle"), "commented on"),
    ):
        found = said(written, doubtful, verified)
        assert found.answer is None
        assert why in found.why


def test_a_verified_document_does_not_overrule_what_it_says(
    written: tuple[Dataset, list[Dataset]],
) -> None:
    found = said(written, Said(answer=Answer.REJECTED), Options(verified=True))
    assert found.answer is Answer.REJECTED


def test_a_finding_that_is_left_out_is_not_rejected(
    written: tuple[Dataset, list[Dataset]],
) -> None:
    report, images = written
    other = str(generate_uid())
    document = read_content(answer_to(report, images, {}, Options(own_findings=[other])))
    assert [group.tracking_uid for group in document.groups] == [other]
    assert assess(document, read_content(report).groups, STANDARD_VOCABULARY) == ()


def test_two_answers_about_one_finding_are_none(written: tuple[Dataset, list[Dataset]]) -> None:
    report, images = written
    written_once = answer_to(report, images, {MUSCLE: Said(answer=Answer.ACCEPTED)}, Options())
    document = dcmread(BytesIO(_bytes(written_once)))
    (group,) = _groups(document)
    (assessment,) = (
        item
        for item in group.ContentSequence
        if item.ValueType == "CODE" and item.ConceptCodeSequence[0].CodeValue == "ACCEPTED"
    )
    contrary = deepcopy(assessment)
    contrary.ConceptCodeSequence[0].CodeValue = "REJECTED"
    group.ContentSequence.append(contrary)
    (found,) = assess(read_content(document), read_content(report).groups, STANDARD_VOCABULARY)
    assert found.answer is None
    assert "both accepted and rejected" in found.why


def test_other_units_of_the_same_size_are_the_same_number(
    written: tuple[Dataset, list[Dataset]],
) -> None:
    report, images = written
    document = answer_to(report, images, {MUSCLE: Said()}, Options())
    (group,) = _groups(document)
    numbers = [item for item in group.ContentSequence if item.ValueType == "NUM"]
    (area,) = (n for n in numbers if n.ConceptNameCodeSequence[0].CodeMeaning == "Area")
    measured = area.MeasuredValueSequence[0]
    del measured.FloatingPointValue
    measured.NumericValue = float(measured.NumericValue) * 100
    measured.MeasurementUnitsCodeSequence[0].CodeValue = "mm2"
    ours = read_content(report).groups
    assert assess(read_content(document), ours, STANDARD_VOCABULARY)[0].answer is None
    measured.NumericValue = float(measured.NumericValue) * 2
    (found,) = assess(read_content(document), ours, STANDARD_VOCABULARY)
    assert found.answer is Answer.CORRECTED


def test_a_verified_copy_names_its_observer_by_code_and_its_time(
    written: tuple[Dataset, list[Dataset]],
) -> None:
    report, _ = written
    content = read_content(verified_copy(report))
    assert content.reader == "4711 99STAFF"
    assert content.at is not None
    assert content.at.isoformat().startswith("2026-01-07T08:00:00")
    assert read_content(report).reader == ""


def test_the_person_observer_of_an_unverified_document_is_its_reader(
    written: tuple[Dataset, list[Dataset]],
) -> None:
    report, images = written
    content = read_content(answer_to(report, images, {MUSCLE: Said()}, Options()))
    assert content.reader == VERIFIER
    assert str(report.SOPInstanceUID) in content.references


def test_a_document_without_a_tree_or_with_an_endless_one_is_refused(
    written: tuple[Dataset, list[Dataset]],
) -> None:
    report, _ = written
    empty = dcmread(BytesIO(_bytes(report)))
    del empty.ContentSequence
    with pytest.raises(DocumentError, match="no content tree"):
        read_content(empty)
    item = Dataset()
    for _ in range(MAX_DEPTH + 5):
        outer = Dataset()
        outer.ValueType, outer.ContentSequence = "CONTAINER", [item]
        item = outer
    with pytest.raises(DocumentError, match="deeper than"):
        read_content(item)


def test_the_example_passes_dciodvfy(
    written: tuple[Dataset, list[Dataset]], tmp_path: Path
) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("not installed: dciodvfy")
    report, images = written
    for number, options in enumerate((Options(), Options(verified=True))):
        what = Said(answer=Answer.CORRECTED, area=120.0, comment="too large")
        path = tmp_path / f"{number}.dcm"
        answer_to(report, images, {MUSCLE: what}, options).save_as(path, enforce_file_format=True)
        told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        errors = [line for line in told.stderr.splitlines() if line.startswith("Error")]
        assert errors == []
        assert "ComprehensiveSR" in told.stderr


@pytest.mark.parametrize(
    ("moved", "line", "answer"),
    [(3.0, False, Answer.CORRECTED), (0.0, False, None), (3.0, True, None)],
)
def test_outlines_as_viewers_save_them_below_the_number_are_compared(
    written: tuple[Dataset, list[Dataset]], moved: float, line: bool, answer: Answer | None
) -> None:
    """OHIF puts the SCOORD below the NUM that was measured on it (TID 1501, TID 320)."""
    report, images = written
    plain = answer_to(report, images, {MUSCLE: Said(moved=moved)}, Options())
    document = dcmread(BytesIO(_bytes(plain)))
    (group,) = _groups(document)
    (scoord,) = (item for item in group.ContentSequence if item.ValueType == "SCOORD")
    (area,) = (
        item
        for item in group.ContentSequence
        if item.ValueType == "NUM" and item.ConceptNameCodeSequence[0].CodeMeaning == "Area"
    )
    group.ContentSequence = [item for item in group.ContentSequence if item is not scoord]
    scoord.RelationshipType = "INFERRED FROM"
    if line:
        scoord.GraphicData = scoord.GraphicData[:4]
    area.ContentSequence = [scoord]
    (found,) = assess(read_content(document), read_content(report).groups, STANDARD_VOCABULARY)
    assert found.answer is answer


def _groups(document: Dataset) -> list[Dataset]:
    found = []
    for item in document.ContentSequence:
        if item.ConceptNameCodeSequence[0].CodeValue == "126010":
            found = list(item.ContentSequence)
    return found


def _bytes(data_set: Dataset) -> bytes:
    stream = BytesIO()
    data_set.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
