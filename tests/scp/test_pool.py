"""Segments are taken, given back, released, renewed and kept in reserve; few are open."""

from __future__ import annotations

import os
from pathlib import Path

from scp.pool import SegmentSettings
from scp.record import PAGE
from scp.segment import Segment
from scp.storage import InstanceStore, verify
from tests.scp.listening import ROOMY
from tests.scp.sent import content
from tests.scp.storing import SMALL, announce, opened, put


def test_segments_that_nobody_writes_to_are_not_kept_open(tmp_path: Path) -> None:
    """A store of years has thousands of them, a process may open 1,024 files."""
    tiny = SegmentSettings(capacity_bytes=1 << 13, spare=0)
    before = len(os.listdir("/proc/self/fd"))
    with opened(tmp_path, tiny) as (store, ledger):
        intake = store.open("a")
        for _ in range(40):
            put(intake, content(note="x" * 9000))
        assert len(store.pool.segments()) == 40
        assert len(os.listdir("/proc/self/fd")) < before + 20
        intake.close(clean=True)
    with opened(tmp_path, tiny) as (store, ledger):
        assert ledger.instances.count() == 40
        assert len(os.listdir("/proc/self/fd")) < before + 20


def test_segment_that_somebody_deleted_does_not_stop_the_node(tmp_path: Path) -> None:
    with opened(tmp_path) as (store, _ledger):
        intake = store.open("a")
        put(intake, content())
        intake.close(clean=True)
        for segment in store.pool.segments():
            segment.path.unlink()
        assert not store.refusal()
        intake = store.open("a")
        put(intake, content())
        intake.close(clean=True)
        assert len(store.pool.segments()) == 1


def test_released_segment_is_blanked_and_used_again(tmp_path: Path) -> None:
    with opened(tmp_path) as (store, ledger):
        intake = store.open("a")
        first = put(intake, content(note="secret of a patient"))
        intake.close(clean=True)
        assert b"secret" in first.extent.path.read_bytes()
    with opened(tmp_path) as (store, ledger):
        assert store.pool.release(ledger.instances.files_in_use) == 0
        ledger.instances.remove_study(first.study_uid)
        assert store.pool.release(ledger.instances.files_in_use) == 1
        assert list(store.scan({})) == []
        assert store.pool.prepare()
        assert b"secret" not in first.extent.path.read_bytes()
        intake = store.open("b")
        second = put(intake, content())
        intake.close(clean=True)
        assert second.extent.path == first.extent.path
    with opened(tmp_path) as (_, ledger):
        assert ledger.instances.count() == 1


def test_segment_whose_rows_are_missing_yet_is_not_released(tmp_path: Path) -> None:
    class Nothing:
        def refusal(self) -> str:
            return ""

        def stored(self, _association: str, segment: Segment, _end: int, _what: object) -> None:
            segment.unindexed += 1

        def closed(self, _association: str, *, clean: bool) -> None:
            del clean

    store = InstanceStore(tmp_path, Nothing(), ROOMY, segments=SMALL)
    intake = store.open("a")
    kept = put(intake, content())
    intake.close(clean=True)
    assert store.pool.release(frozenset) == 0
    assert verify(kept)
    store.close()


def test_spare_segments_are_written_while_nobody_sends_and_have_no_name_until_taken(
    tmp_path: Path,
) -> None:
    settings = SegmentSettings(capacity_bytes=1 << 20, spare=2)
    with opened(tmp_path, settings) as (store, _):
        intake = store.open("a")
        announce(intake, content())
        assert not store.pool.prepare()
        intake.abort()
        intake.close(clean=True)
        while store.pool.prepare():
            pass
        assert store.pool.spare_bytes() >= 2 * (1 << 20) - 3 * PAGE
        names = {path.name for path in (tmp_path / "segments").iterdir()}
        intakes = [store.open(str(number)) for number in range(3)]
        for taker in intakes:
            put(taker, content())
        taken = {path.name for path in (tmp_path / "segments").iterdir()}
        assert len(taken) == 3
        assert names < taken
        for taker in intakes:
            taker.close(clean=True)
