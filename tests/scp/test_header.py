"""The UIDs that file an instance are found in any encoding, and no bytes can break the search."""

from __future__ import annotations

import random
import struct

import pytest

from scp.header import Header, HeaderError
from tests.scp.sent import STUDY, content

STUDY_TAG, SERIES_TAG = (0x0020, 0x000D), (0x0020, 0x000E)
WANTED = (STUDY_TAG, SERIES_TAG)


def read(raw: bytes) -> dict[tuple[int, int], bytes]:
    return Header(raw, implicit=False, little_endian=True).values(WANTED)


def element(group: int, number: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    if vr in (b"SQ", b"UN"):
        return struct.pack("<HH2sHL", group, number, vr, 0, size) + value
    return struct.pack("<HH2sH", group, number, vr, size) + value


def delimiter(number: int, length: int = 0) -> bytes:
    return struct.pack("<HHL", 0xFFFE, number, length)


def test_uids_are_found_and_nothing_behind_them_is_needed() -> None:
    whole = content().data_set
    found = read(whole)
    assert found[STUDY_TAG].rstrip(b"\0").decode() == STUDY
    assert read(whole + b"what follows is never looked at") == found


@pytest.mark.parametrize("vr", [b"SQ", b"UN"])
def test_uid_inside_a_sequence_is_not_taken_for_that_of_the_study(vr: bytes) -> None:
    inner = (
        element(0x0020, 0x000D, b"UI", b"9.9.")
        if vr == b"SQ"
        else struct.pack("<HHL", 0x0020, 0x000D, 4) + b"9.9."
    )
    item = delimiter(0xE000, 0xFFFFFFFF) + inner + delimiter(0xE00D) + delimiter(0xE0DD)
    raw = element(0x0008, 0x1140, vr, item, length=0xFFFFFFFF)
    raw += element(0x0020, 0x000D, b"UI", b"1.2\0")
    assert read(raw) == {STUDY_TAG: b"1.2\0"}


def test_cut_data_set_never_yields_a_shortened_study_uid() -> None:
    whole = content(note="x" * 20).data_set
    whole_size = whole.index(STUDY.encode()) + len(STUDY)
    for size in range(whole_size):
        try:
            found = read(whole[:size])
        except HeaderError:
            continue
        assert STUDY_TAG not in found


def test_sequences_without_end_are_refused() -> None:
    nest = element(0x0008, 0x1140, b"SQ", b"", length=0xFFFFFFFF) + delimiter(0xE000, 0xFFFFFFFF)
    with pytest.raises(HeaderError, match="deeper"):
        read(nest * 1000)


def test_random_damage_raises_nothing_but_a_header_error() -> None:
    chance = random.Random(20)
    whole = content().data_set
    for _ in range(3000):
        raw = bytearray(whole[: chance.randrange(len(whole))])
        for _ in range(chance.randrange(6)):
            if raw:
                raw[chance.randrange(len(raw))] = chance.choice((0, 255, chance.randrange(256)))
        try:
            assert set(read(bytes(raw))) <= set(WANTED)
        except HeaderError:
            continue
