"""Corrected patient or study data: taken, kept apart or held back, and always visible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from inference.differences import compare_series
from node.domain.discrepancy import Decision, Difference, Kind
from node.domain.identity import differing
from node.domain.study import Instance, StudyUID
from node.ledger import Ledger
from node.ledger.states import StudyState
from node.metrics import Metrics
from node.pipeline.archive import Answer, Counts, NoAnswer
from node.pipeline.correction import Corrections, rule
from tests.dicom_factory import Person, ct_series, instances, write
from tests.node import words

OLD, NEW = StudyUID("2.25.100"), StudyUID("2.25.200")
LATER = timedelta(minutes=5)


def pacs(**identity: str) -> Counts:
    return Counts(is_known=True, by_series={}, identity=identity)


def difference(kind: Kind = Kind.IDENTITY, number: int = 3) -> Difference:
    return Difference(
        kind=kind,
        newer=tuple(words.instance(n) for n in range(number)),
        earlier=tuple(words.instance(n) for n in range(number)),
        keywords=("PatientID",),
        newer_identity={"PatientID": "NEW", "AccessionNumber": "A"},
        earlier_identity={"PatientID": "OLD", "AccessionNumber": "A"},
    )


@pytest.mark.parametrize(
    ("held", "in_series", "decision"),
    [
        (None, 3, Decision.TAKEN),
        (None, 40, Decision.HELD),
        (pacs(PatientID="NEW"), 40, Decision.TAKEN),
        (pacs(PatientID="OLD"), 3, Decision.APART),
        (pacs(PatientID="THIRD"), 3, Decision.HELD),
        (pacs(PatientID="NEW", AccessionNumber="B"), 3, Decision.HELD),
        # Filed under both patients: it says nothing of either.
        (pacs(AccessionNumber="A"), 3, Decision.TAKEN),
        (pacs(AccessionNumber="A"), 40, Decision.HELD),
        (NoAnswer("it does not answer"), 3, Decision.TAKEN),
        (NoAnswer("it does not answer"), 40, Decision.HELD),
        (Counts(is_known=False, by_series={}, identity={}), 3, Decision.TAKEN),
    ],
)
def test_identity_is_ruled_by_the_pacs_else_by_the_whole_series(
    held: Answer | None, in_series: int, decision: Decision
) -> None:
    ruling = rule(difference(), in_series=in_series, held=held, confirmed=False)
    assert ruling.decision is decision
    assert ruling.why


def test_other_content_stays_apart_even_by_hand() -> None:
    for kind in (Kind.CONTENT, Kind.FORM):
        ruling = rule(difference(kind), in_series=3, held=None, confirmed=True)
        assert ruling.decision is Decision.APART


def test_what_was_held_back_is_taken_by_hand() -> None:
    ruling = rule(difference(), in_series=40, held=pacs(PatientID="THIRD"), confirmed=True)
    assert ruling.decision is Decision.TAKEN


def test_padding_and_empty_values_of_the_pacs_are_no_difference() -> None:
    held = {"PatientID": "P1 ", "PatientName": "Lovelace^Ada^^", "PatientBirthDate": ""}
    assert differing({"PatientID": "P1", "PatientName": "Lovelace^Ada"}, held) == ()
    assert differing({"PatientID": "P2", "PatientName": "Lovelace^Ada"}, held) == ("PatientID",)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path)
    yield opened
    opened.close()


def sent(folder: Path, study: StudyUID, person: Person) -> tuple[Instance, ...]:
    """A CT of four slices, each time under the same series and instance UIDs."""
    made = ct_series(slices=4, study_uid=study, series_uid="2.25.9", patient=person)
    for number, data_set in enumerate(made):
        data_set.SOPInstanceUID = f"2.25.9.{number}"
        data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
        data_set.FrameOfReferenceUID = "2.25.9.77"
    rows = instances(write(made, folder))
    later = LATER if folder.name == "again" else timedelta()
    return tuple(replace(row, received_at=row.received_at + later) for row in rows)


def file(ledger: Ledger, rows: tuple[Instance, ...]) -> None:
    for row in rows:
        ledger.instances.record(row)


def judged(ledger: Ledger, study: StudyUID) -> bool:
    ledger.studies.complete(study, "quiet")
    row = ledger.studies.get(study)
    assert row is not None
    return Corrections(ledger, compare_series, Metrics()).settle(row)


def state(ledger: Ledger, study: StudyUID) -> tuple[StudyState, str]:
    row = ledger.studies.get(study)
    assert row is not None
    return row.state, row.cause


def told(ledger: Ledger, study: StudyUID) -> str:
    return "\n".join(f"{e.what}: {e.detail}" for e in ledger.studies.events(study))


CORRECTED = Person(patient_id="VIGIE-0002", name="Corrected^Person")


def test_whole_series_under_the_corrected_patient_is_taken(ledger: Ledger, tmp_path: Path) -> None:
    first = sent(tmp_path / "first", OLD, Person())
    file(ledger, first)
    assert judged(ledger, OLD)
    again = sent(tmp_path / "again", OLD, CORRECTED)
    file(ledger, again)
    assert state(ledger, OLD)[0] is StudyState.RECEIVING
    assert judged(ledger, OLD)
    assert ledger.instances.of_study(OLD) == again
    (row,) = ledger.discrepancies.of_study(OLD)
    assert (row.kind, row.decision, row.instances) == (Kind.IDENTITY, Decision.TAKEN, 4)
    assert row.attributes == ("PatientID", "PatientName")
    assert "VIGIE-0002" not in told(ledger, OLD)
    assert ledger.instances.disputed(OLD) == ()


def test_part_of_a_series_is_held_back_until_the_rest_comes(ledger: Ledger, tmp_path: Path) -> None:
    file(ledger, sent(tmp_path / "first", OLD, Person()))
    judged(ledger, OLD)
    again = sent(tmp_path / "again", OLD, CORRECTED)
    file(ledger, again[:1])
    assert not judged(ledger, OLD)
    held, cause = state(ledger, OLD)
    assert held is StudyState.HELD
    assert "only 1 of 4 images of the series came again" in cause
    assert "rerun" in cause
    file(ledger, again[1:])
    assert judged(ledger, OLD)
    assert ledger.instances.of_study(OLD) == again


def test_rerun_takes_what_was_held_back(ledger: Ledger, tmp_path: Path) -> None:
    first = sent(tmp_path / "first", OLD, Person())
    file(ledger, first)
    judged(ledger, OLD)
    again = sent(tmp_path / "again", OLD, CORRECTED)
    file(ledger, again[:1])
    judged(ledger, OLD)
    assert ledger.studies.rerun(OLD)
    assert judged(ledger, OLD)
    assert set(ledger.instances.of_study(OLD)) == {again[0], *first[1:]}


def test_study_that_moved_to_another_uid_is_there_and_the_old_one_says_where(
    ledger: Ledger, tmp_path: Path
) -> None:
    file(ledger, sent(tmp_path / "first", OLD, Person()))
    judged(ledger, OLD)
    again = sent(tmp_path / "again", NEW, CORRECTED)
    file(ledger, again)
    assert state(ledger, NEW)[0] is StudyState.RECEIVING
    assert judged(ledger, NEW)
    assert ledger.instances.of_study(NEW) == again
    ended, cause = state(ledger, OLD)
    assert ended is StudyState.ENDED
    assert cause == f"its images belong to study {NEW} now"
    assert ledger.discrepancies.of_study(OLD) == ledger.discrepancies.of_study(NEW)


def test_other_images_under_known_uids_are_kept_apart_and_the_study_says_so(
    ledger: Ledger, tmp_path: Path
) -> None:
    first = sent(tmp_path / "first", OLD, Person())
    file(ledger, first)
    judged(ledger, OLD)
    made = ct_series(slices=4, study_uid=NEW, series_uid="2.25.9", rows=32, columns=32)
    for number, data_set in enumerate(made):
        data_set.SOPInstanceUID = f"2.25.9.{number}"
        data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    other = instances(write(made, tmp_path / "other"))
    file(ledger, tuple(replace(row, received_at=row.received_at + LATER) for row in other))
    assert not judged(ledger, NEW)
    failed, cause = state(ledger, NEW)
    assert failed is StudyState.FAILED
    assert "none of its images is current" in cause
    assert ledger.instances.of_study(OLD) == first
    (row,) = ledger.discrepancies.of_study(NEW)
    assert (row.kind, row.decision) == (Kind.CONTENT, Decision.APART)
    assert judged(ledger, OLD)


def test_same_discrepancy_is_told_once(ledger: Ledger, tmp_path: Path) -> None:
    file(ledger, sent(tmp_path / "first", OLD, Person()))
    file(ledger, sent(tmp_path / "again", OLD, CORRECTED)[:1])
    judged(ledger, OLD)
    judged(ledger, OLD)
    assert told(ledger, OLD).count("identity differs, held back") == 1
