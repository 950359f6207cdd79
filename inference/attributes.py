"""Values of one data set, read so that no single bad attribute stops the reading.

pydicom converts a value when it is first asked for, and raises whatever the conversion
raises: a decimal string of letters, a UID of bytes, a sequence cut short. Here such a value
counts as absent. Nothing in this module judges; it only reads.
"""

from __future__ import annotations

import logging
import math
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pydicom.config
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

#: What pydicom raises over a value or a file that is not what it claims to be. Not
#: `Exception`: a memory error or an interrupt is no property of the file.
UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


@cache
def tag_of(keyword: str) -> BaseTag:
    """The tag of a DICOM keyword."""
    return Tag(keyword)


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Read odd values without warnings and without log lines, which would quote them.

    Changes process-wide settings while it lasts: use it around a whole step, in one thread.
    """
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), pydicom.config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class Attributes:
    """The attributes of one data set or sequence item; a value that cannot be read is absent."""

    __slots__ = ("_dataset", "_texts")

    def __init__(self, dataset: Dataset | None) -> None:
        self._dataset = dataset
        # Every value is asked for several times, and conversion is the slow part of reading.
        self._texts: dict[str, tuple[str, ...]] = {}

    @property
    def dataset(self) -> Dataset:
        """As pydicom has it."""
        assert self._dataset is not None
        return self._dataset

    def __contains__(self, keyword: str) -> bool:
        return tag_of(keyword) in self.dataset

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Every value as text, without padding; empty where absent or empty."""
        found = self._texts.get(keyword)
        if found is None:
            found = self._texts[keyword] = self._read_texts(keyword)
        return found

    def text(self, keyword: str) -> str:
        """All values joined by a backslash, as DICOM writes them; "" where absent."""
        return "\\".join(self.texts(keyword)).strip("\\")

    def numbers(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """Exactly `count` finite numbers, or None."""
        values = self.texts(keyword)
        if len(values) != count:
            return None
        try:
            numbers = tuple(float(value) for value in values)
        except ValueError:
            return None
        return numbers if all(map(math.isfinite, numbers)) else None

    def number(self, keyword: str) -> float | None:
        """One finite number, or None."""
        numbers = self.numbers(keyword, 1)
        return None if numbers is None else numbers[0]

    def integer(self, keyword: str) -> int | None:
        """One whole number, or None."""
        number = self.number(keyword)
        return int(number) if number is not None and number == int(number) else None

    def _read_texts(self, keyword: str) -> tuple[str, ...]:
        tag = tag_of(keyword)
        if tag not in self.dataset:
            return ()
        plain = _plain_texts(self.dataset.get_item(tag))
        if plain is not None:
            return plain
        try:
            value = self.dataset[tag].value
            if value is None or value == "":
                return ()
            if isinstance(value, bytes):
                value = value.decode("ascii", "replace").split("\\")
            values = value if isinstance(value, MultiValue | list | tuple) else [value]
            return tuple(_trimmed(item) for item in values)
        except UNREADABLE:
            return ()

    def items(self, keyword: str) -> tuple[Attributes, ...]:
        """The items of a sequence; empty where it is absent or no sequence."""
        try:
            value = self.dataset.get(keyword)
            items = [] if value is None or isinstance(value, str | bytes) else list(value)
        except UNREADABLE:
            return ()
        return tuple(Attributes(item) for item in items if isinstance(item, Dataset))


class Frames:
    """The frames of one image: what each says, what all share, what the top level says.

    Multi-frame images say per frame or once for all what a single-frame image says at its
    top level (PS3.3 C.7.6.16); asked through `frame`, all three look alike.
    """

    __slots__ = ("_own", "_shared", "_top")

    def __init__(self, top: Attributes) -> None:
        self._top = top
        self._own = top.items("PerFrameFunctionalGroupsSequence")
        self._shared = top.items("SharedFunctionalGroupsSequence")[:1]

    @property
    def has_functional_groups(self) -> bool:
        """Is it an enhanced multi-frame image?"""
        return bool(self._own or self._shared)

    def frame(self, number: int | None) -> Frame:
        """One frame, counted from 1; None: the only one of a single-frame image."""
        own = self._own[number - 1 : number] if number is not None else ()
        shared = self._shared if number is not None else ()
        return Frame((*own, *shared, self._top))


class Frame:
    """The attributes of one frame, the nearest level first, the data set last."""

    __slots__ = ("_levels",)

    def __init__(self, levels: tuple[Attributes, ...]) -> None:
        self._levels = levels

    @property
    def top(self) -> Attributes:
        """The data set itself."""
        return self._levels[-1]

    def find(self, macro: str, keyword: str) -> Attributes:
        """The data set or item that holds `keyword`: the macro's item, else the top level."""
        for level in self._levels[:-1]:
            for item in level.items(macro)[:1]:
                if keyword in item:
                    return item
        return self._levels[-1]

    def numbers(self, macro: str, keyword: str, count: int) -> tuple[float, ...] | None:
        """Exactly `count` finite numbers, or None."""
        return self.find(macro, keyword).numbers(keyword, count)

    def number(self, macro: str, keyword: str) -> float | None:
        """One finite number, or None."""
        return self.find(macro, keyword).number(keyword)

    def text(self, macro: str, keyword: str) -> str:
        """All values joined by a backslash; "" where absent."""
        return self.find(macro, keyword).text(keyword)


def _plain_texts(element: object) -> tuple[str, ...] | None:
    """The values of an element that pydicom has not converted yet, where that is simple.

    None for pydicom to convert: text in some character set, and whatever its conversion might
    refuse. Most of a header is simple, and conversion is most of the time of reading one.
    """
    if not isinstance(element, RawDataElement) or not isinstance(element.value, bytes):
        return None
    if element.VR == "US" and not element.is_little_endian:
        return None
    return plain_texts(element.VR or "", element.value)


def plain_texts(vr: str, value: bytes) -> tuple[str, ...] | None:
    """The values of these bytes, little endian, where they are simple; else None."""
    if vr == "US" and len(value) == 2:
        return (str(int.from_bytes(value, "little")),)
    pattern = _PLAIN.get(vr)
    if pattern is None or not pattern.fullmatch(value):
        return None
    texts = tuple(part.strip(" \0") for part in value.decode("ascii").split("\\"))
    return texts if all(texts) else None


#: What a whole value looks like, by VR, where its text is its value (PS3.5 6.2).
_TEXT = re.compile(rb"[ -~]+\0?")
_PLAIN = {
    **dict.fromkeys(("CS", "UI", "DA", "TM"), _TEXT),
    "IS": re.compile(rb" *[+-]?[0-9]{1,9} *(?:\\ *[+-]?[0-9]{1,9} *)*"),
    "DS": re.compile(rb"[-+.0-9eE]{1,16} *(?:\\[-+.0-9eE]{1,16} *)*"),
}


def _trimmed(value: object) -> str:
    return str(value).strip(" \0") if value is not None else ""
