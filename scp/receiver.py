"""The DICOM storage provider: C-ECHO, C-STORE, notices, reports (PS3.4 A, B, F, J, R; PS3.8).

pynetdicom negotiates and ends associations; in between `scp.transfer` serves them, or, when
`data_path` says so, pynetdicom itself. Both write through the same intake.
"""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal, cast

import structlog
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.transport import RequestHandler

from node.domain.addresses import authority, remedy
from node.domain.errors import ClassMismatch, ConfigError, OutOfResources, ReceiveError
from scp.admission import LOCAL_LIMIT_EXCEEDED, Admission, Rejection, is_listed, judge
from scp.classes import VERIFICATION, register, supported
from scp.commitment import Reported, answer_report, reporting_context
from scp.contracts import Intake, IntakeStore, ReceiverEvents, StoreCommand
from scp.notices import Notices, answer_create, answer_set, notice_contexts
from scp.record import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from scp.takeover import (
    PYNETDICOM,
    LimitedServer,
    TransferHandler,
    close_connection,
    contexts_of,
    is_supported,
)
from scp.transfer import OTHER_CONTEXT, Transfer, TransferTerms, set_timeouts

log = structlog.get_logger(__name__)

SUCCESS = 0x0000
WATCH_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverSettings:
    """How to listen.

    Attributes:
        association_timeout_s: from the connection to the A-ASSOCIATE-RQ (ARTIM, PS3.8 9.1.4).
        idle_timeout_s: silence after which an open association is aborted.
        private_classes: UIDs of private storage classes to accept.
        data_path: who serves C-STORE.
    """

    host: str
    port: int
    admission: Admission
    max_pdu_bytes: int
    association_timeout_s: float
    idle_timeout_s: float
    max_object_bytes: int
    private_classes: frozenset[str] = frozenset()
    data_path: Literal["fast", "pynetdicom"] = "fast"


@dataclass(slots=True)
class _Open:
    """One association from its request on.

    Attributes:
        intake: None until it is accepted.
        transfer: None on pynetdicom's own data path.
    """

    association_id: str
    address: str
    calling_ae_title: str
    association: Association
    intake: Intake | None = None
    transfer: Transfer | None = None
    released: bool = False


