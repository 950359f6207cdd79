"""A result is delivered when the destination is seen to keep it; every other end says why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from node.ledger.peers import COMMITMENT
from node.ledger.states import DeliveryState
from node.pipeline.proof import ProofPolicy, choose
from scp.commitment import CommitmentReport
from tests.node.pipeline.delivering import HOUR_S, Rig, capture
from tests.node.pipeline.hostile import HostilePacs
from tests.scp.listening import listening


@contextmanager
def running(folder: Path, pacs: HostilePacs, **policy: object) -> Iterator[Rig]:
    pacs.start()
    rig = Rig(folder, pacs.port, policy=ProofPolicy(**policy))  # type: ignore[arg-type]
    try:
        rig.queue(capture(folder))
        yield rig
    finally:
        rig.ledger.close()
        pacs.stop()


def test_object_that_can_be_read_back_is_proved_by_it(tmp_path: Path) -> None:
    with running(tmp_path, HostilePacs()) as rig:
        rig.run()
        delivery = rig.only()
        assert (delivery.state, delivery.how) == (DeliveryState.PROVED, "query")
        assert delivery.proved_at is not None
        assert rig.events() == ["secondary capture sent", "secondary capture proved"]
        metrics = rig.metrics.text().decode()
        assert 'vigie_proofs_total{destination="pacs",how="query",outcome="proved"} 1.0' in metrics


def test_object_that_appears_there_only_after_a_while_is_looked_for_again(tmp_path: Path) -> None:
    pacs = HostilePacs()
    pacs.forgets = lambda _uid: True
    with running(tmp_path, pacs) as rig:
        rig.run(30)
        assert rig.only().state is DeliveryState.SENT
        pacs.kept[pacs.received[0]] = None  # type: ignore[assignment]
        rig.run(60)
        assert rig.only().state is DeliveryState.PROVED
        assert len(pacs.received) == 1


def test_object_that_was_accepted_and_forgotten_is_sent_again_and_then_set_aside(
    tmp_path: Path,
) -> None:
    pacs = HostilePacs()
    pacs.forgets = lambda _uid: True
    with running(tmp_path, pacs) as rig, structlog.testing.capture_logs() as logs:
        rig.run(2 * HOUR_S, step_s=20)
        delivery = rig.only()
        assert delivery.state is DeliveryState.SET_ASIDE
        assert len(pacs.received) == 3
        assert "accepted, but not to be found there after 15 minutes (3 times)" in delivery.cause
        assert "object.set_aside" in [e["event"] for e in logs if e["log_level"] == "error"]
        assert rig.events().count("secondary capture accepted and not there") == 2
        # An engineer repairs the destination.
        pacs.forgets = lambda _uid: False
        rig.ledger.outbox.resend(delivery.object.study_uid)
        rig.run(5)
        assert rig.only().state is DeliveryState.PROVED


def test_destination_without_any_proof_leaves_the_object_unproved(tmp_path: Path) -> None:
    with running(tmp_path, HostilePacs(find=False)) as rig:
        rig.run()
        delivery = rig.only()
        assert delivery.state is DeliveryState.UNPROVED
        assert "does not accept storage commitment" in delivery.cause
        assert "and it does not accept C-FIND" in delivery.cause


def test_query_that_fails_is_no_proof_and_no_loss(tmp_path: Path) -> None:
    pacs = HostilePacs()
    pacs.find_status = 0xC001
    with running(tmp_path, pacs) as rig:
        rig.run(HOUR_S, step_s=20)
        delivery = rig.only()
        assert delivery.state is DeliveryState.UNPROVED
        assert "C-FIND was answered with unable to process (0xC001)" in delivery.cause
        assert len(pacs.received) == 1


def test_commitment_on_the_same_association(tmp_path: Path) -> None:
    with running(tmp_path, HostilePacs(commits="same")) as rig:
        rig.run()
        delivery = rig.only()
        assert (delivery.state, delivery.how) == (DeliveryState.PROVED, "commitment")


def test_commitment_hours_later_on_an_association_of_the_destination(tmp_path: Path) -> None:
    pacs = HostilePacs(find=False, commits="other")
    with running(tmp_path, pacs, mode="commitment", commitment_wait_s=12 * HOUR_S) as rig:
        rig.run(5 * HOUR_S, step_s=HOUR_S)
        assert rig.only().state is DeliveryState.SENT
        assert rig.ledger.outbox.open_count(rig.only().object.study_uid) == 1
        with listening(tmp_path / "receiver") as node:
            node.receiver.on_commitment = rig.courier.hear
            pacs.report_to = ("127.0.0.1", node.port, "VIGIE")
            assert pacs.report_late() == [0x0000]
        delivery = rig.only()
        assert (delivery.state, delivery.how) == (DeliveryState.PROVED, "commitment")


def test_commitment_with_failures_sends_again_what_failed(tmp_path: Path) -> None:
    pacs = HostilePacs(commits="same")
    with running(tmp_path, pacs) as rig:
        lost = rig.only().object.sop_instance_uid
        rig.queue(capture(tmp_path))
        pacs.forgets = lambda uid: uid == lost and pacs.received.count(uid) < 2
        rig.run(1)
        states = {item.object.sop_instance_uid: item for item in rig.deliveries()}
        assert states[lost].state is DeliveryState.WAITING
        assert "storage commitment failed: no such SOP instance (0x0112)" in states[lost].cause
        rig.run(10)
        assert set(rig.states()) == {DeliveryState.PROVED}
        assert pacs.received.count(lost) == 2
        assert len(pacs.received) == 3


def test_destination_that_fails_to_commit_for_minutes_is_not_given_up_in_seconds(
    tmp_path: Path,
) -> None:
    pacs = HostilePacs(commits="same")
    pacs.forgets = lambda _uid: True
    with running(tmp_path, pacs) as rig:
        rig.run(240)
        assert rig.only().state is DeliveryState.WAITING
        assert len(pacs.received) == 2
        pacs.forgets = lambda _uid: False
        rig.run(120)
        assert rig.only().state is DeliveryState.PROVED
        assert len(pacs.received) == 3


def test_commitment_that_never_comes_is_replaced_by_a_read_back_and_remembered(
    tmp_path: Path,
) -> None:
    pacs = HostilePacs(commits="never")
    with running(tmp_path, pacs) as rig:
        rig.run(2 * HOUR_S, step_s=60)
        delivery = rig.only()
        assert (delivery.state, delivery.how) == (DeliveryState.PROVED, "query")
        known = rig.ledger.peers.known("pacs", "", for_s=24 * HOUR_S)
        assert "no storage commitment report came within 1 hour" in known[COMMITMENT].cause
        rig.queue(capture(tmp_path))
        rig.run(2)
        assert set(rig.states()) == {DeliveryState.PROVED}
        assert len(pacs.asked) == 1


def test_commitment_that_never_comes_is_unproved_where_nothing_else_is_allowed(
    tmp_path: Path,
) -> None:
    with running(tmp_path, HostilePacs(commits="never"), mode="commitment") as rig:
        rig.run(2 * HOUR_S, step_s=60)
        assert rig.only().state is DeliveryState.UNPROVED
        assert "no storage commitment report came within 1 hour" in rig.only().cause


def test_late_report_still_counts(tmp_path: Path) -> None:
    pacs = HostilePacs(find=False, commits="other")
    with running(tmp_path, pacs) as rig:
        rig.run(2 * HOUR_S, step_s=60)
        assert rig.only().state is DeliveryState.UNPROVED
        (request,) = pacs.asked
        report = CommitmentReport(
            transaction_uid=str(request.TransactionUID), committed=tuple(pacs.received), failed=()
        )
        assert rig.courier.hear(report)
        assert rig.only().state is DeliveryState.PROVED
        assert COMMITMENT not in rig.ledger.peers.known("pacs", "", for_s=24 * HOUR_S)


def test_refused_request_for_commitment_is_replaced_by_a_read_back(tmp_path: Path) -> None:
    pacs = HostilePacs(commits="other")
    pacs.action_status = 0x0110
    with running(tmp_path, pacs) as rig:
        rig.run()
        assert (rig.only().state, rig.only().how) == (DeliveryState.PROVED, "query")


def test_destination_that_breaks_off_at_every_question_is_asked_a_few_times_only(
    tmp_path: Path,
) -> None:
    pacs = HostilePacs(commits="other")
    pacs.action_status = pacs.find_status = -1
    with running(tmp_path, pacs) as rig:
        rig.run(180)
        assert rig.only().state is DeliveryState.UNPROVED
        assert len(pacs.received) == 1
        assert not rig.courier.breaker.failures
        before = pacs.associations
        # The next object is not kept waiting for the same silence.
        rig.queue(capture(tmp_path))
        rig.run(10)
        assert set(rig.states()) == {DeliveryState.UNPROVED}
        assert pacs.associations == before + 1
        assert "(remembered)" in rig.deliveries()[1].cause


def test_report_about_a_stranger_s_transaction_proves_nothing(tmp_path: Path) -> None:
    pacs = HostilePacs(find=False, commits="other")
    with running(tmp_path, pacs) as rig:
        rig.run()
        forged = CommitmentReport(
            transaction_uid="1.2.3", committed=tuple(pacs.received), failed=()
        )
        assert not rig.courier.hear(forged)
        assert not rig.courier.hear(CommitmentReport(transaction_uid="", committed=(), failed=()))
        assert rig.only().state is DeliveryState.SENT


def test_proof_that_is_switched_off_is_called_unproved(tmp_path: Path) -> None:
    pacs = HostilePacs(commits="same")
    with running(tmp_path, pacs, mode="none") as rig:
        rig.run()
        assert rig.only().state is DeliveryState.UNPROVED
        assert "switched off" in rig.only().cause


@pytest.mark.parametrize(
    ("mode", "commitment", "query", "how"),
    [
        ("automatic", "", "", "commitment"),
        ("automatic", "no", "", "query"),
        ("automatic", "no", "no", ""),
        ("commitment", "no", "", ""),
        ("query", "", "", "query"),
        ("query", "", "no", ""),
        ("none", "", "", ""),
    ],
)
def test_kind_of_proof(mode: str, commitment: str, query: str, how: str) -> None:
    chosen, why = choose(mode, why_no_commitment=commitment, why_no_query=query)  # type: ignore[arg-type]
    assert chosen == how
    assert bool(why) != bool(how)


def test_destination_that_is_removed_keeps_nothing_under_way(tmp_path: Path) -> None:
    with running(tmp_path, HostilePacs(commits="never")) as rig:
        rig.run(1)
        rig.queue(capture(tmp_path))
        rig.ledger.outbox.withhold_unknown(["another"])
        assert rig.states() == [DeliveryState.UNPROVED, DeliveryState.WITHHELD]
        assert rig.ledger.outbox.open_count(rig.deliveries()[0].object.study_uid) == 0
