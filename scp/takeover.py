"""Where Vigie's data transfer takes the place of pynetdicom's, and gives it back.

pynetdicom negotiates; as soon as an association is established its reader thread is parked and
`scp.transfer.Transfer` serves the connection in the association's own thread. What it does not
serve goes back with every byte that belongs to it, and pynetdicom ends the association.

Overridden internals, of the one version named here; `tests/scp/test_takeover.py` holds both
paths to the same answers:

| pynetdicom 3.0 | why |
|---|---|
| `RequestHandler._create_association` | the only place where an acceptor is made |
| `DULServiceProvider._is_transport_event` | park before the first byte behind the acceptance |
| `Association._run_reactor` | serve the connection, then go on as before |
| `AssociationSocket.ready`, `.recv` | read first what was handed back |
| `AssociationServer.verify_request` | a limit for connections that never associate |
| `AssociationServer.shutdown` | it expects to have been started by its `AE` |
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from socketserver import BaseServer
from typing import Any, cast

import pynetdicom
import structlog
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from scp.transfer import Context, Handover, Transfer

log = structlog.get_logger(__name__)

#: The internals named above were read in this version.
PYNETDICOM = "3.0.4"
#: DATA TRANSFER, the state of an established association (PS3.8 9.2.1).
ESTABLISHED = "Sta6"
_PARK_TIMEOUT_S = 10.0
_WAKE_S = 0.5
#: How long a peer that was aborted may take to close its connection (ARTIM, PS3.8 9.1.4).
_FAREWELL_S = 2.0


def is_supported() -> bool:
    """Is the installed pynetdicom the one whose internals are overridden?"""
    return pynetdicom.__version__ == PYNETDICOM


class ParkedProvider(DULServiceProvider):
    """The Upper Layer's thread; stands still while the transfer has the connection."""

    parked: threading.Event
    resumed: threading.Event

    def _is_transport_event(self) -> bool:
        if self.state_machine.current_state == ESTABLISHED and not self.resumed.is_set():
            self.parked.set()
            while not self.resumed.wait(_WAKE_S):
                # An abort from elsewhere in pynetdicom must go out all the same.
                if self._kill_thread or self.to_provider_queue.qsize():
                    return False
            if self.to_provider_queue.qsize():
                # The transfer found no sense in what the peer sends: an abort goes out before
                # more of it is read.
                return False
        return super()._is_transport_event()


class ReturningSocket(AssociationSocket):
    """The connection; what was handed back is read again before anything new."""

    handed_back: bytearray

    @property
    def ready(self) -> bool:
        return bool(self.handed_back) or super().ready

    def recv(self, nr_bytes: int) -> bytearray:
        first = self.handed_back[:nr_bytes]
        del self.handed_back[: len(first)]
        return first + super().recv(nr_bytes - len(first)) if len(first) < nr_bytes else first


class TransferredAssociation(Association):
    """An acceptor whose established phase is served by a `Transfer`."""

    transfer_of: Callable[[Association], Transfer | None]
    ended: Callable[[Association], None]

    def _run_reactor(self) -> None:
        try:
            self._serve_connection()
        finally:
            # At once: a sender that opens an association for each image needs the place.
            self.ended(self)

    def _serve_connection(self) -> None:
        provider = cast(ParkedProvider, self.dul)
        handover = Handover()
        try:
            if provider.parked.wait(_PARK_TIMEOUT_S):
                transfer = self.transfer_of(self)
                if transfer is not None:
                    handover = transfer.run()
        except Exception:
            # One association's fault ends this association, and no other one.
            log.exception("association.failed")
            handover = Handover(violation="the receiver failed")
        finally:
            connection = cast(ReturningSocket, provider.socket)
            connection.handed_back += handover.rest
            if handover.violation:
                log.warning("association.violation", reason=handover.violation)
                provider.artim_timer.timeout = _FAREWELL_S
                self.abort(block=False)
            provider.resumed.set()
        if handover.violation:
            self.kill()
            with suppress(Exception):
                connection._shutdown_socket()
            return
        super()._run_reactor()


class TransferHandler(RequestHandler):
    """Makes acceptors that are served by a `Transfer`."""

    transfer_of: Callable[[Association], Transfer | None]
    ended: Callable[[Association], None]

    def _create_association(self) -> Association:
        association: Any = super()._create_association()
        provider, connection = association.dul, association.dul.socket
        # pynetdicom names these classes in the middle of its own functions; the objects are
        # complete but not yet running, and the subclasses change methods only.
        association.__class__ = TransferredAssociation
        association.transfer_of, association.ended = self.transfer_of, self.ended
        provider.__class__ = ParkedProvider
        provider.parked, provider.resumed = threading.Event(), threading.Event()
        connection.__class__ = ReturningSocket
        connection.handed_back = bytearray()
        return cast(Association, association)


class LimitedServer(ThreadedAssociationServer):
    """Refuses connections while too many of them have not become an association."""

    #: Connections at the same time, associated or not.
    max_connections: int = 256
    #: May this address send at all? Those that may not are told so, a few at a time.
    is_listed: Callable[[str], bool] = staticmethod(lambda _address: True)
    max_strangers: int = 16
    # The backlog of the kernel: a burst of associations is queued, not refused.
    request_queue_size = 128

    def shutdown(self) -> None:
        """Stop listening; the associations go on. Not one of the servers of an `AE`."""
        BaseServer.shutdown(self)
        self.server_close()

    def verify_request(self, request: object, client_address: object) -> bool:
        """Each connection costs two threads from its first byte on."""
        active = self.active_associations
        if self.is_listed(_host(client_address)):
            refused = len(active) >= self.max_connections + self.max_strangers
        else:
            strangers = [a for a in active if not self.is_listed(str(a.requestor.address))]
            refused = len(strangers) >= self.max_strangers
        if refused:
            log.warning(
                "connection.refused",
                address=_host(client_address),
                remedy="too many connections that do not associate",
            )
        return not refused


def _host(client_address: object) -> str:
    assert isinstance(client_address, tuple)
    return str(client_address[0])


def contexts_of(association: Association) -> dict[int, Context]:
    """The accepted presentation contexts by ID."""
    return {
        int(context.context_id or 0): Context(
            str(context.abstract_syntax), str(context.transfer_syntax[0])
        )
        for context in association.accepted_contexts
    }


def close_connection(association: Association) -> None:
    """From another thread: no more bytes; the transfer ends within a second."""
    with suppress(OSError, AttributeError):
        connection: Any = association.dul.socket.socket  # type: ignore[union-attr]
        connection.shutdown(socket.SHUT_RD)
