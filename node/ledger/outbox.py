"""Rows of result objects and of their way to each destination."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.ledger.database import Database
from node.ledger.states import UNDER_WAY, DeliveryState
from node.ledger.studies import Studies

#: Between the state and the name of the destination, in the life of a study.
WORDS: Final = {
    DeliveryState.SENT: "to",
    DeliveryState.UNPROVED: "sent to",
    DeliveryState.REFUSED: "by",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultObject:
    """One result object on disk.

    Attributes:
        kind: "report", "segmentation", "secondary capture", or one of these "as" another.
        path: Part 10 file below the storage folder.
    """

    sop_instance_uid: str
    sop_class_uid: str
    study_uid: str
    series_uid: str
    job_key: str
    kind: str
    instance_number: int
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One object on its way to one destination; times in seconds since the epoch.

    Attributes:
        how: how proof is had: "commitment", "query", or "".
        sent_at: when the destination accepted it last. until: how long proof is waited for.
        looks: how often it was looked for since. forgotten: how often it was accepted and
            then not there.
        replaces: SOP Instance UID of the object that this one stands for there; "" for none.
        replaced_by: kinds of the objects that stand for this one there; "" for none.
    """

    object: ResultObject
    destination: str
    state: DeliveryState
    attempts: int
    cause: str
    created_at: float
    finished_at: float | None
    how: str = ""
    sent_at: float | None = None
    proved_at: float | None = None
    until: float = 0.0
    looks: int = 0
    forgotten: int = 0
    replaces: str = ""
    replaced_by: str = ""

    @property
    def is_kept(self) -> bool:
        """Is nothing more to be done for the destination to hold it, or what stands for it?"""
        if self.state in (DeliveryState.PROVED, DeliveryState.WITHHELD):
            return True
        return self.state is DeliveryState.REFUSED and bool(self.replaced_by)


