"""What is acknowledged is on the disk whole, exactly once, whatever the disk and its past do."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
from pathlib import Path

import pytest

from node.domain.errors import CannotUnderstand, OutOfResources
from scp.arrival import COLLECTED_BYTES
from scp.record import PAGE, decode, encode
from scp.storage import verify
from tests.scp.listening import data_set_of
from tests.scp.sent import content
from tests.scp.storing import announce, opened, put


def test_instances_follow_one_another_and_are_read_back(tmp_path: Path) -> None:
    items = [content(note="x" * size) for size in (0, 5000, 70_000, 1)]
    with opened(tmp_path) as (store, _):
        intake = store.open("a")
        kept = [put(intake, item, step=777) for item in items]
        intake.close(clean=True)
        assert len({instance.extent.path for instance in kept}) == 1
        for item, instance in zip(items, kept, strict=True):
            assert data_set_of(instance) == item.data_set
            assert instance.extent.offset % PAGE == 0
            assert verify(instance)


def test_full_segment_is_followed_by_another_and_large_objects_fit(tmp_path: Path) -> None:
    items = [content(note="x" * 400_000) for _ in range(5)] + [content(note="y" * 3_000_000)]
    with opened(tmp_path) as (store, ledger):
        intake = store.open("a")
        kept = [put(intake, item) for item in items]
        intake.close(clean=True)
        assert len({instance.extent.path for instance in kept}) == 2
        again = store.open("b")
        put(again, content())
        again.close(clean=True)
    with opened(tmp_path) as (_, ledger):
        assert ledger.instances.count() == 7
        for item in items:
            assert data_set_of(ledger.instances.find(item.sop_instance_uid)[0]) == item.data_set


def test_object_that_broke_off_is_overwritten_by_the_next(tmp_path: Path) -> None:
    with opened(tmp_path) as (store, _):
        intake = store.open("a")
        announce(intake, content())
        intake.write([memoryview(b"x" * 300_000)])
        intake.abort()
        instance = put(intake, content())
        intake.close(clean=False)
        assert instance.extent.offset == 2 * PAGE
        assert list(store.scan({})) == [instance]


def test_data_set_that_imitates_a_record_is_not_taken_for_one(tmp_path: Path) -> None:
    """What an aborted object left behind the last record must not become an instance."""
    with opened(tmp_path) as (store, _):
        intake = store.open("a")
        first = put(intake, content())
        segment = store.pool.segments()[0]
        page = segment.read(PAGE, PAGE)
        description = decode(page, segment.key)
        assert description is not None
        forged = encode(description, b"k" * 32) + first.extent.read()
        announce(intake, content())
        intake.write([memoryview(b"x" * (PAGE - 400) + forged * 3)])
        intake.abort()
        intake.close(clean=False)
    with opened(tmp_path) as (store, _):
        assert list(store.scan({})) == [first]


def test_damaged_description_does_not_hide_the_records_behind_it(tmp_path: Path) -> None:
    with opened(tmp_path) as (store, ledger):
        intake = store.open("a")
        kept = [put(intake, content()) for _ in range(3)]
        intake.close(clean=True)
    with kept[1].extent.path.open("r+b") as file:
        file.seek(kept[1].extent.offset - PAGE + 50)
        file.write(b"\xff\xff")
    (tmp_path / "ledger.sqlite").unlink()
    with opened(tmp_path) as (_, ledger):
        assert ledger.instances.count() == 2


def test_lost_ledger_is_rebuilt_from_the_segments(tmp_path: Path) -> None:
    items = [content(note=str(number)) for number in range(5)]
    with opened(tmp_path) as (store, _):
        intake = store.open("a")
        for item in items:
            put(intake, item)
        intake.close(clean=True)
    for file in tmp_path.glob("ledger.sqlite*"):
        file.unlink()
    with opened(tmp_path) as (_, ledger):
        assert [len(ledger.instances.find(item.sop_instance_uid)) for item in items] == [1] * 5


def test_failing_disk_is_never_a_success_and_its_segment_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with opened(tmp_path) as (store, ledger):
        intake = store.open("a")
        before = put(intake, content())
        monkeypatch.setattr(os, "fdatasync", fail)
        lost = content()
        with pytest.raises(OutOfResources, match="Input/output error"):
            put(intake, lost)
        monkeypatch.undo()
        after = put(intake, content())
        intake.close(clean=True)
        assert after.extent.path != before.extent.path
        assert store.pool.retired() == 1
        assert verify(before)
        assert ledger.instances.find(lost.sop_instance_uid) == ()


@pytest.mark.parametrize("size", [100_000, COLLECTED_BYTES + 100_000])
def test_segment_that_is_deleted_while_a_sender_writes_is_never_a_success(
    tmp_path: Path, size: int
) -> None:
    with opened(tmp_path) as (store, ledger):
        intake = store.open("a")
        before = put(intake, content())
        before.extent.path.unlink()
        lost = content(note="x" * size)
        with pytest.raises(OutOfResources, match="somebody deleted the file"):
            put(intake, lost)
        after = put(intake, content())
        intake.close(clean=True)
        assert after.extent.path != before.extent.path
        assert verify(after)
        assert store.pool.retired() == 0, "the disk is blamed"
        assert ledger.instances.find(lost.sop_instance_uid) == ()


#: A data set that is collected in memory, and one that is written while it arrives.
SIZES = pytest.mark.parametrize("size", [100_000, COLLECTED_BYTES + 100_000])


@SIZES
def test_full_disk_is_named_and_the_next_object_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    def full(_descriptor: int, _parts: object, _at: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with opened(tmp_path) as (store, _):
        intake = store.open("a")
        put(intake, content())
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            with pytest.raises(OutOfResources, match="No space left"):
                put(intake, content(note="x" * size))
        item = content()
        assert data_set_of(put(intake, item)) == item.data_set
        assert store.pool.retired() == 0
        intake.close(clean=True)


@SIZES
def test_write_that_is_cut_short_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    whole = os.pwrite

    def short(descriptor: int, piece: memoryview, at: int) -> int:
        # Not a whole number of pages: what is left cannot be written past the page cache.
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            return whole(descriptor, piece[: len(piece) // 3 // PAGE * PAGE], at)
        return whole(descriptor, piece[: max(1, len(piece) // 3)], at)

    with opened(tmp_path) as (store, _):
        intake = store.open("a")
        put(intake, content())
        monkeypatch.setattr(os, "pwrite", short)
        item = content(note="x" * size)
        assert data_set_of(put(intake, item)) == item.data_set
        intake.close(clean=True)


def test_without_access_past_the_page_cache_records_are_written_through_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every_way = os.pwrite
    refused = []

    def aligned_otherwise(descriptor: int, piece: bytes, at: int) -> int:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            refused.append(at)
            raise OSError(errno.EINVAL, "Invalid argument")
        return every_way(descriptor, piece, at)

    monkeypatch.setattr(os, "pwrite", aligned_otherwise)
    with opened(tmp_path) as (store, _):
        intake = store.open("a")
        items = [content(note="x" * 100_000) for _ in range(3)]
        assert [data_set_of(put(intake, i)) for i in items] == [i.data_set for i in items]
        intake.close(clean=True)
    assert len(refused) <= 1


def test_nothing_of_an_earlier_object_lies_behind_a_shorter_one(tmp_path: Path) -> None:
    with opened(tmp_path) as (store, _):
        intake = store.open("a")
        put(intake, content(note="SECRET" * 20_000))
        extent = put(intake, content()).extent
        behind = extent.path.read_bytes()[extent.offset + extent.size :]
        intake.close(clean=True)
    assert not behind.strip(b"\0")


def test_refused_object_lies_whole_in_quarantine(tmp_path: Path) -> None:
    item = content(without="StudyInstanceUID", note="x" * 100_000)
    with opened(tmp_path) as (store, _):
        intake = store.open("a")
        with pytest.raises(CannotUnderstand):
            put(intake, item)
        intake.close(clean=True)
        (kept,) = store.quarantine.folder.glob("*.bin")
        assert kept.read_bytes() == item.data_set


def test_uids_behind_a_long_header_are_found(tmp_path: Path) -> None:
    item = content(AdditionalPatientHistory="x" * 10_000, PatientComments="y" * 10_000)
    with opened(tmp_path) as (store, _):
        intake = store.open("a")
        assert put(intake, item).sop_instance_uid == item.sop_instance_uid
        intake.close(clean=True)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_object(tmp_path: Path) -> None:
    block = memoryview(bytes(1 << 20))
    with opened(tmp_path) as (store, _):
        intake = store.open("a")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        item = content()
        announce(intake, item)
        intake.write([memoryview(item.data_set)])
        for _ in range(1500):
            intake.write([block])
        kept = intake.commit()
        intake.close(clean=True)
        grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        assert kept.size_bytes == len(item.data_set) + (1500 << 20)
        assert grown_mb < 50


def test_data_set_cut_into_thousands_of_fragments_is_stored(tmp_path: Path) -> None:
    item = content(note="x" * 20_000)
    whole = memoryview(item.data_set)
    with opened(tmp_path) as (store, _):
        intake = store.open("a")
        announce(intake, item)
        intake.write([whole[at : at + 1] for at in range(len(whole))])
        assert data_set_of(intake.commit()) == item.data_set
        intake.close(clean=True)
        assert store.pool.retired() == 0


def test_export_to_another_file_system_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> int:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    with opened(tmp_path) as (store, _):
        intake = store.open("a")
        kept = put(intake, content(note="x" * 5000))
        intake.close(clean=True)
        monkeypatch.setattr(os, "copy_file_range", refuse)
        kept.extent.export(tmp_path / "exported.dcm")
        assert (tmp_path / "exported.dcm").read_bytes() == kept.extent.read()
