"""Moves each study from one state to the next; the only place that does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from inference.differences import compare_series
from node.domain.discrepancy import Difference
from node.domain.errors import LedgerError, NodeError, WorkerError
from node.domain.facts import StudyFacts
from node.domain.feedback import READER_DOCUMENTS
from node.domain.study import Instance, StudyUID
from node.domain.verdict import Ineligible, ReasonCode
from node.ledger import Ledger
from node.ledger.jobs import JobRow
from node.ledger.states import JobState, StudyState
from node.ledger.studies import StudyRow, VerdictRow
from node.metrics import Metrics
from node.pipeline.analysis import FactsTask, describe
from node.pipeline.completion import Completion
from node.pipeline.correction import Corrections
from node.pipeline.expectation import Expectation, Expecting
from node.pipeline.identity import HeldIdentity
from node.pipeline.in_service import Workers
from node.pipeline.inputs import replan
from node.pipeline.judging import Judgement, holding, judge_study
from node.pipeline.loop import Loop
from node.pipeline.others import StudyInput
from node.pipeline.roster import OUT_OF_SERVICE
from node.pipeline.routing import ModelRoute, PlannedJob, route
from node.pipeline.rules import Rule
from node.pipeline.wording import facts_line, in_short

log = structlog.get_logger(__name__)

INTERVAL_S = 0.25
DESCRIBE_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingLimits:
    """Limits of reading the headers of one study, in a worker of its own."""

    time_limit_s: float = 120.0
    memory_mb: int = 2048


def ending(jobs: Sequence[JobRow]) -> tuple[StudyState, str]:
    """How a study ended whose jobs have ended, and which of them failed, in words."""
    tried = [job for job in jobs if job.state is not JobState.NOT_ELIGIBLE]
    failed = [job for job in tried if job.state is JobState.FAILED]
    causes = "; ".join(f"{job.model} failed: {job.reason}" for job in failed)
    if failed and len(failed) == len(tried):
        return StudyState.FAILED, causes
    if failed:
        return StudyState.ENDED, f"{len(failed)} of {len(tried)} analyses failed; {causes}"
    return StudyState.ENDED, ""


def without_documents(instances: tuple[Instance, ...]) -> tuple[Instance, ...]:
    """What is judged: structured reports are about images; a study of nothing else keeps them."""
    images = tuple(one for one in instances if one.sop_class_uid not in READER_DOCUMENTS)
    return images or instances


class Conductor:
    """RECEIVING -> COMPLETED -> ANALYSING -> DELIVERING -> ENDED, one step at a time."""

    def __init__(
        self,
        ledger: Ledger,
        completion: Completion,
        readers: Workers,
        routes: Sequence[ModelRoute],
        metrics: Metrics,
    ) -> None:
        self._ledger = ledger
        self._completion = completion
        self._readers = readers
        self._metrics = metrics
        self.loop = Loop("conductor", self.step, interval_s=INTERVAL_S)
        self._routes = tuple(routes)
        self._asks_for_priors = any(
            role.prior for route in routes for rule in route.rules for role in rule.roles
        )
        #: What more is expected of a study that is quiet.
        self.expect: Callable[[StudyUID, float], Expectation] = Expecting(ledger)
        #: What came again with other bytes.
        self.corrections = Corrections(ledger, self._compare, metrics)
        #: Whose study it is according to the PACS that is asked.
        self.identity = HeldIdentity(ledger)
        #: Models whose package cannot be read: by name, the cause and the rules that name it.
        self.unread: Mapping[str, tuple[str, Sequence[Rule]]] = {}
        #: Called when jobs were queued.
        self.on_jobs: Callable[[], None] = lambda: None

    def step(self) -> None:
        """Take every study one step further where it can go."""
        for study in self._ledger.studies.in_state(StudyState.RECEIVING):
            # An association thread that died between the index and its event must not leave
            # a study that nobody waits for.
            if not self._completion.is_receiving(study.study_uid):
                self._completion.resume(study.study_uid, interrupted=False)
        completed = self._completion.completed(self.expect)
        for done in completed:
            self._ledger.studies.complete(done.study_uid, done.why, done.certainty)
            self._metrics.completions.labels(done.certainty.value).inc()
            log.info(
                "study.completed",
                study_uid=done.study_uid,
                certainty=done.certainty.value,
                confidence=done.why,
            )
        if completed:
            self._ledger.paces.save(self._completion.pace.changes())
        for study in self._ledger.studies.in_state(StudyState.COMPLETED):
            if self.loop.stopping:
                return
            self._judge(study)
        for study in self._ledger.studies.in_state(StudyState.ANALYSING):
            if not self._ledger.jobs.open_count(study.study_uid):
                self._move(study, StudyState.DELIVERING)
        for study in self._ledger.studies.in_state(StudyState.DELIVERING):
            self._finish(study)

    def _finish(self, study: StudyRow) -> None:
        """End a study whose objects are all on their way no more, or correct what still waits."""
        uid = study.study_uid
        if self._ledger.outbox.open_count(uid):
            changed = self.identity.changed(uid)
        else:
            found = self.identity.settled(uid)
            if found is None:
                return
            changed = found
        if changed:
            why = f"because the PACS corrected {', '.join(changed)}"
            self._ledger.studies.run_again(uid, why)
            log.warning("study.identity_corrected", study_uid=uid, attributes=list(changed))
        elif not self._ledger.outbox.open_count(uid) and self._move(
            study, *ending(self._ledger.jobs.current(uid))
        ):
            # A proof may take hours; the reader has the result from its acceptance on.
            at = self._ledger.outbox.accepted_at(uid) or time.time()
            self._metrics.study_seconds.observe(max(0.0, at - study.last_at))

    def _judge(self, row: StudyRow) -> None:
        started = time.perf_counter()
        study = self._prepared(row)
        if study is None:
            return
        priors = self._ledger.facts.priors(study) if self._asks_for_priors else ()
        judgements = [
            judge_study(study, rule.manifest, rule.rules, priors) for rule in self._routes
        ]
        current: dict[str, str] = {}
        with self._ledger.transaction():
            self._ledger.facts.record(study)
            for judgement in judgements:
                self._record(row, study, judgement)
                earlier = self._ledger.jobs.newest_with_results(row.study_uid, judgement.model)
                if earlier is not None:
                    current[judgement.model] = earlier.key
            planned = route(
                study,
                judgements,
                self._routes,
                current_results=current,
                reruns=self._ledger.studies.reruns(row.study_uid),
            )
            rules = {rule.manifest.identity.name: rule for rule in self._routes}
            again = replan(planned, study.study_uid, rules, self._ledger)
            self._ledger.jobs.supersede_others(row.study_uid, again.wanted)
            for item in again.due:
                self._queue(row, item)
            for name in again.unchanged:
                self._keep(row, name)
            for name, (cause, naming) in self.unread.items():
                if holding(study, naming):
                    self._tell_unread(row, study, name, cause)
            for name in current.keys() - {item.job.model for item in planned}:
                detail = f"{name}: no route asks for it any more; the earlier result was not redone"
                self._ledger.studies.tell(row.study_uid, "result stays", detail)
            if not self._routes:
                self._ledger.studies.tell(
                    row.study_uid, "no model", "no model is enabled and named by a route"
                )
            self._move(row, StudyState.ANALYSING)
        refused = self._count(judgements)
        self._metrics.step_seconds.labels("judge", "").observe(time.perf_counter() - started)
        log.info(
            "study.judged",
            study_uid=row.study_uid,
            series=len(study.series),
            jobs=len(again.due),
            refused=refused,
        )
        self.on_jobs()

    def _record(self, row: StudyRow, study: StudyFacts, judgement: Judgement) -> None:
        for series, verdict in zip(study.series, judgement.settled, strict=True):
            self._ledger.studies.record_verdict(
                row.study_uid, row.generation, verdict, facts_line(series)
            )

    def _tell_unread(self, row: StudyRow, study: StudyFacts, model: str, cause: str) -> None:
        """Nobody can say whether the model was made for this study: it failed, on every stack."""
        reason = f"{OUT_OF_SERVICE}: {in_short(cause)}"
        now = time.time()
        for one in study.series:
            verdict = VerdictRow(
                one.stack_id,
                model,
                "failed",
                reason,
                facts_line(one),
                row.generation,
                now,
                ReasonCode.FAILURE,
            )
            self._ledger.studies.set_verdict(row.study_uid, row.generation, verdict)
        self._ledger.studies.tell(row.study_uid, "not analysed", f"{model}: {reason}")

    def _count(self, judgements: Sequence[Judgement]) -> int:
        """Count the verdicts by their reason; returns how many were refused."""
        refused = 0
        for verdict in (verdict for judgement in judgements for verdict in judgement.settled):
            code = verdict.code.value if isinstance(verdict, Ineligible) else ""
            told = "not eligible" if code else "run"
            refused += bool(code)
            self._metrics.verdicts.labels(verdict.model, told, code).inc()
        return refused

    def _queue(self, row: StudyRow, item: PlannedJob) -> None:
        self._ledger.jobs.add(
            item.job, destinations=item.destinations, report_reason=item.report_reason
        )
        if not item.destinations:
            detail = f"{item.job.model}: results are kept and sent to nobody"
            self._ledger.studies.tell(row.study_uid, "shadow", detail)
        if item.job.not_before:
            begin = datetime.fromtimestamp(item.job.not_before, tz=UTC).astimezone()
            detail = f"{item.job.model}: waits for its hours, until {begin:%Y-%m-%d %H:%M}"
            self._ledger.studies.tell(row.study_uid, "scheduled", detail)

    def _keep(self, row: StudyRow, model: str) -> None:
        """The result of a model stays, and with it what was said about each series."""
        studies = self._ledger.studies
        studies.tell(row.study_uid, "result stays", f"{model}: its input did not change")
        current = self._ledger.jobs.newest_with_results(row.study_uid, model)
        if current is None:
            return
        now = {item.series_uid for item in studies.verdicts(row.study_uid, row.generation)}
        for verdict in studies.verdicts(row.study_uid, current.generation):
            if verdict.model == model and verdict.series_uid in now:
                studies.set_verdict(row.study_uid, row.generation, replace(verdict, facts=""))

    def _prepared(self, row: StudyRow) -> StudyFacts | None:
        """The study as it is to be judged; None when it is at rest, or to be tried again."""
        try:
            if not self.corrections.settle(row):
                return None
            return self._describe(row)
        except WorkerError as error:
            if self.loop.stopping:
                return None
            if self._ledger.studies.count_attempt(row.study_uid) >= DESCRIBE_ATTEMPTS:
                self._fail(row, str(error))
            return None
        except LedgerError:
            raise  # no fault of the study, which waits
        except NodeError as error:
            self._fail(row, str(error))
            return None

    def _compare(self, pairs: tuple[tuple[Instance, Instance], ...]) -> tuple[Difference, ...]:
        limits = ReadingLimits()
        found: tuple[Difference, ...] = self._readers.run(
            compare_series, pairs, time_limit_s=limits.time_limit_s, memory_mb=limits.memory_mb
        )
        return found

    def _describe(self, row: StudyRow) -> StudyFacts:
        instances = without_documents(self._ledger.instances.of_study(row.study_uid))
        study_input = StudyInput(
            study_uid=StudyUID(row.study_uid),
            instances=instances,
            generation=row.generation,
            completed_at=datetime.fromtimestamp(row.completed_at or row.last_at, tz=UTC),
            confidence=row.confidence,
        )
        limits = ReadingLimits()
        # A damaged code stream can end the process that decodes it: then headers have to do.
        task = FactsTask(study=study_input, pixels=row.attempts == 0)
        _, facts = self._readers.run(
            describe, task, time_limit_s=limits.time_limit_s, memory_mb=limits.memory_mb
        )
        assert isinstance(facts, StudyFacts)
        # What no one could look at is not known, for or against.
        return replace(
            facts,
            series=tuple(replace(series, untold=frozenset()) for series in facts.series),
        )

    def _fail(self, row: StudyRow, cause: str) -> None:
        log.error("study.failed", study_uid=row.study_uid, cause=cause)
        self._move(row, StudyState.FAILED, cause)

    def _move(self, row: StudyRow, state: StudyState, cause: str = "") -> bool:
        return self._ledger.studies.set_state(
            row.study_uid, state, generation=row.generation, cause=cause
        )