class Outbox:
    """The result_object and delivery tables."""

    def __init__(
        self,
        database: Database,
        studies: Studies,
        root: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._studies = studies
        self._root = root
        self._clock = clock

    def add(self, objects: Iterable[ResultObject], destinations: Sequence[str]) -> None:
        """Enter the objects of one job and queue them for every destination; idempotent."""
        with self._database.transaction():
            for item in objects:
                self._enter(item)
                for destination in destinations:
                    self._queue(item, destination)

    def replace(
        self, delivery: Delivery, objects: Sequence[ResultObject], state: DeliveryState, cause: str
    ) -> None:
        """End a delivery, and queue other objects in its place, for that destination alone.

        Args:
            state: REFUSED, or WITHHELD where the site asked for another form.
        """
        destination = delivery.destination
        with self._database.transaction() as db:
            self.settle(delivery, state, cause=cause)
            for item in objects:
                self._enter(item)
                db.execute(
                    "INSERT OR REPLACE INTO fallback VALUES (?,?,?)",
                    (item.sop_instance_uid, destination, delivery.object.sop_instance_uid),
                )
                self._queue(item, destination)
                self._requeue(
                    "sop_instance_uid=? AND destination=?", (item.sop_instance_uid, destination)
                )

    def _enter(self, item: ResultObject) -> None:
        with self._database.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO result_object VALUES (?,?,?,?,?,?,?,?)",
                (
                    item.sop_instance_uid,
                    item.job_key,
                    item.study_uid,
                    item.series_uid,
                    item.sop_class_uid,
                    item.kind,
                    item.instance_number,
                    str(item.path.relative_to(self._root)),
                ),
            )

    def _queue(self, item: ResultObject, destination: str) -> None:
        with self._database.transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO delivery (sop_instance_uid, destination, study_uid, "
                "job_key, state, created_at) VALUES (?,?,?,?,?,?)",
                (
                    item.sop_instance_uid,
                    destination,
                    item.study_uid,
                    item.job_key,
                    DeliveryState.WAITING,
                    self._clock(),
                ),
            )

    def withhold(self, job_key: str) -> int:
        """Take the unsent objects of a superseded job off their way; returns how many."""
        with self._database.transaction() as db:
            cursor = db.execute(
                "UPDATE delivery SET state=?, finished_at=?, cause='superseded before it was sent' "
                "WHERE job_key=? AND state=?",
                (DeliveryState.WITHHELD, self._clock(), job_key, DeliveryState.WAITING),
            )
            return cursor.rowcount

    def withhold_unknown(self, destinations: Sequence[str]) -> int:
        """Give up what waits for destinations that are no longer configured; returns how many.

        What was sent to one and not proved yet stays unproved.
        """
        cause = "the destination is no longer in appliance.yaml"
        given_up = 0
        with self._database.transaction() as db:
            rows = db.execute(
                "SELECT DISTINCT destination, study_uid, state FROM delivery WHERE state IN (?,?)",
                UNDER_WAY,
            ).fetchall()
            for row in rows:
                if row["destination"] in destinations:
                    continue
                waits = row["state"] == DeliveryState.WAITING
                cursor = db.execute(
                    "UPDATE delivery SET state=?, finished_at=?, cause=? "
                    "WHERE destination=? AND study_uid=? AND state=?",
                    (
                        DeliveryState.WITHHELD if waits else DeliveryState.UNPROVED,
                        self._clock(),
                        cause,
                        row["destination"],
                        row["study_uid"],
                        row["state"],
                    ),
                )
                given_up += cursor.rowcount
                what = "not delivered" if waits else "not proved"
                self._studies.tell(row["study_uid"], what, f"to {row['destination']}: {cause}")
        return given_up

    def due(self, destination: str, limit: int) -> tuple[Delivery, ...]:
        """What may be sent to a destination now: the most urgent job first, then the oldest.

        What failed before comes after what was not tried yet: an object that a destination
        cannot take must not hold up the others of its urgency.
        """
        return self.select(
            "WHERE d.destination=? AND d.state=? AND d.not_before<=? ORDER BY "
            "coalesce((SELECT priority FROM job WHERE key=d.job_key), 0), "
            "d.attempts, d.created_at, d.job_key, o.kind LIMIT ?",
            (destination, DeliveryState.WAITING, self._clock(), limit),
        )

    def revive(self, destination: str) -> int:
        """The destination is back: all that waits for it is due, by its urgency alone."""
        with self._database.transaction() as db:
            db.execute("UPDATE proof SET failing_since=NULL WHERE destination=?", (destination,))
            cursor = db.execute(
                "UPDATE delivery SET attempts=0, not_before=0 WHERE destination=? AND state=?",
                (destination, DeliveryState.WAITING),
            )
            return cursor.rowcount

    def replaced(self, study_uid: str, destination: str, sop_class_uid: str) -> dict[str, str]:
        """By SOP Instance UID: what stands for objects of a study there, of this class."""
        rows = self._database.rows(
            "SELECT f.replaces, f.sop_instance_uid FROM fallback f JOIN result_object o "
            "USING (sop_instance_uid) WHERE o.study_uid=? AND f.destination=? "
            "AND o.sop_class_uid=?",
            (study_uid, destination, sop_class_uid),
        )
        return {row["replaces"]: row["sop_instance_uid"] for row in rows}

    def settle(
        self, delivery: Delivery, state: DeliveryState, *, cause: str = "", delay_s: float = 0.0
    ) -> None:
        """Write how an attempt ended; WAITING means it is tried again after `delay_s`."""
        now = self._clock()
        with self._database.transaction() as db:
            db.execute(
                "UPDATE delivery SET state=?, cause=?, attempts=attempts+1, not_before=?, "
                "finished_at=? WHERE sop_instance_uid=? AND destination=? AND NOT (state=? AND ?)",
                (
                    state,
                    cause,
                    now + delay_s,
                    None if state is DeliveryState.WAITING else now,
                    delivery.object.sop_instance_uid,
                    delivery.destination,
                    # Withheld while the attempt was under way: it does not come again.
                    DeliveryState.WITHHELD,
                    state is DeliveryState.WAITING,
                ),
            )
            if state is not DeliveryState.WAITING:
                told = WORDS.get(state, "for")
                self._studies.tell(
                    delivery.object.study_uid,
                    f"{delivery.object.kind} {state.value}",
                    f"{told} {delivery.destination}" + (f": {cause}" if cause else ""),
                )

    def resend(self, study_uid: str) -> int:
        """Queue every delivery of a study again, by hand; returns how many.

        What stands for a refused object waits for that one to be refused again.
        """
        return self._requeue(
            "study_uid=? AND state<>? AND NOT EXISTS (SELECT 1 "
            "FROM fallback f JOIN delivery r ON r.sop_instance_uid=f.replaces "
            "AND r.destination=f.destination WHERE f.sop_instance_uid=delivery.sop_instance_uid "
            "AND f.destination=delivery.destination AND r.state<>?)",
            (study_uid, DeliveryState.WITHHELD, DeliveryState.WITHHELD),
        )

    def _requeue(self, which: str, parameters: tuple[object, ...]) -> int:
        # `which` is one of the literals of this module; values are always bound.
        with self._database.transaction() as db:
            db.execute(
                "UPDATE proof SET failing_since=NULL, forgotten=0 WHERE (sop_instance_uid, "  # noqa: S608
                "destination) IN "
                f"(SELECT sop_instance_uid, destination FROM delivery WHERE {which})",
                parameters,
            )
            cursor = db.execute(
                "UPDATE delivery SET state=?, attempts=0, not_before=0, finished_at=NULL, cause='' "  # noqa: S608
                f"WHERE {which}",
                (DeliveryState.WAITING, *parameters),
            )
            return cursor.rowcount

    def of_study(self, study_uid: str) -> tuple[Delivery, ...]:
        """All deliveries of a study."""
        return self.select("WHERE d.study_uid=? ORDER BY d.created_at, o.kind", (study_uid,))

    def objects_of_job(self, job_key: str) -> tuple[ResultObject, ...]:
        """The result objects a job wrote."""
        rows = self._database.rows(
            "SELECT * FROM result_object WHERE job_key=? ORDER BY kind, instance_number",
            (job_key,),
        )
        return tuple(self._object(row) for row in rows)

    def every_object(self) -> tuple[ResultObject, ...]:
        """All result objects, for boot reconciliation."""
        return tuple(
            self._object(row) for row in self._database.rows("SELECT * FROM result_object")
        )

    def open_count(self, study_uid: str) -> int:
        """Number of deliveries of a study that have not ended."""
        row = self._database.row(
            "SELECT COUNT(*) AS n FROM delivery WHERE study_uid=? AND state IN (?,?)",
            (study_uid, *UNDER_WAY),
        )
        return int(row["n"]) if row else 0

    def accepted_at(self, study_uid: str) -> float | None:
        """When the last result of a study was accepted; None when none was."""
        row = self._database.row(
            "SELECT max(p.sent_at) AS at FROM delivery d JOIN proof p USING "
            "(sop_instance_uid, destination) WHERE d.study_uid=?",
            (study_uid,),
        )
        return None if row is None else row["at"]

    def totals(self) -> dict[tuple[str, DeliveryState], int]:
        """Number of deliveries by destination and state."""
        rows = self._database.rows(
            "SELECT destination, state, COUNT(*) AS n FROM delivery GROUP BY 1, 2"
        )
        return {(row["destination"], DeliveryState(row["state"])): int(row["n"]) for row in rows}

    def select(self, where: str, parameters: tuple[object, ...]) -> tuple[Delivery, ...]:
        """Deliveries (d) with their objects (o) and proofs (p).

        Args:
            where: a literal of the ledger; values are bound.
        """
        rows = self._database.rows(
            "SELECT o.*, d.destination, d.state, d.attempts, d.cause, d.created_at, "  # noqa: S608
            "d.finished_at, p.how, p.sent_at, p.proved_at, p.until, p.looks, p.forgotten, "
            "(SELECT replaces FROM fallback WHERE sop_instance_uid=d.sop_instance_uid "
            "AND destination=d.destination) AS replaces, "
            "(SELECT group_concat(DISTINCT kind) FROM fallback f JOIN result_object b "
            "USING (sop_instance_uid) WHERE f.replaces=d.sop_instance_uid "
            "AND f.destination=d.destination) AS replaced_by FROM delivery d "
            "JOIN result_object o ON o.sop_instance_uid=d.sop_instance_uid "
            "LEFT JOIN proof p ON p.sop_instance_uid=d.sop_instance_uid "
            f"AND p.destination=d.destination {where}",
            parameters,
        )
        return tuple(
            Delivery(
                object=self._object(row),
                destination=row["destination"],
                state=DeliveryState(row["state"]),
                attempts=row["attempts"],
                cause=row["cause"],
                created_at=row["created_at"],
                finished_at=row["finished_at"],
                how=row["how"] or "",
                sent_at=row["sent_at"],
                proved_at=row["proved_at"],
                until=row["until"] or 0.0,
                looks=row["looks"] or 0,
                forgotten=row["forgotten"] or 0,
                replaces=row["replaces"] or "",
                replaced_by=row["replaced_by"] or "",
            )
            for row in rows
        )

    def _object(self, row: sqlite3.Row) -> ResultObject:
        return ResultObject(
            sop_instance_uid=row["sop_instance_uid"],
            sop_class_uid=row["sop_class_uid"],
            study_uid=row["study_uid"],
            series_uid=row["series_uid"],
            job_key=row["job_key"],
            kind=row["kind"],
            instance_number=row["instance_number"],
            path=self._root / row["path"],
        )
