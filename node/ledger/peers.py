"""What was learnt about destinations: what they refuse, and which proof they do not give.

A fact holds for as long as the settings of the destination are those under which it was learnt,
and for a limited time: a PACS is upgraded one day, and nobody tells this node.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from node.ledger.database import Database

#: Subjects of facts. A class or a status is followed by the SOP Class UID.
CLASS = "class"
SYNTAX = "transfer syntax"
STATUS = "status"
COMMITMENT = "storage commitment"
QUERY = "query"
#: Nobody answers there, or nothing gets a good answer.
TROUBLE = "trouble"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that a destination did not take or give.

    Attributes:
        subject: one of the words above, with " UID" behind it for a class, transfer syntax or
            status.
        times: how often in a row it happened.
        at: when it happened last, seconds since the epoch.
    """

    destination: str
    subject: str
    cause: str
    times: int
    at: float


class Peers:
    """The peer_fact table."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def learn(self, destination: str, subject: str, cause: str, settings_digest: str) -> int:
        """Remember a refusal; returns how often in a row it happened under these settings."""
        with self._database.transaction() as db:
            row = db.execute(
                "INSERT INTO peer_fact VALUES (?,?,?,1,?,?) "
                "ON CONFLICT (destination, subject) DO UPDATE SET cause=excluded.cause, "
                "times=CASE settings_digest WHEN excluded.settings_digest THEN times+1 ELSE 1 END, "
                "at=excluded.at, settings_digest=excluded.settings_digest RETURNING times",
                (destination, subject, cause, self._clock(), settings_digest),
            ).fetchone()
            return int(row["times"])

    def known(self, destination: str, settings_digest: str, *, for_s: float) -> dict[str, Fact]:
        """The facts that still hold, by subject.

        Args:
            for_s: how long a fact holds, seconds.
        """
        rows = self._database.rows(
            "SELECT * FROM peer_fact WHERE destination=? AND settings_digest=? AND at>?",
            (destination, settings_digest, self._clock() - for_s),
        )
        return {
            row["subject"]: Fact(
                destination=row["destination"],
                subject=row["subject"],
                cause=row["cause"],
                times=row["times"],
                at=row["at"],
            )
            for row in rows
        }

    def trouble(self, destination: str) -> str:
        """Why nothing reached it at the last try; "" when it answered since."""
        row = self._database.row(
            "SELECT cause FROM peer_fact WHERE destination=? AND subject=?", (destination, TROUBLE)
        )
        return str(row["cause"]) if row else ""

    def forget(self, destination: str, *subjects: str) -> None:
        """It is no longer so; without subjects, everything about the destination."""
        with self._database.transaction() as db:
            if not subjects:
                db.execute("DELETE FROM peer_fact WHERE destination=?", (destination,))
            for subject in subjects:
                db.execute(
                    "DELETE FROM peer_fact WHERE destination=? AND subject=?",
                    (destination, subject),
                )
