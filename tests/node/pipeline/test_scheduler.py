"""A job ends in exactly one way, and a failure is said in DICOM instead of kept silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from dicom_sr.context import ResultContext
from node.domain.errors import LedgerError, ModelError, ResultError, WorkerError
from node.domain.finding import Status
from node.domain.study import StackID
from node.domain.verdict import Job, ModelName
from node.ledger import Ledger
from node.ledger.states import DeliveryState, JobState
from node.metrics import Metrics
from node.pipeline.analysis import AnalysisResult, AnalysisTask
from node.pipeline.in_service import EveryModel
from node.pipeline.resident import ModelSetup
from node.pipeline.routing import ModelRoute
from node.pipeline.scheduler import Scheduler, SchedulerSettings
from node.pipeline.writing import WrittenObject
from tests.node import words

MODEL = ModelName("body_composition")
FIRST, SECOND = StackID("1.1"), StackID("1.2")


@dataclass
class Workers:
    """Runs nothing: each task is answered by the next of `answers`."""

    answers: list[Callable[[AnalysisTask], AnalysisResult]]
    tasks: list[AnalysisTask] = field(default_factory=list)

    def run(
        self, function: object, argument: AnalysisTask, *, time_limit_s: float, memory_mb: int
    ) -> AnalysisResult:
        self.tasks.append(argument)
        return self.answers.pop(0)(argument)


def ended(status: Status, reason: str = "") -> Callable[[AnalysisTask], AnalysisResult]:
    def answer(task: AnalysisTask) -> AnalysisResult:
        told = reason or task.reason
        written = WrittenObject(
            sop_instance_uid=f"2.25.{len(told) + 1}{status.name.__hash__() % 1000}",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
            series_uid="2.25.9",
            kind="report",
            instance_number=task.context.instance_number,
            path=task.folder / "01-report.dcm",
        )
        return AnalysisResult(
            status=status,
            stack_id=task.candidates[-1],
            reason=told,
            refusals=tuple((uid, "no abdomen") for uid in task.candidates[:-1]),
            objects=(written,),
            seconds={"analyse": 1.0},
            summary="muscle 150 cm2",
        )

    return answer


def dies(task: AnalysisTask) -> AnalysisResult:
    raise WorkerError("the worker was killed by signal 9")


def is_invalid(task: AnalysisTask) -> AnalysisResult:
    raise ResultError("no tracking UID in measurement group 2")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path)
    opened.instances.record(words.instance(1))
    opened.studies.complete(words.STUDY, "quiet")
    yield opened
    opened.close()


def job(key: str = "k", *, generation: int = 1, predecessor: str = "") -> Job:
    return Job(
        key=key,
        study_uid=words.STUDY,
        candidates=(FIRST, SECOND),
        model=MODEL,
        generation=generation,
        priority=50,
        predecessor=predecessor,
    )


def scheduler(
    ledger: Ledger,
    workers: Workers,
    unwanted: Mapping[str, frozenset[str]] | None = None,
    uses: tuple[str, ...] = (),
) -> Scheduler:
    route = ModelRoute(
        manifest=replace(words.manifest(), uses=uses),
        rules=(words.rule(),),
        priority=50,
        report_not_eligible=False,
        configuration_digest="c",
    )
    context = ResultContext(
        software_version="0", serial_number="0", station_name="s", configuration_digest="c"
    )
    settings = SchedulerSettings(
        owner="test",
        results_folder=ledger.root / "results",
        context=lambda _model: context,
        unwanted=unwanted or {},
    )
    return Scheduler(ledger, workers, {MODEL: route}, settings, Metrics())


def state(ledger: Ledger, key: str = "k") -> JobState:
    row = ledger.jobs.get(key)
    assert row is not None
    return row.state


def test_finished_job_queues_its_objects_and_settles_every_candidate(ledger: Ledger) -> None:
    ledger.jobs.add(job(), destinations=["pacs"])
    assert scheduler(ledger, Workers([ended(Status.FINDINGS)])).run_one()
    assert state(ledger) is JobState.DONE
    (delivery,) = ledger.outbox.of_study(words.STUDY)
    assert delivery.state is DeliveryState.WAITING
    told = {v.series_uid: (v.verdict, v.reason) for v in ledger.studies.verdicts(words.STUDY, 1)}
    assert told == {FIRST: ("not eligible", "no abdomen"), SECOND: ("done", "")}


def test_a_destination_gets_only_the_kinds_of_objects_that_it_wants(ledger: Ledger) -> None:
    def with_key_images(task: AnalysisTask) -> AnalysisResult:
        made = ended(Status.FINDINGS)(task)
        selection = replace(made.objects[0], sop_instance_uid="2.25.88", kind="key images")
        return replace(made, objects=(*made.objects, selection))

    ledger.jobs.add(job(), destinations=["pacs", "viewer"])
    scheduler(ledger, Workers([with_key_images]), {"viewer": frozenset({"key images"})}).run_one()
    sent = {(row.destination, row.object.kind) for row in ledger.outbox.of_study(words.STUDY)}
    assert sent == {("pacs", "report"), ("pacs", "key images"), ("viewer", "report")}
    assert len(ledger.outbox.objects_of_job("k")) == 2


def test_job_whose_worker_dies_is_tried_once_more_then_reported_as_failed(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.pipeline.scheduler.RETRY_DELAY_S", 0.0)
    workers = Workers([dies, dies, ended(Status.FAILED)])
    running = scheduler(ledger, workers)
    ledger.jobs.add(job(), destinations=["pacs"])
    assert running.run_one()
    assert state(ledger) is JobState.WAITING
    assert running.run_one()
    assert state(ledger) is JobState.FAILED
    report = workers.tasks[-1]
    assert report.status_only is Status.FAILED
    assert "signal 9" in report.reason
    assert "2 attempts" in report.reason
    assert len(ledger.outbox.of_study(words.STUDY)) == 1


def test_a_result_of_a_model_that_left_service_meanwhile_is_not_kept(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.pipeline.scheduler.RETRY_DELAY_S", 0.0)
    out: list[str] = []

    class Leaving(EveryModel):
        def waiting(self) -> tuple[str, ...]:
            return tuple(out)

    def leaves(task: AnalysisTask) -> AnalysisResult:
        out.append(MODEL)
        return ended(Status.NO_FINDINGS)(task)

    running = scheduler(ledger, Workers([leaves, ended(Status.FINDINGS)]))
    running.models = Leaving(running._routes)
    ledger.jobs.add(job(), destinations=["pacs"])
    assert running.run_one()
    assert state(ledger) is JobState.WAITING
    assert ledger.outbox.of_study(words.STUDY) == ()
    out.clear()
    assert running.run_one()
    assert state(ledger) is JobState.DONE


def test_deterministic_failure_is_reported_without_another_try(ledger: Ledger) -> None:
    workers = Workers([is_invalid, ended(Status.FAILED)])
    ledger.jobs.add(job(), destinations=["pacs"])
    scheduler(ledger, workers).run_one()
    assert state(ledger) is JobState.FAILED
    assert len(workers.tasks) == 2
    assert "tracking UID" in workers.tasks[-1].reason


def test_failure_that_cannot_even_be_reported_is_kept_with_both_causes(ledger: Ledger) -> None:
    ledger.jobs.add(job(), destinations=["pacs"])
    scheduler(ledger, Workers([is_invalid, dies])).run_one()
    row = ledger.jobs.get("k")
    assert row is not None
    assert row.state is JobState.FAILED
    assert "tracking UID" in row.reason
    assert "signal 9" in row.reason


def test_result_of_outdated_input_is_not_sent(ledger: Ledger) -> None:
    def outdated(task: AnalysisTask) -> AnalysisResult:
        ledger.jobs.add(job("newer", generation=2), destinations=["pacs"])
        return ended(Status.FINDINGS)(task)

    ledger.jobs.add(job(), destinations=["pacs"])
    scheduler(ledger, Workers([outdated])).run_one()
    assert state(ledger) is JobState.SUPERSEDED
    assert ledger.outbox.of_study(words.STUDY) == ()
    assert state(ledger, "newer") is JobState.WAITING


def test_replacement_names_the_report_it_replaces_and_counts_on(ledger: Ledger) -> None:
    ledger.jobs.add(job(), destinations=["pacs"])
    workers = Workers([ended(Status.FINDINGS), ended(Status.FINDINGS, "again")])
    running = scheduler(ledger, workers)
    running.run_one()
    (sent,) = ledger.outbox.of_study(words.STUDY)
    ledger.outbox.settle(sent, words.HANDED_OVER)
    ledger.jobs.add(job("k2", generation=2, predecessor="k"), destinations=["pacs"])
    running.run_one()
    (replaced,) = workers.tasks[-1].context.predecessor
    (first,) = ledger.outbox.objects_of_job("k")
    assert replaced.sop_instance_uid == first.sop_instance_uid
    assert workers.tasks[-1].context.instance_number == 2


def test_repeated_job_has_the_same_content_time(ledger: Ledger) -> None:
    ledger.jobs.add(job(), destinations=["pacs"])
    workers = Workers([dies, ended(Status.FINDINGS)])
    running = scheduler(ledger, workers)
    running.run_one()
    ledger.jobs.release_all()
    row = ledger.jobs.get("k")
    assert row is not None
    while not running.run_one():
        pass
    first, second = (task.context.moment for task in workers.tasks)
    assert first == second


def test_a_ledger_that_cannot_be_read_fails_no_job(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.jobs.add(job(), destinations=("pacs",))

    def broken(_study_uid: str) -> None:
        raise LedgerError("the ledger cannot be read (disk I/O error)")

    with monkeypatch.context() as patch:
        patch.setattr(ledger.studies, "get", broken)
        with pytest.raises(LedgerError):
            scheduler(ledger, Workers([])).run_one()
    # Its lease runs out, and it is done again.
    assert state(ledger) is JobState.RUNNING


def test_a_failure_by_the_package_that_a_model_builds_on_is_reported_and_blamed_on_it(
    ledger: Ledger,
) -> None:
    def fails(task: AnalysisTask) -> AnalysisResult:
        error = ModelError("package anatomy failed while it looked")
        error.package = "anatomy"
        raise error

    workers = Workers([fails, ended(Status.FAILED)])
    running = scheduler(ledger, workers, uses=("anatomy",))
    models = Used(running._routes)
    running.models = models
    ledger.jobs.add(job(), destinations=["pacs"])
    running.run_one()
    assert state(ledger) is JobState.FAILED
    assert workers.tasks[0].anatomy is not None
    assert workers.tasks[1].anatomy is None
    assert models.blamed == ["anatomy"]


def test_that_a_model_builds_on_a_package_that_is_not_there_is_reported_in_dicom(
    ledger: Ledger,
) -> None:
    workers = Workers([ended(Status.FAILED)])
    running = scheduler(ledger, workers, uses=("anatomy",))
    ledger.jobs.add(job(), destinations=["pacs"])
    running.run_one()
    assert len(ledger.outbox.of_study(words.STUDY)) == 1
    (told,) = workers.tasks
    assert told.status_only is Status.FAILED
    assert "builds on the package anatomy" in told.reason


def test_a_result_of_a_model_that_was_taken_out_meanwhile_is_not_sent(ledger: Ledger) -> None:
    workers = Workers([ended(Status.FINDINGS), ended(Status.FAILED)])
    running = scheduler(ledger, workers)

    class Out(EveryModel):
        def refusal(self, name: str) -> str:
            return "the model is out of service: other numbers" if workers.tasks else ""

    running.models = Out(running._routes)
    ledger.jobs.add(job(), destinations=["pacs"])
    running.run_one()
    assert state(ledger) is JobState.FAILED
    assert "other numbers" in workers.tasks[-1].reason


def test_an_attempt_that_ended_because_the_model_left_does_not_count(ledger: Ledger) -> None:
    workers = Workers([ended(Status.FINDINGS)])
    running = scheduler(ledger, workers)

    class Leaving(EveryModel):
        def waiting(self) -> tuple[str, ...]:
            return (MODEL,) if workers.tasks else ()

    running.models = Leaving(running._routes)
    ledger.jobs.add(job(), destinations=["pacs"])
    running.run_one()
    row = ledger.jobs.get("k")
    assert row is not None
    assert (row.state, row.attempts) == (JobState.WAITING, 0)


class Used(EveryModel):
    """Hands out a package that no route names."""

    def __init__(self, routes: Mapping[str, ModelRoute]) -> None:
        super().__init__(routes)
        self.blamed: list[str] = []

    def setup_of(self, name: str) -> ModelSetup:
        return ModelSetup(manifest=words.manifest(name))

    def failed(self, name: str, cause: str) -> None:
        self.blamed.append(name)
