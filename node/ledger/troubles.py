"""Rows of the node's own troubles: since when each lasts, so that a restart tells none again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from node.ledger.database import Database
from node.ledger.states import DeliveryState

#: States of a delivery from which nothing moves it without a person.
HELD_BACK = (DeliveryState.REFUSED.value, DeliveryState.SET_ASIDE.value, "held back")
#: States in which a destination has not just proved that it is alive.
SILENT = (DeliveryState.WAITING.value, DeliveryState.WITHHELD.value, *HELD_BACK)


@dataclass(frozen=True, slots=True)
class TroubleRow:
    """One trouble that lasts; `since` in seconds since the epoch."""

    event: str
    about: str
    since: float


class Troubles:
    """The trouble table, and what the delivery table says of destinations."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def every(self) -> tuple[TroubleRow, ...]:
        """All that last, oldest first."""
        rows = self._database.rows("SELECT * FROM trouble ORDER BY since")
        return tuple(TroubleRow(row["event"], row["about"], row["since"]) for row in rows)

    def see(self, event: str, about: str) -> TroubleRow:
        """It is there now; returns it with the time since when."""
        known = self._database.row(
            "SELECT since FROM trouble WHERE event=? AND about=?", (event, about)
        )
        if known is not None:
            return TroubleRow(event, about, known["since"])
        now = self._clock()
        with self._database.transaction() as db:
            db.execute("INSERT INTO trouble VALUES (?,?,?)", (event, about, now))
        return TroubleRow(event, about, now)

    def end(self, trouble: TroubleRow) -> None:
        """It is over."""
        with self._database.transaction() as db:
            db.execute(
                "DELETE FROM trouble WHERE event=? AND about=?", (trouble.event, trouble.about)
            )

    def silent_for(self, destination: str, *, at_least_s: float) -> float:
        """Seconds in which a destination took nothing while something waited for it.

        0.0 where that is shorter than `at_least_s`; only then the table is looked through.
        """
        now = self._clock()
        row = self._database.row(
            "SELECT MIN(created_at) AS since FROM delivery WHERE destination=? AND state=?",
            (destination, DeliveryState.WAITING),
        )
        if row is None or row["since"] is None or now - row["since"] < at_least_s:
            return 0.0
        marks = ",".join("?" * len(SILENT))
        taken = self._database.row(
            f"SELECT MAX(finished_at) AS at FROM delivery WHERE destination=? "  # noqa: S608
            f"AND state NOT IN ({marks})",
            (destination, *SILENT),
        )
        silent_s = now - max(row["since"], (taken["at"] if taken else None) or 0.0)
        return float(silent_s) if silent_s >= at_least_s else 0.0

    def held_back(self, destination: str) -> tuple[int, int]:
        """(objects, studies) that a destination refused for good or that are held back.

        What stands there in another form is not held back.
        """
        marks = ",".join("?" * len(HELD_BACK))
        row = self._database.row(
            "SELECT COUNT(*) AS objects, COUNT(DISTINCT study_uid) AS studies FROM delivery "  # noqa: S608
            f"WHERE destination=? AND state IN ({marks}) AND NOT EXISTS (SELECT 1 FROM fallback "
            "WHERE replaces=delivery.sop_instance_uid AND destination=delivery.destination)",
            (destination, *HELD_BACK),
        )
        return (row["objects"], row["studies"]) if row else (0, 0)
