"""P-DATA-TF PDUs cut into their fragments, in place (PS3.8 9.3.5 and annex D).

A pure parser: bytes in, slices of them out, whatever way the network cut the stream.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

P_DATA_TF = 0x04
PDU_HEADER = struct.Struct(">BBL")
_PDV_HEADER = struct.Struct(">LBB")
BOTH_HEADERS = struct.Struct(">BBLLBB")
#: Length of the headers of a PDU and of its first fragment.
HEADERS_BYTES = BOTH_HEADERS.size
#: Message control header, PS3.8 E.2.
COMMAND, LAST = 0x01, 0x02

#: (presentation context ID, message control header, bytes, do they end the PDV?)
Fragment = tuple[int, int, memoryview, bool]


class ProtocolViolation(ValueError):
    """The bytes are not what PS3.8 lets a peer send; the association cannot go on."""


class PDataStream:
    """Cuts one connection's bytes into fragments.

    Attributes:
        left: bytes at the end of the last view that were not consumed: they come first in
            the next one. Fewer than a header, unless `foreign`.
        foreign: a PDU of another type begins there.
        fragment_bytes: length of the fragment that began last.
    """

    def __init__(self, max_pdu_bytes: int) -> None:
        """Accept PDUs up to this length (that of the variable field, PS3.8 D.1)."""
        self._max_pdu_bytes = max_pdu_bytes
        self._pdu = self._pdv = 0
        self._context_id = self._control = 0
        self.left = 0
        self.foreign = False
        self.fragment_bytes = 0

    @property
    def pdu_bytes_to_come(self) -> int:
        """How much of the current PDU has not been consumed."""
        return self._pdu

    def data_bytes_to_come(self, context_id: int) -> int:
        """How much of a fragment of a data set in this context has not been consumed."""
        ours = self._context_id == context_id and not self._control & COMMAND
        return self._pdv if ours else 0

    def skip(self, size: int) -> bool:
        """So many bytes of the current fragment were taken from the connection elsewhere.

        Returns:
            do they end a message, or the data set of one?
        """
        self._pdv -= size
        self._pdu -= size
        self.left = 0
        return not self._pdv and bool(self._control & LAST)

    def continues(self, headers: memoryview) -> bool:
        """Do these `HEADERS_BYTES` begin a PDU of one fragment that continues the last one?

        Then they are consumed. Otherwise nothing has changed, and `cut` says what they are.
        """
        if self._pdu:
            return False
        kind, _, pdu, pdv, context_id, control = BOTH_HEADERS.unpack_from(headers)
        if (
            kind != P_DATA_TF
            or context_id != self._context_id
            or control | LAST != self._control | LAST
            or not 6 < pdu <= self._max_pdu_bytes
            or pdv + 4 != pdu
        ):
            return False
        self._pdu = self._pdv = self.fragment_bytes = pdv - 2
        self._control = control
        return True

    def cut(self, view: memoryview) -> Iterator[Fragment]:
        """The fragments, or the parts of them, that lie in these bytes.

        Raises:
            ProtocolViolation: a length or a type that cannot be.
        """
        at, end = 0, len(view)
        while True:
            self.left = end - at
            if self._pdv:
                size = min(self._pdv, end - at)
                if not size:
                    break
                self._pdv -= size
                self._pdu -= size
                start, at = at, at + size
                self.left = end - at
                yield self._context_id, self._control, view[start:at], not self._pdv
            elif self._pdu:
                if end - at < _PDV_HEADER.size:
                    break
                self._begin_pdv(*_PDV_HEADER.unpack_from(view, at))
                at += _PDV_HEADER.size
                if not self._pdv:
                    self.left = end - at
                    yield self._context_id, self._control, view[at:at], True
            else:
                if end - at < PDU_HEADER.size:
                    break
                kind, _, length = PDU_HEADER.unpack_from(view, at)
                if kind != P_DATA_TF:
                    self.foreign = True
                    break
                self._begin_pdu(length)
                at += PDU_HEADER.size

    def _begin_pdu(self, length: int) -> None:
        if length > self._max_pdu_bytes:
            raise ProtocolViolation(
                f"a PDU of {length} bytes, {self._max_pdu_bytes} were negotiated"
            )
        if length < _PDV_HEADER.size:
            raise ProtocolViolation(f"a P-DATA-TF PDU of {length} bytes holds no fragment")
        self._pdu = length

    def _begin_pdv(self, length: int, context_id: int, control: int) -> None:
        # The length counts the context ID and the control header, but not itself.
        if length < 2 or length + 4 > self._pdu:
            raise ProtocolViolation(f"a fragment of {length} bytes in {self._pdu} bytes of PDU")
        self._pdu -= _PDV_HEADER.size
        if 0 < self._pdu - (length - 2) < _PDV_HEADER.size:
            raise ProtocolViolation("bytes behind the last fragment of a PDU")
        self._pdv = self.fragment_bytes = length - 2
        self._context_id, self._control = context_id, control
