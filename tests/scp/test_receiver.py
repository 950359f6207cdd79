"""Who may send, what is answered, and that Success means stored."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)
from pynetdicom import AE, AllStoragePresentationContexts
from pynetdicom.presentation import build_context

from node.domain.errors import ConfigError
from node.domain.study import Filing, Instance
from node.intake import FileContent, read_file, read_folder
from node.ledger import Ledger
from scp.admission import Peer
from scp.classes import STORAGE_CLASSES
from scp.indexing import Indexer
from scp.storage import InstanceStore, Watermark, verify
from tests.scp.listening import (
    ADMISSION,
    ROOMY,
    Listening,
    RawSender,
    data_set_of,
    listening,
)
from tests.scp.sent import STUDY, content

SUCCESS, OUT_OF_RESOURCES, CLASS_MISMATCH, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xA900, 0xC000
INVALID_INSTANCE = 0x0117


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Listening]:
    with listening(tmp_path / "store") as running:
        yield running


def send(node: Listening, *contents: FileContent) -> list[int | None]:
    sender = RawSender(node.port, list(contents))
    answers = [sender.send(item) for item in contents]
    sender.release()
    assert node.indexer.flush()
    return answers


def eventually(condition: object, timeout_s: float = 8.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


def test_acknowledged_instance_is_stored_byte_for_byte_and_indexed(
    node: Listening, tmp_path: Path
) -> None:
    item = content()
    assert send(node, item) == [SUCCESS]
    (stored,) = node.ledger.instances.find(item.sop_instance_uid)
    stored.extent.export(tmp_path / "exported.dcm")
    kept = read_file(tmp_path / "exported.dcm")
    assert isinstance(kept, FileContent)
    assert kept == item
    assert data_set_of(stored) == item.data_set
    assert stored.study_uid == STUDY
    assert stored.calling_ae_title == "RAW"
    assert verify(stored)


def test_same_bytes_again_are_a_no_op_and_other_bytes_are_kept_apart(node: Listening) -> None:
    item = content(uid="1.2.3.4")
    other = content(uid="1.2.3.4", note="changed")
    assert send(node, item, item, other, other) == [SUCCESS] * 4
    assert node.told.filings() == [
        Filing.NEW,
        Filing.DUPLICATE,
        Filing.CONFLICT,
        Filing.DUPLICATE,
    ]
    first, second = node.ledger.instances.find("1.2.3.4")
    assert first.extent != second.extent
    assert verify(first)
    assert verify(second)


def spoilt(item: FileContent, uid: str) -> FileContent:
    """The same with a letter in one UID of its data set."""
    return replace(item, data_set=item.data_set.replace(uid.encode(), f"{uid[:-1]}x".encode()))


@pytest.mark.parametrize(
    ("item", "status", "reason"),
    [
        (content(SOPClassUID="1.2.840.10008.5.1.4.1.1.4"), CLASS_MISMATCH, "SOP Class UID"),
        (content(SOPInstanceUID="9.9.9"), CLASS_MISMATCH, "SOP Instance UID"),
        (content(without="StudyInstanceUID"), CANNOT_UNDERSTAND, "Study Instance UID is missing"),
        (content(without="SeriesInstanceUID"), CANNOT_UNDERSTAND, "Series Instance UID is missing"),
        (
            replace(content(), data_set=b"\x08\x00\x16\x00XY\xff\xff no data set at all"),
            CANNOT_UNDERSTAND,
            "",
        ),
        (replace(content(), data_set=b"\0" * 37), CANNOT_UNDERSTAND, ""),
        (spoilt(content(uid="1.2.3.9"), "1.2.3.9"), INVALID_INSTANCE, "SOP Instance UID is not"),
        (
            spoilt(content(StudyInstanceUID="1.2.3.8"), "1.2.3.8"),
            CANNOT_UNDERSTAND,
            "Study Instance UID is not a UID",
        ),
    ],
)
def test_bad_object_is_refused_and_quarantined_and_the_association_lives_on(
    node: Listening, item: FileContent, status: int, reason: str
) -> None:
    good = content()
    assert send(node, item, good) == [status, SUCCESS]
    ((told, why),) = node.told.refused
    assert told == status
    assert reason in why
    assert len(list(node.store.quarantine.folder.glob("*.json"))) == 1


def test_object_without_its_own_class_is_filed_by_its_command(node: Listening) -> None:
    item = content(without="SOPClassUID")
    assert send(node, item) == [SUCCESS]
    (stored,) = node.ledger.instances.find(item.sop_instance_uid)
    assert stored.sop_class_uid == CTImageStorage


def test_full_disk_is_answered_with_out_of_resources_and_nothing_is_left(tmp_path: Path) -> None:
    full = Watermark(refuse_above_percent=99.9, keep_free_bytes=1 << 60)
    with listening(tmp_path / "store", watermark=full) as node:
        assert send(node, content()) == [OUT_OF_RESOURCES]
        assert "storage.keep_free_gb" in node.told.refused[0][1]
        assert node.ledger.instances.count() == 0


def test_object_above_the_limit_is_refused(tmp_path: Path) -> None:
    with listening(tmp_path / "store", max_object_bytes=100) as node:
        assert send(node, content(note="x" * 200)) == [OUT_OF_RESOURCES]
        assert "max_object_gb" in node.told.refused[0][1]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_disk_that_fills_up_in_the_middle_never_answers_a_false_success(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not allow to mount a small disk")
    try:
        with listening(disk / "store", watermark=replace(ROOMY, keep_free_bytes=0)) as node:
            (disk / "somebody else's").write_bytes(bytes(600_000))
            items = [content(note="x" * 400_000) for _ in range(12)]
            sender = RawSender(node.port, items)
            answers = [sender.send(item) for item in items]
            sender.release()
            assert SUCCESS in answers
            assert OUT_OF_RESOURCES in answers
            (disk / "somebody else's").unlink()
            assert node.indexer.flush()
            for item, answer in zip(items, answers, strict=True):
                found = node.ledger.instances.find(item.sop_instance_uid)
                assert bool(found) == (answer == SUCCESS)
                assert all(verify(instance) for instance in found)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


@pytest.mark.parametrize(
    ("called", "ae_titles", "network", "reason"),
    [
        ("VIGIE", frozenset(), "127.0.0.0/8", ""),
        ("OTHER", frozenset(), "127.0.0.0/8", "called AE title"),
        ("VIGIE", frozenset({"CT1"}), "127.0.0.0/8", "calling AE title is not listed"),
        ("VIGIE", frozenset(), "10.0.0.0/8", "address is not listed"),
    ],
)
def test_association_is_denied_unless_titles_and_address_are_listed(
    tmp_path: Path, called: str, ae_titles: frozenset[str], network: str, reason: str
) -> None:
    peer = Peer(name="p", networks=(ipaddress.ip_network(network),), ae_titles=ae_titles)
    with listening(tmp_path, admission=replace(ADMISSION, peers=(peer,))) as node:
        sender = RawSender(node.port, [content()], called=called)
        assert sender.association.is_established == (reason == "")
        assert sender.association.is_rejected == (reason != "")
        if not reason:
            sender.release()
            return
        assert reason in node.told.rejected[0]


def test_too_many_associations_are_rejected_and_places_become_free(tmp_path: Path) -> None:
    with listening(tmp_path, admission=replace(ADMISSION, max_associations=2)) as node:
        open_ones = [RawSender(node.port, [content()]) for _ in range(2)]
        third = RawSender(node.port, [content()])
        assert third.association.is_rejected
        open_ones[0].release()
        assert eventually(lambda: len(node.told.closed) == 1)
        again = RawSender(node.port, [content()])
        assert again.association.is_established
        for sender in (open_ones[1], again):
            sender.release()


def test_released_and_aborted_associations_are_told_apart(node: Listening) -> None:
    RawSender(node.port, [content()]).release()
    RawSender(node.port, [content()]).association.abort()
    assert eventually(lambda: len(node.told.closed) == 2)
    assert [clean for _, clean in node.told.closed] == [True, False]


def test_silent_and_half_open_peers_do_not_hold_the_door(node: Listening) -> None:
    with socket.create_connection(("127.0.0.1", node.port)) as silent:
        silent.settimeout(10)
        assert silent.recv(100) == b""
    idle = RawSender(node.port, [content()])
    assert eventually(lambda: len(node.told.closed) == 1, timeout_s=12)
    assert node.told.closed[0][1] is False
    assert not idle.association.is_established
    assert send(node, content()) == [SUCCESS]


def test_every_storage_class_of_the_standard_is_accepted(node: Listening) -> None:
    classes = sorted(STORAGE_CLASSES)
    assert {str(c.abstract_syntax) for c in AllStoragePresentationContexts} <= STORAGE_CLASSES
    for start in range(0, len(classes), 100):
        entity = AE()
        entity.requested_contexts = [build_context(uid) for uid in classes[start : start + 100]]
        association = entity.associate("127.0.0.1", node.port, ae_title="VIGIE")
        assert association.is_established
        assert not association.rejected_contexts
        association.release()


def test_private_class_is_stored_only_when_it_is_listed(tmp_path: Path) -> None:
    private = "1.3.12.2.1107.5.9.1"
    item = replace(content(SOPClassUID=private), sop_class_uid=private)
    with listening(tmp_path / "closed") as node:
        sender = RawSender(node.port, [item])
        assert sender.send(item) == -1
        sender.release()
    with listening(tmp_path / "open", private_classes=frozenset({private})) as node:
        assert send(node, item) == [SUCCESS]


def test_explicit_little_endian_is_preferred_and_compressed_stays_compressed(
    node: Listening,
) -> None:
    entity = AE()
    entity.requested_contexts = [
        build_context(CTImageStorage, [ImplicitVRLittleEndian, ExplicitVRLittleEndian]),
        build_context(CTImageStorage, [JPEG2000Lossless]),
    ]
    association = entity.associate("127.0.0.1", node.port, ae_title="VIGIE")
    chosen = [context.transfer_syntax[0] for context in association.accepted_contexts]
    association.release()
    assert chosen == [ExplicitVRLittleEndian, JPEG2000Lossless]


def test_taken_port_is_named_with_the_remedy(node: Listening, tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"choose another receiver\.port"),
        listening(tmp_path / "second", port=node.port),
    ):
        raise AssertionError("two receivers on one port")


def test_what_a_kill_leaves_is_found_again_at_start(node: Listening, tmp_path: Path) -> None:
    item = content()
    send(node, item)
    (stored,) = node.ledger.instances.find(item.sop_instance_uid)
    other = Ledger(tmp_path)
    indexer = Indexer(other.instances)
    store = InstanceStore(tmp_path / "store", indexer, ROOMY)
    assert list(store.scan({})) == [stored]
    assert list(store.scan(node.ledger.instances.indexed())) == []
    indexer.stop()
    store.close()
    other.close()


def damage(stored: Instance) -> None:
    with stored.extent.path.open("r+b") as file:
        file.seek(stored.extent.offset + stored.extent.size - 3)
        file.write(b"\xff")


def test_damaged_instance_goes_to_quarantine_instead_of_into_the_index(node: Listening) -> None:
    item = content(note="0123456789")
    send(node, item)
    (stored,) = node.ledger.instances.find(item.sop_instance_uid)
    damage(stored)
    assert not verify(stored)
    assert list(node.store.scan({})) == []
    assert len(list(node.store.quarantine.folder.glob("*.dcm"))) == 1


def test_instance_sent_again_replaces_one_that_was_damaged_on_the_disk(node: Listening) -> None:
    item = content(note="0123456789")
    send(node, item)
    (stored,) = node.ledger.instances.find(item.sop_instance_uid)
    damage(stored)
    assert send(node, item) == [SUCCESS]
    (mended,) = node.ledger.instances.find(item.sop_instance_uid)
    assert mended.extent != stored.extent
    assert verify(mended)


@pytest.mark.skipif(shutil.which("dcmsend") is None, reason="Debian's dcmtk is not installed")
def test_dcmtk_echoes_and_sends(node: Listening, tmp_path: Path) -> None:
    item = content()
    send(node, item)
    (stored,) = node.ledger.instances.find(item.sop_instance_uid)
    port = str(node.port)
    echo = ["echoscu", "-aec", "VIGIE", "127.0.0.1", port]
    assert subprocess.run(echo, check=False).returncode == 0
    stored.extent.export(tmp_path / "exported.dcm")
    command = ["dcmsend", "-aec", "VIGIE", "127.0.0.1", port, str(tmp_path / "exported.dcm")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert node.indexer.flush()
    assert node.told.filings() == [Filing.NEW, Filing.DUPLICATE]


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # the test sends odd UIDs itself
def test_every_odd_file_is_stored_or_refused_by_name(node: Listening, shared_images: Path) -> None:
    contents = [c for c in read_folder(shared_images / "odd_dicom") if isinstance(c, FileContent)]
    assert len(contents) > 150
    answers: dict[str, int] = {}
    for item in contents:
        sender = RawSender(node.port, [item])
        if not sender.association.is_established:
            answers[item.sop_instance_uid] = -1
            continue
        status = sender.send(item)
        assert status is not None, f"no answer for {item.sop_instance_uid}"
        answers[item.sop_instance_uid] = status
        sender.release()
    assert node.indexer.flush()
    stored = [item for item in contents if answers[item.sop_instance_uid] == SUCCESS]
    assert len(stored) > 150
    assert len(node.told.stored) + len(node.told.refused) + list(answers.values()).count(-1) >= len(
        answers
    )
    assert all(reason for _, reason in node.told.refused)
    for item in stored:
        kept = node.ledger.instances.find(item.sop_instance_uid)
        assert item.data_set in [data_set_of(instance) for instance in kept]


@pytest.mark.slow
def test_acknowledged_instances_survive_kill_9_while_sending(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from tests.scp.listening import listening
        with listening(Path(sys.argv[1]), idle_timeout_s=20) as node:
            print(node.port, flush=True)
            time.sleep(60)
        """
    )
    root = tmp_path / "store"
    acknowledged: list[FileContent] = []
    for round_ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(root)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        port = int(process.stdout.readline())
        sender = RawSender(port, [content()])
        deadline = time.monotonic() + 0.2 + 0.1 * round_
        while time.monotonic() < deadline:
            item = content(note="x" * 50_000)
            assert sender.send(item) == SUCCESS
            acknowledged.append(item)
        process.kill()
        process.wait()
        process.stdout.close()
        sender.association.abort()
    assert len(acknowledged) > 12
    with listening(root) as node:
        for item in acknowledged:
            (stored,) = node.ledger.instances.find(item.sop_instance_uid)
            assert data_set_of(stored) == item.data_set
