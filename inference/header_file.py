"""A stored instance up to its pixels.

Most files are written as the standard says: their elements are found by stepping over them
(`inference.part10`), and a value whose bytes an earlier image of the series had is not converted
again. Whatever else there is, pydicom reads.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import IO

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from inference.attributes import UNREADABLE, Attributes, plain_texts, tag_of
from inference.part10 import CHARACTER_SET, Element, Layout, lay_out
from node.domain.extent import Extent

#: Longest inflated data set that is read: a 1000 x 1000 x 250 CT. Deflate reaches 1:1000, so
#: a small file could otherwise fill the memory before anything is known about it.
MAX_INFLATED_BYTES = 512 * 1024 * 1024
#: Values that are remembered of one study, and the longest of them in bytes.
_MOST_KNOWN, _LONGEST_KNOWN = 20_000, 256

_PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)

#: (tag, VR, bytes, bytes of the character set) -> what they say.
_Key = tuple[int, bytes, bytes, bytes]


class KnownValues:
    """What the bytes of elements say, of the images of one study."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[_Key, tuple[str, ...]] = {}

    def get(self, key: _Key) -> tuple[str, ...] | None:
        """None where these bytes were not met before."""
        return self._known.get(key)

    def keep(self, key: _Key, texts: tuple[str, ...]) -> None:
        """For the images that follow."""
        if len(self._known) < _MOST_KNOWN and len(key[2]) <= _LONGEST_KNOWN:
            self._known[key] = texts


class LaidOutAttributes(Attributes):
    """`Attributes` of elements that were stepped over; pydicom converts what is not simple."""

    __slots__ = ("_charset", "_known", "_layout")

    def __init__(self, layout: Layout, known: KnownValues) -> None:
        super().__init__(None)
        self._layout = layout
        self._known = known
        charset = layout.elements.get(CHARACTER_SET)
        self._charset = charset.value if charset is not None else b""

    @property
    def dataset(self) -> Dataset:
        """As pydicom has it."""
        if self._dataset is None:
            self._dataset = self._layout.dataset()
        return self._dataset

    def __contains__(self, keyword: str) -> bool:
        return _number_of(keyword) in self._layout.elements

    def items(self, keyword: str) -> tuple[Attributes, ...]:
        """The items of a sequence; empty where it is absent or no sequence."""
        return super().items(keyword) if keyword in self else ()

    def _read_texts(self, keyword: str) -> tuple[str, ...]:
        number = _number_of(keyword)
        element = self._layout.elements.get(number)
        if element is None:
            return ()
        key = (number, element.vr, element.value, self._charset)
        found = self._known.get(key)
        if found is None:
            found = plain_texts(element.vr.decode() or _usual_vr(keyword), element.value)
            if found is None:
                found = super()._read_texts(keyword)
            self._known.keep(key, found)
        return found


def read_header(
    extent: Extent, keywords: Sequence[str], known: KnownValues | None = None
) -> tuple[Attributes, Attributes, bool]:
    """Read a file up to its pixels.

    Args:
        extent: with or without preamble and file meta information.
        keywords: the attributes to keep; everything else, private sequences included, is
            stepped over.
        known: of the study, shared by the calls for its images.

    Returns:
        (data set, file meta information, pixel data follow). A pixel data element of length
        0 holds no pixels.

    Raises:
        one of `UNREADABLE`: this is no DICOM file.
    """
    descriptor = os.open(extent.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        layout = lay_out(extent, descriptor, _numbers_of(tuple(keywords)))
    finally:
        os.close(descriptor)
    if layout is not None and _is_understood(layout):
        values = LaidOutAttributes(layout, known if known is not None else KnownValues())
        meta = _file_meta(layout.transfer_syntax_uid, layout.sop_class_uid)
        return values, meta, layout.pixel_bytes > 0
    return _read_by_pydicom(extent, keywords)


def _read_by_pydicom(
    extent: Extent, keywords: Sequence[str]
) -> tuple[Attributes, Attributes, bool]:
    wanted: list[BaseTag | int] = [tag_of(keyword) for keyword in keywords]
    pixels = False

    def at_pixels(tag: BaseTag, _vr: str | None, length: int) -> bool:
        nonlocal pixels
        if tag in _PIXEL_TAGS:
            pixels = length > 0
            return True
        return False

    with extent.open() as file:
        _refuse_deflate_bomb(file)
        read = read_partial(file, stop_when=at_pixels, force=True, specific_tags=wanted)
    return Attributes(read), Attributes(read.file_meta), pixels


def _is_understood(layout: Layout) -> bool:
    """Can its text be converted? Where its character set cannot be read, pydicom judges."""
    stated = layout.elements.get(CHARACTER_SET)
    return stated is None or _is_character_set(stated, layout.transfer_syntax_uid)


@lru_cache(maxsize=64)
def _is_character_set(stated: Element, transfer_syntax_uid: str) -> bool:
    alone = Layout(transfer_syntax_uid=transfer_syntax_uid, elements={CHARACTER_SET: stated})
    try:
        alone.dataset()
    except UNREADABLE:
        return False
    return True


@lru_cache(maxsize=64)
def _file_meta(transfer_syntax_uid: str, sop_class_uid: str) -> Attributes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    return Attributes(meta)


def _refuse_deflate_bomb(file: IO[bytes]) -> None:
    """Inflate a deflated data set (PS3.5 A.5) piece by piece and count, before it is kept.

    Raises:
        ValueError: it would be longer than `MAX_INFLATED_BYTES`.
    """
    start = file.read(4096)
    # Group length of the file meta information, first after the preamble (PS3.10 7.1).
    has_length = start[128:140] == b"DICM\x02\x00\x00\x00UL\x04\x00"
    if has_length and DeflatedExplicitVRLittleEndian.encode("ascii") in start:
        file.seek(144 + struct.unpack_from("<I", start, 140)[0])
        inflate, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
        pending = file.read(65536)
        while pending and not inflate.eof:
            total += len(inflate.decompress(pending, 16 * 1024 * 1024))
            if total > MAX_INFLATED_BYTES:
                raise ValueError("the deflated data set inflates to more than is read")
            pending = inflate.unconsumed_tail or file.read(65536)
    file.seek(0)


@cache
def _number_of(keyword: str) -> int:
    # A plain number: comparing pydicom's tags is much slower.
    return int(tag_of(keyword))


@cache
def _numbers_of(keywords: tuple[str, ...]) -> frozenset[int]:
    return frozenset({CHARACTER_SET, *map(_number_of, keywords)})


@cache
def _usual_vr(keyword: str) -> str:
    """Of an element whose VR is implicit."""
    return dictionary_VR(_number_of(keyword))
