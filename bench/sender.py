"""A storage SCU that costs nearly nothing, so that a benchmark measures the receiver."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE
from pynetdicom.presentation import build_context

from scp.command import C_STORE_RQ, Command, pdu, read_command
from scp.stream import COMMAND, LAST, PDU_HEADER

#: What Debian's dcmtk senders use at most.
PDU_BYTES = 131072


@dataclass(frozen=True, slots=True)
class Image:
    """One object to send."""

    sop_instance_uid: str
    data_set: bytes


def simulated_ct(count: int, *, rows: int = 512, columns: int = 512) -> list[Image]:
    """CT images of one series: few attributes, (rows, columns) pixels of 16 bits of noise."""
    study, series = str(generate_uid()), str(generate_uid())
    generator = np.random.default_rng(1)
    images = []
    for number in range(count):
        uid = str(generate_uid())
        pixels = generator.integers(0, 4096, (rows, columns), dtype=np.uint16).tobytes()
        head = b"".join(
            (
                _element(0x0008, 0x0016, b"UI", str(CTImageStorage)),
                _element(0x0008, 0x0018, b"UI", uid),
                _element(0x0008, 0x0060, b"CS", "CT"),
                _element(0x0010, 0x0010, b"PN", "Bench^Mark"),
                _element(0x0010, 0x0020, b"LO", "BENCH"),
                _element(0x0020, 0x000D, b"UI", study),
                _element(0x0020, 0x000E, b"UI", series),
                _element(0x0020, 0x0013, b"IS", str(number + 1)),
            )
        )
        data = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, len(pixels)) + pixels
        images.append(Image(uid, head + data))
    return images


@dataclass(frozen=True, slots=True)
class Answer:
    """When an image was sent (time.monotonic), and how long its answer took from its last byte."""

    at: float
    seconds: float


def send(
    port: int, called: str, images: Sequence[Image], associations: int, *, every_s: float = 0.0
) -> list[Answer]:
    """Send all images over so many associations at the same time; each waits for each answer.

    Args:
        every_s: from one image of an association to its next; 0: at once.

    Raises:
        RuntimeError: an association was refused, or an image was not answered with Success.
    """
    outcome = _Outcome(every_s=every_s)
    threads = [
        threading.Thread(target=_one, args=(port, called, images[index::associations], outcome))
        for index in range(associations)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if outcome.faults:
        raise RuntimeError(outcome.faults[0])
    return outcome.answers


@dataclass(slots=True)
class _Outcome:
    """What the associations share."""

    every_s: float
    faults: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Established:
    """An association whose connection is in the caller's hands."""

    connection: socket.socket
    context_id: int
    pdu_bytes: int

    def command(self, sop_instance_uid: str) -> bytes:
        """A C-STORE-RQ for a CT image."""
        request = Command(
            field=C_STORE_RQ,
            message_id=1,
            sop_class_uid=str(CTImageStorage),
            sop_instance_uid=sop_instance_uid,
            has_data_set=True,
        )
        return pdu(self.context_id, COMMAND | LAST, _request(request))

    def data(self, piece: bytes, *, last: bool) -> bytes:
        """The next bytes of a data set."""
        return pdu(self.context_id, LAST if last else 0, piece)

    def status(self) -> int:
        """Wait for the answer. Raises OSError when the connection ends instead."""
        return _status(self.connection)

    def release(self) -> None:
        """End the association."""
        self.connection.sendall(bytes([5, 0, 0, 0, 0, 4, 0, 0, 0, 0]))
        self.connection.recv(100)


@contextmanager
def established(port: int, called: str) -> Iterator[Established]:
    """Open an association for CT images. Raises RuntimeError when it is refused."""
    entity = AE(ae_title="BENCH")
    entity.requested_contexts = [build_context(CTImageStorage, ExplicitVRLittleEndian)]
    association = entity.associate("127.0.0.1", port, ae_title=called)
    if not association.is_established:
        raise RuntimeError(f"no association with {called} on port {port}")
    wrapper: Any = association.dul.socket
    connection: socket.socket = wrapper.socket
    # The library's reader thread must not take the answers.
    association._reactor_checkpoint.clear()
    association.dul.kill_dul()
    association.dul.join(5)
    connection.settimeout(60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        yield Established(
            connection,
            int(association.accepted_contexts[0].context_id or 0),
            min(PDU_BYTES, association.acceptor.maximum_length or PDU_BYTES),
        )
    finally:
        connection.close()
        association._kill = True
        association._reactor_checkpoint.set()


def _one(port: int, called: str, images: Sequence[Image], outcome: _Outcome) -> None:
    try:
        with established(port, called) as peer:
            for image in images:
                parts = [peer.command(image.sop_instance_uid)]
                step, size = peer.pdu_bytes - 6, len(image.data_set)
                for at in range(0, size, step):
                    piece = image.data_set[at : at + step]
                    parts.append(peer.data(piece, last=at + step >= size))
                whole = b"".join(parts)
                started = time.monotonic()
                peer.connection.sendall(whole)
                sent = time.monotonic()
                status = peer.status()
                outcome.answers.append(Answer(sent, time.monotonic() - sent))
                if status:
                    outcome.faults.append(f"status 0x{status:04X}")
                    return
                time.sleep(max(0.0, started + outcome.every_s - time.monotonic()))
            peer.release()
    except (OSError, RuntimeError) as error:
        outcome.faults.append(f"the connection broke: {error}")


def _request(command: Command) -> bytes:
    body = b"".join(
        (
            _command_element(0x0002, _padded(command.sop_class_uid, b"\0")),
            _command_element(0x0100, struct.pack("<H", command.field)),
            _command_element(0x0110, struct.pack("<H", command.message_id)),
            _command_element(0x0700, struct.pack("<H", 0)),
            _command_element(0x0800, struct.pack("<H", 1)),
            _command_element(0x1000, _padded(command.sop_instance_uid, b"\0")),
        )
    )
    return _command_element(0, struct.pack("<L", len(body))) + body


def _status(connection: socket.socket) -> int:
    _, _, length = PDU_HEADER.unpack(_exactly(connection, PDU_HEADER.size))
    raw = _exactly(connection, length)[6:]
    read_command(raw)
    at = raw.index(struct.pack("<HHL", 0, 0x0900, 2)) + 8
    return int.from_bytes(raw[at : at + 2], "little")


def _exactly(connection: socket.socket, size: int) -> bytes:
    raw = b""
    while len(raw) < size:
        piece = connection.recv(size - len(raw))
        if not piece:
            raise ConnectionError("closed by the receiver")
        raw += piece
    return raw


def _element(group: int, number: int, vr: bytes, text: str) -> bytes:
    value = _padded(text, b"\0" if vr == b"UI" else b" ")
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def _command_element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, number, len(value)) + value


def _padded(text: str, padding: bytes) -> bytes:
    value = text.encode("ascii")
    return value + padding * (len(value) % 2)
