"""The fast data path gives the same answers and the same bytes as pynetdicom's own."""

from __future__ import annotations

import ipaddress
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE

from node.intake import FileContent
from scp import receiver as receiver_module
from scp.admission import Peer
from scp.command import pdu
from scp.record import part10_head
from scp.stream import COMMAND, LAST
from tests.scp.listening import ADMISSION, Listening, RawSender, data_set_of, listening
from tests.scp.sent import content
from tests.scp.test_command import request_bytes
from tests.scp.test_receiver import CANNOT_UNDERSTAND, CLASS_MISMATCH, SUCCESS, eventually

PATHS = ("fast", "pynetdicom")


@pytest.fixture(params=PATHS)
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listening]:
    with listening(tmp_path / "store", data_path=request.param) as running:
        yield running


def traffic() -> list[FileContent]:
    """Good, odd and bad objects of several sizes, always the same."""
    uids = [f"1.2.3.{number}" for number in range(20)]
    return [
        content(uid=uids[0]),
        content(uid=uids[1], note="x" * 300_000),
        content(uid=uids[2], SOPInstanceUID="9.9"),
        content(uid=uids[3], without="StudyInstanceUID"),
        content(uid=uids[4], note="y" * 100),
        content(uid=uids[4], note="y" * 100),
        content(uid=uids[4], note="z" * 101),
        replace(content(uid=uids[5]), data_set=b"no data set"),
        replace(content(uid=uids[6]), sop_instance_uid="not a UID"),
        content(uid=uids[7]),
    ]


def answers(node: Listening) -> tuple[list[int | None], dict[str, list[bytes]]]:
    items = traffic()
    sender = RawSender(node.port, items)
    got = []
    for item in items:
        got.append(sender.send(item))
        assert sender.association.send_c_echo().Status == SUCCESS
    sender.release()
    assert node.indexer.flush()
    kept = {
        item.sop_instance_uid: [
            data_set_of(found) for found in node.ledger.instances.find(item.sop_instance_uid)
        ]
        for item in items
    }
    return got, kept


@pytest.mark.filterwarnings("ignore::UserWarning")  # the test sends odd UIDs itself
@pytest.mark.parametrize("maximum_pdu", [4096, 131072, 1 << 20])
def test_both_paths_answer_and_store_the_same(tmp_path: Path, maximum_pdu: int) -> None:
    outcomes = []
    for path in PATHS:
        with listening(tmp_path / path, data_path=path, max_pdu_bytes=maximum_pdu) as node:
            outcomes.append(answers(node))
            assert eventually(lambda node=node: len(node.told.closed) >= 1)
            assert [clean for _, clean in node.told.closed] == [True]
    assert outcomes[0] == outcomes[1]
    statuses = outcomes[0][0]
    assert statuses.count(SUCCESS) == 6
    assert statuses[2] == CLASS_MISMATCH
    assert statuses[3] == statuses[7] == CANNOT_UNDERSTAND


@pytest.mark.skipif(shutil.which("storescu") is None, reason="Debian's dcmtk is not installed")
@pytest.mark.parametrize("options", [[], ["-pdu", "4096"], ["--abort"]])
def test_dcmtk_sends_on_both_paths(node: Listening, tmp_path: Path, options: list[str]) -> None:
    files = []
    for number in range(12):
        item = content(note="w" * 50_000 * (number % 3))
        file = tmp_path / f"{number}.dcm"
        file.write_bytes(part10(item))
        files.append(str(file))
    command = ["storescu", *options, "-aec", "VIGIE", "127.0.0.1", str(node.port), *files]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert eventually(lambda: len(node.told.closed) == 1)
    assert node.told.closed[0][1] is (options != ["--abort"])
    assert len(node.told.stored) == 12


def part10(item: FileContent) -> bytes:
    head = part10_head(
        sop_class_uid=item.sop_class_uid,
        sop_instance_uid=item.sop_instance_uid,
        transfer_syntax_uid=item.transfer_syntax_uid,
        calling_ae_title="",
    )
    return head + item.data_set


