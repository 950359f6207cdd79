"""Where the elements of a stored instance lie, found without building a data set.

Files of one series differ in few values: what is read from one header can be used for the next
where the bytes are the same. That needs the bytes of some elements and the place of the pixel
data, which stepping over the elements gives in a twentieth of the time of parsing them. Only
what is written as the standard says is understood here (PS3.5 section 7, PS3.10 7.1); for all
else the answer is None, and pydicom reads the file.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import MutableSequence
from dataclasses import dataclass, field
from functools import cache

from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from node.domain.extent import Extent

PIXEL_DATA = 0x7FE00010
CHARACTER_SET = 0x00080005
UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_IMPLICIT = "1.2.840.10008.1.2"
#: Transfer Syntax UID, Media Storage SOP Class UID.
_SYNTAX, _SOP_CLASS = 0x00020010, 0x00020002
_PLAIN_UID = re.compile(rb"([0-9.]+)\0?")
#: Big endian and deflated: other bytes.
_OTHERS = frozenset({"1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"})
#: VRs with a length of 4 bytes after 2 reserved ones, and those with 2 (PS3.5 7.1.2).
_LONG_VRS = b"OB OD OF OL OV OW SQ SV UC UN UR UT UV"
_SHORT_VRS = b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US"
_LONG, _SHORT = frozenset(_LONG_VRS.split()), frozenset(_SHORT_VRS.split())
#: What has items; those of UN are implicit in any file, and are for pydicom to read.
_SEQUENCE = frozenset({b"", b"SQ"})
#: Headers of CT slices are 1 to 8 kB; private sequences can make them much longer.
_FIRST_READ = 16 * 1024
_LONGEST_READ = 64 * 1024 * 1024
_DEEPEST = 16
_tag = struct.Struct("<HH").unpack_from
_two = struct.Struct("<H").unpack_from
_four = struct.Struct("<L").unpack_from


@dataclass(frozen=True, slots=True)
class Element:
    """One element as it lies there.

    Attributes:
        vr: b"" where it is implicit. value: of a sequence of undefined length its items.
    """

    vr: bytes
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What was stepped over.

    Attributes:
        transfer_syntax_uid, sop_class_uid: as the file meta information states them.
        elements: of the tags that were asked for, those that are there.
        pixel_offset: of the value of Pixel Data, from the start of the stream.
        pixel_bytes: its length; `UNDEFINED` where it is encapsulated.
    """

    transfer_syntax_uid: str
    sop_class_uid: str = ""
    elements: dict[int, Element] = field(default_factory=dict)
    pixel_offset: int = 0
    pixel_bytes: int = 0

    @property
    def is_encapsulated(self) -> bool:
        """Are the pixels compressed?"""
        return self.pixel_bytes == UNDEFINED

    def dataset(self) -> Dataset:
        """The elements for pydicom to convert, text in the character set that is stated."""
        implicit = self.transfer_syntax_uid == _IMPLICIT
        raw: dict[BaseTag, DataElement | RawDataElement] = {}
        for number, element in self.elements.items():
            tag = Tag(number)
            vr = element.vr.decode() or None
            raw[tag] = RawDataElement(tag, vr, len(element.value), element.value, 0, implicit, True)
        found = Dataset(raw)
        encoding: str | MutableSequence[str] = default_encoding
        stated = raw.get(Tag(CHARACTER_SET))
        if isinstance(stated, RawDataElement):
            encoding = convert_encodings(convert_raw_data_element(stated).value)
        found.set_original_encoding(implicit, True, encoding)
        return found


class _Short(Exception):
    """The bytes end before the pixel data."""


class _Strange(Exception):
    """A sequence is not written as the standard says, or too deep."""


def lay_out(extent: Extent, descriptor: int, wanted: frozenset[int]) -> Layout | None:
    """Step over the elements of an instance up to its pixel data.

    Args:
        extent: where it lies. descriptor: of its file, open for reading.
        wanted: tags whose values are kept.

    Returns:
        None where pydicom has to read it: not written as the standard says, big endian,
        deflated, without pixel data.

    Raises:
        OSError: it cannot be read.
    """
    size = _FIRST_READ
    while True:
        head = os.pread(descriptor, min(size, extent.size), extent.offset)
        try:
            return _lay_out(head, wanted)
        except _Short:
            if len(head) < size or size >= _LONGEST_READ:
                return None
            size *= 8


