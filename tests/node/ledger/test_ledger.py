"""The ledger forgets nothing, runs nothing twice at once, and survives its process."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.domain.errors import LedgerError
from node.domain.study import Filing, StackID
from node.domain.verdict import Job, ModelName
from node.ledger import Ledger
from node.ledger.states import JobState, StudyState
from tests.node import words


class Clock:
    """A clock that the test moves."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    opened = Ledger(tmp_path, clock=clock)
    yield opened
    opened.close()


def job(key: str, *, priority: int = 50, generation: int = 1) -> Job:
    return Job(
        key=key,
        study_uid=words.STUDY,
        candidates=(StackID("1"), StackID("2")),
        model=ModelName("m"),
        generation=generation,
        priority=priority,
    )


def test_same_instance_twice_is_filed_once_and_other_bytes_are_kept_apart(ledger: Ledger) -> None:
    first = words.instance(1)
    assert ledger.instances.record(first) is Filing.NEW
    assert ledger.instances.record(first) is Filing.DUPLICATE
    other = words.instance(1, content="changed")
    assert ledger.instances.record(other) is Filing.CONFLICT
    assert ledger.instances.record(other) is Filing.DUPLICATE
    assert ledger.instances.of_study(words.STUDY) == (first,)
    assert ledger.instances.find(first.sop_instance_uid) == (first, other)
    assert "instance in conflict" in [e.what for e in ledger.studies.events(words.STUDY)]


def test_late_image_reopens_a_completed_study(ledger: Ledger) -> None:
    ledger.instances.record(words.instance(1))
    assert ledger.studies.complete(words.STUDY, "quiet") == 1
    ledger.instances.record(words.instance(2))
    row = ledger.studies.get(words.STUDY)
    assert row is not None
    assert row.state is StudyState.RECEIVING
    assert not ledger.studies.set_state(words.STUDY, StudyState.ANALYSING, generation=1)
    assert ledger.studies.complete(words.STUDY, "quiet") == 2


def test_duplicate_does_not_reopen_a_completed_study(ledger: Ledger) -> None:
    ledger.instances.record(words.instance(1))
    ledger.studies.complete(words.STUDY, "quiet")
    ledger.instances.record(words.instance(1))
    row = ledger.studies.get(words.STUDY)
    assert row is not None
    assert row.state is StudyState.COMPLETED


def test_job_is_claimed_by_one_owner_until_its_lease_runs_out(ledger: Ledger, clock: Clock) -> None:
    assert ledger.jobs.add(job("a"), destinations=["pacs"])
    assert not ledger.jobs.add(job("a"), destinations=["pacs"])
    first = ledger.jobs.claim("one", 30)
    assert first is not None
    assert first.candidates == ("1", "2")
    assert ledger.jobs.claim("two", 30) is None
    clock.now += 20
    ledger.jobs.renew("one", 30, ["b"])
    ledger.jobs.renew("one", 30, ["a"])
    clock.now += 20
    assert ledger.jobs.claim("two", 30) is None
    clock.now += 31
    second = ledger.jobs.claim("two", 30)
    assert second is not None
    assert second.attempts == 2
    assert not ledger.jobs.finish(first, JobState.DONE)
    assert ledger.jobs.finish(second, JobState.DONE)


def test_urgent_job_comes_first(ledger: Ledger) -> None:
    ledger.jobs.add(replace(job("late", priority=50), model=ModelName("x")), destinations=[])
    ledger.jobs.add(replace(job("acute", priority=1), model=ModelName("y")), destinations=[])
    claimed = ledger.jobs.claim("one", 30)
    assert claimed is not None
    assert claimed.key == "acute"


def test_job_interrupted_by_the_end_of_the_node_waits_again_without_a_failure(
    ledger: Ledger,
) -> None:
    ledger.jobs.add(job("a"), destinations=[])
    ledger.jobs.claim("one", 30)
    assert ledger.jobs.release_all() == 1
    again = ledger.jobs.claim("two", 30)
    assert again is not None
    assert (again.attempts, again.interruptions) == (1, 1)


def test_newer_input_supersedes_the_waiting_job(ledger: Ledger) -> None:
    ledger.jobs.add(job("a"), destinations=[])
    ledger.jobs.add(job("b", generation=2), destinations=[])
    old = ledger.jobs.get("a")
    assert old is not None
    assert old.state is JobState.SUPERSEDED
    assert ledger.jobs.open_count(words.STUDY) == 1


def test_retried_job_waits_for_its_delay(ledger: Ledger, clock: Clock) -> None:
    ledger.jobs.add(job("a"), destinations=[])
    claimed = ledger.jobs.claim("one", 30)
    assert claimed is not None
    ledger.jobs.retry(claimed, cause="the worker died", delay_s=5)
    assert ledger.jobs.claim("one", 30) is None
    clock.now += 5
    again = ledger.jobs.claim("one", 30)
    assert again is not None
    assert again.attempts == 2


def test_failed_transaction_leaves_nothing_behind(ledger: Ledger) -> None:
    def half_a_step() -> None:
        with ledger.transaction():
            ledger.instances.record(words.instance(1))
            raise KeyError("interrupted")

    with pytest.raises(KeyError):
        half_a_step()
    assert ledger.instances.count() == 0
    assert ledger.studies.get(words.STUDY) is None


def test_recorded_instance_is_there_after_kill_9(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from node.ledger import Ledger
        from tests.node import words
        ledger = Ledger(Path(sys.argv[1]))
        for number in range(1, 8):
            ledger.instances.record(words.instance(number))
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -9
    reopened = Ledger(tmp_path)
    assert reopened.instances.count() == 7
    reopened.close()


def test_missing_or_foreign_ledger_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger at"):
        Ledger(tmp_path, read_only=True)
    (tmp_path / "ledger.sqlite").write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(tmp_path)


def test_lease_of_a_job_that_nobody_has_in_hand_runs_out(ledger: Ledger, clock: Clock) -> None:
    assert ledger.jobs.add(job("a"), destinations=["pacs"])
    assert ledger.jobs.claim("one", 30) is not None
    clock.now += 20
    ledger.jobs.renew("one", 30, [])
    clock.now += 20
    again = ledger.jobs.claim("one", 30)
    assert again is not None
    assert again.attempts == 2


def test_open_jobs_that_a_new_verdict_does_not_ask_for_are_over(ledger: Ledger) -> None:
    for key in ("running", "wanted"):
        assert ledger.jobs.add(replace(job(key), model=ModelName(key)), destinations=["pacs"])
    running = ledger.jobs.claim("one", 30)
    assert running is not None
    assert running.key == "running"
    assert ledger.jobs.supersede_others(words.STUDY, ["wanted"]) == 1
    assert not ledger.jobs.finish(running, JobState.DONE)
    row = ledger.jobs.get("wanted")
    assert row is not None
    assert row.state is JobState.WAITING
