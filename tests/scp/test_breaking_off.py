"""A peer may vanish, reset, abort or talk nonsense in any state: nobody else is hurt by it."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage
from pynetdicom import AE

from node.intake import FileContent
from scp.command import C_STORE_RQ, pdu
from scp.stream import COMMAND, LAST, PDU_HEADER
from tests.scp.listening import ADMISSION, Listening, RawSender, data_set_of, listening
from tests.scp.sent import content
from tests.scp.test_receiver import SUCCESS, eventually

RELEASE = bytes([5, 0, 0, 0, 0, 4, 0, 0, 0, 0])
ABORT = bytes([7, 0, 0, 0, 0, 4, 0, 0, 0, 0])
UNKNOWN = bytes([9, 0, 0, 0, 0, 4, 1, 2, 3, 4])


def close(connection: socket.socket) -> None:
    connection.close()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def stay(_connection: socket.socket) -> None:
    """Half open: the peer says nothing more and does not close either."""


#: What is said, which a message that is not whole takes for its own, and what is done then.
ENDINGS: dict[str, tuple[bytes, Callable[[socket.socket], None]]] = {
    "close": (b"", close),
    "reset": (b"", reset),
    "abort": (ABORT, stay),
    "release": (RELEASE, stay),
    "unknown": (UNKNOWN, stay),
    "noise": (b"\xff" * 5000, stay),
    "silence": (b"", stay),
}


def association_request(item: FileContent) -> bytes:
    """The A-ASSOCIATE-RQ that a sender of this object begins with."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        entity = AE(ae_title="BREAKS")
        entity.acse_timeout = 0.2
        entity.add_requested_context(item.sop_class_uid, item.transfer_syntax_uid)
        port = server.getsockname()[1]
        caller = threading.Thread(
            target=entity.associate, args=("127.0.0.1", port), kwargs={"ae_title": "VIGIE"}
        )
        caller.start()
        connection, _ = server.accept()
        with connection:
            raw = connection.recv(1 << 16)
        caller.join()
    return raw


def conversation(request: bytes, item: FileContent) -> list[bytes]:
    """What the sender says until the object is whole; behind the first turn it waits."""

    def element(number: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HHL", 0, number, len(value)) + value

    command = b"".join(
        (
            element(0x0002, CTImageStorage.encode()),
            element(0x0100, struct.pack("<H", C_STORE_RQ)),
            element(0x0110, b"\1\0"),
            element(0x0800, b"\1\0"),
            element(0x1000, item.sop_instance_uid.encode()),
        )
    )
    half = len(item.data_set) // 2
    return [
        request,
        pdu(1, COMMAND | LAST, command),
        pdu(1, 0, item.data_set[:half]),
        pdu(1, LAST, item.data_set[half:]),
    ]


def cuts(turns: list[bytes]) -> list[int]:
    """In front of, inside and behind every header and every content."""
    places, at = [0], 0
    for turn in turns:
        places += [at + 3, at + 8, at + 12, at + len(turn) // 2, at + len(turn) - 1]
        at += len(turn)
        places.append(at)
    return places


def answered(connection: socket.socket) -> bytes:
    """One PDU, b"" when there comes none."""
    with suppress(OSError):
        header = connection.recv(PDU_HEADER.size, socket.MSG_WAITALL)
        if len(header) == PDU_HEADER.size:
            length = PDU_HEADER.unpack(header)[2]
            return header + connection.recv(length, socket.MSG_WAITALL)
    return b""


def broken_off(node: Listening, item: FileContent, cut: int, ending: str) -> socket.socket:
    """Say so much of the conversation, then end it so."""
    turns = conversation(association_request(item), item)
    connection = socket.create_connection(("127.0.0.1", node.port))
    connection.settimeout(5)
    left = cut
    for number, turn in enumerate(turns):
        connection.sendall(turn[:left])
        if left < len(turn):
            break
        left -= len(turn)
        if number == 0:
            assert answered(connection)[:1] == b"\2"
    said, done = ENDINGS[ending]
    with suppress(OSError):
        connection.sendall(said)
    done(connection)
    return connection


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


#: pynetdicom's own thread dies of noise inside a command set; its association ends with it.
STOCK = pytest.param(
    "pynetdicom",
    marks=pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
)


@pytest.mark.parametrize("path", ["fast", STOCK])
@pytest.mark.parametrize("ending", ENDINGS)
def test_association_that_breaks_off_anywhere_harms_nothing(
    tmp_path: Path, path: str, ending: str
) -> None:
    roomy = replace(ADMISSION, max_associations=64, max_associations_per_peer=64)
    with listening(
        tmp_path / "store",
        data_path=path,
        admission=roomy,
        idle_timeout_s=1.0,
        association_timeout_s=1.0,
    ) as node:
        bystander = RawSender(node.port, [content()])
        threads, files = threading.active_count(), descriptors()
        items, connections = [], []
        model = content(uid="1.2.3.1000", note="x" * 3000)
        turns = conversation(association_request(model), model)
        for number, cut in enumerate(cuts(turns), start=1001):
            item = content(uid=f"1.2.3.{number}", note="x" * 3000)
            items.append((item, sum(map(len, turns)) - cut))
            connections.append(broken_off(node, item, cut, ending))
            keep = content()
            assert bystander.send(keep) == SUCCESS
        bystander.release()
        # Their places are free although their connections may be open for ever.
        assert eventually(lambda: not node.receiver._open, timeout_s=10)
        for connection in connections:
            connection.close()
        assert eventually(lambda: threading.active_count() <= threads, timeout_s=10)
        # One segment at most for each association that was open at the same time.
        assert descriptors() <= files + 4 * len(connections)
        assert node.indexer.flush()
        for item, missing in items:
            kept = node.ledger.instances.find(item.sop_instance_uid)
            assert len(kept) <= int(missing <= len(ENDINGS[ending][0]))
            if not missing:
                assert all(data_set_of(one) == item.data_set for one in kept)
        last = RawSender(node.port, [content()])
        assert last.send(content()) == SUCCESS
        last.release()
