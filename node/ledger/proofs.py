"""Rows of proof: what a destination accepted, and whether it was seen to keep it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from node.ledger.database import Database
from node.ledger.outbox import Delivery, Outbox
from node.ledger.states import DeliveryState
from node.ledger.studies import Studies

#: How a proof was had, in words.
HOW: Final = {"commitment": "storage commitment", "query": "read back", "": ""}


class Proofs:
    """The proof table, and the delivery states that hang on it."""

    def __init__(
        self,
        database: Database,
        studies: Studies,
        outbox: Outbox,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._studies = studies
        self._outbox = outbox
        self._clock = clock

    def sent(self, delivery: Delivery, *, warning: str = "", why_unproved: str = "") -> None:
        """The destination accepted it.

        Args:
            warning: what it remarked.
            why_unproved: why no proof will be looked for; "" when one is due.
        """
        state = DeliveryState.UNPROVED if why_unproved else DeliveryState.SENT
        cause = "; ".join(filter(None, (warning, why_unproved)))
        now = self._clock()
        with self._database.transaction() as db:
            db.execute(
                "INSERT INTO proof (sop_instance_uid, destination, sent_at, next_at) "
                "VALUES (?,?,?,?) ON CONFLICT (sop_instance_uid, destination) DO UPDATE SET "
                "how='', sent_at=excluded.sent_at, proved_at=NULL, transaction_uid='', "
                "next_at=excluded.next_at, until=0, looks=0, failing_since=NULL",
                (delivery.object.sop_instance_uid, delivery.destination, now, now),
            )
            self._outbox.settle(delivery, state, cause=cause)

    def failed(self, delivery: Delivery, cause: str, *, delay_s: float) -> None:
        """A passing failure of this object: it comes again after `delay_s`."""
        with self._database.transaction() as db:
            db.execute(
                "INSERT INTO proof (sop_instance_uid, destination, failing_since) VALUES (?,?,?) "
                "ON CONFLICT (sop_instance_uid, destination) DO UPDATE SET "
                "failing_since=coalesce(failing_since, excluded.failing_since)",
                (delivery.object.sop_instance_uid, delivery.destination, self._clock()),
            )
            self._outbox.settle(delivery, DeliveryState.WAITING, cause=cause, delay_s=delay_s)

    def others_accepted(self, delivery: Delivery) -> bool:
        """Did the destination take another object since this one began to fail?"""
        row = self._database.row(
            "SELECT 1 FROM proof AS mine JOIN proof AS other ON other.destination=mine.destination "
            "AND other.sop_instance_uid<>mine.sop_instance_uid "
            "AND other.sent_at>mine.failing_since "
            "WHERE mine.sop_instance_uid=? AND mine.destination=? LIMIT 1",
            (delivery.object.sop_instance_uid, delivery.destination),
        )
        return row is not None

    def due(self, destination: str, limit: int) -> tuple[Delivery, ...]:
        """What was sent and is to be looked for now."""
        return self._outbox.select(
            "WHERE d.destination=? AND d.state=? AND p.next_at<=? ORDER BY p.next_at LIMIT ?",
            (destination, DeliveryState.SENT, self._clock(), limit),
        )

    def plan(
        self,
        deliveries: Iterable[Delivery],
        how: str,
        *,
        next_s: float,
        wait_s: float,
        looks: int = 0,
    ) -> None:
        """Begin to wait for a proof of this kind: look after `next_s`, give up after `wait_s`.

        Args:
            how: "" to choose again then. looks: how often it was tried in vain.
        """
        now = self._clock()
        with self._database.transaction() as db:
            db.executemany(
                "UPDATE proof SET how=?, next_at=?, until=?, looks=? "
                "WHERE sop_instance_uid=? AND destination=?",
                [
                    (
                        how,
                        now + next_s,
                        now + wait_s,
                        looks,
                        item.object.sop_instance_uid,
                        item.destination,
                    )
                    for item in deliveries
                ],
            )

    def ask(self, deliveries: Iterable[Delivery], transaction_uid: str) -> None:
        """A storage commitment is about to be asked for; its report may come at any moment."""
        with self._database.transaction() as db:
            db.executemany(
                "UPDATE proof SET transaction_uid=? WHERE sop_instance_uid=? AND destination=?",
                [
                    (transaction_uid, item.object.sop_instance_uid, item.destination)
                    for item in deliveries
                ],
            )

    def later(self, delivery: Delivery, delay_s: float) -> None:
        """Not there yet: look again after `delay_s`."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE proof SET next_at=?, looks=looks+1 "
                "WHERE sop_instance_uid=? AND destination=?",
                (
                    self._clock() + delay_s,
                    delivery.object.sop_instance_uid,
                    delivery.destination,
                ),
            )

    def of_transaction(self, transaction_uid: str) -> tuple[Delivery, ...]:
        """What a storage commitment was asked for; empty for a transaction that is not ours."""
        if not transaction_uid:
            return ()
        return self._outbox.select("WHERE p.transaction_uid=?", (transaction_uid,))

    def prove(self, delivery: Delivery, how: str) -> bool:
        """It is kept there. False when that was known, or it is no longer the question."""
        with self._database.transaction() as db:
            cursor = db.execute(
                "UPDATE delivery SET state=?, cause='', finished_at=? WHERE sop_instance_uid=? "
                "AND destination=? AND state IN (?,?)",
                (
                    DeliveryState.PROVED,
                    self._clock(),
                    delivery.object.sop_instance_uid,
                    delivery.destination,
                    DeliveryState.SENT,
                    DeliveryState.UNPROVED,
                ),
            )
            if not cursor.rowcount:
                return False
            db.execute(
                "UPDATE proof SET how=?, proved_at=? WHERE sop_instance_uid=? AND destination=?",
                (how, self._clock(), delivery.object.sop_instance_uid, delivery.destination),
            )
            self._studies.tell(
                delivery.object.study_uid,
                f"{delivery.object.kind} proved",
                f"at {delivery.destination}: {HOW[how]}",
            )
            return True

    def unprove(self, delivery: Delivery, cause: str) -> None:
        """It was accepted, and no proof can be had."""
        self._end(delivery, DeliveryState.UNPROVED, cause)

    def lost(self, delivery: Delivery, cause: str, *, again: bool, delay_s: float) -> bool:
        """Accepted, and not there: sent again after `delay_s`, or set aside.

        Returns:
            False when it is no longer the question (it was proved or sent again meanwhile).
        """
        with self._database.transaction() as db:
            state = DeliveryState.WAITING if again else DeliveryState.SET_ASIDE
            if not self._end(delivery, state, cause):
                return False
            db.execute(
                "UPDATE proof SET forgotten=forgotten+1, transaction_uid='' "
                "WHERE sop_instance_uid=? AND destination=?",
                (delivery.object.sop_instance_uid, delivery.destination),
            )
            if again:
                db.execute(
                    "UPDATE delivery SET not_before=?, finished_at=NULL, attempts=0 "
                    "WHERE sop_instance_uid=? AND destination=?",
                    (
                        self._clock() + delay_s,
                        delivery.object.sop_instance_uid,
                        delivery.destination,
                    ),
                )
                self._studies.redeliver(delivery.object.study_uid)
            return True

    def _end(self, delivery: Delivery, state: DeliveryState, cause: str) -> bool:
        with self._database.transaction() as db:
            cursor = db.execute(
                "UPDATE delivery SET state=?, cause=?, finished_at=? "
                "WHERE sop_instance_uid=? AND destination=? AND state IN (?,?)",
                (
                    state,
                    cause,
                    self._clock(),
                    delivery.object.sop_instance_uid,
                    delivery.destination,
                    DeliveryState.SENT,
                    DeliveryState.UNPROVED,
                ),
            )
            if not cursor.rowcount:
                return False
            word = "accepted and not there" if state is DeliveryState.WAITING else state.value
            self._studies.tell(
                delivery.object.study_uid,
                f"{delivery.object.kind} {word}",
                f"at {delivery.destination}: {cause}",
            )
            return True