def _lay_out(head: bytes, wanted: frozenset[int]) -> Layout | None:
    # Group length of the file meta information comes first.
    if head[128:140] != b"DICM\x02\x00\x00\x00UL\x04\x00" or len(head) < 144:
        return None
    start = 144 + _four(head, 140)[0]
    elements: dict[int, Element] = {}
    try:
        syntax, sop_class = _file_meta(head, start)
        if not _is_known(syntax):
            return None
        found = _walk(head, start, syntax == _IMPLICIT, wanted, elements)
    except struct.error:
        raise _Short from None
    except _Strange:
        return None
    if found is None:
        return None
    return Layout(
        transfer_syntax_uid=syntax,
        sop_class_uid=sop_class,
        elements=elements,
        pixel_offset=found[0],
        pixel_bytes=found[1],
    )


def _file_meta(head: bytes, end: int) -> tuple[str, str]:
    """Transfer syntax and SOP class of the file meta information, "" where it has none."""
    at, last = 144, 0x00020000
    found = {_SYNTAX: "", _SOP_CLASS: ""}
    while at < end:
        tag, _, length, value = _begin(head, at, implicit=False)
        if not last < tag < 0x00030000:
            raise _Strange
        at, last = value + length, tag
        if tag in found:
            text = _PLAIN_UID.fullmatch(head[value:at])
            if text is None:
                raise _Strange
            found[tag] = text[1].decode()
    if at != end:
        raise _Strange
    return found[_SYNTAX], found[_SOP_CLASS]


@cache
def _is_known(transfer_syntax_uid: str) -> bool:
    """A little endian one of the standard whose bytes are not deflated."""
    uid = UID(transfer_syntax_uid)
    return uid.is_transfer_syntax and not uid.is_private and transfer_syntax_uid not in _OTHERS


def _walk(
    head: bytes, at: int, implicit: bool, wanted: frozenset[int], elements: dict[int, Element]
) -> tuple[int, int] | None:
    """Offset and length of the pixel data; None where something is not understood."""
    last = 0
    while True:
        tag, vr, length, value = _begin(head, at, implicit)
        if tag <= last:
            # Out of order or twice: which one counts is for pydicom to say.
            return None
        if tag >= 0x7FE00008:
            return (value, length) if tag == PIXEL_DATA else None
        last = tag
        if length == UNDEFINED:
            if tag in wanted and vr not in _SEQUENCE:
                return None
            at = _behind_items(head, value, implicit or vr == b"UN", 0)
        else:
            at = value + length
        if tag in wanted:
            if at > len(head):
                raise _Short
            # Without the item that ends a sequence.
            kept = head[value : at - 8 if length == UNDEFINED else at]
            elements[tag] = Element(vr, kept)


def _begin(head: bytes, at: int, implicit: bool) -> tuple[int, bytes, int, int]:
    """Tag, VR, length of an element, and where its value begins."""
    if at + 12 > len(head):
        raise _Short
    group, number = _tag(head, at)
    tag = group << 16 | number
    if implicit:
        return tag, b"", _four(head, at + 4)[0], at + 8
    vr = head[at + 4 : at + 6]
    if vr in _SHORT:
        return tag, vr, _two(head, at + 6)[0], at + 8
    if vr not in _LONG:
        raise _Strange
    return tag, vr, _four(head, at + 8)[0], at + 12


def _behind_items(head: bytes, at: int, implicit: bool, depth: int) -> int:
    """Where a sequence of undefined length ends."""
    if depth > _DEEPEST:
        raise _Strange
    while True:
        group, number = _tag(head, at)
        tag, length = group << 16 | number, _four(head, at + 4)[0]
        at += 8
        if tag == _SEQUENCE_END:
            return at
        if tag != _ITEM:
            raise _Strange
        at = _behind_item(head, at, implicit, depth) if length == UNDEFINED else at + length


def _behind_item(head: bytes, at: int, implicit: bool, depth: int) -> int:
    while True:
        group, number = _tag(head, at)
        if (group << 16 | number) == _ITEM_END:
            return at + 8
        if at + 12 > len(head):
            raise struct.error
        vr = b"" if implicit else head[at + 4 : at + 6]
        if implicit or vr not in _LONG:
            if not implicit and vr not in _SHORT:
                raise _Strange
            length = _four(head, at + 4)[0] if implicit else _two(head, at + 6)[0]
            at += 8
        else:
            length = _four(head, at + 8)[0]
            at += 12
        if length == UNDEFINED:
            at = _behind_items(head, at, implicit or vr == b"UN", depth + 1)
        else:
            at += length
