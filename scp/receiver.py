"""The DICOM storage provider: C-ECHO and C-STORE over pynetdicom (PS3.4 A, B)."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any, cast

import structlog
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event

from node.domain.errors import ConfigError, OutOfResources, ReceiveError
from scp.admission import Admission, Rejection, judge
from scp.classes import VERIFICATION, register, supported
from scp.contracts import Intake, IntakeStore, ReceiverEvents, StoreCommand
from scp.record import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

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
    """

    host: str
    port: int
    admission: Admission
    max_pdu_bytes: int
    association_timeout_s: float
    idle_timeout_s: float
    max_object_bytes: int
    private_classes: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Open:
    """One accepted association."""

    association_id: str
    address: str
    association: Association
    intake: Intake
    released: bool = False


class Receiver:
    """Listens, decides who may send, hands every object to the store."""

    def __init__(
        self, settings: ReceiverSettings, store: IntakeStore, events: ReceiverEvents
    ) -> None:
        self._settings = settings
        self._store = store
        self._events = events
        self._open: dict[int, _Open] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server: Any = None
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
            (evt.EVT_CONN_OPEN, _send_at_once),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_RELEASED, self._released),
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_C_STORE, self._store_one),
            (evt.EVT_C_ECHO, lambda _event: SUCCESS),
        ]
        try:
            self._server = self._entity.start_server(
                (settings.host, settings.port), block=False, evt_handlers=handlers
            )
        except OSError as error:
            raise ConfigError(
                f"receiver: cannot listen on {settings.host}:{settings.port} ({error.strerror}) - "
                "another program uses the port, or the address is not one of this computer; "
                "change receiver.port or receiver.host"
            ) from error
        threading.Thread(target=self._watch, name="receiver-watch", daemon=True).start()

    def stop(self, grace_s: float) -> None:
        """No new associations; running ones may end within the grace time, then abort."""
        self._stopping.set()
        if self._server is None:
            return
        self._server.socket.close()
        deadline = time.monotonic() + grace_s
        while self._open and time.monotonic() < deadline:
            time.sleep(0.05)
            self._forget_dead()
        self._entity.shutdown()
        for item in list(self._open.values()):
            self._end(item)

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

    def _requested(self, event: Event) -> None:
        association = event.assoc
        request = association.requestor.primitive
        assert request is not None  # pynetdicom sets it before this event
        calling = _printable(request.calling_ae_title)
        address = str(association.requestor.address)
        with self._lock:
            open_now = Counter(item.address for item in self._open.values())
        rejection = judge(
            self._settings.admission,
            calling=calling,
            called=_printable(request.called_ae_title),
            address=address,
            open_now=open_now,
        )
        if self._stopping.is_set():
            rejection = Rejection(0x02, 0x03, 0x01, "the node is stopping")
        if rejection is not None:
            association.acse.send_reject(rejection.result, rejection.source, rejection.diagnostic)
            self._events.association_rejected(calling, address, rejection.reason)
            association.kill()
            return
        association.acceptor.ae_title = str(request.called_ae_title).strip() or "VIGIE"
        association.acceptor.supported_contexts = supported(
            request.presentation_context_definition_list, self._settings.private_classes
        )

    def _accepted(self, event: Event) -> None:
        association = event.assoc
        address = str(association.requestor.address)
        name = uuid.uuid4().hex[:12]
        item = _Open(name, address, association, self._store.open(name))
        with self._lock:
            self._open[id(association)] = item
        calling = _printable(association.requestor.ae_title)
        self._events.association_opened(item.association_id, calling, address)

    def _released(self, event: Event) -> None:
        with self._lock:
            item = self._open.get(id(event.assoc))
            if item is not None:
                item.released = True

    def _closed(self, event: Event) -> None:
        with self._lock:
            item = self._open.get(id(event.assoc))
        if item is not None:
            self._end(item)

    def _end(self, item: _Open) -> None:
        with self._lock:
            if self._open.pop(id(item.association), None) is None:
                return
        item.intake.close(clean=item.released)

    def _watch(self) -> None:
        """A thread of pynetdicom that died without an event must not hold a study open."""
        while not self._stopping.wait(WATCH_INTERVAL_S):
            self._forget_dead()

    def _forget_dead(self) -> None:
        for item in list(self._open.values()):
            if not item.association.is_alive():
                self._end(item)

    def _store_one(self, event: Event) -> int:
        """Answer one C-STORE with the status that PS3.4 table B.2-1 names."""
        with self._lock:
            item = self._open.get(id(event.assoc))
        association_id = item.association_id if item else ""
        try:
            if item is None:
                return 0xC000
            self._received(event, item.intake)
        except ReceiveError as error:
            self._events.instance_refused(association_id, error.status, str(error))
            return error.status
        return SUCCESS

    def _received(self, event: Event, intake: Intake) -> None:
        request: Any = event.request
        body = cast(BytesIO, request.DataSet)
        data_set = body.getbuffer()
        if len(data_set) > self._settings.max_object_bytes:
            raise OutOfResources(
                f"the object has {len(data_set)} bytes, receiver.limits.max_object_gb allows "
                f"{self._settings.max_object_bytes}"
            )
        intake.begin(
            StoreCommand(
                sop_class_uid=str(request.AffectedSOPClassUID or ""),
                sop_instance_uid=str(request.AffectedSOPInstanceUID or ""),
                transfer_syntax_uid=str(event.context.transfer_syntax),
                calling_ae_title=_printable(event.assoc.requestor.ae_title),
            )
        )
        intake.write([data_set])
        intake.commit()


def _printable(ae_title: object) -> str:
    """An AE title as it may be logged and stored: printable ASCII, 16 characters at most."""
    text = "".join(c if " " <= c <= "~" else "?" for c in str(ae_title))
    return text.strip()[:16]


def _send_at_once(event: Event) -> None:
    """Without TCP_NODELAY a response may wait 40 ms for the peer's delayed acknowledgement."""
    with suppress(OSError, AttributeError):
        connection: Any = event.assoc.dul.socket.socket  # type: ignore[union-attr]
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
