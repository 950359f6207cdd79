"""Deliveries in words, for `status` and `explain`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from config.schema import Appliance
from node.ledger import Ledger
from node.ledger.outbox import Delivery
from node.ledger.proofs import HOW
from node.ledger.states import DeliveryState
from node.settings import destination_of

When = Callable[[float | None], str]


def tally(deliveries: Iterable[Delivery]) -> str:
    """ "2 proved, 1 refused"; "none" for nothing."""
    counted = Counter(item.state for item in deliveries)
    told = [f"{counted[state]} {state.value}" for state in DeliveryState if counted[state]]
    return ", ".join(told) or "none"


def explained(item: Delivery, when: When) -> Iterator[str]:
    """One delivery: its state and why, then its times; times as `when` tells them."""
    state = item.state.value
    if item.state is DeliveryState.PROVED:
        state += f" {when(item.proved_at)} ({HOW[item.how]})"
    elif item.state is DeliveryState.SENT:
        waiting = HOW[item.how] or "proof"
        state += f", {waiting} awaited"
        state += f" until {when(item.until)}" if item.until else ""
    cause = f": {item.cause}" if item.cause else ""
    yield f"{item.object.kind} to {item.destination}: {state}{cause}"
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
        learnt = "; ".join(f"{fact.cause} (since {when(fact.at)})" for fact in facts)
        rows.append({"destination": name, "objects": ", ".join(told) or "none", "learnt": learnt})
    return rows