def wire(sender: RawSender) -> socket.socket:
    """The connection of an established association, for bytes that no library would send."""
    connection: Any = sender.association.dul.socket
    assert isinstance(connection.socket, socket.socket)
    return connection.socket


def context_id(sender: RawSender) -> int:
    return int(sender.association.accepted_contexts[0].context_id or 0)


def test_association_that_breaks_off_inside_an_object_leaves_nothing(node: Listening) -> None:
    good = content()
    sender = RawSender(node.port, [good])
    assert sender.send(good) == SUCCESS
    number = context_id(sender)
    wire(sender).sendall(pdu(number, COMMAND | LAST, request_bytes()) + pdu(number, 0, b"x" * 5000))
    time.sleep(0.2)
    sender.association.abort()
    assert eventually(lambda: len(node.told.closed) == 1)
    assert node.ledger.instances.count() == 1
    again = content()
    second = RawSender(node.port, [again])
    assert second.send(again) == SUCCESS
    second.release()
    assert node.indexer.flush()
    assert data_set_of(node.ledger.instances.find(again.sop_instance_uid)[0]) == again.data_set


@pytest.mark.parametrize(
    "hostile",
    [
        struct.pack(">BBL", 4, 0, 0xFFFFFFFF) + b"x" * 100,
        pdu(1, 0, b"a data set without a command"),
        pdu(1, COMMAND | LAST, b"no command set"),
        pdu(99, COMMAND | LAST, request_bytes()),
        pdu(1, COMMAND, b"\0" * 70_000),
        pdu(1, COMMAND | LAST, request_bytes()) * 2,
        bytes([9, 0, 0, 0, 0, 4, 1, 2, 3, 4]),
        b"\xff" * 300,
    ],
    ids=["length", "no command", "garbage", "context", "endless", "twice", "type", "noise"],
)
def test_hostile_bytes_end_their_association_and_no_other(tmp_path: Path, hostile: bytes) -> None:
    with listening(tmp_path / "store") as node:
        item = content()
        bystander = RawSender(node.port, [item])
        attacker = RawSender(node.port, [item])
        wire(attacker).sendall(hostile)
        assert eventually(lambda: len(node.told.closed) == 1)
        assert node.told.closed[0][1] is False
        assert bystander.send(item) == SUCCESS
        bystander.release()


def test_command_of_another_class_than_its_context_is_refused(node: Listening) -> None:
    item = content()
    sender = RawSender(node.port, [item])
    for context in sender.association._accepted_cx.values():
        context.abstract_syntax = MRImageStorage
    changed = replace(content(), sop_class_uid=MRImageStorage)
    assert sender.send(changed) == CLASS_MISMATCH
    sender.release()


def test_request_that_is_not_served_here_goes_to_pynetdicom_with_its_bytes(
    node: Listening,
) -> None:
    """A C-FIND on a storage context: pynetdicom aborts; what was stored before stays."""
    item = content()
    sender = RawSender(node.port, [item])
    assert sender.send(item) == SUCCESS
    number = context_id(sender)
    find = request_bytes().replace(b"\0\0\0\1\2\0\0\0\1\0", b"\0\0\0\1\2\0\0\0\x20\0")
    assert find != request_bytes()
    wire(sender).sendall(pdu(number, COMMAND | LAST, find) + pdu(number, LAST, b"identifier"))
    assert eventually(lambda: len(node.told.closed) == 1)
    assert node.ledger.instances.count() == 1


def test_peer_that_stalls_inside_a_pdu_is_ended(tmp_path: Path) -> None:
    with listening(tmp_path / "store", idle_timeout_s=1.0) as node:
        sender = RawSender(node.port, [content()])
        number = context_id(sender)
        wire(sender).sendall(pdu(number, COMMAND | LAST, request_bytes())[:50])
        assert eventually(lambda: len(node.told.closed) == 1, timeout_s=6)


