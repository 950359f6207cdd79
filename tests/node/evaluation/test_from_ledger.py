"""What the ledger says of each study becomes an outcome; nothing that is missing reads as done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from node.domain.finding import Status
from node.domain.reported import Report
from node.domain.study import StackID, StudyUID
from node.domain.verdict import Job, ModelName
from node.evaluation.assessment import Asked, Assessment
from node.evaluation.cohort import Case, Outcome, Result, Wanted
from node.evaluation.from_ledger import LedgerCohort, case_of
from node.evaluation.truth import ACCESSION, STUDY_UID
from node.evaluation.truth_table import read_truth
from node.ledger import Ledger
from node.ledger.outbox import ResultObject
from node.ledger.states import JobState, StudyState
from node.ledger.studies import VerdictRow
from tests.dicom_factory import instances
from tests.node.evaluation.cohorts import Folder, Found, Said

MODEL = "nodules"


@dataclass
class World:
    """A ledger with one study on disk."""

    ledger: Ledger
    folder: Folder
    study_uid: str

    def job(self, key: str = "k", *destinations: str) -> None:
        """Queue and claim an analysis."""
        self.ledger.jobs.add(
            Job(
                key=key,
                study_uid=StudyUID(self.study_uid),
                candidates=(StackID("1"),),
                model=ModelName(MODEL),
                generation=1,
                priority=50,
            ),
            destinations=destinations,
        )

    def end(self, state: JobState, reason: str = "", *, path: Path | None = None) -> None:
        job = self.ledger.jobs.claim("test", 60)
        assert job is not None
        self.ledger.jobs.finish(job, state, reason=reason)
        if path is not None:
            item = ResultObject(
                sop_instance_uid=path.stem,
                sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
                study_uid=self.study_uid,
                series_uid="2.25.1",
                job_key=job.key,
                kind="report",
                instance_number=1,
                path=path,
            )
            self.ledger.outbox.add([item], ())

    def outcome(self) -> tuple[Outcome, str]:
        result = case_of(self.ledger, self.study_uid).results[MODEL]
        return result.outcome, result.reason


@pytest.fixture
def world(tmp_path: Path) -> World:
    folder = Folder(tmp_path)
    study = folder.study("a", Said(found=(Found(),)), accession="A-7")
    ledger = Ledger(tmp_path)
    for instance in instances((folder.images / "a").iterdir()):
        extent = replace(instance.extent, path=instance.extent.path.resolve())
        ledger.instances.record(replace(instance, extent=extent))
    ledger.studies.complete(study.study_uid, "test")
    ledger.studies.set_state(study.study_uid, StudyState.ANALYSING, generation=1)
    return World(ledger, folder, study.study_uid)


def test_a_done_job_is_read_back_from_its_report(world: World) -> None:
    world.job()
    assert world.outcome() == (Outcome.UNFINISHED, "its analysis is waiting")
    (path,) = world.folder.reports.iterdir()
    world.end(JobState.DONE, path=path)
    case = case_of(world.ledger, world.study_uid)
    report = case.results[MODEL].report
    assert report is not None
    assert report.status is Status.FINDINGS
    assert case.accession_number == "A-7"


@pytest.mark.parametrize(
    ("destinations", "where"), [(("pacs",), "read them back from the PACS"), ((), "nowhere else")]
)
def test_what_retention_deleted_is_told_with_where_it_still_is(
    world: World, destinations: tuple[str, ...], where: str
) -> None:
    world.job("k", *destinations)
    (path,) = world.folder.reports.iterdir()
    world.end(JobState.DONE, path=path)
    path.unlink()
    outcome, reason = world.outcome()
    assert outcome is Outcome.ABSENT
    assert "storage.retention_days" in reason
    assert where in reason


@pytest.mark.parametrize(
    ("state", "outcome"),
    [(JobState.NOT_ELIGIBLE, Outcome.NOT_ELIGIBLE), (JobState.FAILED, Outcome.FAILED)],
)
def test_a_job_without_a_result_has_its_reason(
    world: World, state: JobState, outcome: Outcome
) -> None:
    world.job()
    world.end(state, "slice gap 7.5 mm")
    assert world.outcome() == (outcome, "slice gap 7.5 mm")


def test_a_withdrawn_result_is_none(world: World) -> None:
    world.job()
    world.end(JobState.DONE, path=next(world.folder.reports.iterdir()))
    (job,) = world.ledger.jobs.current(world.study_uid)
    world.ledger.results.withdraw(job, "wrong patient")
    assert world.outcome() == (Outcome.ABSENT, "its result was withdrawn: wrong patient")


def test_a_verdict_without_a_job_is_not_eligible(world: World) -> None:
    row = VerdictRow("1", MODEL, "not eligible", "only 4 images", "CT", 1, 0.0, "too_few_slices")
    world.ledger.studies.set_verdict(world.study_uid, 1, row)
    assert world.outcome() == (Outcome.NOT_ELIGIBLE, "only 4 images")


@pytest.mark.parametrize(
    ("state", "ended", "missing"),
    [
        (StudyState.RECEIVING, Outcome.UNFINISHED, "the study is still being received"),
        (StudyState.COMPLETED, Outcome.UNFINISHED, "the study waits for its verdicts"),
        (StudyState.HELD, Outcome.UNFINISHED, "the study is held back: two patients"),
        (StudyState.FAILED, Outcome.FAILED, "the study failed: two patients"),
        (StudyState.ENDED, Outcome.ABSENT, "no model was asked about the study"),
    ],
)
def test_a_study_that_nobody_judged_says_why(
    world: World, state: StudyState, ended: Outcome, missing: str
) -> None:
    cause = "two patients" if state in (StudyState.HELD, StudyState.FAILED) else ""
    world.ledger.studies.settle(world.study_uid, state, cause)
    case = case_of(world.ledger, world.study_uid)
    assert (case.results, case.ended, case.missing) == ({}, ended, missing)


def test_studies_are_found_by_uid_and_by_accession_number(world: World) -> None:
    cohort = LedgerCohort(world.ledger)
    wanted = Wanted(STUDY_UID, frozenset({world.study_uid, "1.2.3"}))
    cases = {case.study_uid: case.missing for case in cohort.cases(wanted)}
    assert cases["1.2.3"] == "the study never arrived here"
    found = list(cohort.cases(Wanted(ACCESSION, frozenset({"A-7"}))))
    assert [case.study_uid for case in found] == [world.study_uid]
    assert list(cohort.cases(Wanted(ACCESSION, frozenset({"A-8"})))) == []


@pytest.mark.parametrize(
    ("state", "kept"), [(JobState.FAILED, True), (JobState.NOT_ELIGIBLE, False)]
)
def test_a_model_that_only_fails_is_not_left_out_as_if_it_were_about_something_else(
    world: World, state: JobState, kept: bool
) -> None:
    world.job()
    world.end(JobState.DONE, path=next(world.folder.reports.iterdir()))
    case = case_of(world.ledger, world.study_uid)
    outcome = Outcome.FAILED if state is JobState.FAILED else Outcome.NOT_ELIGIBLE
    broken = Result(outcome=outcome, reason="ended with 'killed by signal 9'")
    (code,) = {(one.finding.value, one.finding.scheme) for one in _report(case).findings}
    table = world.folder.reports.parent / "truth.csv"
    head = "StudyInstanceUID,finding,label"
    table.write_text(f"{head}\n{world.study_uid},{' '.join(code)},1\n")
    found = Assessment(read_truth(table, {}, tolerance_mm=None), Asked())
    found.add(replace(case, results={**case.results, "nodules_next": broken}))
    found.finish()
    assert {model for _, model in found.records} == {MODEL, *(["nodules_next"] if kept else [])}


def _report(case: Case) -> Report:
    report = case.results[MODEL].report
    assert report is not None
    return report
