"""P-DATA-TF is cut the same way however the network cuts it, and lies are named."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp.stream import PDataStream, ProtocolViolation

Pdv = tuple[int, int, bytes]

pdvs = st.tuples(st.integers(0, 255), st.integers(0, 3), st.binary(max_size=40))
pdus = st.lists(st.lists(pdvs, min_size=1, max_size=3), max_size=6)


def encoded(pdu: list[Pdv]) -> bytes:
    body = b"".join(struct.pack(">LBB", len(c) + 2, i, k) + c for i, k, c in pdu)
    return struct.pack(">BBL", 4, 0, len(body)) + body


def received(stream: PDataStream, chunks: list[bytes]) -> list[Pdv]:
    """What the stream yields, its pieces joined to whole fragments."""
    whole: list[Pdv] = []
    rest, pending = b"", b""
    for chunk in chunks:
        raw = rest + chunk
        for context_id, control, piece, ends in stream.cut(memoryview(raw)):
            pending += piece
            if ends:
                whole.append((context_id, control, pending))
                pending = b""
        rest = raw[len(raw) - stream.left :]
    return whole


@given(pdus, st.lists(st.integers(1, 30), max_size=60))
def test_any_split_gives_the_fragments_that_were_sent(
    sent: list[list[Pdv]], sizes: list[int]
) -> None:
    raw = b"".join(encoded(pdu) for pdu in sent)
    chunks, at = [], 0
    for size in sizes:
        chunks.append(raw[at : at + size])
        at += size
    chunks.append(raw[at:])
    stream = PDataStream(1000)
    assert received(stream, chunks) == [pdv for pdu in sent for pdv in pdu]
    assert stream.left == 0
    assert not stream.foreign


def test_another_pdu_ends_the_cutting_where_it_begins() -> None:
    release = bytes([5, 0, 0, 0, 0, 4, 0, 0, 0, 0])
    stream = PDataStream(1000)
    raw = memoryview(encoded([(1, 2, b"abc")]) + release)
    assert [bytes(piece) for _, _, piece, _ in stream.cut(raw)] == [b"abc"]
    assert stream.foreign
    assert bytes(raw[len(raw) - stream.left :]) == release


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (struct.pack(">BBL", 4, 0, 0xFFFFFFFF), "4294967295 bytes, 1000 were negotiated"),
        (struct.pack(">BBL", 4, 0, 3), "holds no fragment"),
        (struct.pack(">BBLLBB", 4, 0, 10, 1, 1, 0), "a fragment of 1 bytes"),
        (struct.pack(">BBLLBB", 4, 0, 10, 0xFFFFFFFF, 1, 0), "a fragment of 4294967295 bytes"),
        (struct.pack(">BBLLBB", 4, 0, 10, 4, 1, 0), "behind the last fragment"),
    ],
)
def test_lengths_that_cannot_be_are_violations(raw: bytes, why: str) -> None:
    with pytest.raises(ProtocolViolation, match=why):
        list(PDataStream(1000).cut(memoryview(raw)))


@given(st.binary(max_size=200))
def test_no_bytes_break_it(raw: bytes) -> None:
    stream = PDataStream(1000)
    try:
        pieces = list(stream.cut(memoryview(raw)))
    except ProtocolViolation:
        return
    assert sum(len(piece) for _, _, piece, _ in pieces) + stream.left <= len(raw)
