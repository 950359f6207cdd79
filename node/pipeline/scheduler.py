"""Jobs out of the ledger, through the workers, back into the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from dicom_sr.context import ResultContext
from models.manifest import ModelManifest
from node.domain.anatomy import ANATOMY
from node.domain.errors import LedgerError, ModelError, NodeError, WorkerError
from node.domain.finding import Status
from node.domain.study import series_of
from node.ledger import Ledger
from node.ledger.jobs import JobRow
from node.ledger.outbox import ResultObject
from node.ledger.results import Analysed
from node.ledger.states import JobState
from node.metrics import Metrics
from node.pipeline.analysis import AnalysisResult, AnalysisTask, analyse, looked_at
from node.pipeline.identity import HeldIdentity
from node.pipeline.in_service import EveryModel, JobLimits, Models, Workers, limits_of
from node.pipeline.inputs import Input, input_digest, series_digests
from node.pipeline.loop import Loop
from node.pipeline.memory import MemoryGate
from node.pipeline.recording import OUTCOMES, record_failure, record_verdicts
from node.pipeline.resident import ModelSetup
from node.pipeline.routing import ModelRoute
from node.pipeline.succession import REJECTION_NOTE, holders
from node.pipeline.supply import NoSupply, Supply
from node.pipeline.task import Surroundings, task_of

log = structlog.get_logger(__name__)

LEASE_S = 30.0
#: Attempts that may die or hang before the job is given up and reported as failed.
WORKER_ATTEMPTS = 2
RETRY_DELAY_S = 2.0
#: Writing a status report needs no pixels.
REPORT_TIME_LIMIT_S = 60.0
REPORT_MEMORY_MB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerSettings:
    """Shared by all scheduler threads.

    Attributes:
        results_folder: where the objects of each job get a folder of their own.
        context: how results are labelled, without time and predecessor.
        noting: destinations that get rejection notes.
        unwanted: kinds of objects that a destination does not get, by its name.
        limits: of one analysis by a model.
    """

    owner: str
    results_folder: Path
    context: Callable[[str], ResultContext]
    noting: frozenset[str] = frozenset()
    unwanted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    limits: Callable[[ModelManifest], JobLimits] = limits_of


class Scheduler:
    """One thread a worker: claim, run, settle. Nothing it does is lost by a kill."""

    def __init__(
        self,
        ledger: Ledger,
        workers: Workers,
        routes: Mapping[str, ModelRoute],
        settings: SchedulerSettings,
        metrics: Metrics,
    ) -> None:
        self._ledger = ledger
        self._workers = workers
        self._routes = routes
        self._settings = settings
        self._metrics = metrics
        self.loops: list[Loop] = []
        self._stopping = False
        self._in_hand: set[str] = set()
        #: Which models can be used.
        self.models: Models = EveryModel(routes)
        #: What an analysis waits for before it takes memory.
        self.memory = MemoryGate(ledger)
        #: Whose study it is according to the PACS that is asked.
        self.identity = HeldIdentity(ledger)
        #: What was decoded or loaded before a task that is about to run.
        self.supply: Supply = NoSupply()
        #: Called when objects were queued for delivery.
        self.on_results: Callable[[], None] = lambda: None
        #: Called when a job has ended with a result, or with the reason why there is none.
        self.on_ended: Callable[[JobRow], None] = lambda _job: None
        #: Called with a result that is the current one, inside the transaction that enters it.
        self.on_settled: Callable[[JobRow, AnalysisResult], None] = lambda _job, _result: None

    def start(self, threads: int) -> None:
        """Begin to claim jobs with this many threads, and keep their leases alive."""
        for number in range(threads):
            self.loops.append(Loop(f"scheduler-{number}", self.run_one, interval_s=0.5))
        self.loops.append(Loop("lease", self._renew, interval_s=LEASE_S / 3))
        for loop in self.loops:
            loop.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Claim nothing more; a job that still runs is taken up again at the next start."""
        self._stopping = True
        for loop in self.loops:
            loop.stop(timeout_s)

    def wake(self) -> None:
        """A job was queued."""
        for loop in self.loops:
            loop.wake()

    @property
    def is_idle(self) -> bool:
        """True while no job is in hand."""
        return not self._in_hand

    def run_one(self) -> bool:
        """Claim and carry out one job; False when none is waiting that can be carried out."""
        waiting = self.models.waiting()
        job = self._ledger.jobs.claim(self._settings.owner, LEASE_S, waiting)
        if job is None:
            return False
        self._in_hand.add(job.key)
        try:
            return self._run_job(job)
        finally:
            self._in_hand.discard(job.key)

    def _run_job(self, job: JobRow) -> bool:
        log.info("job.started", job=job.key, model=job.model, study_uid=job.study_uid)
        try:
            if self._is_refused(job):
                return True
            task = self._task(job)
            result = self._carried_out(job, task)
            if self._left_service(job) or self._is_refused(job):
                return True
        except WorkerError as error:
            return self._worker_lost(job, error)
        except KeyError:
            self._give_up(job, f"model {job.model} is no longer enabled or installed")
        except ModelError as error:
            self._give_up(job, str(error))
            self.models.failed(error.package or job.model, str(error))
        except LedgerError:
            raise  # no fault of the study: its lease runs out, and it is done again
        except NodeError as error:
            self._give_up(job, str(error))
        else:
            self._settle(job, task, result)
            if not job.report_reason:
                self.models.succeeded(job.model)
        return True

    def _is_refused(self, job: JobRow) -> bool:
        """Is the model, or one that it builds on, out of service for longer than jobs wait?"""
        refusal = self.models.refusal(job.model) if not job.report_reason else ""
        if refusal:
            self._give_up(job, refusal)
        return bool(refusal)

    def _left_service(self, job: JobRow) -> bool:
        """Did the model give other numbers, or has it to be proved anew, since the claim?"""
        if job.report_reason or job.model not in self.models.waiting():
            return False
        cause = "the model left service while it looked at the study"
        self._ledger.jobs.retry(job, cause=cause, delay_s=RETRY_DELAY_S, counts=False)
        return True

    def _worker_lost(self, job: JobRow, error: WorkerError) -> bool:
        """Once more elsewhere, then no more; False when the node is stopping."""
        self._metrics.worker_restarts.labels(job.model).inc()
        if self._stopping:
            return False
        if job.attempts < WORKER_ATTEMPTS:
            self._ledger.jobs.retry(job, cause=str(error), delay_s=RETRY_DELAY_S)
            return True
        self._give_up(job, f"{error} ({job.attempts} attempts)")
        self.models.failed(job.model, str(error))
        return True

    def _carried_out(self, job: JobRow, task: AnalysisTask) -> AnalysisResult:
        """In a worker, as soon as its memory allows; raises NodeError."""
        limits = self._settings.limits(self._routes[job.model].manifest)
        if job.report_reason:
            report: AnalysisResult = self._workers.run(
                analyse, task, time_limit_s=REPORT_TIME_LIMIT_S, memory_mb=REPORT_MEMORY_MB
            )
            return report
        task = self.supply.provide(job, task, lambda: self._stopping)
        voxels = self.memory.voxels_of(job.study_uid, job.candidates)
        need_mb = self.memory.expected_mb(job.model, voxels, limits.memory_mb)
        with self.memory.admitted(need_mb, lambda: self._stopping):
            result: AnalysisResult = self._workers.run(
                analyse, task, time_limit_s=limits.time_s, memory_mb=limits.memory_mb
            )
        if result.use is not None and result.use.voxels:
            use = result.use
            self._ledger.service.record_use(job.model, voxels=use.voxels, peak_mb=use.peak_mb)
        return result

    def _renew(self) -> None:
        # Only what a thread is at work on: the lease of a job whose end could not be written
        # runs out, and the job is done again.
        self._ledger.jobs.renew(self._settings.owner, LEASE_S, tuple(self._in_hand))

    def _task(self, job: JobRow, *, is_analysis: bool = True) -> AnalysisTask:
        manifest = self._routes[job.model].manifest
        # A report of why there is no result needs no anatomy, which may be that very reason.
        looks = is_analysis and not job.report_reason
        return task_of(
            self._ledger,
            job,
            Surroundings(
                route=self._routes[job.model],
                setup=self.models.setup_of(job.model),
                context=self._settings.context(job.model),
                held=self.identity.now(job.study_uid),
                folder=self._settings.results_folder / job.key,
                noting=self._settings.noting,
                anatomy=self._anatomy_for(manifest) if looks else None,
            ),
        )

    def _anatomy_for(self, manifest: ModelManifest) -> ModelSetup | None:
        """The package that sees anatomy, where a model asks for it; raises ModelError."""
        if ANATOMY not in manifest.uses:
            return None
        try:
            return self.models.setup_of(ANATOMY)
        except KeyError:
            raise ModelError(
                f"model {manifest.identity.name} builds on the package {ANATOMY}, which is not in "
                f"use; add '{ANATOMY}:' below 'models:' in appliance.yaml"
            ) from None

    def _settle(self, job: JobRow, task: AnalysisTask, result: AnalysisResult) -> None:
        """Ledger rows of the verdicts, the objects and the end of the job, in one step."""
        objects = [
            ResultObject(
                sop_instance_uid=item.sop_instance_uid,
                sop_class_uid=item.sop_class_uid,
                study_uid=job.study_uid,
                series_uid=item.series_uid,
                job_key=job.key,
                kind=item.kind,
                instance_number=item.instance_number,
                path=item.path,
            )
            for item in result.objects
        ]
        state = OUTCOMES[result.status]
        with self._ledger.transaction():
            stale = self._ledger.jobs.newer_exists(job) or self._is_outdated(task, result)
            if not self._ledger.jobs.finish(
                job,
                JobState.SUPERSEDED if stale else state,
                reason="newer input of the same study" if stale else result.reason,
                summary=result.summary,
            ):
                log.warning("job.lease_lost", job=job.key, study_uid=job.study_uid)
                return
            if not stale:
                record_verdicts(self._ledger.studies, self._metrics, job, result)
                self._record_input(job, task, result)
                if objects:
                    self.identity.written(task, result)
                if job.predecessor and objects:
                    self._ledger.outbox.withhold(job.predecessor)
                    self._ledger.jobs.replaced(job.predecessor)
                notes = [item for item in objects if item.kind == REJECTION_NOTE]
                for item in objects:
                    if item not in notes:
                        self._ledger.outbox.add([item], self._wanting(job, item))
                noting = self._settings.noting
                noted = holders(self._ledger, job.study_uid, task.rejected, noting)
                self._ledger.outbox.add(notes, noted)
                self.on_settled(job, result)
        if stale:
            state = JobState.SUPERSEDED
        else:
            self.on_ended(job)
        self._metrics.jobs.labels(job.model, state.value).inc()
        self.supply.count(result)
        for step, seconds in result.seconds.items():
            self._metrics.step_seconds.labels(step, job.model).observe(seconds)
        log.info(
            "job.ended",
            job=job.key,
            model=job.model,
            study_uid=job.study_uid,
            series_uid=result.stack_id,
            outcome=state.value,
            # A reason for a whole study names series by their descriptions, which are free text.
            reason="" if job.report_reason else result.reason,
            objects=len(objects),
            seconds={step: round(value, 2) for step, value in result.seconds.items()},
        )
        self.on_results()

    def _wanting(self, job: JobRow, item: ResultObject) -> tuple[str, ...]:
        """The destinations of a job that get objects of this kind."""
        unwanted = self._settings.unwanted
        return tuple(
            name for name in job.destinations if item.kind not in unwanted.get(name, frozenset())
        )

    def _is_outdated(self, task: AnalysisTask, result: AnalysisResult) -> bool:
        """Did images of what was looked at come, or change, while it was looked at?"""
        now = series_digests(self._ledger.instances.of_study(task.study.study_uid))
        then = series_digests(task.study.instances)
        seen = looked_at(task, result)
        series = {series_of(uid) for uid in seen}
        series |= {
            series_of(one.stack_id)
            for uid, one in task.companions
            if uid in seen and one.study_uid == task.study.study_uid
        }
        return any(now.get(uid) != then.get(uid) for uid in series)

    def _record_input(self, job: JobRow, task: AnalysisTask, result: AnalysisResult) -> None:
        """What the result rests on; a failure rests on nothing and is tried with any change."""
        if task.status_only is not None or result.status is Status.FAILED:
            return
        seen = looked_at(task, result)
        digest = input_digest(
            Input(
                stacks=seen,
                companions=task.companions,
                digests=series_digests(task.study.instances),
                others={one.study_uid: series_digests(one.instances) for one in task.others},
            ),
            self._routes[job.model],
            reruns=self._ledger.studies.reruns(job.study_uid),
        )
        analysed = Analysed(series_uid=result.stack_id, looked_at=len(seen), input_digest=digest)
        self._ledger.results.record(job.key, analysed, result.tracked)

    def _give_up(self, job: JobRow, cause: str) -> None:
        """Quarantine a job and say so in DICOM: a missing result must not read as negative."""
        log.error("job.failed", job=job.key, model=job.model, study_uid=job.study_uid, cause=cause)
        try:
            task = self._task(job, is_analysis=False)
            task = replace(task, status_only=Status.FAILED, reason=cause)
            result: AnalysisResult = self._workers.run(
                analyse,
                task,
                time_limit_s=REPORT_TIME_LIMIT_S,
                memory_mb=REPORT_MEMORY_MB,
            )
        except (NodeError, KeyError) as error:
            reason = f"{cause}; and its failure could not be reported in DICOM ({error})"
            with self._ledger.transaction():
                self._ledger.jobs.finish(job, JobState.FAILED, reason=reason)
                record_failure(self._ledger.studies, job, reason)
            self._metrics.jobs.labels(job.model, JobState.FAILED.value).inc()
            self.on_ended(job)
            return
        self._settle(job, task, result)
