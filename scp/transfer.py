"""The data transfer of one association: C-STORE from the socket straight into the store.

Only C-STORE and C-ECHO are served here. Whatever else arrives - a release, an abort, another
request, bytes that make no sense - ends `Transfer.run`, which says what to do with the rest.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from node.domain.errors import ClassMismatch, OutOfResources, ReceiveError
from scp.command import (
    C_ECHO_RQ,
    C_STORE_RQ,
    Command,
    CommandError,
    pdu,
    read_command,
    response,
)
from scp.contracts import Intake, StoreCommand
from scp.placement import Placement
from scp.stream import (
    COMMAND,
    LAST,
    P_DATA_TF,
    PDU_HEADER,
    PDataStream,
    ProtocolViolation,
)

SUCCESS = 0x0000
#: What one call receives at most where bytes are copied, and where they go to their place.
BUFFER_BYTES = 256 << 10
PLACE_BYTES = 1 << 20
#: A command set and the header of the data set behind it: what follows goes to its place.
COMMAND_BYTES = 4096
#: From this size on, the rest of a fragment is received where it belongs. A smaller one is copied.
DIRECT_BYTES = 4 << 10
#: A command set is a few hundred bytes; its UIDs and titles have their lengths.
MAX_COMMAND_BYTES = 1 << 16
#: While a message is under way a peer must be at least this fast, or it holds a place in the
#: queue of everybody: a modem of 1990 was faster.
MIN_BYTES_PER_S = 1024
OTHER_CONTEXT = "the SOP Class UID of the command is not that of its presentation context"


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferTerms:
    """What was negotiated, and what the peer may do.

    Attributes:
        contexts: accepted presentation contexts by their ID.
        peer_max_pdu_bytes: Maximum Length that the peer receives; 0: any.
        idle_timeout_s: silence between two messages, and the window in which a message must
            progress by `MIN_BYTES_PER_S`.
    """

    contexts: Mapping[int, Context]
    calling_ae_title: str
    max_pdu_bytes: int
    max_object_bytes: int
    idle_timeout_s: float
    peer_max_pdu_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Handover:
    """Why the transfer ended.

    Attributes:
        rest: bytes that were taken from the connection and belong to what comes next.
        violation: why the association is to be aborted; "" when it goes on elsewhere.
    """

    rest: bytes = b""
    violation: str = ""


class Transfer:
    """Serves one established association in the thread that calls `run`."""

    def __init__(self, connection: socket.socket, terms: TransferTerms, intake: Intake) -> None:
        """Take over a socket."""
        self._connection = connection
        self._terms = terms
        self._intake = intake
        #: Told (status, reason) of every failure that is answered.
        self.on_refused: Callable[[int, str], None] = lambda _status, _reason: None
        self._stream = PDataStream(terms.max_pdu_bytes)
        self._placement = Placement(self._stream)
        self._stopping = False
        # The message under way: its command set so far, then the command, its context, how
        # much of its data set came, and why it will be refused.
        self._command_set = bytearray()
        self._command: Command | None = None
        self._context_id = 0
        self._size = 0
        self._failure: ReceiveError | None = None
        self._window_at = time.monotonic()
        self._window_bytes = 0

    def stop(self) -> None:
        """From another thread: end as soon as the message under way is answered."""
        self._stopping = True

    def run(self) -> Handover:
        """Serve until something else than C-STORE or C-ECHO arrives, or nothing at all."""
        idle_s = self._terms.idle_timeout_s
        set_timeouts(self._connection, receive_s=max(0.05, min(1.0, idle_s / 4)), send_s=idle_s)
        self._window_at = time.monotonic()
        try:
            return self._serve()
        except ProtocolViolation as violation:
            return Handover(violation=str(violation))
        except OSError:
            # The connection is gone; the state machine finds that out by itself.
            return Handover()
        finally:
            with suppress(OSError):
                set_timeouts(self._connection, receive_s=idle_s, send_s=idle_s)
            if self._command is not None and self._failure is None:
                self._intake.abort()

    def _serve(self) -> Handover:
        buffer = bytearray(BUFFER_BYTES)
        view = memoryview(buffer)
        have = 0
        while True:
            if self._stopping and self._command is None:
                return Handover(bytes(view[:have]), violation="the node is stopping")
            place = self._place()
            if place:
                received = self._receive(place)
            else:
                # A command first: what follows it can then be received where it belongs.
                size = BUFFER_BYTES if self._command is not None else COMMAND_BYTES
                received = self._receive([view[have:size]])
            if received is None:
                continue
            if not received:
                return Handover()
            # What comes behind a place may be longer than the buffer.
            came = memoryview(self._placed(received)) if place else view[: have + received]
            handover = self._consume(came)
            if handover is not None:
                return handover
            left = self._stream.left
            if left:
                view[:left] = bytes(came[len(came) - left :])
            have = left

    def _place(self) -> list[memoryview]:
        """Where the rest of the data set under way can go without being copied."""
        if self._command is None or self._failure is not None:
            return []
        size = self._stream.data_bytes_to_come(self._context_id)
        if size < DIRECT_BYTES:
            return []
        return self._placement.spaces(self._intake.place(PLACE_BYTES), size)

    def _placed(self, size: int) -> bytes:
        """So many bytes came there; returns what came behind the data set."""
        size, ends, rest = self._placement.take(size)
        self._size += size
        if self._size > self._terms.max_object_bytes:
            self._refuse_too_large()
        else:
            try:
                self._intake.placed(size)
            except ReceiveError as error:
                self._failure = error
        if ends:
            self._end()
        return rest

    def _receive(self, spaces: list[memoryview]) -> int | None:
        """Bytes received, 0 at the end of the connection, None when there were none in time."""
        received: int | None
        try:
            received = self._connection.recvmsg_into(spaces)[0]
        except (BlockingIOError, InterruptedError):
            received = None
        else:
            # Senders that wait for our acknowledgement (Nagle's algorithm) are not kept waiting.
            with suppress(OSError):
                self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            self._window_bytes += received
        now = time.monotonic()
        window_s = now - self._window_at
        if window_s >= self._terms.idle_timeout_s:
            busy = self._command is not None or self._command_set or self._stream.left
            wanted = int(MIN_BYTES_PER_S * window_s) if busy else 1
            if self._window_bytes < wanted:
                raise ProtocolViolation(
                    f"{self._window_bytes} bytes in {window_s:.0f} s"
                    + (" of a message under way" if busy else "")
                )
            self._window_at, self._window_bytes = now, 0
        return received

    def _consume(self, view: memoryview) -> Handover | None:
        """Handle what came; a handover when that is not for here."""
        parts: list[memoryview] = []
        for context_id, control, piece, ends in self._stream.cut(view):
            last = ends and bool(control & LAST)
            if control & COMMAND:
                if self._command is not None:
                    raise ProtocolViolation("a command before the data set of the last one")
                self._command_set += piece
                if len(self._command_set) > MAX_COMMAND_BYTES:
                    raise ProtocolViolation("a command set that does not end")
                if last:
                    other = self._begin(context_id)
                    if other is not None:
                        return Handover(other + self._reopened(self._rest(view)))
                continue
            if self._command is None or context_id != self._context_id:
                raise ProtocolViolation("a data set that no command announced")
            if len(piece):
                parts.append(piece)
            if last:
                self._write(parts)
                self._end()
                parts = []
        self._write(parts)
        return Handover(self._rest(view)) if self._stream.foreign else None

    def _rest(self, view: memoryview) -> bytes:
        return bytes(view[len(view) - self._stream.left :])

    def _begin(self, context_id: int) -> bytes | None:
        """A command set is whole."""
        raw = bytes(self._command_set)
        self._command_set.clear()
        try:
            command = read_command(raw)
        except CommandError as error:
            raise ProtocolViolation(str(error)) from None
        context = self._terms.contexts.get(context_id)
        if context is None:
            raise ProtocolViolation(f"presentation context {context_id} was not accepted")
        if command.field == C_ECHO_RQ and not command.has_data_set:
            self._answer(command, context_id, SUCCESS)
            return None
        if command.field != C_STORE_RQ or not command.has_data_set:
            return pdu(context_id, COMMAND | LAST, raw)
        self._command, self._context_id, self._size = command, context_id, 0
        self._failure = None
        try:
            if command.sop_class_uid != context.abstract_syntax:
                raise ClassMismatch(OTHER_CONTEXT)
            self._intake.begin(
                StoreCommand(
                    sop_class_uid=command.sop_class_uid,
                    sop_instance_uid=command.sop_instance_uid,
                    transfer_syntax_uid=context.transfer_syntax,
                    calling_ae_title=self._terms.calling_ae_title,
                )
            )
        except ReceiveError as error:
            self._failure = error
        return None

    def _write(self, parts: list[memoryview]) -> None:
        """Bytes of the data set; those of a refused one are only drained."""
        if not parts or self._failure is not None:
            return
        self._size += sum(map(len, parts))
        if self._size > self._terms.max_object_bytes:
            self._refuse_too_large()
            return
        try:
            self._intake.write(parts)
        except ReceiveError as error:
            self._failure = error

    def _refuse_too_large(self) -> None:
        self._intake.abort()
        self._failure = OutOfResources(
            "the object is larger than receiver.limits.max_object_gb allows "
            f"({self._terms.max_object_bytes} bytes)"
        )

    def _end(self) -> None:
        """The data set is whole: durable, then answered (PS3.4 table B.2-1)."""
        command = self._command
        assert command is not None
        if self._failure is None:
            try:
                self._intake.commit()
            except ReceiveError as error:
                self._failure = error
        failure = self._failure
        self._command = None
        if failure is None:
            self._answer(command, self._context_id, SUCCESS)
            return
        self.on_refused(failure.status, str(failure))
        self._answer(command, self._context_id, failure.status, str(failure))

    def _answer(self, command: Command, context_id: int, status: int, comment: str = "") -> None:
        limit = self._terms.peer_max_pdu_bytes
        self._connection.sendall(response(command, context_id, status, comment, limit=limit))

    def _reopened(self, rest: bytes) -> bytes:
        """What is left of a PDU whose header was consumed, as a PDU of its own."""
        to_come = self._stream.pdu_bytes_to_come
        return (PDU_HEADER.pack(P_DATA_TF, 0, to_come) if to_come else b"") + rest


def set_timeouts(connection: socket.socket, *, receive_s: float, send_s: float) -> None:
    """Let the kernel end waits: Python's own timeout would cost a poll before each call."""
    connection.settimeout(None)
    for option, seconds in ((socket.SO_RCVTIMEO, receive_s), (socket.SO_SNDTIMEO, send_s)):
        value = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
        connection.setsockopt(socket.SOL_SOCKET, option, value)
