"""The answer to a request of ours is ours, however slow the association's own thread is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.association import Association

from node.pipeline.checkpoint import Checkpoint, answered_to_us
from scp.classes import VERIFICATION


class Slow(Association):
    """Its thread needs a moment from the checkpoint to the look at what has arrived."""

    @property
    def _is_paused(self) -> bool:
        return self.__dict__.get("paused", False)

    @_is_paused.setter
    def _is_paused(self, value: bool) -> None:
        if not value and threading.current_thread() is self:
            time.sleep(0.05)
        self.__dict__["paused"] = value


@pytest.fixture
def port() -> Iterator[int]:
    entity = AE(ae_title="PACS")
    entity.add_supported_context(VERIFICATION)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    yield server.socket.getsockname()[1]
    server.shutdown()


@pytest.fixture
def slow(port: int) -> Iterator[Association]:
    """Its caller is late as well: the answer lies there before it looks."""
    entity = AE()
    entity.add_requested_context(VERIFICATION)
    entity.dimse_timeout = entity.acse_timeout = 0.5
    association = entity.associate("127.0.0.1", port, ae_title="PACS")
    assert association.is_established
    paused = association.__dict__.pop("_is_paused")
    association.__class__ = Slow
    association.__dict__["paused"] = paused
    take = association.dimse.get_msg

    def late(block: bool = False) -> tuple[Any, Any]:
        if block:
            time.sleep(0.2)
        return take(block)

    association.dimse.get_msg = late
    yield association
    association.abort()


def answers(association: Association) -> int:
    """How many of ten requests were answered to the caller."""
    given = 0
    for _ in range(10):
        if not association.is_established:
            break
        given += getattr(association.send_c_echo(), "Status", None) == 0
    return given


def test_a_slow_thread_takes_no_answer(slow: Association) -> None:
    answered_to_us(slow)
    assert answers(slow) == 10
    slow.release()
    assert slow.is_released


def test_without_it_a_slow_thread_takes_one(slow: Association) -> None:
    assert answers(slow) < 10


def test_nobody_waits_for_a_thread_that_is_over() -> None:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    started = time.monotonic()
    Checkpoint(thread).clear()
    assert time.monotonic() - started < 5


def test_the_thread_itself_is_not_held_by_its_own_request() -> None:
    passed = []

    def work() -> None:
        checkpoint.clear()
        passed.append(checkpoint.is_set())

    thread = threading.Thread(target=work, daemon=True)
    checkpoint = Checkpoint(thread)
    thread.start()
    thread.join(5)
    assert passed == [False]


def test_a_thread_that_was_let_pass_and_stopped_at_once_still_stands() -> None:
    rounds: list[int] = []
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            checkpoint.wait()
            rounds.append(1)
            time.sleep(0.0001)

    thread = threading.Thread(target=work, daemon=True)
    checkpoint = Checkpoint(thread)
    thread.start()
    for number in range(2000):
        checkpoint.clear()
        before = len(rounds)
        time.sleep(0)
        assert len(rounds) == before
        checkpoint.set()
        # Now and then it gets the time to pass.
        time.sleep(0.0005 * (number % 3))
    over.set()
    thread.join(5)
    assert not thread.is_alive()
    assert len(rounds) > 500
