"""A clock that jumps runs nothing twice, delays nothing, and deletes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.ledger import Ledger
from node.ledger.states import StudyState
from node.pipeline.clock_jumps import DOUBT_S, ClockWatch
from node.pipeline.retention import Retention, RetentionRule
from tests.node.ledger.test_ledger import job
from tests.node.pipeline.test_reconciliation import stored
from tests.scp.sent import STUDY

HOUR_S = 3600.0


class Clocks:
    """One that can be set, and one that cannot."""

    def __init__(self) -> None:
        self.passed, self.set_by = 1_000.0, 1_700_000_000.0

    def wall(self) -> float:
        return self.passed + self.set_by

    def steady(self) -> float:
        return self.passed


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def ledger(tmp_path: Path, clocks: Clocks) -> Iterator[Ledger]:
    opened = Ledger(tmp_path, clock=clocks.wall)
    yield opened
    opened.close()


def watch(ledger: Ledger, clocks: Clocks) -> ClockWatch:
    return ClockWatch(ledger, wall=clocks.wall, steady=clocks.steady)


def queue_one(ledger: Ledger) -> None:
    ledger.jobs.add(job("a"), destinations=[])


@pytest.mark.parametrize("jump_s", [5 * HOUR_S, -5 * HOUR_S])
def test_job_in_hand_keeps_its_lease_and_one_that_waits_its_turn(
    ledger: Ledger, clocks: Clocks, jump_s: float
) -> None:
    queue_one(ledger)
    looking = watch(ledger, clocks)
    claimed = ledger.jobs.claim("one", 60.0)
    assert claimed is not None
    clocks.set_by += jump_s
    looking.look()
    assert ledger.jobs.claim("two", 60.0) is None
    clocks.passed += 61
    looking.look()
    again = ledger.jobs.claim("two", 60.0)
    assert again is not None
    ledger.jobs.retry(again, cause="busy", delay_s=30.0)
    clocks.set_by += jump_s
    looking.look()
    assert ledger.jobs.claim("two", 60.0) is None
    clocks.passed += 31
    looking.look()
    assert ledger.jobs.claim("two", 60.0) is not None


def test_clock_that_is_adjusted_slowly_moves_nothing(ledger: Ledger, clocks: Clocks) -> None:
    queue_one(ledger)
    looking = watch(ledger, clocks)
    assert ledger.jobs.claim("one", 60.0) is not None
    for _ in range(10):
        clocks.passed, clocks.set_by = clocks.passed + 1, clocks.set_by + 0.1
        looking.look()
    assert not looking.is_in_doubt()
    clocks.passed += 45
    assert ledger.jobs.claim("two", 60.0) is None
    clocks.passed += 10
    assert ledger.jobs.claim("two", 60.0) is not None


def test_clock_set_a_year_ahead_deletes_nothing_for_a_day(ledger: Ledger, clocks: Clocks) -> None:
    store = stored(ledger)
    generation = ledger.studies.complete(STUDY, "quiet")
    ledger.studies.set_state(STUDY, StudyState.ENDED, generation=generation)
    received = ledger.instances.of_study(STUDY)[0].received_at.timestamp()
    clocks.set_by = received - clocks.passed
    looking = watch(ledger, clocks)
    retention = Retention(
        ledger,
        store,
        ledger.root / "results",
        RetentionRule(days=30),
        clock=clocks.wall,
    )
    retention.is_clock_in_doubt = looking.is_in_doubt
    clocks.set_by += 365 * 24 * HOUR_S
    looking.look()
    assert retention.sweep() == 0
    clocks.passed += DOUBT_S + 1
    looking.look()
    assert retention.sweep() == 1
