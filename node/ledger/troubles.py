"""Rows of the node's own troubles: since when each lasts, so that a restart tells none again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from node.ledger.database import Database
from node.ledger.states import DeliveryState

#: States of a delivery from which nothing moves it without a person.
HELD_BACK = (DeliveryState.REFUSED.value, "held back", "set aside")
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

    def silent_for(self) -> dict[str, float]:
        """Destination -> seconds in which it took nothing while something waited for it."""
        marks = ",".join("?" * len(SILENT))
        rows = self._database.rows(
            "SELECT destination, MIN(created_at) AS waiting, (SELECT MAX(finished_at) FROM "  # noqa: S608
            f"delivery AS d WHERE d.destination=delivery.destination AND state NOT IN ({marks})) "
            "AS taken FROM delivery WHERE state=? GROUP BY destination",
            (*SILENT, DeliveryState.WAITING),
        )
        now = self._clock()
        return {row["destination"]: now - max(row["waiting"], row["taken"] or 0.0) for row in rows}

    def held_back(self) -> dict[str, tuple[int, int]]:
        """Destination -> (objects, studies) that it refused for good or that are held back."""
        marks = ",".join("?" * len(HELD_BACK))
        rows = self._database.rows(
            "SELECT destination, COUNT(*) AS objects, COUNT(DISTINCT study_uid) AS studies "  # noqa: S608
            f"FROM delivery WHERE state IN ({marks}) GROUP BY destination",
            HELD_BACK,
        )
        return {row["destination"]: (row["objects"], row["studies"]) for row in rows}
