"""Analyses wait for memory instead of being killed for it."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from inference.worker import WorkerPool
from node.domain.errors import WorkerError
from node.ledger import Ledger
from node.pipeline.memory import MemoryGate, available_memory_mb
from tests.inference import jobs
from tests.node import words


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path)
    yield opened
    opened.close()


def never() -> bool:
    return False


def test_before_anything_was_measured_an_analysis_is_expected_to_take_its_limit(
    ledger: Ledger,
) -> None:
    assert MemoryGate(ledger).expected_mb("m", 1000, 4096) == 4096


def test_what_is_expected_follows_what_was_measured_by_size(ledger: Ledger) -> None:
    gate = MemoryGate(ledger)
    ledger.service.record_use("m", voxels=1_000_000, peak_mb=100)
    ledger.service.record_use("m", voxels=1_000_000, peak_mb=150)
    ledger.service.record_use("m", voxels=8_000_000, peak_mb=1000)
    assert gate.expected_mb("m", 900_000, 4096) == 180
    assert gate.expected_mb("m", 7_000_000, 4096) == 1200
    assert gate.expected_mb("m", 16_000_000, 4096) == 2400
    assert gate.expected_mb("m", 160_000_000, 4096) == 4096
    assert gate.expected_mb("m", 0, 4096) == 1200
    assert gate.expected_mb("other", 900_000, 512) == 512


def test_only_the_newest_measurements_count(ledger: Ledger) -> None:
    ledger.service.record_use("m", voxels=1_000_000, peak_mb=3000)
    for _ in range(64):
        ledger.service.record_use("m", voxels=1_000_000, peak_mb=100)
    assert MemoryGate(ledger).expected_mb("m", 1_000_000, 4096) == 120


def test_the_size_of_a_series_is_known_from_its_facts(ledger: Ledger) -> None:
    facts = words.facts(slices=60, rows=512, columns=512)
    ledger.facts.record(words.study_facts(facts))
    gate = MemoryGate(ledger)
    assert gate.voxels_of(facts.study_uid, [facts.stack_id]) == 60 * 512 * 512
    assert gate.voxels_of(facts.study_uid, []) == 0
    assert gate.voxels_of("9.9", [facts.stack_id]) == 0


def test_an_analysis_that_is_alone_begins_however_little_there_is(ledger: Ledger) -> None:
    gate = MemoryGate(ledger, available_mb=lambda: 10)
    begun = False
    with gate.admitted(4096, never):
        begun = True
    assert begun


def test_a_second_analysis_waits_until_the_first_gives_its_memory_back(ledger: Ledger) -> None:
    gate = MemoryGate(ledger, reserve_mb=100, available_mb=lambda: 1000)
    begun = threading.Event()

    def second() -> None:
        with gate.admitted(500, never):
            begun.set()

    thread = threading.Thread(target=second)
    with gate.admitted(500, never):
        with gate.admitted(400, never):
            thread.start()
            assert not begun.wait(0.5)
        assert not begun.wait(0.5)
    assert begun.wait(5)
    thread.join()


def test_small_analyses_that_keep_coming_do_not_keep_a_large_one_waiting(ledger: Ledger) -> None:
    gate = MemoryGate(ledger, available_mb=lambda: 1000, patience_s=0.3)
    over, begun = threading.Event(), threading.Event()

    def small(delay_s: float) -> None:
        time.sleep(delay_s)
        # The end finds some of them in the queue, where a stop is an error by contract.
        with suppress(WorkerError):
            while not over.is_set():
                with gate.admitted(300, over.is_set):
                    time.sleep(0.2)

    def large() -> None:
        with gate.admitted(900, never):
            begun.set()

    # They overlap, so that there is always one under way.
    threads = [threading.Thread(target=small, args=(delay,)) for delay in (0.0, 0.07, 0.14)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    threads.append(threading.Thread(target=large))
    threads[-1].start()
    try:
        assert begun.wait(20)
    finally:
        over.set()
        for thread in threads:
            thread.join(10)


def test_memory_that_others_take_meanwhile_counts(ledger: Ledger) -> None:
    free = [1000]
    gate = MemoryGate(ledger, available_mb=lambda: free[0])
    with gate.admitted(300, never):
        free[0] = 200
        started = time.monotonic()
        threading.Timer(0.6, lambda: free.__setitem__(0, 900)).start()
        with gate.admitted(300, never):
            assert time.monotonic() - started > 0.4


def test_a_node_that_stops_waits_for_no_memory(ledger: Ledger) -> None:
    gate = MemoryGate(ledger, available_mb=lambda: 100)
    with (
        gate.admitted(90, never),
        pytest.raises(WorkerError, match="stopping"),
        gate.admitted(90, lambda: True),
    ):
        pass


def test_more_analyses_than_memory_all_come_to_an_end_one_after_the_other(
    ledger: Ledger,
) -> None:
    """Real workers on a computer that seems to have 600 MB: nothing is killed."""
    gate = MemoryGate(ledger, available_mb=lambda: 600)
    pool = WorkerPool(3)
    at_once: list[int] = []
    most: list[int] = []
    done: list[int] = []

    def analysis() -> None:
        with gate.admitted(250, never):
            at_once.append(1)
            most.append(len(at_once))
            done.append(pool.run(jobs.grow_slowly, 200, time_limit_s=60, memory_mb=400))
            at_once.pop()

    try:
        pool.start()
        threads = [threading.Thread(target=analysis) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        pool.stop()
    assert done == [20] * 6
    assert max(most) == 2


def test_the_memory_of_this_computer_is_known() -> None:
    total_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000
    assert 0 < available_memory_mb() <= total_mb


def test_the_peak_of_one_piece_of_work_is_measured_and_not_that_of_the_one_before() -> None:
    # In a process of its own: what the system takes from an old one meanwhile would be missing.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        peak_bytes = pool.submit(jobs.peak_of_the_second, 150_000_000, 60_000_000).result(60)
    assert 50_000_000 < peak_bytes < 140_000_000
