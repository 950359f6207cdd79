"""Disk, ledger and outbox agree before the port opens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.domain.verdict import Job, ModelName
from node.intake import FileContent
from node.ledger import Ledger
from node.ledger.states import DeliveryState, JobState, StudyState
from node.pipeline.completion import Completion, CompletionSettings
from node.pipeline.reconciliation import Reconciled, reconcile
from node.pipeline.retention import Retention, RetentionRule
from scp.contracts import StoreCommand
from scp.indexing import Indexer
from scp.pool import SegmentSettings
from scp.storage import InstanceStore
from tests.node import words
from tests.node.pipeline.delivering import capture
from tests.scp.listening import ROOMY
from tests.scp.sent import STUDY, content

DAYS_30 = RetentionRule(days=30)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path)
    yield opened
    opened.close()


def stored(ledger: Ledger, index: Ledger | None = None) -> InstanceStore:
    """A store with one instance, recorded in `index`."""
    indexer = Indexer((index or ledger).instances)
    store = InstanceStore(ledger.root, indexer, ROOMY, segments=SegmentSettings(spare=1))
    put(store, content())
    assert indexer.flush()
    indexer.stop()
    return store


def put(store: InstanceStore, item: FileContent) -> None:
    intake = store.open("association")
    intake.begin(
        StoreCommand(
            sop_class_uid=item.sop_class_uid,
            sop_instance_uid=item.sop_instance_uid,
            transfer_syntax_uid=item.transfer_syntax_uid,
            calling_ae_title="CT1",
        )
    )
    intake.write([memoryview(item.data_set)])
    intake.commit()
    intake.close(clean=True)


def reconciled(ledger: Ledger, store: InstanceStore) -> tuple[Reconciled, Completion]:
    completion = Completion(CompletionSettings(quiet_time_s=0, interrupted_quiet_time_s=0))
    return reconcile(ledger, store, completion, ledger.root / "results"), completion


def test_file_without_a_row_is_indexed_and_its_study_is_completed_later(
    ledger: Ledger, tmp_path: Path
) -> None:
    (tmp_path / "results").mkdir()
    elsewhere = Ledger(tmp_path / "results")
    store = stored(ledger, index=elsewhere)
    elsewhere.close()
    outcome, completion = reconciled(ledger, store)
    assert (outcome.indexed, outcome.lost, outcome.studies_resumed) == (1, 0, 1)
    assert ledger.instances.of_study(STUDY)[0].calling_ae_title == "CT1"
    assert [done.study_uid for done in completion.completed()] == [STUDY]
    again, _ = reconciled(ledger, store)
    assert again.indexed == 0


def test_row_without_a_file_is_forgotten_and_told(ledger: Ledger) -> None:
    store = stored(ledger)
    ledger.instances.of_study(STUDY)[0].extent.path.unlink()
    outcome, _ = reconciled(ledger, store)
    assert outcome.lost == 1
    assert ledger.instances.of_study(STUDY) == ()
    assert "instance lost" in [event.what for event in ledger.studies.events(STUDY)]


def test_running_job_waits_again_and_its_draft_is_gone(ledger: Ledger) -> None:
    store = stored(ledger)
    job = Job(
        key="k",
        study_uid=words.STUDY,
        candidates=(),
        model=ModelName("m"),
        generation=1,
        priority=1,
    )
    ledger.jobs.add(job, destinations=[])
    ledger.jobs.claim("dead node", 1000)
    (ledger.root / "results" / "k.draft").mkdir(parents=True)
    outcome, _ = reconciled(ledger, store)
    assert (outcome.jobs_released, outcome.drafts_removed) == (1, 1)
    row = ledger.jobs.get("k")
    assert row is not None
    assert row.state is JobState.WAITING


def test_retention_keeps_a_study_until_it_ended_and_its_time_is_past(ledger: Ledger) -> None:
    store = stored(ledger)
    far = ledger.instances.of_study(STUDY)[0].received_at.timestamp() + 31 * 86400
    retention = Retention(ledger, store, ledger.root / "results", DAYS_30, clock=lambda: far)
    assert retention.sweep() == 0
    generation = ledger.studies.complete(STUDY, "quiet")
    ledger.studies.set_state(STUDY, StudyState.ENDED, generation=generation)
    young = Retention(
        ledger, store, ledger.root / "results", RetentionRule(days=32), clock=lambda: far
    )
    assert young.sweep() == 0
    extent = ledger.instances.of_study(STUDY)[0].extent
    assert extent.read().strip(b"\0")
    assert retention.sweep() == 1
    assert store.pool.prepare()
    assert not extent.read().strip(b"\0")
    again, _ = reconciled(ledger, store)
    assert again.indexed == 0
    assert ledger.instances.of_study(STUDY) == ()
    assert "instances deleted" in [event.what for event in ledger.studies.events(STUDY)]


def test_retention_leaves_a_study_that_was_reopened_meanwhile(ledger: Ledger) -> None:
    store = stored(ledger)
    far = ledger.instances.of_study(STUDY)[0].received_at.timestamp() + 31 * 86400
    generation = ledger.studies.complete(STUDY, "quiet")
    ledger.studies.set_state(STUDY, StudyState.ENDED, generation=generation)
    (seen,) = ledger.studies.in_state(StudyState.ENDED)
    ledger.studies.touch(STUDY, far)
    retention = Retention(ledger, store, ledger.root / "results", DAYS_30, clock=lambda: far)
    assert not retention._delete(seen)
    assert len(ledger.instances.of_study(STUDY)) == 1


@pytest.mark.parametrize(
    ("state", "by_default", "accepted_is_enough"),
    [
        (DeliveryState.WAITING, False, False),
        (DeliveryState.SENT, False, False),
        (DeliveryState.PROVED, True, True),
        (DeliveryState.UNPROVED, False, True),
        (DeliveryState.REFUSED, False, False),
        (DeliveryState.SET_ASIDE, False, False),
        (DeliveryState.WITHHELD, True, True),
    ],
)
def test_retention_wants_proof_unless_the_site_says_otherwise(
    ledger: Ledger, state: DeliveryState, by_default: bool, accepted_is_enough: bool
) -> None:
    store = stored(ledger)
    far = ledger.instances.of_study(STUDY)[0].received_at.timestamp() + 31 * 86400
    generation = ledger.studies.complete(STUDY, "quiet")
    ledger.studies.set_state(STUDY, StudyState.ENDED, generation=generation)
    item = replace(capture(ledger.root), study_uid=STUDY)
    ledger.outbox.add([item], ["pacs"])
    (delivery,) = ledger.outbox.of_study(STUDY)
    if state is not DeliveryState.WAITING:
        ledger.outbox.settle(delivery, state)
    (study,) = ledger.studies.in_state(StudyState.ENDED)
    for rule, expected in (
        (DAYS_30, by_default),
        (RetentionRule(days=30, unproved_is_enough=True), accepted_is_enough),
    ):
        retention = Retention(ledger, store, ledger.root / "results", rule, clock=lambda: far)
        assert retention._may_go(study) is expected


def test_refused_object_may_go_with_its_study_when_another_form_of_it_was_proved(
    ledger: Ledger,
) -> None:
    store = stored(ledger)
    far = ledger.instances.of_study(STUDY)[0].received_at.timestamp() + 31 * 86400
    generation = ledger.studies.complete(STUDY, "quiet")
    ledger.studies.set_state(STUDY, StudyState.ENDED, generation=generation)
    full, form = (replace(capture(ledger.root), study_uid=STUDY) for _ in range(2))
    ledger.outbox.add([full], ["pacs"])
    (delivery,) = ledger.outbox.of_study(STUDY)
    ledger.outbox.replace(delivery, [form], DeliveryState.REFUSED, "the class is not accepted")
    retention = Retention(ledger, store, ledger.root / "results", DAYS_30, clock=lambda: far)
    assert retention.sweep() == 0
    (waiting,) = ledger.outbox.due("pacs", 9)
    assert waiting.replaces == full.sop_instance_uid
    ledger.proofs.sent(waiting)
    ledger.proofs.prove(waiting, "query")
    assert retention.sweep() == 1
