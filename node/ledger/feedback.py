"""Rows of what readers answered; a later word of a reader is added, never written over."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from node.domain.feedback import Answer, ReaderAnswer, Source
from node.ledger.database import Database
from node.ledger.findings import read_measurements, written_measurements

#: Newest last; the row that no later one of the same reader about the same finding follows.
_ORDER = "ORDER BY at, received_at, rowid"
_WHERE = (
    "WHERE (?='' OR f.study_uid=?) AND (?='' OR f.model=?) "
    "AND (?='' OR f.model_version=?) AND (? IS NULL OR f.received_at>=?) "
)
_CURRENT = (
    "NOT EXISTS (SELECT 1 FROM feedback n WHERE n.job_key=f.job_key "
    "AND n.tracking_uid=f.tracking_uid AND n.reader=f.reader "
    "AND (n.at, n.received_at, n.rowid) > (f.at, f.received_at, f.rowid))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which answers. Empty texts and None: all of them.

    Attributes:
        since: received at or after, s since the epoch.
    """

    study_uid: str = ""
    model: str = ""
    model_version: str = ""
    since: float | None = None


EVERYTHING = Wanted()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Findings of one version of one model with an answer; each counts once, by the latest.

    Attributes:
        readers: how many different ones answered.
    """

    model: str
    model_version: str
    accepted: int
    rejected: int
    corrected: int
    readers: int


class FeedbackTable:
    """The feedback table."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock()

    def add(self, answer: ReaderAnswer) -> bool:
        """Keep one answer; durable when this returns.

        Returns:
            False when nothing was added: this document was read before, or this is what the
            reader said last about this finding by the API.
        """
        with self._database.transaction() as db:
            if answer.source is Source.API:
                last = self._last_word(answer)
                if last is not None and last.says_the_same_as(answer):
                    return False
                if last is not None:
                    # Whatever the clock was set to meanwhile, this is the later word.
                    moment = max(answer.received_at, last.at, last.received_at)
                    answer = replace(answer, at=moment, received_at=moment)
            cursor = db.execute(
                "INSERT OR IGNORE INTO feedback (key, study_uid, job_key, report_uid, "
                "tracking_uid, finding, model, model_version, reader, source, answer, at, "
                "received_at, measurements, comment, document_uid) "
                "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    _key(answer),
                    answer.study_uid,
                    answer.result,
                    answer.report_uid,
                    answer.tracking_uid,
                    answer.finding,
                    answer.model,
                    answer.model_version,
                    answer.reader,
                    answer.source,
                    answer.answer,
                    answer.at,
                    answer.received_at,
                    written_measurements(answer.measurements),
                    answer.comment,
                    answer.document_uid,
                ),
            )
            return bool(cursor.rowcount)

    def answers(self, wanted: Wanted = EVERYTHING) -> tuple[ReaderAnswer, ...]:
        """Every answer that was ever given, oldest first, as typed values.

        Superseded words are among them; `is_current` tells the latest of each reader.
        """
        return self._rows(_WHERE, _values(wanted))

    def tallies(self, wanted: Wanted = EVERYTHING) -> tuple[Tally, ...]:
        """Counted in the database: the answers may be many, and others wait for it."""
        rows = self._database.rows(
            "SELECT model, model_version, "  # noqa: S608 - literals of this module
            "sum(newest AND answer='accepted') AS accepted, "
            "sum(newest AND answer='rejected') AS rejected, "
            "sum(newest AND answer='corrected') AS corrected, "
            "COUNT(DISTINCT reader) AS readers FROM (SELECT f.model, f.model_version, f.reader, "
            "f.answer, row_number() OVER (PARTITION BY job_key, tracking_uid "
            "ORDER BY at DESC, received_at DESC, rowid DESC)=1 "
            f"AS newest FROM feedback f {_WHERE}) GROUP BY 1, 2 ORDER BY 1, 2",
            _values(wanted),
        )
        return tuple(
            Tally(
                model=row["model"],
                model_version=row["model_version"],
                accepted=int(row["accepted"]),
                rejected=int(row["rejected"]),
                corrected=int(row["corrected"]),
                readers=int(row["readers"]),
            )
            for row in rows
        )

    def totals(self) -> dict[tuple[str, str, Answer, Source], int]:
        """Answers ever given, by model, version, answer and source; they only grow."""
        rows = self._database.rows(
            "SELECT model, model_version, answer, source, COUNT(*) AS n FROM feedback "
            "GROUP BY 1, 2, 3, 4"
        )
        return {
            (row["model"], row["model_version"], Answer(row["answer"]), Source(row["source"])): int(
                row["n"]
            )
            for row in rows
        }

    def _last_word(self, answer: ReaderAnswer) -> ReaderAnswer | None:
        found = self._rows(
            "WHERE f.job_key=? AND f.tracking_uid=? AND f.reader=? ",
            (answer.result, answer.tracking_uid, answer.reader),
        )
        return found[-1] if found else None

    def _rows(self, where: str, parameters: tuple[object, ...]) -> tuple[ReaderAnswer, ...]:
        # `where` is one of the literals of this module; values are always bound.
        rows = self._database.rows(
            f"SELECT f.*, {_CURRENT} AS current FROM feedback f {where}{_ORDER}",  # noqa: S608
            parameters,
        )
        return tuple(_answer(row) for row in rows)


def _values(wanted: Wanted) -> tuple[object, ...]:
    """What fills the marks of `_WHERE`."""
    asked = (wanted.study_uid, wanted.model, wanted.model_version, wanted.since)
    return tuple(value for one in asked for value in (one, one))


def _key(answer: ReaderAnswer) -> str:
    """The same for an answer that is read again from the same document."""
    told = [answer.result, answer.tracking_uid, answer.source]
    if answer.source is Source.SR:
        told.append(answer.document_uid)
    else:
        told += [answer.reader, repr(answer.received_at), answer.answer, answer.comment]
        told.append(written_measurements(answer.measurements))
    return hashlib.sha256("\x1f".join(told).encode()).hexdigest()


def _answer(row: sqlite3.Row) -> ReaderAnswer:
    return ReaderAnswer(
        study_uid=row["study_uid"],
        result=row["job_key"],
        report_uid=row["report_uid"],
        tracking_uid=row["tracking_uid"],
        finding=row["finding"],
        model=row["model"],
        model_version=row["model_version"],
        reader=row["reader"],
        source=Source(row["source"]),
        answer=Answer(row["answer"]),
        at=row["at"],
        received_at=row["received_at"],
        measurements=read_measurements(row["measurements"]),
        comment=row["comment"],
        document_uid=row["document_uid"],
        is_current=bool(row["current"]),
    )
