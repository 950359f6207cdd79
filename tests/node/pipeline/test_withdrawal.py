"""A result that is taken back is marked, stopped, and rejected where a destination listens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_sr.rejection_note import Rejection
from node.domain.study import SeriesUID
from node.domain.verdict import Job, ModelName
from node.ledger import Ledger
from node.ledger.jobs import JobRow
from node.ledger.outbox import ResultObject
from node.ledger.states import DeliveryState, JobState, StudyState
from node.pipeline.conductor import ending
from node.pipeline.succession import succession
from node.pipeline.withdrawal import Withdrawing, withdraw
from node.pipeline.writing import write_folder
from tests.dicom_sr.results import case
from tests.node import words

HOW = Withdrawing(reason="second reader disagrees", noting=frozenset({"pacs"}))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path)
    yield opened
    opened.close()


def done(ledger: Ledger, folder: Path) -> tuple[JobRow, str]:
    """A study with one result that waits for two destinations."""
    it = case(folder / "images")
    study = str(it.study.study_uid)
    for row in it.series.instances:
        ledger.instances.record(row)
    generation = ledger.studies.complete(study, "quiet")
    job = Job(
        key="k",
        study_uid=it.study.study_uid,
        candidates=(SeriesUID("1"),),
        model=ModelName("m"),
        generation=generation,
        priority=50,
    )
    ledger.jobs.add(job, destinations=["pacs", "deaf"])
    claimed = ledger.jobs.claim("one", 30)
    assert claimed is not None
    written = write_folder(it.results(), ledger.root / "results" / "k")
    objects = [
        ResultObject(
            sop_instance_uid=item.sop_instance_uid,
            sop_class_uid=item.sop_class_uid,
            study_uid=study,
            series_uid=item.series_uid,
            job_key="k",
            kind=item.kind,
            instance_number=item.instance_number,
            path=item.path,
        )
        for item in written
    ]
    ledger.jobs.finish(claimed, JobState.DONE)
    ledger.outbox.add(objects, ["pacs", "deaf"])
    ledger.studies.set_state(study, StudyState.ENDED, generation=generation)
    return claimed, study


def send(ledger: Ledger, destination: str) -> None:
    for delivery in ledger.outbox.due(destination, 100):
        ledger.outbox.settle(delivery, words.HANDED_OVER)


def test_withdrawn_result_is_rejected_only_where_a_destination_holds_it_and_listens(
    ledger: Ledger, tmp_path: Path
) -> None:
    _, study = done(ledger, tmp_path)
    send(ledger, "pacs")
    send(ledger, "deaf")
    (item,) = withdraw(ledger, study, HOW)
    assert (item.noted, item.stopped, item.fault) == (("pacs",), 0, "")
    (note,) = [d for d in ledger.outbox.of_study(study) if d.object.kind == "rejection note"]
    assert (note.destination, note.state) == ("pacs", DeliveryState.WAITING)
    document = dcmread(note.object.path)
    assert document.ConceptNameCodeSequence[0].CodeValue == "113001"
    texts = [i.TextValue for i in document.ContentSequence if i.ValueType == "TEXT"]
    assert texts[-1] == "Withdrawn: second reader disagrees"
    (job,) = ledger.jobs.current(study)
    assert (job.state, job.reason) == (JobState.WITHDRAWN, "second reader disagrees")
    row = ledger.studies.get(study)
    assert row is not None
    assert row.state is StudyState.DELIVERING
    assert "result withdrawn" in [event.what for event in ledger.studies.events(study)]
    assert withdraw(ledger, study, HOW) == ()


def test_result_that_did_not_leave_yet_is_stopped_without_a_note(
    ledger: Ledger, tmp_path: Path
) -> None:
    _, study = done(ledger, tmp_path)
    (item,) = withdraw(ledger, study, HOW)
    assert item.noted == ()
    assert item.stopped == len(ledger.outbox.of_study(study))
    assert {d.state for d in ledger.outbox.of_study(study)} == {DeliveryState.WITHHELD}


def test_result_of_another_patient_is_rejected_as_a_wrong_entry(
    ledger: Ledger, tmp_path: Path
) -> None:
    _, study = done(ledger, tmp_path)
    send(ledger, "pacs")
    how = Withdrawing(reason="moved", noting=HOW.noting, rejection=Rejection.WRONG_IDENTITY)
    withdraw(ledger, study, how)
    (note,) = [d for d in ledger.outbox.of_study(study) if d.object.kind == "rejection note"]
    assert dcmread(note.object.path).ConceptNameCodeSequence[0].CodeValue == "113038"


def test_result_after_a_withdrawal_counts_on_and_names_the_withdrawn_one(
    ledger: Ledger, tmp_path: Path
) -> None:
    job, study = done(ledger, tmp_path)
    send(ledger, "pacs")
    withdraw(ledger, study, HOW)
    send(ledger, "pacs")
    again = replace(job_of(job), key="k2", generation=2, predecessor="k")
    ledger.jobs.add(again, destinations=["pacs"])
    row = ledger.jobs.get("k2")
    assert row is not None
    found = succession(ledger, row, frozenset({"pacs"}))
    assert found.revision == 2
    assert len(found.reports) == 1
    notes = [d.object for d in ledger.outbox.of_study(study) if d.object.kind == "rejection note"]
    assert not {n.sop_instance_uid for n in notes} & {r.sop_instance_uid for r in found.rejected}


def test_report_that_a_destination_took_in_another_form_is_named_in_that_form(
    ledger: Ledger, tmp_path: Path
) -> None:
    job, _ = done(ledger, tmp_path)
    for delivery in ledger.outbox.due("deaf", 100):
        ledger.outbox.settle(delivery, DeliveryState.REFUSED)
    for delivery in ledger.outbox.due("pacs", 100):
        if delivery.object.kind != "report":
            ledger.outbox.settle(delivery, words.HANDED_OVER)
            continue
        other = replace(
            delivery.object,
            sop_instance_uid="2.25.4711",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33",
            kind="report as Comprehensive SR",
        )
        ledger.outbox.replace(delivery, [other], DeliveryState.REFUSED, "class not accepted")
    send(ledger, "pacs")
    again = replace(job_of(job), key="k2", generation=2, predecessor="k")
    ledger.jobs.add(again, destinations=["pacs"])
    row = ledger.jobs.get("k2")
    assert row is not None
    found = succession(ledger, row, frozenset())
    assert [item.sop_instance_uid for item in found.reports] == ["2.25.4711"]
    assert found.revision == 2


def job_of(row: JobRow) -> Job:
    return Job(
        key=row.key,
        study_uid=row.study_uid,
        candidates=row.candidates,
        model=row.model,
        generation=row.generation,
        priority=row.priority,
    )


def row(model: str, state: JobState, reason: str = "") -> JobRow:
    return JobRow(
        key=model,
        study_uid=words.STUDY,
        candidates=(),
        model=ModelName(model),
        generation=1,
        priority=1,
        predecessor="",
        destinations=(),
        report_reason="",
        state=state,
        reason=reason,
        attempts=1,
        interruptions=0,
        created_at=0.0,
        finished_at=1.0,
        summary="",
    )


def test_study_of_which_every_analysis_failed_reads_as_failed_with_the_cause() -> None:
    failed = row("a", JobState.FAILED, "the worker died")
    assert ending([failed]) == (StudyState.FAILED, "a failed: the worker died")
    not_eligible = row("b", JobState.NOT_ELIGIBLE, "no abdomen")
    assert ending([failed, not_eligible])[0] is StudyState.FAILED
    assert ending([not_eligible]) == (StudyState.ENDED, "")


def test_study_of_which_one_analysis_failed_ends_and_says_which() -> None:
    state, cause = ending([row("a", JobState.FAILED, "the worker died"), row("b", JobState.DONE)])
    assert state is StudyState.ENDED
    assert cause == "1 of 2 analyses failed; a failed: the worker died"


def test_job_that_was_superseded_before_it_ran_is_begun_anew(ledger: Ledger) -> None:
    ledger.instances.record(words.instance(1))
    ledger.studies.complete(words.STUDY, "quiet")
    first = Job(
        key="a",
        study_uid=words.STUDY,
        candidates=(SeriesUID("1"),),
        model=ModelName("m"),
        generation=1,
        priority=1,
    )
    ledger.jobs.add(first, destinations=[])
    ledger.jobs.supersede_others(words.STUDY, ())
    assert ledger.jobs.add(first, destinations=[])
    again = ledger.jobs.get("a")
    assert again is not None
    assert again.state is JobState.WAITING


def test_job_waits_while_its_study_is_being_received_again(ledger: Ledger) -> None:
    ledger.instances.record(words.instance(1))
    generation = ledger.studies.complete(words.STUDY, "quiet")
    job = Job(
        key="a",
        study_uid=words.STUDY,
        candidates=(SeriesUID("1"),),
        model=ModelName("m"),
        generation=generation,
        priority=1,
    )
    ledger.jobs.add(job, destinations=[])
    ledger.instances.record(words.instance(2))
    assert ledger.jobs.claim("one", 30) is None
    ledger.studies.complete(words.STUDY, "quiet")
    assert ledger.jobs.claim("one", 30) is None
    ledger.studies.set_state(words.STUDY, StudyState.ANALYSING, generation=generation + 1)
    assert ledger.jobs.claim("one", 30) is not None
