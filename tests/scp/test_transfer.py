"""Whatever the PDUs of a peer are and however the network cuts them, its objects arrive whole."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from node.domain.errors import OutOfResources
from scp.command import C_STORE_RQ, NO_DATA_SET, pdu
from scp.contracts import StoreCommand
from scp.stream import COMMAND, LAST
from scp.transfer import COMMAND_BYTES, Context, Handover, Transfer, TransferTerms

RELEASE = bytes([5, 0, 0, 0, 0, 4, 0, 0, 0, 0])
LARGEST = 100_000
TERMS = TransferTerms(
    contexts={1: Context(CTImageStorage, ExplicitVRLittleEndian)},
    calling_ae_title="CT1",
    max_pdu_bytes=LARGEST + 20,
    max_object_bytes=1 << 20,
    idle_timeout_s=30,
)


class Wire:
    """A connection whose every read brings as much as the network happens to have."""

    def __init__(self, raw: bytes, portions: Sequence[int]) -> None:
        self.left = raw
        self._portions = list(portions) or [1 << 20]
        self._reads = 0
        self.answers = 0

    def recvmsg_into(self, spaces: list[memoryview]) -> tuple[int, list[object], int, None]:
        portion = self._portions[self._reads % len(self._portions)]
        self._reads += 1
        came, portion_left = 0, self.left[:portion]
        for space in spaces:
            size = min(len(space), len(portion_left))
            space[:size] = portion_left[:size]
            portion_left, came = portion_left[size:], came + size
        self.left = self.left[came:]
        return came, [], 0, None

    def sendall(self, _answer: bytes) -> None:
        self.answers += 1

    def setsockopt(self, *_ignored: object) -> None:
        pass

    def settimeout(self, _ignored: object) -> None:
        pass


class Collecting:
    """An intake with room for a part of each data set."""

    def __init__(self, room: int) -> None:
        self._place = memoryview(bytearray(room))
        self._content = b""
        self.objects: list[tuple[str, bytes]] = []
        self._command: StoreCommand | None = None

    def begin(self, command: StoreCommand) -> None:
        if command.sop_instance_uid.endswith("0"):
            raise OutOfResources("every tenth one")
        self._command, self._content = command, b""

    def place(self, size: int) -> memoryview:
        return self._place[:size]

    def placed(self, size: int) -> None:
        self._content += self._place[:size]

    def write(self, parts: Sequence[memoryview]) -> None:
        self._content += b"".join(parts)

    def commit(self) -> None:
        assert self._command is not None
        self.objects.append((self._command.sop_instance_uid, self._content))
        self._command = None

    def abort(self) -> None:
        self._command = None

    def close(self, *, clean: bool) -> None:
        del clean


def command(number: int, *, echo: bool) -> bytes:
    """A C-STORE or C-ECHO request."""

    def element(tag: int, value: bytes) -> bytes:
        return struct.pack("<HHL", 0, tag, len(value)) + value

    field, following = (0x0030, NO_DATA_SET) if echo else (C_STORE_RQ, 1)
    return b"".join(
        (
            element(0x0002, CTImageStorage.encode() + b"\0"),
            element(0x0100, struct.pack("<H", field)),
            element(0x0110, struct.pack("<H", number)),
            element(0x0800, struct.pack("<H", following)),
            element(0x1000, f"1.2.{number}".encode()),
        )
    )


def as_pdus(content: bytes, control: int, lengths: Sequence[int], several: bool) -> bytes:
    """The content in PDUs of these lengths in turn; a PDU may hold two fragments."""
    raw, at, turn = [], 0, 0
    while True:
        piece = content[at : at + lengths[turn % len(lengths)]]
        at, turn = at + len(piece), turn + 1
        ends = at >= len(content)
        whole = pdu(1, control | (LAST if ends else 0), piece)
        if several and len(piece) > 1 and turn % 3 == 0:
            half = len(piece) // 2
            body = pdu(1, control, piece[:half])[6:]
            body += pdu(1, control | (LAST if ends else 0), piece[half:])[6:]
            whole = struct.pack(">BBL", 4, 0, len(body)) + body
        raw.append(whole)
        if ends:
            return b"".join(raw)


sizes = st.one_of(st.sampled_from([1, 4000, 30_000, 150_000]), st.integers(1, 200_000))
lengths_of = st.one_of(st.sampled_from([10, 5000, 20_000, LARGEST]), st.integers(1, LARGEST))
messages = st.lists(
    st.tuples(
        sizes, st.lists(lengths_of, min_size=1, max_size=3), st.booleans(), st.integers(0, 9)
    ),
    min_size=1,
    max_size=6,
)
portions_of = st.lists(
    st.one_of(st.sampled_from([1, 12, 4096, 50_000, 1 << 20]), st.integers(1, 500_000)), max_size=6
)


@settings(max_examples=400, deadline=None)
@given(messages, portions_of, st.sampled_from([1, 5000, 120_000, 400_000]))
# Shorter PDUs than the one before, all at once: more comes behind them than the buffer holds.
@example(
    [(1, [10], False, 0), (150_000, [20_000, 5000], False, 1), (150_000, [5000], False, 1)],
    [],
    400_000,
)
def test_objects_arrive_whole_however_they_are_cut(
    sent: list[tuple[int, list[int], bool, int]], portions: list[int], room: int
) -> None:
    pattern = bytes(range(251)) * (300_000 // 251 + 1)
    raw, wanted, answers = b"", [], 0
    smallest = min(portions, default=LARGEST)
    for number, (wished, lengths, several, kind) in enumerate(sent, start=7):
        size = min(wished, 100 * min(smallest, *lengths))
        echo = kind == 0
        answers += 1
        raw += as_pdus(command(number, echo=echo), COMMAND, [60, 4000], several)
        if echo:
            continue
        content = pattern[number : number + size]
        raw += as_pdus(content, 0, lengths, several)
        if number % 10:
            wanted.append((f"1.2.{number}", content))
    wire, intake = Wire(raw + RELEASE, portions), Collecting(room)
    handover = Transfer(cast(socket.socket, wire), TERMS, intake).run()
    assert handover == Handover(RELEASE[: len(handover.rest)])
    assert handover.rest + wire.left == RELEASE
    assert intake.objects == wanted
    assert wire.answers == answers


BEGUN = as_pdus(command(7, echo=False), COMMAND, [4000], several=False) + pdu(1, 0, bytes(9000))


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (pdu(3, 0, bytes(9000)), "a data set that no command announced"),
        (pdu(1, COMMAND, bytes(9000)), "a command before the data set of the last one"),
        (
            pdu(1, LAST, bytes(9000)) + pdu(1, LAST, bytes(9000)),
            "a data set that no command announced",
        ),
    ],
    ids=["context", "command", "surplus"],
)
@pytest.mark.parametrize("behind", [0, 12, 5000])
def test_fragment_that_does_not_continue_is_no_part_of_the_object(
    hostile: bytes, reason: str, behind: int
) -> None:
    whole = BEGUN + hostile
    first = len(BEGUN) + behind
    portions = [COMMAND_BYTES, first - COMMAND_BYTES, len(whole)] if behind else []
    wire, intake = Wire(whole, portions), Collecting(400_000)
    handover = Transfer(cast(socket.socket, wire), TERMS, intake).run()
    assert handover.violation == reason
    assert [len(content) for _, content in intake.objects] in ([], [18_000])


def test_object_beyond_the_limit_is_refused_wherever_it_goes() -> None:
    terms = replace(TERMS, max_object_bytes=50_000)
    for room in (1, 400_000):
        raw = as_pdus(command(7, echo=False), COMMAND, [4000], several=False)
        raw += as_pdus(bytes(60_000), 0, [9000], several=False)
        wire, intake = Wire(raw + RELEASE, []), Collecting(room)
        transfer = Transfer(cast(socket.socket, wire), terms, intake)
        refused: list[int] = []
        transfer.on_refused = lambda status, _reason, seen=refused: seen.append(status)  # type: ignore[misc]
        assert transfer.run() == Handover(RELEASE)
        assert refused == [OutOfResources.status]
        assert intake.objects == []
