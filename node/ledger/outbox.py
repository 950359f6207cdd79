"""Rows of result objects and of their way to each destination."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from node.ledger.database import Database
from node.ledger.states import DeliveryState
from node.ledger.studies import Studies


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultObject:
    """One result object on disk.

    Attributes:
        kind: "report", "segmentation" or "secondary capture".
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
    """One object on its way to one destination."""

    object: ResultObject
    destination: str
    state: DeliveryState
    attempts: int
    cause: str
    created_at: float
    finished_at: float | None


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
        now = self._clock()
        with self._database.transaction() as db:
            for item in objects:
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
                for destination in destinations:
                    db.execute(
                        "INSERT OR IGNORE INTO delivery (sop_instance_uid, destination, study_uid, "
                        "job_key, state, created_at) VALUES (?,?,?,?,?,?)",
                        (
                            item.sop_instance_uid,
                            destination,
                            item.study_uid,
                            item.job_key,
                            DeliveryState.WAITING,
                            now,
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
        """Give up what waits for destinations that are no longer configured; returns how many."""
        with self._database.transaction() as db:
            rows = db.execute(
                "SELECT DISTINCT destination, study_uid FROM delivery WHERE state=?",
                (DeliveryState.WAITING,),
            ).fetchall()
            given_up = 0
            for row in rows:
                if row["destination"] in destinations:
                    continue
                cause = "the destination is no longer in appliance.yaml"
                cursor = db.execute(
                    "UPDATE delivery SET state=?, finished_at=?, cause=? "
                    "WHERE destination=? AND study_uid=? AND state=?",
                    (
                        DeliveryState.WITHHELD,
                        self._clock(),
                        cause,
                        row["destination"],
                        row["study_uid"],
                        DeliveryState.WAITING,
                    ),
                )
                given_up += cursor.rowcount
                self._studies.tell(row["study_uid"], "not delivered", f"{cause}")
            return given_up

    def due(self, destination: str, limit: int) -> tuple[Delivery, ...]:
        """What may be sent to a destination now, oldest study first.

        What failed before comes after what was not tried yet: an object that a destination
        cannot take must not hold up the others.
        """
        return self._deliveries(
            "WHERE d.destination=? AND d.state=? AND d.not_before<=? "
            "ORDER BY d.attempts, d.created_at, d.job_key, o.kind LIMIT ?",
            (destination, DeliveryState.WAITING, self._clock(), limit),
        )

    def settle(
        self, delivery: Delivery, state: DeliveryState, *, cause: str = "", delay_s: float = 0.0
    ) -> None:
        """Write how an attempt ended; WAITING means it is tried again after `delay_s`."""
        now = self._clock()
        with self._database.transaction() as db:
            db.execute(
                "UPDATE delivery SET state=?, cause=?, attempts=attempts+1, not_before=?, "
                "finished_at=? WHERE sop_instance_uid=? AND destination=?",
                (
                    state,
                    cause,
                    now + delay_s,
                    None if state is DeliveryState.WAITING else now,
                    delivery.object.sop_instance_uid,
                    delivery.destination,
                ),
            )
            if state is not DeliveryState.WAITING:
                self._studies.tell(
                    delivery.object.study_uid,
                    f"{delivery.object.kind} {state.value}",
                    f"by {delivery.destination}" + (f": {cause}" if cause else ""),
                )

    def resend(self, study_uid: str) -> int:
        """Queue every delivery of a study again, by hand; returns how many."""
        with self._database.transaction() as db:
            cursor = db.execute(
                "UPDATE delivery SET state=?, not_before=0, finished_at=NULL "
                "WHERE study_uid=? AND state<>?",
                (DeliveryState.WAITING, study_uid, DeliveryState.WITHHELD),
            )
            return cursor.rowcount

    def of_study(self, study_uid: str) -> tuple[Delivery, ...]:
        """All deliveries of a study."""
        return self._deliveries("WHERE d.study_uid=? ORDER BY d.created_at, o.kind", (study_uid,))

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
            "SELECT COUNT(*) AS n FROM delivery WHERE study_uid=? AND state=?",
            (study_uid, DeliveryState.WAITING),
        )
        return int(row["n"]) if row else 0

    def totals(self) -> dict[tuple[str, DeliveryState], int]:
        """Number of deliveries by destination and state."""
        rows = self._database.rows(
            "SELECT destination, state, COUNT(*) AS n FROM delivery GROUP BY 1, 2"
        )
        return {(row["destination"], DeliveryState(row["state"])): int(row["n"]) for row in rows}

    def _deliveries(self, where: str, parameters: tuple[object, ...]) -> tuple[Delivery, ...]:
        # `where` is one of the literals of this module; values are always bound.
        rows = self._database.rows(
            "SELECT o.*, d.destination, d.state, d.attempts, d.cause, d.created_at, "  # noqa: S608
            "d.finished_at FROM delivery d "
            f"JOIN result_object o ON o.sop_instance_uid=d.sop_instance_uid {where}",
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
