"""One data set on its way into a segment.

It is collected in a buffer and written past the page cache in one call: there its bytes would be
copied once more, marked dirty, and written by the `fdatasync` that follows anyway. What does not
fit goes through the page cache, a buffer of whole pages at a time, while the next bytes arrive.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from contextlib import suppress

from xxhash import xxh3_128

from node.domain.extent import Extent
from scp.record import PAGE, Description, encode, padded
from scp.segment import Segment

#: Written when full. A record of a CT, MR or PET image fits.
COLLECTED_BYTES = 2 << 20
#: With less room than this the buffer is taken as full.
_LITTLE_ROOM = 128 << 10


class Arrival:
    """A data set that arrives; used again for the next one.

    Attributes:
        data_set_bytes: how much of it came.
    """

    def __init__(self) -> None:
        """Reserve addresses; memory is taken as far as records reach."""
        # A piece of the record as it will lie in the segment: description, Part 10 stream,
        # padding. How much of the record is written and no more in it, and how far it is filled.
        self._buffer = memoryview(mmap.mmap(-1, COLLECTED_BYTES))
        self._written = self._filled = 0
        self._segment: Segment | None = None
        self._at = self._head_bytes = self.data_set_bytes = 0
        self._digest = xxh3_128()

    def begin(self, segment: Segment, head: bytes) -> None:
        """It will lie where the segment goes on, behind this preamble and meta information."""
        self._segment, self._at = segment, segment.position
        self._head_bytes, self.data_set_bytes = len(head), 0
        self._written, self._filled = 0, PAGE + len(head)
        self._buffer[PAGE : self._filled] = head
        self._digest = xxh3_128()

    def place(self, size: int) -> memoryview:
        """Room for its next bytes, this many at most."""
        return self._buffer[self._filled : self._filled + size]

    def placed(self, size: int) -> None:
        """So many bytes were put into the room. Raises OSError when the disk does not take them."""
        start = self._filled
        self._filled = end = start + size
        self.data_set_bytes += size
        # While they are in the processor's cache, and the sender is busy with the next ones.
        self._digest.update(self._buffer[start:end])
        if end > COLLECTED_BYTES - _LITTLE_ROOM:
            self._write_whole_pages()

    def write(self, parts: Sequence[memoryview]) -> None:
        """Its next bytes. Raises OSError when the disk does not take them."""
        for part in parts:
            rest = part
            while rest:
                place = self.place(len(rest))
                size = len(place)
                place[:] = rest[:size]
                rest = rest[size:]
                self.placed(size)

    @property
    def is_sealed(self) -> bool:
        """Has the segment moved on behind it?"""
        return self._segment is not None and self._segment.position > self._at

    def data_set(self) -> memoryview:
        """What came of it; valid until the next call of any method.

        Raises:
            OSError: the disk does not take, or not give back, an object longer than the buffer.
        """
        start = self._head_bytes
        if not self._written:
            return self._buffer[PAGE + start : self._filled]
        segment = self._segment
        assert segment is not None
        self._write(0, self._pad())
        extent = Extent(segment.path, self._at + PAGE, start + self.data_set_bytes)
        return memoryview(extent.map())[start:]

    def digest(self, transfer_syntax_uid: str) -> str:
        """Digest of the whole data set and its syntax, as `node.domain.study.Instance` has it."""
        self._digest.update(transfer_syntax_uid.encode("ascii", "replace"))
        return self._digest.hexdigest()

    def make_durable(self, description: Description) -> Extent:
        """Describe it, and let it and its description become durable together.

        Returns:
            where its Part 10 stream lies; the segment goes on behind it.

        Raises:
            OSError: nobody knows what the disk holds of it.
        """
        segment = self._segment
        assert segment is not None
        page = encode(description, segment.key)
        try:
            if self._written:
                self._write(0, self._pad())
                self._written = self._filled = 0
                self._buffer[:PAGE] = page
                self._write(0, PAGE)
            else:
                self._buffer[:PAGE] = page
                self._write(0, self._pad())
        except OSError:
            # Its description may be on the disk already, in front of half a data set.
            with suppress(OSError):
                segment.append(bytes(PAGE), self._at)
            raise
        segment.position = self._at + description.record_bytes
        segment.make_durable()
        return segment.extent(self._at, description)

    def _pad(self) -> int:
        """Where the pages of the buffer end; the last of them is filled up."""
        behind = padded(self._filled)
        # What is there belongs to an earlier object.
        self._buffer[self._filled : behind] = bytes(behind - self._filled)
        return behind

    def _write_whole_pages(self) -> None:
        """Make room. The description is not known yet: its page is written at the end."""
        whole = self._filled // PAGE * PAGE
        start = 0 if self._written else PAGE
        assert self._segment is not None
        # Through the page cache: the disk writes it while the next bytes arrive.
        self._segment.append(self._buffer[start:whole], self._at + self._written + start)
        left = self._filled - whole
        self._buffer[:left] = self._buffer[whole : self._filled]
        self._written, self._filled = self._written + whole, left

    def _write(self, start: int, end: int) -> None:
        assert self._segment is not None
        self._segment.write_pages(self._buffer[start:end], self._at + self._written + start)
