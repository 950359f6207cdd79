"""Real processes: a bad study ends a worker, never the node."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inference.worker import WorkerPool
from node.domain.errors import (
    ConfigError,
    ConfigFault,
    DeliveryError,
    GoldenMismatch,
    ModelError,
    NodeError,
    VolumeError,
    WorkerError,
)
from tests.inference import jobs

LIMITS: dict[str, Any] = {"time_limit_s": 30.0, "memory_mb": 500}


@pytest.fixture(scope="module")
def shared_pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(1, initializer=jobs.load, argument="networks")
    pool.start()
    yield pool
    pool.stop()


def gone(pid: int) -> bool:
    """No process, not even a zombie."""
    return not Path(f"/proc/{pid}").exists()


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_a_worker_keeps_what_it_loaded_and_its_process_between_jobs(
    shared_pool: WorkerPool,
) -> None:
    first = shared_pool.run(jobs.pid, None, **LIMITS)
    assert shared_pool.run(jobs.double, 21, **LIMITS) == 42
    assert shared_pool.run(jobs.what_was_loaded, None, **LIMITS) == ("networks",)
    assert shared_pool.run(jobs.pid, None, **LIMITS) == first != os.getpid()


def test_a_worker_computes_in_full_float32_on_one_thread_of_blas(shared_pool: WorkerPool) -> None:
    assert shared_pool.run(jobs.variable, "NVIDIA_TF32_OVERRIDE", **LIMITS) == "0"
    assert shared_pool.run(jobs.variable, "OPENBLAS_NUM_THREADS", **LIMITS) == "1"


@pytest.mark.parametrize("hang", [jobs.sleep, jobs.sleep_in_c])
def test_a_hung_job_is_killed_at_its_time_limit_and_the_next_job_runs(
    shared_pool: WorkerPool, hang: Callable[[Any], Any]
) -> None:
    hung = shared_pool.run(jobs.pid, None, **LIMITS)
    started = time.monotonic()
    with pytest.raises(WorkerError, match=r"took longer than 0\.5 s"):
        shared_pool.run(hang, 60, time_limit_s=0.5, memory_mb=500)
    assert 0.4 < time.monotonic() - started < 5
    assert gone(hung)
    assert shared_pool.run(jobs.what_was_loaded, None, **LIMITS) == ("networks",)


def test_what_a_job_waited_for_others_is_no_time_of_the_job(shared_pool: WorkerPool) -> None:
    limits = {"time_limit_s": 0.5, "memory_mb": 500}
    assert shared_pool.run(jobs.wait_for_another, (5.0, 1.0), **limits) == 1.0
    # What one job waited is nothing to the next, and no licence to hang.
    with pytest.raises(WorkerError, match=r"took longer than 0\.5 s"):
        shared_pool.run(jobs.wait_for_another, (0.5, 30.0), **limits)
    assert shared_pool.run(jobs.double, 4, **LIMITS) == 8


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_killed_worker_is_named_by_its_signal_and_replaced(
    shared_pool: WorkerPool, number: signal.Signals
) -> None:
    with pytest.raises(WorkerError, match=f"end_by was killed by {number.name}"):
        shared_pool.run(jobs.end_by, number, **LIMITS)
    assert shared_pool.run(jobs.what_was_loaded, None, **LIMITS) == ("networks",)


def test_a_worker_that_leaves_is_an_error_of_its_job(shared_pool: WorkerPool) -> None:
    with pytest.raises(WorkerError, match="exit status 7"):
        shared_pool.run(jobs.leave, 7, **LIMITS)


def test_a_worker_killed_while_idle_is_replaced_without_failing_a_job(
    shared_pool: WorkerPool,
) -> None:
    victim = shared_pool.run(jobs.pid, None, **LIMITS)
    os.kill(victim, signal.SIGKILL)
    assert wait_until(lambda: gone(victim))
    assert shared_pool.run(jobs.what_was_loaded, None, **LIMITS) == ("networks",)


def test_a_job_that_outgrows_its_memory_is_killed(shared_pool: WorkerPool) -> None:
    hungry = shared_pool.run(jobs.pid, None, **LIMITS)
    with pytest.raises(WorkerError, match="grow_slowly needed more than 100 MB"):
        shared_pool.run(jobs.grow_slowly, 1000, time_limit_s=30, memory_mb=100)
    assert gone(hungry)
    assert shared_pool.run(jobs.grow_slowly, 50, time_limit_s=30, memory_mb=500) == 5


def test_one_huge_allocation_fails_before_it_takes_the_memory(shared_pool: WorkerPool) -> None:
    with pytest.raises(WorkerError, match="grow_at_once needed more than 100 MB"):
        shared_pool.run(jobs.grow_at_once, 6, time_limit_s=30, memory_mb=100)


def test_a_worker_that_keeps_too_much_is_replaced_between_jobs() -> None:
    pool = WorkerPool(1)
    try:
        limits: dict[str, Any] = {"time_limit_s": 30, "memory_mb": 100}
        pids = [pool.run(jobs.keep, 60, **limits) for _ in range(4)]
        assert len(set(pids)) == 2
    finally:
        pool.stop()


def test_an_error_of_the_tree_arrives_with_its_uids(shared_pool: WorkerPool) -> None:
    before = shared_pool.run(jobs.pid, None, **LIMITS)
    with pytest.raises(VolumeError, match=r"slice gap 7\.5 mm") as caught:
        shared_pool.run(jobs.refuse_volume, None, **LIMITS)
    assert (caught.value.study_uid, caught.value.series_uid) == ("1.2.3", "1.2.3.4")
    with pytest.raises(ConfigError, match="too large") as other:
        shared_pool.run(jobs.refuse_configuration, None, **LIMITS)
    assert other.value.faults[0].line == 3
    assert shared_pool.run(jobs.pid, None, **LIMITS) == before


@pytest.mark.parametrize("failing", [jobs.fail_with_name, jobs.fail_unsendably])
def test_an_unforeseen_exception_names_its_type_and_place_but_no_values(
    shared_pool: WorkerPool, failing: Callable[[Any], Any]
) -> None:
    with pytest.raises(WorkerError, match=r"(ValueError|Secretive) at jobs\.py:\d+") as caught:
        shared_pool.run(failing, "DOE^JANE", **LIMITS)
    assert "DOE" not in str(caught.value)


@pytest.mark.parametrize("answer", [jobs.unsendable, jobs.unreadable])
def test_a_result_that_cannot_travel_is_an_error_and_the_worker_goes_on(
    shared_pool: WorkerPool, answer: Callable[[Any], Any]
) -> None:
    with pytest.raises(WorkerError, match=answer.__name__):
        shared_pool.run(answer, None, **LIMITS)
    assert shared_pool.run(jobs.double, 2, **LIMITS) == 4


def test_an_argument_that_cannot_travel_is_told_to_the_caller(shared_pool: WorkerPool) -> None:
    with pytest.raises((AttributeError, pickle.PicklingError, TypeError)):
        shared_pool.run(jobs.double, threading.Lock(), **LIMITS)
    assert shared_pool.run(jobs.double, 2, **LIMITS) == 4


def test_a_fault_of_the_watch_itself_fails_one_job_and_not_the_pool(
    shared_pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(pid: int, field: str) -> int:
        raise ValueError(f"{pid} {field}")

    with monkeypatch.context() as broken:
        broken.setattr("inference.worker_slot.status_bytes", unreadable)
        with pytest.raises(WorkerError, match="could not be watched"):
            shared_pool.run(jobs.double, 1, **LIMITS)
        with pytest.raises(WorkerError, match="no worker can be started"):
            shared_pool.run(jobs.double, 1, **LIMITS)
    assert wait_until(lambda: works(shared_pool))


def works(pool: WorkerPool) -> bool:
    """False while a replacement still failed under the broken watch."""
    try:
        return bool(pool.run(jobs.what_was_loaded, None, **LIMITS) == ("networks",))
    except WorkerError:
        return False


def test_ctrl_c_does_not_reach_the_workers(shared_pool: WorkerPool) -> None:
    assert shared_pool.run(jobs.interrupt_disposition, None, **LIMITS) is True


def test_the_error_of_an_initializer_is_raised_by_start() -> None:
    pool = WorkerPool(2, initializer=jobs.refuse_to_load)
    with pytest.raises(ModelError, match="another digest"):
        pool.start()
    with pytest.raises(WorkerError):
        pool.run(jobs.double, 1, **LIMITS)


def test_an_initializer_that_crashes_is_raised_by_start() -> None:
    pool = WorkerPool(1, initializer=jobs.die_loading)
    with pytest.raises(WorkerError, match="loading was killed by SIGSEGV"):
        pool.start()


def test_a_replacement_that_cannot_load_fails_the_waiting_job_instead_of_hanging(
    tmp_path: Path,
) -> None:
    pool = WorkerPool(1, initializer=jobs.load_once, argument=str(tmp_path / "flag"))
    pool.start()
    try:
        with pytest.raises(WorkerError):
            pool.run(jobs.leave, 1, **LIMITS)
        with pytest.raises(ModelError, match="network levels"):
            pool.run(jobs.double, 1, **LIMITS)
        (tmp_path / "flag").unlink()
        assert pool.run(jobs.double, 1, **LIMITS) == 2
    finally:
        pool.stop()


def test_start_returns_when_every_worker_has_loaded(tmp_path: Path) -> None:
    log = tmp_path / "log"
    pool = WorkerPool(2, initializer=jobs.load_noting, argument=str(log))
    pool.start()
    try:
        pids = log.read_text().split()
        assert len(set(pids)) == 2 == pool.size
        pool.start()
        assert log.read_text().split() == pids
    finally:
        pool.stop()
    assert all(gone(int(pid)) for pid in pids)


def test_jobs_of_several_threads_run_side_by_side_and_each_gets_its_own_result(
    tmp_path: Path,
) -> None:
    pool = WorkerPool(2)
    results: dict[int, int] = {}
    met: list[int] = []

    def ask(number: int) -> None:
        results[number] = pool.run(jobs.double, number, **LIMITS)
        if number < 2:
            met.append(pool.run(jobs.meet_another, str(tmp_path), **LIMITS))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    finally:
        pool.stop()
    assert results == {number: 2 * number for number in range(6)}
    assert met == [2, 2]


def test_stop_ends_a_running_and_a_waiting_job(tmp_path: Path) -> None:
    pool = WorkerPool(1)
    errors: list[str] = []

    def ask() -> None:
        try:
            pool.run(jobs.note_and_sleep, str(tmp_path / "pid"), **LIMITS)
        except WorkerError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert wait_until((tmp_path / "pid").exists)
    started = time.monotonic()
    pool.stop()
    for thread in threads:
        thread.join(10)
    assert time.monotonic() - started < 3
    assert len(errors) == 2
    assert all("stopping" in error for error in errors)
    assert gone(int((tmp_path / "pid").read_text()))
    with pytest.raises(WorkerError, match="stopping"):
        pool.run(jobs.double, 1, **LIMITS)


def test_a_worker_dies_when_the_node_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    context = multiprocessing.get_context("spawn")
    parent = context.Process(target=jobs.be_a_parent, args=(str(path),))
    parent.start()
    assert wait_until(lambda: path.exists() and path.read_text() != "", 30)
    worker = int(path.read_text())
    assert not gone(worker)
    parent.kill()
    parent.join()
    parent.close()
    # Orphans are reaped by whatever process adopts them; dead is what counts.
    assert wait_until(lambda: gone(worker) or state(worker) == "Z")


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("kind", [NodeError, VolumeError, GoldenMismatch, DeliveryError])
def test_errors_keep_their_attributes_through_pickle(kind: type[NodeError]) -> None:
    error = pickle.loads(pickle.dumps(kind("why", study_uid="1.2", instance_uid="1.2.3")))
    assert type(error) is kind
    assert str(error) == "why"
    assert (error.study_uid, error.series_uid, error.instance_uid) == ("1.2", None, "1.2.3")


def test_a_configuration_error_keeps_its_faults_through_pickle() -> None:
    fault = ConfigFault(
        file="a.yaml", line=1, column=1, key="k", why="wrong", got="", remedy="mend it"
    )
    error = pickle.loads(pickle.dumps(ConfigError(faults=[fault])))
    assert error.faults == (fault,)
    assert str(error) == str(fault)


def test_what_is_kept_is_done_in_every_worker_and_again_in_each_that_replaces_one() -> None:
    pool = WorkerPool(2)
    try:
        assert pool.keep("first", jobs.load_and_say, "first", **LIMITS) == ("first", "first")
        pool.keep("second", jobs.load_and_say, "second", **LIMITS)
        victim = pool.run(jobs.pid, None, **LIMITS)
        os.kill(victim, signal.SIGKILL)
        assert wait_until(lambda: gone(victim))
        for _ in range(6):
            loaded = pool.run(jobs.what_was_loaded, None, **LIMITS)
            assert loaded == ("first", "second")
        pool.drop("first", jobs.unload, "first")
        with pytest.raises(WorkerError):
            pool.run(jobs.end_by, signal.SIGKILL, **LIMITS)
        for _ in range(6):
            assert pool.run(jobs.what_was_loaded, None, **LIMITS) == ("second",)
    finally:
        pool.stop()


@pytest.mark.parametrize("way", [jobs.load_only_once, jobs.die_the_second_time])
def test_a_standing_job_that_fails_in_a_replacement_is_told_and_the_others_stay(
    way: Callable[[str], Any], tmp_path: Path
) -> None:
    pool = WorkerPool(1)
    lost: list[tuple[str, str]] = []
    again: list[tuple[str, object]] = []
    pool.on_lost = lambda name, error: lost.append((name, str(error)))
    pool.on_again = lambda name, result: again.append((name, result))
    try:
        pool.keep("good", jobs.load_and_say, "good", **LIMITS)
        pool.keep("bad", way, str(tmp_path / "flag"), **LIMITS)
        pool.keep("better", jobs.load_and_say, "better", **LIMITS)
        with pytest.raises(WorkerError):
            pool.run(jobs.end_by, signal.SIGKILL, **LIMITS)
        assert pool.run(jobs.what_was_loaded, None, **LIMITS) == ("good", "better")
        assert [name for name, _ in lost] == ["bad"]
        assert {name for name, _ in again} == {"good", "better"}
        assert all(name in str(result) for name, result in again)
    finally:
        pool.stop()


def test_a_standing_job_that_fails_at_first_raises_and_the_workers_go_on() -> None:
    pool = WorkerPool(1)
    try:
        pool.keep("good", jobs.load_and_say, "good", **LIMITS)
        for bad in (jobs.refuse_to_load, jobs.die_loading):
            with pytest.raises(NodeError):
                pool.keep("bad", bad, None, **LIMITS)
        with pytest.raises(WorkerError, match="longer than"):
            pool.keep("bad", jobs.sleep, 60, time_limit_s=0.3, memory_mb=500)
        assert pool.run(jobs.what_was_loaded, None, **LIMITS) == ("good",)
    finally:
        pool.stop()


def test_no_worker_is_ever_forked() -> None:
    """A forked child would hold this process's threads, sockets and database."""
    forked: list[int] = []
    os.register_at_fork(before=lambda: forked.append(os.getpid()))
    pool = WorkerPool(2)
    try:
        pool.keep("x", jobs.load_and_say, "x", **LIMITS)
        with pytest.raises(WorkerError):
            pool.run(jobs.end_by, signal.SIGKILL, **LIMITS)
        for worker in range(2):
            command = Path(f"/proc/{pool.run(jobs.pid, worker, **LIMITS)}/cmdline").read_bytes()
            assert b"spawn_main" in command
    finally:
        pool.stop()
    assert os.getpid() not in forked
