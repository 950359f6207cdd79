"""A few top-level values out of an encoded data set, whose bytes are neither copied nor decoded.

Walks the elements of PS3.5 7.1 as far as asked and skips every value. Nothing in it depends on
what a value means, so no value can make it fail, allocate or log.
"""

from __future__ import annotations

import struct
from collections.abc import Collection

Tag = tuple[int, int]

UNDEFINED_LENGTH = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
#: Value representations with a 32 bit length in explicit encodings, PS3.5 table 7.1-1.
LONG_FORM = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
#: Those with 16 bits of length that stand in front of the UIDs in nearly every object.
SHORT_FORM = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
#: Deepest nesting of sequences of undefined length that is followed.
MAX_DEPTH = 256
#: A longer value of a wanted element is no UID and is not copied.
LONGEST_VALUE = 1024


class HeaderError(ValueError):
    """The bytes stop making sense before the last wanted element."""


class Header:
    """Reads one encoded data set."""

    def __init__(self, raw: bytes | memoryview, *, implicit: bool, little_endian: bool) -> None:
        """Take the encoding that was agreed; where the first element shows another, that one."""
        self._raw = memoryview(raw)
        order = "<" if little_endian else ">"
        self._tag = struct.Struct(order + "HH")
        self._long = struct.Struct(order + "L")
        self._short = struct.Struct(order + "H")
        self._head = struct.Struct(order + "HH2sH")
        first = bytes(self._raw[4:6])
        self._implicit = not _is_vr(first) if len(first) == 2 else implicit

    def values(self, wanted: Collection[Tag]) -> dict[Tag, bytes]:
        """The values of the wanted top-level elements that are present.

        Raises:
            HeaderError: no element at all, or the walk went astray before it was past the
                last wanted tag. An end of the data after a whole element is no error.
        """
        last = max(wanted)
        found: dict[Tag, bytes] = {}
        nested: list[bool] = []
        at = 0 if self._implicit else self._plain(wanted, found)
        try:
            while at + 8 <= len(self._raw):
                tag, length, start, unknown = self._element(at, nested[-1] if nested else False)
                if not nested and tag > last:
                    return found
                at = start
                if tag in (ITEM_END, SEQUENCE_END):
                    if not nested:
                        raise HeaderError("a delimiter stands outside of every sequence")
                    nested.pop()
                elif length == UNDEFINED_LENGTH:
                    if len(nested) >= MAX_DEPTH:
                        raise HeaderError(f"sequences are nested deeper than {MAX_DEPTH}")
                    # PS3.5 6.2.2 note 2: what lies in UN of undefined length is Implicit VR.
                    nested.append(unknown or (nested[-1] if nested else False))
                else:
                    if not nested and tag in wanted:
                        found[tag] = self._value(start, length)
                    at += length
        except struct.error:
            raise HeaderError("the data end inside an element") from None
        if at == 0 or at > len(self._raw) or nested:
            raise HeaderError("the data end inside an element")
        return found

    def _plain(self, wanted: Collection[Tag], found: dict[Tag, bytes]) -> int:
        """Elements of the short form in front of anything else; where the walk goes on.

        Nearly all that stands before the UIDs is of this form, and this is most of the work
        of filing an instance.
        """
        raw, unpack = self._raw, self._head.unpack_from
        at, end, last = 0, len(raw) - 8, max(wanted)
        groups = {group for group, _ in wanted}
        while at <= end:
            group, number, vr, length = unpack(raw, at)
            if vr not in SHORT_FORM or group > last[0]:
                return at
            if group in groups:
                tag = (group, number)
                if tag > last:
                    return at
                if tag in wanted:
                    found[tag] = self._value(at + 8, length)
            at += 8 + length
        return at

    def _element(self, at: int, implicit: bool) -> tuple[Tag, int, int, bool]:
        """(tag, value length, start of the value, is of VR UN) of the element at an offset."""
        group, number = self._tag.unpack_from(self._raw, at)
        tag = (group, number)
        vr = bytes(self._raw[at + 4 : at + 6])
        if group == ITEM[0] or implicit or self._implicit or not _is_vr(vr):
            (length,) = self._long.unpack_from(self._raw, at + 4)
            return tag, length, at + 8, False
        if vr in LONG_FORM:
            (length,) = self._long.unpack_from(self._raw, at + 8)
            return tag, length, at + 12, vr == b"UN"
        (length,) = self._short.unpack_from(self._raw, at + 6)
        return tag, length, at + 8, False

    def _value(self, start: int, length: int) -> bytes:
        if length > LONGEST_VALUE:
            raise HeaderError("a UID is longer than any UID")
        if start + length > len(self._raw):
            raise HeaderError("the data end inside an element")
        return bytes(self._raw[start : start + length])


def _is_vr(letters: bytes) -> bool:
    return all(0x40 < letter < 0x5B for letter in letters)
