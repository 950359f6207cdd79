"""Receives fragments of a data set where they belong: the kernel takes the headers out.

One call receives several PDUs, on the assumption that they are all as long as the one before:
the bytes of their fragments go next to one another, their headers aside. What arrives otherwise,
as the last PDU of a data set does, is put right afterwards.
"""

from __future__ import annotations

from scp.stream import HEADERS_BYTES, PDataStream

#: PDUs in one call at most.
_MOST = 64


class Placement:
    """Places what one connection brings; its bytes are accounted for in the connection's stream."""

    def __init__(self, stream: PDataStream) -> None:
        """Keep room for headers."""
        self._stream = stream
        area = memoryview(bytearray(_MOST * HEADERS_BYTES))
        self._headers = [area[at : at + HEADERS_BYTES] for at in range(0, len(area), HEADERS_BYTES)]
        self._spaces: list[memoryview] = []

    def spaces(self, place: memoryview, to_come: int) -> list[memoryview]:
        """Where the next bytes of the connection may go.

        Args:
            place: room for bytes of the data set.
            to_come: length of the rest of the fragment under way.
        """
        end, step = len(place), self._stream.fragment_bytes
        spaces = [place[:to_come]]
        at = to_come
        if at <= end:
            for header in self._headers:
                spaces.append(header)
                if at + step > end:
                    break
                spaces.append(place[at : at + step])
                at += step
        self._spaces = spaces
        return spaces

    def take(self, size: int) -> tuple[int, bool, bytes]:
        """So many bytes came into these spaces.

        Returns:
            how many of them are bytes of the data set, next to one another in the place; whether
            they end it; and what came behind that does not continue it.
        """
        stream, spaces = self._stream, self._spaces
        placed = min(size, len(spaces[0]))
        ends = stream.skip(placed)
        size -= placed
        for index in range(1, len(spaces), 2):
            if not size:
                break
            if ends or size < HEADERS_BYTES or not stream.continues(spaces[index]):
                return placed, ends, self._rest(index, 0, size)
            size -= HEADERS_BYTES
            if index + 1 == len(spaces):
                break
            space = spaces[index + 1]
            whole = stream.fragment_bytes
            came = min(size, whole, len(space))
            ends = stream.skip(came)
            placed += came
            size -= came
            if size and whole != len(space):
                # The assumption was wrong: what follows the fragment lies where more of it was
                # expected, or the rest of a longer one lies behind the next header.
                return placed, ends, self._rest(index + 1, came, size)
        return placed, ends, b""

    def _rest(self, index: int, start: int, size: int) -> bytes:
        return b"".join([self._spaces[index][start:], *self._spaces[index + 1 :]])[:size]