class Receiver:
    """Listens, decides who may send, hands every object to the store."""

    def __init__(
        self, settings: ReceiverSettings, store: IntakeStore, events: ReceiverEvents
    ) -> None:
        self._settings = settings
        self._store = store
        self._events = events
        #: Told of every storage commitment report.
        self.on_commitment: Reported = lambda _report: False
        #: Who keeps what modalities and archives announce; None: no notice is taken.
        self.notices: Notices | None = None
        self._open: dict[int, _Open] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server: LimitedServer | None = None
        self._entity = AE(ae_title="VIGIE")
        self._configure()

    @property
    def port(self) -> int:
        """The port it listens on; differs from the setting when that is 0."""
        return int(self._server.server_address[1]) if self._server else self._settings.port

    def start(self) -> None:
        """Listen; raises ConfigError when the port cannot be opened."""
        settings = self._settings
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, self._connected),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_RELEASED, self._released),
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_C_STORE, self._store_one),
            (evt.EVT_C_ECHO, lambda _event: SUCCESS),
            (evt.EVT_N_EVENT_REPORT, lambda event: answer_report(event, self.on_commitment)),
        ]
        if self.notices is not None:
            handlers += [
                (evt.EVT_N_CREATE, answer_create, [self.notices]),
                (evt.EVT_N_SET, answer_set, [self.notices]),
            ]
        try:
            server = self._entity.make_server(
                (settings.host, settings.port),
                evt_handlers=handlers,
                server_class=LimitedServer,
                request_handler=self._handler(),
            )
        except OSError as error:
            raise ConfigError(
                f"receiver: cannot listen on {authority(settings.host, settings.port)} "
                f"({error.strerror}) - {remedy(error, 'receiver')}"
            ) from error
        assert isinstance(server, LimitedServer)
        server.max_connections = max(256, 4 * settings.admission.max_associations)
        server.is_listed = lambda address: is_listed(settings.admission, address)
        self._server = server
        for name, target in (
            ("receiver-accept", server.serve_forever),
            ("receiver-watch", self._watch),
        ):
            threading.Thread(target=target, name=name, daemon=True).start()

    def stop(self, grace_s: float) -> None:
        """No new associations; running ones may end within the grace time, then abort."""
        self._stopping.set()
        if self._server is None:
            return
        self._server.shutdown()
        self._wait_for_end(grace_s)
        for item in self._every():
            if item.transfer is not None:
                item.transfer.stop()
        self._wait_for_end(2.0)
        for item in self._every():
            close_connection(item.association)
        self._wait_for_end(2.0)
        for item in self._every():
            self._end(item)

    def _wait_for_end(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._open and time.monotonic() < deadline:
            time.sleep(0.02)
            self._forget_dead()

    def _every(self) -> list[_Open]:
        with self._lock:
            return list(self._open.values())

    def _handler(self) -> type[RequestHandler]:
        if self._settings.data_path == "pynetdicom":
            return RequestHandler
        if not is_supported():
            log.warning(
                "receiver.data_path_unavailable",
                reason=f"the fast data path is written for pynetdicom {PYNETDICOM}",
                remedy="install the pinned requirements; pynetdicom's own data path serves now",
            )
            return RequestHandler

        class Handler(TransferHandler):
            """Bound to this receiver."""

        Handler.transfer_of = staticmethod(self._transfer_of)
        Handler.ended = staticmethod(self._association_ended)
        return Handler

    def _transfer_of(self, association: Association) -> Transfer | None:
        with self._lock:
            item = self._open.get(id(association))
        if item is None or item.intake is None:
            return None
        settings = self._settings
        connection: Any = association.dul.socket
        terms = TransferTerms(
            contexts=contexts_of(association),
            calling_ae_title=item.calling_ae_title,
            max_pdu_bytes=settings.max_pdu_bytes,
            max_object_bytes=settings.max_object_bytes,
            idle_timeout_s=settings.idle_timeout_s,
            peer_max_pdu_bytes=association.requestor.maximum_length or 0,
        )
        item.transfer = Transfer(connection.socket, terms, item.intake)
        item.transfer.on_refused = lambda status, reason: self._events.instance_refused(
            item.association_id, status, reason
        )
        return item.transfer

    def _configure(self) -> None:
        settings, entity = self._settings, self._entity
        register(settings.private_classes)
        # The contexts are chosen for each proposal in `_requested`; pynetdicom copies the
        # server's own list for every association, so it is kept to a single one.
        entity.add_supported_context(VERIFICATION)
        entity.maximum_pdu_size = settings.max_pdu_bytes
        entity.maximum_associations = settings.admission.max_associations + 64
        entity.acse_timeout = settings.association_timeout_s
        entity.dimse_timeout = settings.idle_timeout_s
        entity.network_timeout = settings.idle_timeout_s
        entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = IMPLEMENTATION_VERSION

    def _connected(self, event: Event) -> None:
        """A peer that says nothing, or takes nothing, must not hold a thread for ever."""
        with suppress(OSError, AttributeError):
            connection: Any = event.assoc.dul.socket.socket  # type: ignore[union-attr]
            # A response may otherwise wait 40 ms for the peer's delayed acknowledgement.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            idle_s = self._settings.idle_timeout_s
            set_timeouts(connection, receive_s=idle_s, send_s=idle_s)

    def _requested(self, event: Event) -> None:
        try:
            rejection = self._admit(event)
        except Exception:
            log.exception("association.not_judged")
            rejection = Rejection(*LOCAL_LIMIT_EXCEEDED, "the request could not be judged")
        if rejection is None:
            return
        association = event.assoc
        with self._lock:
            self._open.pop(id(association), None)
        try:
            association.acse.send_reject(rejection.result, rejection.source, rejection.diagnostic)
            request: Any = association.requestor.primitive
            self._events.association_rejected(
                _printable(request.calling_ae_title),
                str(association.requestor.address),
                rejection.reason,
            )
        finally:
            association.kill()

    def _admit(self, event: Event) -> Rejection | None:
        """Take a place for the association, or say why there is none."""
        association = event.assoc
        request: Any = association.requestor.primitive
        calling = _printable(request.calling_ae_title)
        address = str(association.requestor.address)
        if self._stopping.is_set():
            return Rejection(0x02, 0x03, 0x01, "the node is stopping")
        with self._lock:
            # Judged and entered under one lock: two requests cannot take the last place.
            rejection = judge(
                self._settings.admission,
                calling=calling,
                called=_printable(request.called_ae_title),
                address=address,
                open_now=Counter(item.address for item in self._open.values()),
            )
            if rejection is not None:
                return rejection
            self._open[id(association)] = _Open(
                uuid.uuid4().hex[:12], address, calling, association
            )
        association.acceptor.ae_title = str(request.called_ae_title).strip() or "VIGIE"
        proposed = request.presentation_context_definition_list
        association.acceptor.supported_contexts = [
            *supported(proposed, self._settings.private_classes),
            *reporting_context(association, proposed),
            *(notice_contexts(proposed) if self.notices is not None else ()),
        ]
        return None

    def _accepted(self, event: Event) -> None:
        with self._lock:
            item = self._open.get(id(event.assoc))
        if item is not None:
            self._events.association_opened(
                item.association_id, item.calling_ae_title, item.address
            )
            item.intake = self._store.open(item.association_id)

    def _released(self, event: Event) -> None:
        with self._lock:
            item = self._open.get(id(event.assoc))
            if item is not None:
                item.released = True

    def _closed(self, event: Event) -> None:
        with self._lock:
            item = self._open.get(id(event.assoc))
        # The transfer may still be answering; its thread tells when it has ended.
        if item is not None and item.transfer is None:
            self._end(item)

    def _association_ended(self, association: Association) -> None:
        with self._lock:
            item = self._open.get(id(association))
        if item is not None:
            self._end(item)

    def _end(self, item: _Open) -> None:
        with self._lock:
            if self._open.pop(id(item.association), None) is None:
                return
        if item.intake is not None:
            item.intake.close(clean=item.released)

    def _watch(self) -> None:
        """Ends the associations whose thread is over, whatever way it ended."""
        while not self._stopping.wait(WATCH_INTERVAL_S):
            try:
                self._forget_dead()
            except Exception:
                log.exception("receiver.watch_failed")

    def _forget_dead(self) -> None:
        for item in self._every():
            if not item.association.is_alive():
                self._end(item)

    def _store_one(self, event: Event) -> int:
        """One C-STORE on pynetdicom's own data path; the statuses of PS3.4 table B.2-1."""
        with self._lock:
            item = self._open.get(id(event.assoc))
        if item is None or item.intake is None:
            return ReceiveError.status
        request: Any = event.request
        try:
            content = cast(BytesIO, request.DataSet).getbuffer()
            if len(content) > self._settings.max_object_bytes:
                raise OutOfResources(
                    "the object is larger than receiver.limits.max_object_gb allows "
                    f"({self._settings.max_object_bytes} bytes)"
                )
            if str(request.AffectedSOPClassUID or "") != str(event.context.abstract_syntax):
                raise ClassMismatch(OTHER_CONTEXT)
            item.intake.begin(
                StoreCommand(
                    sop_class_uid=str(request.AffectedSOPClassUID or ""),
                    sop_instance_uid=str(request.AffectedSOPInstanceUID or ""),
                    transfer_syntax_uid=str(event.context.transfer_syntax),
                    calling_ae_title=item.calling_ae_title,
                )
            )
            item.intake.write([content])
            item.intake.commit()
        except ReceiveError as error:
            self._events.instance_refused(item.association_id, error.status, str(error))
            return error.status
        return SUCCESS


def _printable(ae_title: object) -> str:
    """An AE title as it may be logged and stored: printable ASCII, 16 characters at most."""
    text = "".join(c if " " <= c <= "~" else "?" for c in str(ae_title))
    return text.strip()[:16]
