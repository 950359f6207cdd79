"""What is fuzzed: each target takes any bytes, and may only fail in the ways it declares."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from inference.attributes import quiet_pydicom
from inference.header import open_header, planes_of
from node.domain.errors import ReceiveError
from node.domain.extent import Extent
from node.domain.study import (
    ClassUID,
    Instance,
    InstanceUID,
    SeriesUID,
    StudyUID,
    TransferSyntaxUID,
)
from scp.command import pdu
from scp.contracts import Received, StoreCommand
from scp.identity import identify
from scp.record import part10_head
from scp.stream import COMMAND, LAST
from scp.transfer import Context, Transfer, TransferTerms
from tests.scp.sent import content
from tests.scp.test_command import request_bytes

SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
TERMS = TransferTerms(
    contexts={1: Context(CTImageStorage, ExplicitVRLittleEndian)},
    calling_ae_title="FUZZ",
    max_pdu_bytes=1 << 17,
    max_object_bytes=1 << 20,
    idle_timeout_s=5,
)


class Checking:
    """An intake that holds the receiver to the contract."""

    def __init__(self) -> None:
        self._command: StoreCommand | None = None
        self._content = b""
        self._place = memoryview(b"")

    def begin(self, command: StoreCommand) -> None:
        assert self._command is None, "begun twice"
        self._command, self._content = command, b""

    def write(self, parts: Sequence[memoryview]) -> None:
        assert self._command is not None, "bytes without a beginning"
        self._content += b"".join(parts)

    def place(self, size: int) -> memoryview:
        assert self._command is not None, "bytes without a beginning"
        self._place = memoryview(bytearray(min(size, 70_000)))
        return self._place

    def placed(self, size: int) -> None:
        assert size <= len(self._place), "more bytes than there is room for"
        self._content += self._place[:size]

    def commit(self) -> None:
        command, self._command = self._command, None
        assert command is not None, "ended without a beginning"
        identify(
            Received(
                sop_class_uid=command.sop_class_uid,
                sop_instance_uid=command.sop_instance_uid,
                transfer_syntax_uid=command.transfer_syntax_uid,
                data_set=self._content,
                calling_ae_title=command.calling_ae_title,
            )
        )

    def abort(self) -> None:
        self._command = None

    def close(self, *, clean: bool) -> None:
        del clean


def association(raw: bytes) -> None:
    """The bytes of an established association, whatever they are; ends when they end."""
    ours, theirs = socket.socketpair()

    def send() -> None:
        try:
            theirs.sendall(raw)
            theirs.shutdown(socket.SHUT_WR)
            while theirs.recv(1 << 16):
                pass
        except OSError:
            return

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    Transfer(ours, TERMS, Checking()).run()
    ours.close()
    sender.join()
    theirs.close()


def data_set(raw: bytes) -> None:
    """Filing a data set by its UIDs; the first byte chooses the transfer syntax."""
    syntax = SYNTAXES[raw[0] % len(SYNTAXES)] if raw else SYNTAXES[0]
    received = Received(
        sop_class_uid=CTImageStorage,
        sop_instance_uid="1.2.3.4.5",
        transfer_syntax_uid=syntax,
        data_set=raw[1:],
        calling_ae_title="FUZZ",
    )
    try:
        identity = identify(received)
    except ReceiveError:
        return
    for uid in (identity.study_uid, identity.series_uid, identity.sop_instance_uid):
        assert 0 < len(uid) <= 64
        assert not set(uid) - set("0123456789.")


_file = Path(tempfile.mkdtemp(prefix="vigie-fuzz-")) / "instance.dcm"


def header(raw: bytes) -> None:
    """Reading the header of a stored instance and its planes."""
    _file.write_bytes(raw)
    instance = Instance(
        sop_instance_uid=InstanceUID("1.2.3.4.5"),
        sop_class_uid=ClassUID(CTImageStorage),
        study_uid=StudyUID("1"),
        series_uid=SeriesUID("2"),
        transfer_syntax_uid=TransferSyntaxUID(ExplicitVRLittleEndian),
        extent=Extent(_file),
        digest="",
        size_bytes=len(raw),
        calling_ae_title="FUZZ",
        received_at=datetime.now(UTC),
    )
    with quiet_pydicom():
        found = open_header(instance)
        if found is not None:
            planes_of(found)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "association": association,
    "data_set": data_set,
    "header": header,
}


def seeds(target: str) -> list[bytes]:
    """Valid input to begin with."""
    item = content(uid="1.2.3.4.5", note="x" * 50)
    if target == "association":
        store = pdu(1, COMMAND | LAST, request_bytes())
        halves = pdu(1, 0, item.data_set[:100]) + pdu(1, LAST, item.data_set[100:])
        echo = pdu(1, COMMAND | LAST, b"\0\0\0\1\2\0\0\0\x30\0\0\0\0\x08\2\0\0\0\1\1")
        return [store + halves + echo, echo, bytes([5, 0, 0, 0, 0, 4, 0, 0, 0, 0])]
    if target == "data_set":
        return [bytes([number]) + item.data_set for number in range(len(SYNTAXES))]
    head = part10_head(
        sop_class_uid=CTImageStorage,
        sop_instance_uid="1.2.3.4.5",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        calling_ae_title="FUZZ",
    )
    return [head + item.data_set, item.data_set]
