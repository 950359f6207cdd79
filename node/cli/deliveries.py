"""Deliveries in words, for `status` and `explain`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from config.schema import Appliance
from node.ledger import Ledger
from node.ledger.outbox import Delivery
from node.ledger.peers import CLASS, STATUS, SYNTAX, TROUBLE, Fact
from node.ledger.proofs import HOW
from node.ledger.states import DeliveryState
from node.pipeline.ladder import class_name
from node.settings import destination_of

#: A complaint holds until the destination answers, however long that takes.
FOR_EVER_S = 1e12

When = Callable[[float | None], str]


def tally(deliveries: Iterable[Delivery]) -> str:
    """ "2 proved, 1 refused"; "none" for nothing."""
    counted = Counter(item.state for item in deliveries)
    told = [f"{counted[state]} {state.value}" for state in DeliveryState if counted[state]]
    return ", ".join(told) or "none"


def explained(item: Delivery, when: When, *, number: int = 0, trouble: str = "") -> Iterator[str]:
    """One delivery: its state and why, then its times; times as `when` tells them.

    Args:
        number: which one of several of its kind; 0 where it is the only one.
        trouble: what is wrong with the destination now, told above; "" for nothing.
    """
    state = item.state.value
    if item.state is DeliveryState.PROVED:
        state += f" {when(item.proved_at)} ({HOW[item.how]})"
    elif item.state is DeliveryState.SENT:
        waiting = HOW[item.how] or "proof"
        state += f", {waiting} awaited"
        state += f" until {when(item.until)}" if item.until else ""
    waits = item.state is DeliveryState.WAITING
    cause = f": {item.cause}" if item.cause else ""
    if waits and not cause and not trouble:
        cause = ": not tried yet"
    kind = f"{item.object.kind} {number}" if number else item.object.kind
    yield f"{kind} to {item.destination}: {state}{cause}"
    if item.replaced_by:
        yield f"  in its place: {item.replaced_by}"
    if item.replaces:
        yield f"  in place of {item.replaces}"
    history = []
    if item.sent_at is not None:
        history.append(f"accepted {when(item.sent_at)}")
    if item.attempts > 1 or (item.attempts and item.state is DeliveryState.WAITING):
        history.append(f"{item.attempts} attempts")
    if item.forgotten:
        history.append(f"{item.forgotten} times accepted and not kept")
    if history:
        yield "  " + ", ".join(history)
    yield f"  {item.object.path}"


def summary(name: str, deliveries: Sequence[Delivery], trouble: str) -> str:
    """What of a study is at one destination, and what to do where nothing is.

    Args:
        deliveries: those to this destination. trouble: as for `explained`.
    """
    told = f"to {name}: {tally(deliveries)}"
    if trouble and any(item.state is DeliveryState.WAITING for item in deliveries):
        told += f": {trouble}"
    ended = (DeliveryState.REFUSED, DeliveryState.SET_ASIDE)
    lost = [item for item in deliveries if item.state in ended and not item.replaced_by]
    there = (DeliveryState.SENT, DeliveryState.PROVED, DeliveryState.UNPROVED)
    if not lost:
        return told
    if any(item.state in there for item in deliveries):
        return f"{told}; {len(lost)} are not there in any form"
    return f"{told}; nothing is there: mend what the lines below name, then `resend` the study"


def numbers(deliveries: Sequence[Delivery]) -> Mapping[tuple[str, str], int]:
    """(SOP Instance UID, destination) -> which of its kind there; only where there are several."""
    alike: dict[tuple[str, str, str], list[Delivery]] = {}
    for item in deliveries:
        key = (item.destination, item.object.kind, item.object.job_key)
        alike.setdefault(key, []).append(item)
    return {
        (item.object.sop_instance_uid, item.destination): place
        for several in alike.values()
        if len(several) > 1
        for place, item in enumerate(sorted(several, key=lambda one: one.object.instance_number), 1)
    }


def trouble_with(ledger: Ledger, appliance: Appliance, name: str, when: When) -> str:
    """Why nothing reaches a destination at present, and since how many tries; "" if all is well."""
    if name not in appliance.destinations:
        return ""
    digest = destination_of(appliance, name).settings_digest
    fact = ledger.peers.known(name, digest, for_s=FOR_EVER_S).get(TROUBLE)
    if fact is None:
        return ""
    tries = "1 try" if fact.times == 1 else f"{fact.times} tries in a row"
    return f"{fact.cause} ({tries}, the last {when(fact.at)}; it is tried again by itself)"


def _learnt(fact: Fact, when: When) -> str:
    """With the class that it is about, where the words do not name it themselves."""
    kind, _, uid = fact.subject.rpartition(" ")
    name = class_name(uid) if kind in (CLASS, SYNTAX, STATUS) else ""
    about = f"{name}: " if name and name not in fact.cause else ""
    return f"{about}{fact.cause} (since {when(fact.at)})"


def destination_rows(appliance: Appliance, ledger: Ledger, when: When) -> list[Mapping[str, str]]:
    """A row for each destination: what is queued, and what was learnt about it."""
    totals = ledger.outbox.totals()
    rows: list[Mapping[str, str]] = []
    for name in appliance.destinations:
        told = [
            f"{totals[name, state]} {state.value}"
            for state in DeliveryState
            if (name, state) in totals
        ]
        destination = destination_of(appliance, name)
        facts = ledger.peers.known(
            name, destination.settings_digest, for_s=destination.remember_s
        ).values()
        learnt = "; ".join(_learnt(fact, when) for fact in facts if fact.subject != TROUBLE)
        rows.append(
            {
                "destination": name,
                "objects": ", ".join(told) or "none",
                "trouble": trouble_with(ledger, appliance, name, when),
                "learnt": learnt,
            }
        )
    return rows
