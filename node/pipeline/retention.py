"""Frees the disk of studies whose every result was accepted and whose time is past.

Deletion needs a positive record: the study has ended, each of its jobs has ended, and each
of its objects was accepted by each of its destinations. Anything else is kept.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
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


class Retention:
    """Looks every ten minutes for studies that may go."""

    def __init__(
        self,
        ledger: Ledger,
        store: InstanceStore,
        results_folder: Path,
        *,
        days: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._results_folder = results_folder
        self._days = days
        self._clock = clock
        self.loop = Loop("retention", self.sweep, interval_s=INTERVAL_S)

    def sweep(self) -> int:
        """Delete what may go; returns the number of studies."""
        oldest = self._clock() - self._days * DAY_S
        gone = 0
        for study in self._ledger.studies.in_state(StudyState.ENDED, StudyState.FAILED):
            if study.last_at < oldest and self._may_go(study):
                gone += self._delete(study)
        if self._store.pool.release(self._ledger.instances.files_in_use):
            log.info("retention.segments_released")
        return gone

    def _may_go(self, study: StudyRow) -> bool:
        if self._ledger.jobs.open_count(study.study_uid):
            return False
        if study.state is StudyState.FAILED and not self._ledger.outbox.of_study(study.study_uid):
            # Nobody has been told of this failure.
            return False
        finished = (DeliveryState.ACCEPTED, DeliveryState.WITHHELD)
        return all(item.state in finished for item in self._ledger.outbox.of_study(study.study_uid))

    def _delete(self, study: StudyRow) -> bool:
        with self._ledger.transaction():
            now = self._ledger.studies.get(study.study_uid)
            instances = self._ledger.instances.of_study(study.study_uid)
            # A late image may have reopened it since the sweep began.
            if now != study or not instances:
                return False
            # The rows only: a segment is overwritten when the last of its instances has gone.
            self._ledger.instances.remove_study(study.study_uid)
        for job in self._ledger.jobs.of_study(study.study_uid):
            shutil.rmtree(self._results_folder / job.key, ignore_errors=True)
        log.info("study.deleted", study_uid=study.study_uid, instances=len(instances))
        return True
