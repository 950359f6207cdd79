"""Rows of structured reports that were sent here: waiting to be read, and what came of it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from node.domain.study import Instance
from node.ledger.database import Database
from node.ledger.studies import Studies


class DocumentState(StrEnum):
    """What came of a received structured report."""

    WAITING = "waiting"
    #: It gave at least one answer.
    ANSWERED = "answered"
    #: It refers to results of ours, and no answer could be taken from it; the row says why.
    UNUSED = "no answer"
    #: It has nothing to do with results of this node.
    UNRELATED = "not about our results"
    #: One of our own reports that came back, unchanged.
    OWN = "our own report"
    FAILED = "cannot be read"


#: Nothing that belongs into the life of a study.
_UNTOLD: Final = (DocumentState.UNRELATED, DocumentState.OWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRow:
    """One received structured report; `outcome` in words, with nothing about a patient."""

    sop_instance_uid: str
    digest: str
    study_uid: str
    calling_ae_title: str
    received_at: float
    state: DocumentState
    attempts: int
    outcome: str


class Documents:
    """The reader_document table."""

    def __init__(
        self, database: Database, studies: Studies, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._studies = studies
        self._clock = clock

    def queue(self, instances: Sequence[Instance]) -> None:
        """These were filed and are to be read; idempotent."""
        with self._database.transaction() as db:
            db.executemany(
                "INSERT OR IGNORE INTO reader_document VALUES (?,?,?,?,?,?,0,'')",
                [
                    (
                        item.sop_instance_uid,
                        item.digest,
                        item.study_uid,
                        item.calling_ae_title,
                        item.received_at.timestamp(),
                        DocumentState.WAITING,
                    )
                    for item in instances
                ],
            )

    def waiting(self, limit: int) -> tuple[DocumentRow, ...]:
        """Oldest first."""
        return self._rows("WHERE state=? ORDER BY received_at LIMIT ?", ("waiting", limit))

    def of_study(self, study_uid: str) -> tuple[DocumentRow, ...]:
        """Every one that was filed under this study, oldest first."""
        return self._rows("WHERE study_uid=? ORDER BY received_at", (study_uid,))

    def last_at(self, study_uid: str) -> float:
        """When the last one of a study came, seconds since the epoch; 0 where none did."""
        row = self._database.row(
            "SELECT max(received_at) AS at FROM reader_document WHERE study_uid=?", (study_uid,)
        )
        return float(row["at"] or 0.0) if row else 0.0

    def settle(self, row: DocumentRow, state: DocumentState, outcome: str) -> None:
        """Write what came of it, and tell it in the life of its study."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE reader_document SET state=?, outcome=? "
                "WHERE sop_instance_uid=? AND digest=?",
                (state, outcome, row.sop_instance_uid, row.digest),
            )
            if state not in _UNTOLD:
                detail = f"{row.sop_instance_uid} from {row.calling_ae_title}: {outcome}"
                self._studies.tell(row.study_uid, f"reader's report: {state.value}", detail)

    def count_attempt(self, row: DocumentRow) -> int:
        """One more try at reading it; returns how many there have been."""
        with self._database.transaction() as db:
            found = db.execute(
                "UPDATE reader_document SET attempts=attempts+1 "
                "WHERE sop_instance_uid=? AND digest=? RETURNING attempts",
                (row.sop_instance_uid, row.digest),
            ).fetchone()
            return int(found["attempts"]) if found else 0

    def totals(self) -> dict[DocumentState, int]:
        """Number of documents in each state."""
        rows = self._database.rows("SELECT state, COUNT(*) AS n FROM reader_document GROUP BY 1")
        found = {DocumentState(row["state"]): int(row["n"]) for row in rows}
        return {state: found.get(state, 0) for state in DocumentState}

    def _rows(self, where: str, parameters: tuple[object, ...]) -> tuple[DocumentRow, ...]:
        # `where` is one of the literals of this module; values are always bound.
        rows = self._database.rows(
            f"SELECT * FROM reader_document {where}",  # noqa: S608
            parameters,
        )
        return tuple(_row(row) for row in rows)


def _row(row: sqlite3.Row) -> DocumentRow:
    return DocumentRow(
        sop_instance_uid=row["sop_instance_uid"],
        digest=row["digest"],
        study_uid=row["study_uid"],
        calling_ae_title=row["calling_ae_title"],
        received_at=row["received_at"],
        state=DocumentState(row["state"]),
        attempts=row["attempts"],
        outcome=row["outcome"],
    )
