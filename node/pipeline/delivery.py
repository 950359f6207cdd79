"""Result objects out: C-STORE to each destination, retried until accepted or refused for good.

What may pass (nobody answers, out of resources, association rejected) is tried again with
back-off. What will not pass (the class is not accepted, the data set is not understood) is
a refusal: it is recorded with its cause and not repeated until an engineer says `resend`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from node.domain.errors import DeliveryError
from node.ledger import Ledger
from node.ledger.outbox import Delivery
from node.ledger.states import DeliveryState
from node.metrics import Metrics
from node.pipeline.breaker import CircuitBreaker, RetryPolicy
from node.pipeline.loop import Loop

log = structlog.get_logger(__name__)

#: Objects sent over one association at most; a long queue is drained in such pieces.
BATCH = 64
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where results go: one DICOM storage provider."""

    name: str
    ae_title: str
    host: str
    port: int
    calling_ae_title: str
    connect_timeout_s: float
    response_timeout_s: float
    retry: RetryPolicy


@dataclass(frozen=True, slots=True)
class Accepted:
    """The destination answered success or a warning."""

    warning: str = ""


@dataclass(frozen=True, slots=True)
class RefusedForGood:
    """The destination will not take this object, now or later."""

    cause: str


@dataclass(frozen=True, slots=True)
class Passing:
    """The destination could not take this object now."""

    cause: str


Answer = Accepted | RefusedForGood | Passing


def judge_status(status: int | None) -> Answer:
    """Read a C-STORE response status, PS3.4 table B.2-1 and PS3.7 annex C."""
    if status is None:
        return Passing("no response to C-STORE: the association broke off or timed out")
    if status == 0x0000:
        return Accepted()
    if status & 0xF000 == 0xB000 or status in (0x0001, 0x0107, 0x0116):
        return Accepted(f"warning 0x{status:04X}")
    if status & 0xFF00 == 0xA700:
        return Passing(f"out of resources (0x{status:04X})")
    if status in (0x0110, 0x0213):
        return Passing(f"processing failure at the destination (0x{status:04X})")
    meaning = {
        0xA900: "data set does not match SOP class",
        0xC000: "cannot understand",
        0x0122: "SOP class not supported",
        0x0124: "not authorised",
        0x0117: "invalid SOP instance UID",
        0x0111: "duplicate SOP instance UID",
    }
    family = status & 0xFF00 if status & 0xF000 == 0xA000 else status
    family = 0xC000 if status & 0xF000 == 0xC000 else family
    return RefusedForGood(f"{meaning.get(family, 'refused')} (0x{status:04X})")