def test_peer_that_drips_for_ever_is_ended(tmp_path: Path) -> None:
    """Slow loris: a byte now and then is progress for a timer of silence, not for this one."""
    with listening(tmp_path / "store", idle_timeout_s=1.0) as node:
        sender = RawSender(node.port, [content()])
        number, connection = context_id(sender), wire(sender)
        connection.sendall(pdu(number, COMMAND | LAST, request_bytes()))
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.1):
                try:
                    connection.sendall(pdu(number, 0, b"x"))
                except OSError:
                    return

        threading.Thread(target=drip, daemon=True).start()
        ended = eventually(lambda: len(node.told.closed) == 1, timeout_s=6)
        stop.set()
        assert ended


def test_violator_that_does_not_close_gives_its_place_back_soon(tmp_path: Path) -> None:
    with listening(tmp_path / "store", association_timeout_s=60, idle_timeout_s=60) as node:
        sender = RawSender(node.port, [content()])
        wire(sender).sendall(b"\xff" * 5000)
        assert eventually(lambda: not node.receiver._open, timeout_s=8)


def test_two_requests_cannot_take_the_last_place(tmp_path: Path) -> None:
    with listening(tmp_path / "store", admission=replace(ADMISSION, max_associations=3)) as node:
        established = []

        def associate() -> None:
            entity = AE()
            entity.add_requested_context(CTImageStorage, ImplicitVRLittleEndian)
            association = entity.associate("127.0.0.1", node.port, ae_title="VIGIE")
            established.append(association)

        threads = [threading.Thread(target=associate) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sum(item.is_established for item in established) == 3
        for item in established:
            if item.is_established:
                item.release()


def test_fault_while_judging_a_request_rejects_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object, **_more: object) -> None:
        raise RuntimeError("a fault of ours")

    with listening(tmp_path / "store") as node:
        monkeypatch.setattr(receiver_module, "judge", broken)
        assert RawSender(node.port, [content()]).association.is_rejected
        monkeypatch.undo()
        item = content()
        sender = RawSender(node.port, [item])
        assert sender.send(item) == SUCCESS
        sender.release()


def test_stop_lets_a_running_association_finish(tmp_path: Path) -> None:
    with listening(tmp_path / "store") as node:
        item = content(note="x" * 100_000)
        sender = RawSender(node.port, [item])
        stopping = threading.Thread(target=node.receiver.stop, args=(5.0,))
        stopping.start()
        time.sleep(0.3)
        assert sender.send(item) == SUCCESS
        sender.release()
        stopping.join(10)
        assert not stopping.is_alive()
        assert node.indexer.flush()
        assert [clean for _, clean in node.told.closed] == [True]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", node.port), timeout=1)


def test_other_version_of_pynetdicom_falls_back_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver_module, "is_supported", lambda: False)
    with listening(tmp_path / "store") as node:
        item = content()
        sender = RawSender(node.port, [item])
        assert sender.send(item) == SUCCESS
        sender.release()
        assert node.indexer.flush()
        assert node.ledger.instances.count() == 1


def test_sender_that_opens_an_association_for_each_image_is_never_rejected(
    node: Listening,
) -> None:
    items = [content() for _ in range(40)]
    for item in items:
        sender = RawSender(node.port, [item])
        assert sender.send(item) == SUCCESS
        sender.release()
    assert node.indexer.flush()
    assert node.ledger.instances.count() == 40


def test_strangers_cannot_shut_out_those_who_may_send(tmp_path: Path) -> None:
    peer = Peer(name="ct", networks=(ipaddress.ip_network("127.0.0.1/32"),), ae_titles=frozenset())
    admission = replace(ADMISSION, peers=(peer,))
    with listening(tmp_path / "store", admission=admission) as node:
        strangers = [
            socket.create_connection(("127.0.0.1", node.port), source_address=("127.0.0.2", 0))
            for _ in range(40)
        ]
        item = content()
        sender = RawSender(node.port, [item])
        assert sender.send(item) == SUCCESS
        sender.release()
        closed = 0
        for stranger in strangers:
            stranger.settimeout(0.05)
            try:
                closed += stranger.recv(1) == b""
            except TimeoutError:
                continue
            finally:
                stranger.close()
        # A burst is counted a little late: the threads of the first ones are only starting.
        assert closed >= 10
