"""One data set on its way into a segment.

Up to a few megabytes it is collected in memory and written at its end, past the page cache:
there its bytes would be copied once more, marked dirty, and written by the `fdatasync` that
follows anyway. A larger one is written through the page cache while it arrives.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from contextlib import suppress

from xxhash import xxh3_128

from node.domain.extent import Extent
from scp.record import PAGE, Description, encode, padded
from scp.segment import Segment

#: The longest record that is collected, for each association: a CT, MR or PET image always is.
COLLECTED_BYTES = 4 << 20


class Arrival:
    """A data set that arrives; used again for the next one.

    Attributes:
        data_set_bytes: how much of it came.
    """

    def __init__(self) -> None:
        """Reserve addresses; memory is taken as far as records reach."""
        # Description, Part 10 stream and padding, as they will lie in the segment.
        self._buffer = memoryview(mmap.mmap(-1, COLLECTED_BYTES))
        # How far the buffer is filled; 0 when the data set is too large for it.
        self._filled = 0
        self._segment: Segment | None = None
        self._at = self._head_bytes = self.data_set_bytes = 0
        self._digest = xxh3_128()

    def begin(self, segment: Segment, head: bytes) -> None:
        """It will lie where the segment goes on, behind this preamble and meta information."""
        self._segment, self._at = segment, segment.position
        self._head_bytes, self.data_set_bytes = len(head), 0
        self._filled = PAGE + len(head)
        self._buffer[PAGE : self._filled] = head
        self._digest = xxh3_128()

    def place(self, size: int) -> memoryview | None:
        """Room for its next bytes, this many at most; None when it is too large by now."""
        start = self._filled
        return self._buffer[start : start + size] if 0 < start < COLLECTED_BYTES else None

    def placed(self, size: int) -> None:
        """So many bytes were put into the room."""
        start = self._filled
        self._filled = end = start + size
        self.data_set_bytes += size
        # While they are in the processor's cache, and the sender is busy with the next ones.
        self._digest.update(self._buffer[start:end])

    def write(self, parts: Sequence[memoryview]) -> None:
        """Its next bytes. Raises OSError when the disk does not take them."""
        segment = self._segment
        assert segment is not None
        size = sum(map(len, parts))
        if self._filled:
            at, buffer = self._filled, self._buffer
            if at + size <= COLLECTED_BYTES:
                for part in parts:
                    start, at = at, at + len(part)
                    buffer[start:at] = part
                self.placed(size)
                return
            # Too large to be collected.
            self._filled = 0
            segment.append([buffer[PAGE:at]], self._at + PAGE)
        for part in parts:
            self._digest.update(part)
        segment.append(parts, self._at + PAGE + self._head_bytes + self.data_set_bytes)
        self.data_set_bytes += size

    @property
    def is_sealed(self) -> bool:
        """Has the segment moved on behind it?"""
        return self._segment is not None and self._segment.position > self._at

    def data_set(self) -> memoryview:
        """What came of it, not copied; valid until the next call of any method."""
        start, size = self._head_bytes, self.data_set_bytes
        if self._filled:
            return self._buffer[PAGE + start : self._filled]
        assert self._segment is not None
        extent = Extent(self._segment.path, self._at + PAGE, start + size)
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
        if self._filled:
            try:
                self._write_collected(segment, page)
            except OSError:
                # Its description may be on the disk already, in front of half a data set.
                with suppress(OSError):
                    segment.append([bytes(PAGE)], self._at)
                raise
        else:
            segment.append([page], self._at)
        segment.position = self._at + description.record_bytes
        segment.make_durable()
        return segment.extent(self._at, description)

    def _write_collected(self, segment: Segment, page: bytes) -> None:
        behind = padded(self._filled)
        self._buffer[:PAGE] = page
        # The rest of the last page still holds bytes of an earlier object.
        self._buffer[self._filled : behind] = bytes(behind - self._filled)
        written = segment.write_past_the_page_cache(self._buffer[:behind], self._at)
        if written < behind:
            segment.append([self._buffer[written:behind]], self._at + written)
