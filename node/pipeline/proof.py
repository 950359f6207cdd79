"""A result counts as delivered when the destination is seen to keep it.

Storage commitment is a promise (PS3.4 J); reading the object back by a query is an observation.
Where neither can be had the object stays *unproved*, and is shown so.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import structlog
from pydicom.uid import UID

from node.domain.errors import DeliveryError
from node.ledger import Ledger
from node.ledger.outbox import Delivery
from node.ledger.peers import COMMITMENT, QUERY, Fact
from node.ledger.states import DeliveryState
from node.metrics import Metrics
from node.pipeline.answers import Accepted, Link, Passing, meaning_of
from scp.commitment import CommitmentReport

log = structlog.get_logger(__name__)

Mode = Literal["automatic", "commitment", "query", "none"]
#: Pauses between two looks at an object that is not there yet; the last one is repeated.
LOOKS_S: Final = (2.0, 5.0, 15.0, 60.0, 300.0)
#: Pauses before what was accepted and not kept is sent again; the last one is repeated. A
#: destination that says so at once may be full, or at work on itself.
RESEND_S: Final = (2.0, 300.0, 3600.0)
#: How long an association stays open for a report that may come on it.
LISTEN_S: Final = 1.0
#: So many requests for commitment without an answer are a refusal: some destinations break off
#: when they do not know who asks.
MOST_REQUESTS: Final = 3
#: So many queries that failed are one too, while none was ever answered.
MOST_QUERIES: Final = 3
SWITCHED_OFF: Final = "proof is switched off for this destination (proof: none)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofPolicy:
    """What a site asks of a destination.

    Attributes:
        commitment_wait_s: after which a report is not waited for any more.
        query_wait_s: after which an object that cannot be read back counts as forgotten.
        resends: how often what was accepted and not kept is sent again.
    """

    mode: Mode = "automatic"
    commitment_wait_s: float = 3600.0
    query_wait_s: float = 900.0
    resends: int = 2


def choose(mode: Mode, *, why_no_commitment: str, why_no_query: str) -> tuple[str, str]:
    """The kind of proof to ask for, or "" and why there is none.

    Args:
        why_no_commitment, why_no_query: "" where the destination gives it.
    """
    if mode == "none":
        return "", SWITCHED_OFF
    if mode in ("automatic", "commitment") and not why_no_commitment:
        return "commitment", ""
    if mode == "commitment":
        return "", why_no_commitment
    if not why_no_query:
        return "query", ""
    if mode == "query":
        return "", why_no_query
    return "", joined(why_no_commitment, why_no_query)


def joined(first: str, second: str) -> str:
    """Two sentences about the destination as one."""
    subject = "the destination "
    told = f"it {second.removeprefix(subject)}" if second.startswith(subject) else second
    return f"{first}, and {told}"


def duration(seconds: float) -> str:
    """ "15 minutes", "1 hour"."""
    for unit, length in (("hour", 3600.0), ("minute", 60.0)):
        if seconds >= length:
            number = f"{seconds / length:.3g}"
            return f"{number} {unit}" + ("" if number == "1" else "s")
    return f"{seconds:.3g} s"


class Prover:
    """Asks one destination for proof, and takes in what it says."""

    def __init__(
        self,
        destination: str,
        policy: ProofPolicy,
        ledger: Ledger,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        """`clock` tells seconds since the epoch, as that of the ledger does."""
        self._name = destination
        self._policy = policy
        self._ledger = ledger
        self._metrics = metrics
        self._clock = clock
        #: The refusals that are remembered, and how to remember one more.
        self.known: Callable[[], Mapping[str, Fact]] = dict
        self.learn: Callable[[str, str], None] = lambda _subject, _cause: None
        self._has_answered_a_query = False

    @property
    def why_never(self) -> str:
        """Why no proof will be asked for; "" when one will be."""
        return SWITCHED_OFF if self._policy.mode == "none" else ""

    def work(self, link: Link, deliveries: Sequence[Delivery]) -> None:
        """Take each of these (SENT, due) one step further over an open link."""
        for item in deliveries:
            silent = self._remembered(QUERY) if item.how == "query" else ""
            if silent:
                self._unproved(item, silent)
            elif item.how == "commitment":
                self._overdue(link, item)
            elif item.how == "query":
                self._look(link, item)
            if not link.is_open:
                return
        # Last, because the report of a commitment may come on this association.
        fresh = [item for item in deliveries if not item.how]
        if fresh:
            self._begin(link, fresh)

    def reported(self, report: CommitmentReport, asked: Sequence[Delivery]) -> None:
        """A commitment report has come for objects of this destination (PS3.4 J.3.3)."""
        self._ledger.peers.forget(self._name, COMMITMENT)
        failed = dict(report.failed)
        for item in asked:
            uid = item.object.sop_instance_uid
            if uid in failed:
                self._lost(item, f"storage commitment failed: {meaning_of(failed[uid])}")
            elif uid in report.committed:
                self._proved(item, "commitment")

    def _begin(self, link: Link, fresh: Sequence[Delivery]) -> None:
        how, why = choose(
            self._policy.mode,
            why_no_commitment=self._remembered(COMMITMENT) or link.why_no_commitment,
            why_no_query=self._remembered(QUERY) or link.why_no_query,
        )
        if how == "commitment":
            self._ask(link, fresh)
        elif how == "query":
            self._plan_looks(fresh)
            for item in fresh:
                self._look(link, item)
        else:
            for item in fresh:
                self._unproved(item, why)

    def _remembered(self, subject: str) -> str:
        # What was learnt decides only where the site left the choice to this node.
        fact = self.known().get(subject) if self._policy.mode == "automatic" else None
        if fact is None:
            return ""
        told = "it could not be read back" if subject == QUERY else "no storage commitment"
        return f"{told}: {fact.cause} (remembered)"

    def _ask(self, link: Link, fresh: Sequence[Delivery]) -> None:
        # Not to be guessed: who knows it can declare the objects safe.
        transaction_uid = UID(f"2.25.{secrets.randbits(122)}")
        proofs = self._ledger.proofs
        wait_s = self._policy.commitment_wait_s
        with self._ledger.transaction():
            proofs.plan(fresh, "commitment", next_s=wait_s, wait_s=wait_s)
            proofs.ask(fresh, transaction_uid)
        answer = link.commit(transaction_uid, [item.object for item in fresh])
        if isinstance(answer, Accepted):
            log.info(
                "commitment.asked",
                destination=self._name,
                transaction_uid=transaction_uid,
                objects=len(fresh),
            )
            self._listen(link, transaction_uid)
            return
        tried = [item for item in fresh if item.looks + 1 < MOST_REQUESTS]
        if isinstance(answer, Passing):
            for item in tried:
                pause_s = LOOKS_S[min(item.looks, len(LOOKS_S) - 1)]
                proofs.plan([item], "", next_s=pause_s, wait_s=wait_s, looks=item.looks + 1)
            fresh = [item for item in fresh if item not in tried]
        if fresh:
            self._no_commitment(link, fresh, answer.cause)

    def _listen(self, link: Link, transaction_uid: str) -> None:
        """Some destinations report on the same association: a moment is spent on it."""
        for _ in range(10):
            waiting = self._ledger.proofs.of_transaction(transaction_uid)
            if not any(item.state is DeliveryState.SENT for item in waiting) or not link.is_open:
                return
            link.listen(LISTEN_S / 10)

    def _no_commitment(self, link: Link, items: Sequence[Delivery], cause: str) -> None:
        self.learn(COMMITMENT, cause)
        if self._policy.mode == "commitment":
            for item in items:
                self._unproved(item, cause)
            return
        if link.why_no_query:
            for item in items:
                self._unproved(item, joined(cause, link.why_no_query))
            return
        self._plan_looks(items)
        for item in items:
            self._look(link, item)

    def _overdue(self, link: Link, item: Delivery) -> None:
        waited = duration(self._policy.commitment_wait_s)
        cause = f"no storage commitment report came within {waited}"
        self._no_commitment(link, [item], cause)

    def _plan_looks(self, items: Sequence[Delivery]) -> None:
        wait_s = self._policy.query_wait_s
        self._ledger.proofs.plan(items, "query", next_s=0.0, wait_s=wait_s)

    def _look(self, link: Link, item: Delivery) -> None:
        # A plan made just now is not in `item`.
        until = item.until if item.how == "query" else self._clock() + self._policy.query_wait_s
        looks = item.looks if item.how == "query" else 0
        over = self._clock() >= until
        try:
            found = link.find(item.object)
        except DeliveryError as error:
            if over or (looks >= MOST_QUERIES and not self._has_answered_a_query):
                self.learn(QUERY, str(error))
                self._unproved(item, f"it could not be read back: {error}")
            else:
                self._look_later(item, looks, until)
            return
        self._has_answered_a_query = True
        if found:
            self._proved(item, "query")
        elif over:
            waited = duration(self._policy.query_wait_s)
            self._lost(item, f"accepted, but not to be found there after {waited}")
        else:
            self._look_later(item, looks, until)

    def _look_later(self, item: Delivery, looks: int, until: float) -> None:
        pause_s = LOOKS_S[min(looks, len(LOOKS_S) - 1)]
        self._ledger.proofs.later(item, min(pause_s, max(0.0, until - self._clock())))

    def _proved(self, item: Delivery, how: str) -> None:
        if not self._ledger.proofs.prove(item, how):
            return
        self._metrics.proofs.labels(self._name, how, "proved").inc()
        if item.sent_at is not None:
            self._metrics.proof_seconds.labels(self._name, how).observe(
                max(0.0, self._clock() - item.sent_at)
            )
        self._tell("object.proved", item, how=how)

    def _unproved(self, item: Delivery, cause: str) -> None:
        self._ledger.proofs.unprove(item, cause)
        self._metrics.proofs.labels(self._name, item.how, "unproved").inc()
        self._tell("object.unproved", item, cause=cause)

    def _lost(self, item: Delivery, cause: str) -> None:
        times = item.forgotten + 1
        again = times <= self._policy.resends
        told = cause if again else f"{cause} ({times} times); it is not sent again by itself"
        delay_s = RESEND_S[min(times, len(RESEND_S)) - 1]
        if not self._ledger.proofs.lost(item, told, again=again, delay_s=delay_s):
            return
        self._metrics.proofs.labels(self._name, item.how, "forgotten").inc()
        if again:
            self._tell("object.forgotten", item, cause=told)
            return
        self._metrics.set_aside.labels(self._name).inc()
        log.error(
            "object.set_aside",
            destination=self._name,
            study_uid=item.object.study_uid,
            sop_instance_uid=item.object.sop_instance_uid,
            kind=item.object.kind,
            cause=told,
            remedy="look why the destination does not keep it, then `resend` the study",
        )

    def _tell(self, event: str, item: Delivery, **more: str) -> None:
        log.info(
            event,
            destination=self._name,
            study_uid=item.object.study_uid,
            sop_instance_uid=item.object.sop_instance_uid,
            kind=item.object.kind,
            **more,
        )
