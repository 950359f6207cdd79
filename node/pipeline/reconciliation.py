"""At start: bring disk, ledger and outbox to agreement before the port opens."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import structlog

from node.domain.study import Filing
from node.ledger import Ledger
from node.ledger.states import StudyState
from node.pipeline.completion import Completion
from scp.storage import InstanceStore

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What had to be set right.

    Attributes:
        indexed: stored instances that had no row yet (the index is written behind).
        lost: rows whose segment is missing or too short.
        jobs_released: jobs that were running when the node stopped.
        drafts_removed: result folders of jobs that never ended.
        studies_resumed: studies that were being received.
    """

    indexed: int
    lost: int
    jobs_released: int
    drafts_removed: int
    studies_resumed: int


def reconcile(
    ledger: Ledger, store: InstanceStore, completion: Completion, results_folder: Path
) -> Reconciled:
    """Repair what a kill or a power cut left behind; idempotent."""
    lost = _missing_files(ledger)
    found = store.scan(ledger.instances.indexed())
    indexed = sum(ledger.instances.record(instance) is not Filing.DUPLICATE for instance in found)
    ledger.instances.set_indexed({item.use: item.position for item in store.pool.segments()})
    outcome = Reconciled(
        indexed=indexed,
        lost=lost,
        jobs_released=ledger.jobs.release_all(),
        drafts_removed=_remove_unknown_results(ledger, results_folder),
        studies_resumed=_resume(ledger, completion),
    )
    log.info(
        "node.reconciled",
        indexed=outcome.indexed,
        lost=outcome.lost,
        jobs_released=outcome.jobs_released,
        drafts_removed=outcome.drafts_removed,
        studies_resumed=outcome.studies_resumed,
    )
    return outcome


def _missing_files(ledger: Ledger) -> int:
    lost = 0
    for instance in ledger.instances.every():
        if instance.extent.is_present:
            continue
        log.error(
            "instance.lost",
            study_uid=instance.study_uid,
            sop_instance_uid=instance.sop_instance_uid,
            remedy="its segment is missing below the storage path; send the study again",
        )
        ledger.instances.forget(instance)
        lost += 1
    return lost


def _remove_unknown_results(ledger: Ledger, results_folder: Path) -> int:
    results_folder.mkdir(parents=True, exist_ok=True)
    known = {item.path.parent.name for item in ledger.outbox.every_object()}
    strangers = [path for path in results_folder.iterdir() if path.name not in known]
    for path in strangers:
        shutil.rmtree(path, ignore_errors=True)
    return len(strangers)


def _resume(ledger: Ledger, completion: Completion) -> int:
    receiving = ledger.studies.in_state(StudyState.RECEIVING)
    for study in receiving:
        completion.resume(study.study_uid)
    return len(receiving)
