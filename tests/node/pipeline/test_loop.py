"""The heart of the node does not stop in silence."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from node.domain.errors import LedgerError
from node.pipeline.loop import Loop


def wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (LedgerError("the ledger cannot be written; check the disk"), "check the disk"),
        (ZeroDivisionError("secret value"), "ZeroDivisionError at test_loop.py:"),
    ],
)
def test_failing_step_is_told_and_tried_again_and_the_fault_clears(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.pipeline.loop.FAULT_PAUSE_S", 0.05)
    failing = [True]
    steps = []

    def step() -> None:
        steps.append(1)
        if failing[0]:
            raise error

    loop = Loop("heart", step, interval_s=0.01)
    loop.start()
    assert wait_for(lambda: told in loop.fault)
    assert "secret value" not in loop.fault
    failing[0] = False
    assert wait_for(lambda: loop.fault == "")
    done = len(steps)
    assert wait_for(lambda: len(steps) > done + 2)
    loop.stop()


def test_wake_ends_the_pause() -> None:
    steps: list[int] = []
    loop = Loop("heart", lambda: steps.append(1), interval_s=60)
    loop.start()
    assert wait_for(lambda: len(steps) == 1)
    loop.wake()
    assert wait_for(lambda: len(steps) == 2)
    loop.stop()
