"""Frees the disk of studies whose every result was delivered and whose time is past.

Deletion needs a positive record: the study has ended, each of its jobs has ended, and each of
its objects was proved to be at each of its destinations, or stands there in another form that
was. Anything else is kept, unless the site says that an accepted object needs no proof.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from node.ledger import Ledger
from node.ledger.states import DeliveryState, StudyState
from node.ledger.studies import StudyRow
from node.pipeline.loop import Loop
from scp.storage import InstanceStore

log = structlog.get_logger(__name__)

INTERVAL_S = 600.0
DAY_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """When a study may go: so many days after its last image, and delivered."""

    days: float
    unproved_is_enough: bool = False


class Retention:
    """Looks every ten minutes for studies that may go."""

    def __init__(
        self,
        ledger: Ledger,
        store: InstanceStore,
        results_folder: Path,
        rule: RetentionRule,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._results_folder = results_folder
        self._rule = rule
        self._clock = clock
        #: Then nothing is deleted because of its age.
        self.is_clock_in_doubt: Callable[[], bool] = lambda: False
        self.loop = Loop("retention", self.sweep, interval_s=INTERVAL_S)

    def sweep(self) -> int:
        """Delete what may go; returns the number of studies."""
        if self.is_clock_in_doubt():
            return 0
        oldest = self._oldest()
        gone = 0
        for study in self._ledger.studies.in_state(StudyState.ENDED, StudyState.FAILED):
            if study.last_at >= oldest or self._ledger.documents.last_at(study.study_uid) >= oldest:
                continue
            if self._may_go(study):
                gone += self._delete(study)
        if self._store.pool.release(self._ledger.instances.files_in_use):
            log.info("retention.segments_released")
        return gone

    def _oldest(self) -> float:
        """What came at this time or later stays; seconds since the epoch."""
        return self._clock() - self._rule.days * DAY_S

    def _may_go(self, study: StudyRow) -> bool:
        if self._ledger.jobs.open_count(study.study_uid):
            return False
        if study.state is StudyState.FAILED and not self._ledger.outbox.of_study(study.study_uid):
            # Nobody has been told of this failure.
            return False
        return all(
            item.is_kept or (item.state is DeliveryState.UNPROVED and self._rule.unproved_is_enough)
            for item in self._ledger.outbox.of_study(study.study_uid)
        )

    def _delete(self, study: StudyRow) -> bool:
        with self._ledger.transaction():
            now = self._ledger.studies.get(study.study_uid)
            instances = self._ledger.instances.received(study.study_uid)
            # A late image may have reopened it since the sweep began, or a reader answered.
            answered = self._ledger.documents.last_at(study.study_uid) >= self._oldest()
            if now != study or not instances or answered:
                return False
            # The rows only: a segment is overwritten when the last of its instances has gone.
            self._ledger.instances.remove_study(study.study_uid)
            self._ledger.facts.remove(study.study_uid)
        for job in self._ledger.jobs.of_study(study.study_uid):
            shutil.rmtree(self._results_folder / job.key, ignore_errors=True)
        log.info("study.deleted", study_uid=study.study_uid, series=len(instances))
        return True
