"""Counts what a shadow model and the model beside it say of the same study.

A shadow is a model all of whose routes are shadows; the model beside it has the same clinical
task and a route that is none. When both have ended on a study, their reports are read back and
counted; a result that is missing counts as *not compared*, never as negative.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from dicom_sr.reading import REPORT_CLASSES, read_report
from node.domain.errors import ResultError
from node.domain.pairing import Pair, paired
from node.domain.reported import Report, is_present
from node.ledger import Ledger
from node.ledger.jobs import OPEN, JobRow
from node.ledger.states import JobState
from node.metrics import Metrics
from node.pipeline.loop import Loop
from node.pipeline.routing import ModelRoute
from node.pipeline.succession import REPORT

log = structlog.get_logger(__name__)

#: Label of a pair in the metric.
LABELS: Final = {
    Pair.BOTH_POSITIVE: "both_positive",
    Pair.ONLY_FIRST: "only_model",
    Pair.ONLY_SECOND: "only_shadow",
    Pair.BOTH_NEGATIVE: "both_negative",
    Pair.NOT_COMPARED: "not_compared",
}
#: Pairs of results that are known to be counted; the two of one study end close together.
REMEMBERED: Final = 1000


@dataclass(frozen=True, slots=True)
class Shadowing:
    """A model and its shadow."""

    model: str
    shadow: str


def shadowings(routes: Sequence[ModelRoute]) -> tuple[Shadowing, ...]:
    """Every model with a shadow of the same clinical task."""
    shadows = [route for route in routes if all(rule.shadow for rule in route.rules)]
    sent = [route for route in routes if route not in shadows]
    return tuple(
        Shadowing(one.manifest.identity.name, other.manifest.identity.name)
        for one in sent
        for other in shadows
        if one.manifest.identity.task_number == other.manifest.identity.task_number
    )


class ShadowAgreement:
    """Follows the ends of jobs and counts pairs, in a thread of its own."""

    def __init__(self, ledger: Ledger, routes: Sequence[ModelRoute], metrics: Metrics) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._pairs = shadowings(routes)
        self._acute = {
            route.manifest.identity.name: tuple(one.code for one in route.manifest.acute)
            for route in routes
        }
        self._ended: deque[tuple[str, str]] = deque()
        #: Both jobs may have ended before the first of them is looked at.
        self._counted: deque[tuple[str, str]] = deque(maxlen=REMEMBERED)
        self.loop = Loop("shadow", self.step, interval_s=2.0)

    def ended(self, job: JobRow) -> None:
        """A job has its current result; looked at later, outside its transaction."""
        if any(job.model in (pair.model, pair.shadow) for pair in self._pairs):
            self._ended.append((job.study_uid, job.model))

    def step(self) -> bool:
        """Look at one study; False when none waits."""
        if not self._ended:
            return False
        study_uid, model = self._ended.popleft()
        for pair in self._pairs:
            if model in (pair.model, pair.shadow):
                self._count(study_uid, pair)
        return True

    def _count(self, study_uid: str, pair: Shadowing) -> None:
        jobs = {str(job.model): job for job in self._ledger.jobs.current(study_uid)}
        first, second = jobs.get(pair.model), jobs.get(pair.shadow)
        if any(job is not None and job.state in OPEN for job in (first, second)):
            return  # the other one tells when it ends
        results = (first.key if first else "", second.key if second else "")
        if results in self._counted:
            return
        if not all(self._was_asked(study_uid, name) for name in (pair.model, pair.shadow)):
            return
        self._counted.append(results)
        found = paired(self._called(first), self._called(second))
        self._metrics.shadow_pairs.labels(pair.model, pair.shadow, LABELS[found]).inc()
        log.info(
            "shadow.compared",
            study_uid=study_uid,
            model=pair.model,
            shadow=pair.shadow,
            pair=found.value,
        )

    def _was_asked(self, study_uid: str, model: str) -> bool:
        study = self._ledger.studies.get(study_uid)
        return study is not None and any(
            verdict.model == model
            for verdict in self._ledger.studies.verdicts(study_uid, study.generation)
        )

    def _called(self, job: JobRow | None) -> bool | None:
        """Positive, negative, or None where the model has no whole result."""
        if job is None or job.state is not JobState.DONE:
            return None
        report = self._report(job)
        if report is None or not report.is_whole:
            return None
        acute = self._acute.get(job.model, ())
        if not acute:
            return is_present(report, None)
        return any(is_present(report, code) for code in acute)

    def _report(self, job: JobRow) -> Report | None:
        for item in self._ledger.outbox.objects_of_job(job.key):
            if item.kind == REPORT and item.sop_class_uid in REPORT_CLASSES:
                try:
                    return read_report(item.path)
                except ResultError as error:
                    log.warning("shadow.unreadable", job=job.key, cause=str(error))
        return None