class Courier:
    """Drains the outbox of one destination in its own thread."""

    def __init__(
        self,
        destination: Destination,
        ledger: Ledger,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.destination = destination
        self.breaker = CircuitBreaker(destination.retry)
        self._ledger = ledger
        self._metrics = metrics
        self._clock = clock
        self.loop = Loop(f"courier {destination.name}", self._step, interval_s=1.0)

    def wake(self) -> None:
        """Look at the outbox now instead of at the next interval."""
        self.loop.wake()

    def drain(self) -> int:
        """Send what is due over one association; returns the number of accepted objects."""
        due = self._ledger.outbox.due(self.destination.name, BATCH)
        if not due or not self.breaker.may_try(self._clock()):
            return 0
        try:
            association = associate(self.destination, {item.object.sop_class_uid for item in due})
        except DeliveryError as error:
            self._unreachable(str(error))
            return 0
        accepted = 0
        try:
            for delivery in due:
                if self.loop.stopping or not association.is_established:
                    break
                answer = self._send(association, delivery)
                self._settle(delivery, answer)
                accepted += isinstance(answer, Accepted)
                if isinstance(answer, Passing):
                    break
                self.breaker.succeeded()
        finally:
            if association.is_established:
                association.release()
        return accepted

    def _step(self) -> int:
        sent = self.drain()
        self._metrics.destination_state(self.destination.name, up=not self.breaker.is_open)
        return sent

    def _unreachable(self, cause: str) -> None:
        pause_s = self.breaker.failed(self._clock())
        self._metrics.delivery_failures.labels(self.destination.name).inc()
        log.warning(
            "destination.unreachable",
            destination=self.destination.name,
            cause=cause,
            failures=self.breaker.failures,
            next_try_in_s=round(pause_s, 1),
        )

    def _send(self, association: Association, delivery: Delivery) -> Answer:
        started = self._clock()
        answer = send(association, delivery.object.path)
        self._metrics.delivery_seconds.labels(self.destination.name).observe(
            self._clock() - started
        )
        return answer

    def _settle(self, delivery: Delivery, answer: Answer) -> None:
        outbox, name = self._ledger.outbox, self.destination.name
        match answer:
            case Accepted(warning):
                outbox.settle(delivery, DeliveryState.ACCEPTED, cause=warning)
                outcome = "accepted"
            case RefusedForGood(cause):
                outbox.settle(delivery, DeliveryState.REFUSED, cause=cause)
                outcome = "refused"
            case Passing(cause):
                pause_s = self.breaker.failed(self._clock())
                outbox.settle(delivery, DeliveryState.WAITING, cause=cause, delay_s=pause_s)
                outcome = "retried"
        self._metrics.deliveries.labels(name, outcome).inc()
        log.info(
            "object." + outcome,
            destination=name,
            study_uid=delivery.object.study_uid,
            sop_instance_uid=delivery.object.sop_instance_uid,
            kind=delivery.object.kind,
            cause=getattr(answer, "cause", ""),
        )


def associate(destination: Destination, class_uids: set[str]) -> Association:
    """Open an association that proposes these storage classes, uncompressed.

    Raises:
        DeliveryError: nobody answers, or the association is rejected or aborted.
    """
    entity = AE(ae_title=destination.calling_ae_title)
    entity.requested_contexts = [
        build_context(uid, [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])
        for uid in sorted(class_uids)
    ]
    entity.connection_timeout = destination.connect_timeout_s
    entity.acse_timeout = destination.response_timeout_s
    entity.dimse_timeout = destination.response_timeout_s
    entity.network_timeout = destination.response_timeout_s
    association = entity.associate(
        destination.host, destination.port, ae_title=destination.ae_title
    )
    if association.is_established:
        return association
    where = f"{destination.ae_title} at {destination.host}:{destination.port}"
    if association.is_rejected:
        raise DeliveryError(
            f"{where} rejected the association from {destination.calling_ae_title}: "
            f"{_rejection(association)}; check both AE titles and its list of known peers"
        )
    raise DeliveryError(
        f"{where} does not answer; check host, port and firewall, and that it is running"
    )


def send(association: Association, path: Path) -> Answer:
    """Send one Part 10 file over an established association."""
    try:
        data_set = dcmread(path)
    except (OSError, InvalidDicomError) as error:
        return RefusedForGood(f"the result file cannot be read ({type(error).__name__})")
    accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
    if str(data_set.SOPClassUID) not in accepted:
        return RefusedForGood(
            f"the destination does not accept {data_set.SOPClassUID.name}; "
            "allow this storage class there"
        )
    try:
        response = association.send_c_store(data_set)
    except (ValueError, RuntimeError, AttributeError) as error:
        return Passing(f"C-STORE could not be sent ({type(error).__name__})")
    return judge_status(getattr(response, "Status", None))


def echo(destination: Destination) -> str:
    """C-ECHO a destination; "" when it answers, else why not."""
    try:
        association = associate(destination, {"1.2.840.10008.1.1"})
    except DeliveryError as error:
        return str(error)
    try:
        response = association.send_c_echo()
        return "" if getattr(response, "Status", None) == 0 else "C-ECHO was not answered"
    finally:
        association.release()


def _rejection(association: Association) -> str:
    primitive: Any = association.acceptor.primitive
    reason = getattr(primitive, "reason_str", "") if primitive is not None else ""
    return str(reason) or "no reason given"


def wake_all(couriers: Sequence[Courier]) -> None:
    """New objects lie in the outbox."""
    for courier in couriers:
        courier.wake()
