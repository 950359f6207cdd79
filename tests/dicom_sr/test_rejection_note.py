"""The note that rejects replaced and withdrawn objects is a sound Key Object Selection."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import highdicom
import pydicom
import pytest
from pydicom import Dataset

from dicom_sr.context import Predecessor
from dicom_sr.rejection_note import Note, Rejection, write_rejection_note
from node.domain.errors import ResultError
from tests.dicom_factory import Person
from tests.dicom_sr.results import case, encoded, report_of

WHEN = datetime(2026, 2, 3, 4, 5, tzinfo=UTC)
NOTE = Note(rejection=Rejection.NOT_TO_BE_USED, reason="Replaced by a newer result.", when=WHEN)


def rejected(results: tuple[Dataset, ...]) -> tuple[Predecessor, ...]:
    return tuple(
        Predecessor(
            study_uid=str(item.StudyInstanceUID),
            series_uid=str(item.SeriesInstanceUID),
            sop_class_uid=str(item.SOPClassUID),
            sop_instance_uid=str(item.SOPInstanceUID),
            instance_number=int(item.InstanceNumber),
        )
        for item in results
    )


@pytest.fixture
def results(tmp_path: Path) -> tuple[Dataset, ...]:
    person = Person(name="Müller^Ada")
    return case(tmp_path, patient=person, changes={"AccessionNumber": "A1"}).results()


def test_note_names_every_rejected_object_and_belongs_to_the_same_patient(
    results: tuple[Dataset, ...],
) -> None:
    note = write_rejection_note(report_of(results), rejected(results), NOTE)
    assert note.Modality == "KO"
    title = note.ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("113001", "DCM")
    named = {
        str(instance.ReferencedSOPInstanceUID)
        for study in note.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    assert named == {str(item.SOPInstanceUID) for item in results}
    report = report_of(results)
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "AccessionNumber"):
        assert note[keyword].value == report[keyword].value
    assert note.SeriesInstanceUID != report.SeriesInstanceUID
    assert note.SeriesNumber > max(int(item.SeriesNumber) for item in results)
    assert "RESEARCH" in note.SeriesDescription
    told = [item.TextValue for item in note.ContentSequence if item.ValueType == "TEXT"]
    assert told[-1] == "Replaced by a newer result."


def test_same_note_is_the_same_bytes(results: tuple[Dataset, ...]) -> None:
    first, second = (
        encoded(write_rejection_note(report_of(results), rejected(results), NOTE)) for _ in "12"
    )
    assert first == second


def test_result_under_a_wrong_identity_is_rejected_as_such(results: tuple[Dataset, ...]) -> None:
    wrong = Note(rejection=Rejection.WRONG_IDENTITY, reason="moved", when=WHEN)
    note = write_rejection_note(report_of(results), rejected(results), wrong)
    assert note.ConceptNameCodeSequence[0].CodeValue == "113038"


def test_note_about_nothing_or_another_study_is_refused(results: tuple[Dataset, ...]) -> None:
    with pytest.raises(ResultError):
        write_rejection_note(report_of(results), (), NOTE)
    elsewhere = Predecessor(
        study_uid="1.2",
        series_uid="1.3",
        sop_class_uid="1.4",
        sop_instance_uid="1.5",
        instance_number=1,
    )
    with pytest.raises(ResultError):
        write_rejection_note(report_of(results), (elsewhere,), NOTE)


def test_note_can_be_read_by_others(results: tuple[Dataset, ...], tmp_path: Path) -> None:
    note = write_rejection_note(report_of(results), rejected(results), NOTE)
    read = pydicom.dcmread(BytesIO(encoded(note)))
    document = highdicom.ko.KeyObjectSelectionDocument.from_dataset(read)
    assert len(document.content.get_references()) == len(results)
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed")
    path = tmp_path / "note.dcm"
    path.write_bytes(encoded(note))
    told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    assert [line for line in told.stderr.splitlines() if line.startswith("Error")] == []
