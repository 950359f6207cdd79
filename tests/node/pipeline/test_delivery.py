"""Results leave once, are retried while a destination is down, and are never lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from pydicom import Dataset

from node.ledger.states import DeliveryState
from node.pipeline.answers import Accepted, Passing, RefusedForGood, judge_status
from node.pipeline.dimse import SENT_CLASSES, DicomPeer, echo, services
from tests.node.pipeline.delivering import HOUR_S, Clock, Rig, capture, free_port
from tests.node.pipeline.hostile import HostilePacs
from tests.node.words import STUDY

WEEK_S = 7 * 24 * HOUR_S


@pytest.fixture
def pacs() -> Iterator[HostilePacs]:
    running = HostilePacs().start()
    yield running
    running.stop()


@pytest.fixture
def rig(tmp_path: Path, pacs: HostilePacs) -> Iterator[Rig]:
    made = Rig(tmp_path, pacs.port)
    yield made
    made.ledger.close()


def peer(port: int) -> DicomPeer:
    return DicomPeer(
        ae_title="PACS",
        host="127.0.0.1",
        port=port,
        calling_ae_title="VIGIE",
        connect_timeout_s=2,
        response_timeout_s=5,
    )


def test_accepted_object_is_sent_once(rig: Rig, pacs: HostilePacs) -> None:
    item = capture(rig.folder)
    rig.queue(item)
    assert rig.run(30) == 1
    assert pacs.received == [item.sop_instance_uid]
    assert rig.states() == [DeliveryState.PROVED]


def test_week_of_a_dead_destination_loses_nothing_and_ends_in_order_of_urgency(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path, free_port())
    for key, priority in (("routine", 50), ("acute", 1)):
        rig.job(key, priority)
    first = capture(tmp_path, job="routine")
    rig.queue(first)
    attempts = rig.run(WEEK_S / 2, step_s=4 * HOUR_S)
    second = capture(tmp_path, job="routine")
    rig.queue(second)
    attempts += rig.run(WEEK_S / 2, step_s=4 * HOUR_S)
    assert attempts == 0
    assert rig.courier.breaker.is_open
    urgent = capture(tmp_path, job="acute")
    rig.queue(urgent)
    assert rig.states() == [DeliveryState.WAITING] * 3
    returned = HostilePacs(port=rig.port).start()
    try:
        assert rig.run(610) == 3
    finally:
        returned.stop()
    assert returned.received == [item.sop_instance_uid for item in (urgent, first, second)]
    assert not rig.courier.breaker.is_open
    assert set(rig.states()) == {DeliveryState.PROVED}
    rig.ledger.close()


def test_long_queue_is_drained_at_a_bounded_rate_of_associations(
    rig: Rig, pacs: HostilePacs
) -> None:
    rig.queue(*(capture(rig.folder) for _ in range(70)))
    rig.hire(associations_per_minute=6.0)
    assert rig.run(9) == 64
    assert pacs.associations == 1
    assert rig.run(9) == 6
    assert pacs.associations == 2


def test_object_that_fails_does_not_stop_the_others_and_comes_later(
    rig: Rig, pacs: HostilePacs
) -> None:
    bad, good = capture(rig.folder), capture(rig.folder)
    rig.queue(bad, good)
    pacs.answer = lambda uid: 0x0110 if uid == bad.sop_instance_uid else 0x0000
    assert rig.run() == 1
    found = {item.object.sop_instance_uid: item for item in rig.deliveries()}
    assert found[bad.sop_instance_uid].state is DeliveryState.WAITING
    assert "processing failure (0x0110)" in found[bad.sop_instance_uid].cause
    assert found[good.sop_instance_uid].state is DeliveryState.PROVED
    assert not rig.courier.breaker.failures
    assert rig.run(4) == 0
    pacs.answer = lambda _uid: 0x0000
    assert rig.run(2) == 1


def test_object_that_fails_for_ever_is_set_aside_and_resend_tries_it_again(
    rig: Rig, pacs: HostilePacs
) -> None:
    bad = capture(rig.folder)
    rig.queue(bad)
    pacs.answer = lambda uid: 0xA702 if uid == bad.sop_instance_uid else 0x0000
    rig.run(2 * HOUR_S, step_s=30)
    # Alone it may be the destination that is full: it is not given up.
    assert rig.only().state is DeliveryState.WAITING
    assert rig.only().attempts > 10
    rig.queue(capture(rig.folder))
    with structlog.testing.capture_logs() as logs:
        rig.run(2 * HOUR_S, step_s=30)
    states = {item.object.sop_instance_uid: item.state for item in rig.deliveries()}
    assert states.pop(bad.sop_instance_uid) is DeliveryState.SET_ASIDE
    assert set(states.values()) == {DeliveryState.PROVED}
    (alert,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert alert["event"] == "object.set_aside"
    assert 'vigie_objects_set_aside_total{destination="pacs"} 1.0' in rig.metrics.text().decode()
    pacs.answer = lambda _uid: 0x0000
    rig.ledger.outbox.resend(bad.study_uid)
    rig.run(5)
    assert set(rig.states()) == {DeliveryState.PROVED}


def test_full_destination_is_paused_probed_with_one_object_and_not_blamed_on_the_objects(
    rig: Rig, pacs: HostilePacs
) -> None:
    tried: list[str] = []

    def full(uid: str) -> int:
        tried.append(uid)
        return 0xA700

    rig.queue(*(capture(rig.folder) for _ in range(20)))
    pacs.answer = full
    rig.run()
    assert len(tried) == 3
    assert rig.courier.breaker.failures == 1
    rig.run(4)
    assert len(tried) == 3
    rig.run(2)
    assert len(tried) == 4
    rig.run(24 * HOUR_S, step_s=HOUR_S)
    assert rig.courier.breaker.is_open
    assert set(rig.states()) == {DeliveryState.WAITING}
    pacs.answer = lambda _uid: 0x0000
    assert rig.run(700, step_s=10) == 20
    assert set(rig.states()) == {DeliveryState.PROVED}


def test_object_on_which_the_destination_aborts_does_not_pause_it(
    rig: Rig, pacs: HostilePacs
) -> None:
    poison = capture(rig.folder)
    rig.queue(poison)
    pacs.answer = lambda uid: -1 if uid == poison.sop_instance_uid else 0x0000
    rig.run(60)
    assert rig.only().state is DeliveryState.WAITING
    assert not rig.courier.breaker.failures
    rig.queue(capture(rig.folder), capture(rig.folder))
    assert rig.run(3) == 2


def test_destination_that_does_not_answer_in_time_is_paused_and_loses_nothing(
    tmp_path: Path,
) -> None:
    pacs = HostilePacs().start()
    try:
        pacs.slow_s = 1.0
        rig = Rig(tmp_path, pacs.port)
        rig.hire(response_timeout_s=0.3)
        rig.queue(*(capture(tmp_path) for _ in range(4)))
        assert rig.run(4) == 0
        assert rig.courier.breaker.failures >= 1
        assert set(rig.states()) == {DeliveryState.WAITING}
        assert any("timed out" in item.cause for item in rig.deliveries())
        pacs.slow_s = 0.0
        rig.run(60)
        assert set(rig.states()) == {DeliveryState.PROVED}
        rig.ledger.close()
    finally:
        pacs.stop()


def test_object_that_a_slow_destination_kept_without_saying_so_is_found_not_sent_for_ever(
    tmp_path: Path,
) -> None:
    pacs = HostilePacs().start()
    try:
        pacs.slow_s = 0.6
        rig = Rig(tmp_path, pacs.port)
        rig.hire(response_timeout_s=0.3)
        rig.queue(capture(tmp_path))
        assert rig.run() == 0
        assert "timed out" in rig.only().cause
        time.sleep(0.5)
        assert len(pacs.received) == 1
        rig.run(20)
        assert rig.only().state is DeliveryState.PROVED
        assert len(pacs.received) == 1, "it was sent again although it was there"
        assert any("it is there" in one.detail for one in rig.ledger.studies.events(STUDY))
        # By hand it is really sent again.
        pacs.slow_s = 0.0
        rig.ledger.outbox.resend(STUDY)
        rig.run(3)
        assert len(pacs.received) == 2
        rig.ledger.close()
    finally:
        pacs.stop()


def test_trouble_of_a_destination_is_kept_until_it_answers_also_over_a_restart(
    tmp_path: Path,
) -> None:
    port = free_port()
    rig = Rig(tmp_path, port)
    rig.queue(capture(tmp_path))
    rig.run(60)
    trouble = rig.ledger.peers.known("pacs", "", for_s=HOUR_S)["trouble"]
    assert "does not answer" in trouble.cause
    assert trouble.times == rig.courier.breaker.failures > 2
    assert rig.ledger.peers.trouble("pacs") == trouble.cause
    pacs = HostilePacs(port=port).start()
    try:
        rig.hire()
        rig.run(3)
        assert rig.ledger.peers.known("pacs", "", for_s=HOUR_S) == {}
        assert rig.only().state is DeliveryState.PROVED
        rig.ledger.close()
    finally:
        pacs.stop()


def test_slow_destination_does_not_hold_up_another_one(tmp_path: Path) -> None:
    slow, fast = HostilePacs().start(), HostilePacs().start()
    slow.slow_s = 3.0
    rig = Rig(tmp_path, slow.port, clock=Clock(time.time()))
    item = capture(tmp_path)
    rig.queue(item)
    rig.queue(item, destination="fast")
    couriers = [rig.hire(), rig.hire(name="fast", peer=peer(fast.port))]
    try:
        for courier in couriers:
            courier.loop.start()
        deadline = time.monotonic() + 2.5
        while not fast.received and time.monotonic() < deadline:
            time.sleep(0.02)
        assert fast.received == [item.sop_instance_uid]
        assert not slow.received
    finally:
        for courier in couriers:
            courier.loop.stop()
        rig.ledger.close()
        slow.stop()
        fast.stop()


def test_result_withheld_while_it_was_being_sent_does_not_come_again(
    rig: Rig, pacs: HostilePacs
) -> None:
    rig.queue(capture(rig.folder))

    def superseded(_uid: str) -> int:
        rig.ledger.outbox.withhold("job")
        return 0x0110

    pacs.answer = superseded
    rig.run(60)
    assert rig.states() == [DeliveryState.WITHHELD]


def test_clock_that_jumps_neither_forgets_nor_hurries_a_proof(rig: Rig, pacs: HostilePacs) -> None:
    pacs.forgets = lambda _uid: True
    rig.queue(capture(rig.folder))
    rig.run(30)
    for jump_s in (10 * HOUR_S, -20 * HOUR_S):
        rig.jump(jump_s)
        rig.run(10)
        assert rig.states() == [DeliveryState.SENT]
    pacs.kept[pacs.received[0]] = Dataset()
    rig.run(120)
    assert rig.states() == [DeliveryState.PROVED]
    assert len(pacs.received) == 1


def test_object_in_another_form_is_not_held_back(rig: Rig) -> None:
    refused, replaced = capture(rig.folder), capture(rig.folder)
    rig.queue(refused, replaced)
    one, other = rig.deliveries()
    rig.ledger.outbox.settle(one, DeliveryState.REFUSED)
    rig.ledger.outbox.replace(other, [capture(rig.folder)], DeliveryState.REFUSED, "no")
    assert rig.ledger.troubles.held_back("pacs") == (1, 1)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0x0000, Accepted),
        (0xB000, Accepted),
        (0xB007, Accepted),
        (0xA700, Passing),
        (0xA702, Passing),
        (0x0213, Passing),
        (None, Passing),
        (0x0110, Passing),
        (0xA900, RefusedForGood),
        (0xC000, RefusedForGood),
        (0xCFFF, RefusedForGood),
        (0x0122, RefusedForGood),
        (0x0124, RefusedForGood),
    ],
)
def test_each_status_is_read_as_the_standard_means_it(status: int | None, kind: type) -> None:
    assert isinstance(judge_status(status), kind)


def test_echo_names_what_to_check(pacs: HostilePacs) -> None:
    assert echo(peer(pacs.port)) == ""
    assert "does not answer; check host, port and firewall" in echo(peer(free_port()))


def test_services_are_asked_for_without_storing_anything(pacs: HostilePacs) -> None:
    found = services(peer(pacs.port))
    assert found.echo == found.why_no_query == ""
    assert found.why_no_commitment == "the destination does not accept storage commitment"
    assert found.syntaxes.keys() == set(SENT_CLASSES)
    assert not pacs.received


def test_object_whose_identity_is_asked_for_waits_and_leaves_after_the_answer(
    rig: Rig, pacs: HostilePacs
) -> None:
    item = capture(rig.folder)
    rig.queue(item)
    asked: list[tuple[str, str]] = []

    def not_yet(study_uid: str, destination: str) -> bool:
        asked.append((study_uid, destination))
        return False

    rig.courier.may_leave = not_yet
    assert rig.run(30) == 0
    assert not pacs.received
    assert rig.states() == [DeliveryState.WAITING]
    assert set(asked) == {(item.study_uid, rig.courier.destination.name)}
    rig.courier.may_leave = lambda _study, _name: True
    assert rig.run(30) == 1
    assert pacs.received == [item.sop_instance_uid]


def test_warning_says_what_the_destination_did_with_the_object() -> None:
    assert judge_status(0xB000) == Accepted(
        "warning 0xB000: the destination changed some of its attributes"
    )
    assert judge_status(0xB123) == Accepted("warning 0xB123")
