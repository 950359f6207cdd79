"""Result objects out: to each destination, retried until accepted, proved, or refused for good.

What may pass (nobody answers, out of resources) is tried again with back-off. What will not pass
(the class is not accepted, the data set is not understood) is a refusal: it is remembered, and
the object goes down the ladder (`node.pipeline.ladder`) for that destination. An object that
fails again and again while others are taken is set aside until an engineer says `resend`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import structlog

from node.domain.errors import DeliveryError, NodeError, ResultError
from node.ledger import Ledger
from node.ledger.outbox import Delivery, ResultObject
from node.ledger.peers import CLASS, STATUS, SYNTAX, Fact
from node.ledger.peers import TROUBLE as IN_TROUBLE
from node.ledger.states import DeliveryState
from node.metrics import Metrics
from node.pipeline.answers import (
    NO_RESPONSE,
    Accepted,
    Answer,
    Link,
    Passing,
    RefusedForGood,
)
from node.pipeline.breaker import CircuitBreaker
from node.pipeline.destination import Clocks, Destination
from node.pipeline.dimse import DicomPeer
from node.pipeline.fallback import FallbackTask, WriteFallback
from node.pipeline.ladder import Rung, below, class_name, wanted_instead
from node.pipeline.loop import Loop
from node.pipeline.proof import Prover
from node.pipeline.writing import KEY_IMAGES, STRUCTURE_SET, WrittenObject
from scp.commitment import CommitmentReport

log = structlog.get_logger(__name__)

#: Objects sent over one association at most; a long queue is drained in such pieces.
BATCH: Final = 64
#: So many different objects in a row without a good answer are the destination's trouble, not
#: theirs: it is full, or it hangs. With any other passing answer more of them are needed.
TROUBLE: Final = 3
STRANGE_TROUBLE: Final = 10
#: So many objects of a class refused by their status, none accepted, are the class.
REFUSALS_OF_A_CLASS: Final = 3
#: Forms that a report can have, from the fullest to pages.
FORMS: Final = 3
FOR_EVER_S: Final = 1e12
#: What a destination may do without: nothing of a result is lost where it is not taken, so it is
#: withheld and holds no study back.
SHOWN_ELSEWHERE: Final = {
    KEY_IMAGES: "the report and the pages show the same images",
    STRUCTURE_SET: "the segmentation holds the same contours; write `objects` of this destination "
    "without contours, or send them to one that takes RT Structure Set Storage",
}


class Courier:
    """Drains the outbox of one destination in its own thread."""

    def __init__(
        self,
        destination: Destination,
        ledger: Ledger,
        metrics: Metrics,
        *,
        write_fallback: WriteFallback,
        clocks: Clocks | None = None,
    ) -> None:
        """Nothing is sent yet; `clocks` are those of this computer unless a test has its own."""
        clocks = clocks or Clocks()
        peer = destination.peer
        if isinstance(peer, DicomPeer):
            destination = replace(destination, peer=peer.heard_by(self.hear))
        self.destination = destination
        self.breaker = CircuitBreaker(destination.retry)
        self._ledger = ledger
        self._metrics = metrics
        self._write_fallback = write_fallback
        self._steady = clocks.steady
        self._prover = Prover(destination.name, destination.proof, ledger, metrics, clocks.wall)
        self._prover.known, self._prover.learn = self._known, self._learn
        #: Different objects in a row that got no good answer.
        self._streak: set[str] = set()
        self._next_association = 0.0
        #: Until the first good answer: an earlier run of the node may have left its complaint.
        self._may_be_in_trouble = True
        self.loop = Loop(f"courier {destination.name}", self._step, interval_s=1.0)
        self.may_leave: Callable[[str, str], bool] = lambda _study, _name: True

    def wake(self) -> None:
        """Look at the outbox now instead of at the next interval."""
        self.loop.wake()

    def hear(self, report: CommitmentReport) -> bool:
        """A storage commitment report; False when it is not about this destination."""
        asked = self._ledger.proofs.of_transaction(report.transaction_uid)
        mine = [item for item in asked if item.destination == self.destination.name]
        if mine:
            self._prover.reported(report, mine)
        return bool(mine)

    def drain(self) -> int:
        """Send what is due over one association, and look for what was sent.

        Returns:
            The number of accepted objects.
        """
        name = self.destination.name
        # A destination in trouble is probed with one object, not with a whole batch.
        limit = 1 if self.breaker.failures else BATCH
        due = self._ready(limit)
        looked_for = self._ledger.proofs.due(name, BATCH)
        if not (due or looked_for) or not self._may_associate():
            return 0
        link = self._open([item.object for item in (*due, *looked_for)])
        if link is None:
            return 0
        try:
            accepted = self._send_all(link, due)
            if link.is_open and not self.loop.stopping:
                self._prover.work(link, self._ledger.proofs.due(name, BATCH))
        finally:
            link.close()
        return accepted

    def _ready(self, limit: int) -> Sequence[Delivery]:
        """What is due, in forms that the destination is not known to refuse."""
        for _ in range(FORMS):
            due = self._ledger.outbox.due(self.destination.name, limit)
            kept = self._as_it_takes_them(due)
            if len(kept) == len(due):
                break
        name = self.destination.name
        return [item for item in kept if self.may_leave(item.object.study_uid, name)]

    def _step(self) -> int:
        sent = self.drain()
        self._metrics.destination_state(self.destination.name, up=not self.breaker.is_open)
        return sent

    def _may_associate(self) -> bool:
        now = self._steady()
        if not self.breaker.may_try(now) or now < self._next_association:
            return False
        self._next_association = now + 60.0 / self.destination.associations_per_minute
        return True

    def _open(self, items: Sequence[ResultObject]) -> Link | None:
        try:
            link = self.destination.peer.open(items)
        except DeliveryError as error:
            self._in_trouble(str(error))
            return None
        if not self._streak:
            self._recovered()
        return link

    def _in_trouble(self, cause: str) -> None:
        pause_s = self.breaker.failed(self._steady())
        self._may_be_in_trouble = True
        self._learn(IN_TROUBLE, cause)
        self._metrics.delivery_failures.labels(self.destination.name).inc()
        log.warning(
            "destination.unreachable",
            destination=self.destination.name,
            cause=cause,
            failures=self.breaker.failures,
            next_try_in_s=round(pause_s, 1),
        )

    def _recovered(self) -> None:
        self._streak.clear()
        if self._may_be_in_trouble:
            self._may_be_in_trouble = False
            self._ledger.peers.forget(self.destination.name, IN_TROUBLE)
        if self.breaker.failures:
            self.breaker.succeeded()
            waiting = self._ledger.outbox.revive(self.destination.name)
            log.info("destination.returned", destination=self.destination.name, waiting=waiting)

    def _send_all(self, link: Link, due: Sequence[Delivery]) -> int:
        accepted = 0
        for delivery in due:
            if self.loop.stopping or not link.is_open:
                break
            answer = self._send(link, delivery)
            accepted += isinstance(answer, Accepted)
            if isinstance(answer, Passing):
                self._pass_over(delivery, answer)
                if answer.broke_off or self.breaker.failures:
                    break
            else:
                self._recovered()
                self._settle(delivery, answer)
        return accepted

    def _send(self, link: Link, delivery: Delivery) -> Answer:
        if delivery.cause.startswith(NO_RESPONSE) and _is_there(link, delivery):
            return Accepted("the answer to an earlier attempt never came, but it is there")
        started = self._steady()
        answer = link.send(delivery.object.path)
        self._metrics.delivery_seconds.labels(self.destination.name).observe(
            self._steady() - started
        )
        return answer

    def _settle(self, delivery: Delivery, answer: Accepted | RefusedForGood) -> None:
        if isinstance(answer, Accepted):
            uid = delivery.object.sop_class_uid
            subjects = {f"{kind} {uid}" for kind in (CLASS, SYNTAX, STATUS)}
            # Also what is out of date: it must not count when the class is refused again.
            if self._facts(for_s=FOR_EVER_S).keys() & subjects:
                self._ledger.peers.forget(self.destination.name, *subjects)
            self._ledger.proofs.sent(
                delivery, warning=answer.warning, why_unproved=self._prover.why_never
            )
            self._tell("accepted", delivery, answer.warning)
            return
        if answer.about:
            self._learn(f"{answer.about} {delivery.object.sop_class_uid}", answer.cause)
        rung = below(delivery.object.sop_class_uid) if answer.about else None
        self._replace(delivery, rung, DeliveryState.REFUSED, answer.cause)

    def _pass_over(self, delivery: Delivery, answer: Passing) -> None:
        """This object comes again later; several of them in a row pause the destination."""
        attempts = delivery.attempts + 1
        proofs = self._ledger.proofs
        if attempts >= self.destination.attempts and proofs.others_accepted(delivery):
            cause = f"{answer.cause}, {attempts} times, while other objects were accepted"
            self._ledger.outbox.settle(delivery, DeliveryState.SET_ASIDE, cause=cause)
            self._metrics.set_aside.labels(self.destination.name).inc()
            log.error(
                "object.set_aside",
                destination=self.destination.name,
                study_uid=delivery.object.study_uid,
                sop_instance_uid=delivery.object.sop_instance_uid,
                kind=delivery.object.kind,
                cause=cause,
                remedy="look at the log of the destination, then `resend` the study",
            )
            return
        pause_s = self.destination.retry.pause_s(attempts)
        proofs.failed(delivery, answer.cause, delay_s=pause_s)
        self._tell("retried", delivery, answer.cause)
        self._streak.add(delivery.object.sop_instance_uid)
        trouble = answer.out_of_resources or answer.broke_off
        if len(self._streak) >= (TROUBLE if trouble else STRANGE_TROUBLE):
            self._in_trouble(f"{len(self._streak)} objects in a row: {answer.cause}")

    def _as_it_takes_them(self, due: Sequence[Delivery]) -> list[Delivery]:
        """Those that may be sent as they are; the others go down the ladder at once."""
        known = self._known()
        kept = []
        for delivery in due:
            if self.loop.stopping:
                break
            uid = delivery.object.sop_class_uid
            wanted = wanted_instead(uid, self.destination.sr_class)
            refusal = _refusal_of(uid, known)
            if wanted is not None:
                cause = f"sent as {class_name(wanted.sop_class_uid)} (sr_class)"
                self._replace(delivery, wanted, DeliveryState.WITHHELD, cause)
            elif refusal is not None:
                since = time.strftime("%Y-%m-%d", time.localtime(refusal.at))
                again = time.localtime(refusal.at + self.destination.remember_s)
                cause = (
                    f"{refusal.cause} (seen {since}, tried again from "
                    f"{time.strftime('%Y-%m-%d', again)} or when its settings change)"
                )
                self._replace(delivery, below(uid), DeliveryState.REFUSED, cause)
            else:
                kept.append(delivery)
        return kept

    def _replace(
        self, delivery: Delivery, rung: Rung | None, state: DeliveryState, cause: str
    ) -> None:
        """End a delivery and queue the next form that can be written, if there is one."""
        while rung is not None:
            try:
                written = self._write_fallback(self._task(delivery, rung))
            except ResultError as error:
                log.warning("fallback.not_written", form=rung.form, cause=str(error))
                cause += f"; it could not be written as {rung.form}"
                rung = below(rung.sop_class_uid)
            except NodeError as error:
                if delivery.attempts + 1 >= self.destination.attempts:
                    cause += f"; another form could not be written ({error})"
                    break
                # The worker died or the node stops: nothing is decided by that.
                self._ledger.proofs.failed(
                    delivery, str(error), delay_s=self.destination.retry.first_s
                )
                return
            else:
                self._enter(delivery, written, state, cause)
                return
        beside = SHOWN_ELSEWHERE.get(delivery.object.kind)
        if beside is not None:
            cause += f"; not sent: {beside}"
            self._ledger.outbox.settle(delivery, DeliveryState.WITHHELD, cause=cause)
            self._tell("withheld", delivery, cause)
            return
        self._ledger.outbox.settle(delivery, DeliveryState.REFUSED, cause=cause)
        self._tell("refused", delivery, cause)

    def _enter(
        self,
        delivery: Delivery,
        written: Sequence[WrittenObject],
        state: DeliveryState,
        cause: str,
    ) -> None:
        objects = [
            ResultObject(
                sop_instance_uid=item.sop_instance_uid,
                sop_class_uid=item.sop_class_uid,
                study_uid=delivery.object.study_uid,
                series_uid=item.series_uid,
                job_key=delivery.object.job_key,
                kind=item.kind,
                instance_number=item.instance_number,
                path=item.path,
            )
            for item in written
        ]
        self._ledger.outbox.replace(delivery, objects, state, cause)
        self._tell("replaced", delivery, cause)

    def _task(self, delivery: Delivery, rung: Rung) -> FallbackTask:
        study_uid = delivery.object.study_uid
        return FallbackTask(
            path=delivery.object.path,
            form=rung.form,
            kind=rung.kind_of(delivery.object.kind),
            instances=self._ledger.instances.of_study(study_uid),
            replaced=self._ledger.outbox.replaced(
                study_uid, self.destination.name, rung.sop_class_uid
            ),
            identified=self.destination.identified,
        )

    def _known(self) -> dict[str, Fact]:
        return self._facts(for_s=self.destination.remember_s)

    def _facts(self, *, for_s: float) -> dict[str, Fact]:
        return self._ledger.peers.known(
            self.destination.name, self.destination.settings_digest, for_s=for_s
        )

    def _learn(self, subject: str, cause: str) -> None:
        self._ledger.peers.learn(
            self.destination.name, subject, cause, self.destination.settings_digest
        )

    def _tell(self, outcome: str, delivery: Delivery, cause: str) -> None:
        self._metrics.deliveries.labels(self.destination.name, outcome).inc()
        log.info(
            "object." + outcome,
            destination=self.destination.name,
            study_uid=delivery.object.study_uid,
            sop_instance_uid=delivery.object.sop_instance_uid,
            kind=delivery.object.kind,
            cause=cause,
        )


def _is_there(link: Link, delivery: Delivery) -> bool:
    """A slow destination may have kept what it answered too late."""
    try:
        return not link.why_no_query and link.find(delivery.object)
    except DeliveryError:
        return False


def _refusal_of(sop_class_uid: str, known: dict[str, Fact]) -> Fact | None:
    for kind in (CLASS, SYNTAX):
        if f"{kind} {sop_class_uid}" in known:
            return known[f"{kind} {sop_class_uid}"]
    by_status = known.get(f"{STATUS} {sop_class_uid}")
    often = by_status is not None and by_status.times >= REFUSALS_OF_A_CLASS
    return by_status if often else None


def wake_all(couriers: Sequence[Courier]) -> None:
    """New objects lie in the outbox."""
    for courier in couriers:
        courier.wake()
