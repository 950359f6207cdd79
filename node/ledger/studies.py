"""Rows of studies, their verdicts, and the events that make up the life of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from node.domain.study import Certainty, StudyUID
from node.domain.verdict import Eligibility, Ineligible
from node.ledger.database import Database
from node.ledger.states import StudyState, outcome_in_words

#: States that a study leaves only when something comes, or by hand.
AT_REST = (StudyState.ENDED, StudyState.FAILED, StudyState.HELD)
#: What the event of a rerun is called.
RERUN = "run again"


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study as the ledger knows it; times in seconds since the epoch.

    Attributes:
        confidence: why it was taken as complete, in words. certainty: how sure that is;
            None while it is not complete.
    """

    study_uid: StudyUID
    state: StudyState
    generation: int
    first_at: float
    last_at: float
    interrupted: bool
    completed_at: float | None
    confidence: str
    cause: str
    attempts: int
    certainty: Certainty | None = None


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """What one model was told about one stack; `facts` describes it in a line.

    Attributes:
        series_uid: with "#2" behind it for the second stack of a mixed series.
        verdict: "run", "not eligible" or "failed"; "done" once the analysis has ended.
        reason_code: of `node.domain.verdict.ReasonCode`; "" without a reason.
    """

    series_uid: str
    model: str
    verdict: str
    reason: str
    facts: str
    generation: int
    at: float
    reason_code: str = ""

    @property
    def outcome(self) -> str:
        """The verdict in words, and whether what is done is a part only."""
        return outcome_in_words(self.verdict, self.reason)


@dataclass(frozen=True, slots=True)
class EventRow:
    """One thing that happened to a study."""

    at: float
    what: str
    detail: str


class Studies:
    """The study, verdict and event tables."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def touch(self, study_uid: str, at: float, why: str = "an instance arrived") -> None:
        """Its instances changed: the study is RECEIVING (again)."""
        with self._database.transaction() as db:
            row = db.execute("SELECT state FROM study WHERE study_uid=?", (study_uid,)).fetchone()
            if row is None:
                db.execute(
                    "INSERT INTO study (study_uid, state, first_at, last_at) VALUES (?,?,?,?)",
                    (study_uid, StudyState.RECEIVING, at, at),
                )
                self.tell(study_uid, "first instance", at=at)
                return
            if row["state"] != StudyState.RECEIVING:
                self.tell(study_uid, "reopened", why, at=at)
            db.execute(
                "UPDATE study SET state=?, last_at=max(last_at, ?), attempts=0, cause='' "
                "WHERE study_uid=?",
                (StudyState.RECEIVING, at, study_uid),
            )

    def is_at_work(self, study_uid: str) -> bool:
        """Is it known, and not being received?"""
        row = self._database.row("SELECT state FROM study WHERE study_uid=?", (study_uid,))
        return row is not None and row["state"] != StudyState.RECEIVING

    def interrupt(self, study_uid: str, detail: str) -> None:
        """An association that was sending this study broke off: its sender will try again."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE study SET interrupted=1 WHERE study_uid=? AND state=?",
                (study_uid, StudyState.RECEIVING),
            )
            self.tell(study_uid, "association broke off", detail)

    def calm(self, study_uid: str) -> None:
        """A later association ended well: the interruption is made good."""
        with self._database.transaction() as db:
            db.execute("UPDATE study SET interrupted=0 WHERE study_uid=?", (study_uid,))

    def complete(
        self, study_uid: str, confidence: str, certainty: Certainty = Certainty.ASSUMED
    ) -> int:
        """Nothing more is expected. Returns the generation, 1 the first time."""
        now = self._clock()
        with self._database.transaction() as db:
            db.execute(
                "UPDATE study SET state=?, generation=generation+1, completed_at=?, confidence=?, "
                "interrupted=0, attempts=0 WHERE study_uid=?",
                (StudyState.COMPLETED, now, confidence, study_uid),
            )
            self.tell(study_uid, "completed", f"{certainty.value}: {confidence}")
            row = db.execute(
                "SELECT generation FROM study WHERE study_uid=?", (study_uid,)
            ).fetchone()
            db.execute(
                "INSERT OR REPLACE INTO completion VALUES (?,?,?,?,?)",
                (study_uid, row["generation"], certainty.value, confidence, now),
            )
            return int(row["generation"])

    def set_state(
        self, study_uid: str, state: StudyState, *, generation: int, cause: str = ""
    ) -> bool:
        """Move a study on, unless a late instance reopened it meanwhile (then False)."""
        with self._database.transaction() as db:
            cursor = db.execute(
                "UPDATE study SET state=?, cause=? WHERE study_uid=? AND generation=? "
                "AND state NOT IN (?, ?)",
                (state, cause, study_uid, generation, StudyState.RECEIVING, state),
            )
            if cursor.rowcount:
                self.tell(study_uid, state.value, cause)
            return bool(cursor.rowcount)

    def settle(self, study_uid: str, state: StudyState, cause: str) -> None:
        """Put a study at rest, whatever it was doing, with the cause in words."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE study SET state=?, cause=? WHERE study_uid=?", (state, cause, study_uid)
            )
            self.tell(study_uid, state.value, cause)

    def redeliver(self, study_uid: str) -> None:
        """Results of an ended study are on their way again."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE study SET state=? WHERE study_uid=? AND state IN (?,?) AND generation>0",
                (StudyState.DELIVERING, study_uid, StudyState.ENDED, StudyState.FAILED),
            )

    def rerun(self, study_uid: str) -> bool:
        """Judge and analyse an ended, failed or held study again; False in any other state."""
        with self._database.transaction():
            study = self.get(study_uid)
            if study is None or study.state not in AT_REST:
                return False
            self.run_again(study_uid, "by hand")
            return True

    def run_again(self, study_uid: str, why: str) -> None:
        """Judge and analyse a study again, though its images are the same."""
        with self._database.transaction():
            study = self.get(study_uid)
            certainty = study.certainty if study is not None else None
            self.tell(study_uid, RERUN, why)
            self.complete(study_uid, f"run again {why}", certainty or Certainty.ASSUMED)

    def reruns(self, study_uid: str) -> int:
        """How often the study was run again by hand."""
        return sum(event.what == RERUN for event in self.events(study_uid))

    def count_attempt(self, study_uid: str) -> int:
        """One more try at describing a study; returns how many there have been."""
        with self._database.transaction() as db:
            db.execute("UPDATE study SET attempts=attempts+1 WHERE study_uid=?", (study_uid,))
            row = db.execute("SELECT attempts FROM study WHERE study_uid=?", (study_uid,))
            return int(row.fetchone()["attempts"])

    def get(self, study_uid: str) -> StudyRow | None:
        """The row of one study."""
        found = self._rows("WHERE study_uid=?", (study_uid,))
        return found[0] if found else None

    def in_state(self, *states: StudyState) -> tuple[StudyRow, ...]:
        """All studies in any of the states, oldest first."""
        marks = ",".join("?" * len(states))
        return self._rows(f"WHERE state IN ({marks}) ORDER BY last_at", states)

    def recent(self, limit: int) -> tuple[StudyRow, ...]:
        """The studies that moved last, newest first."""
        return self._rows("ORDER BY last_at DESC LIMIT ?", (limit,))

    def totals_by_state(self) -> dict[StudyState, int]:
        """Number of studies in each state."""
        rows = self._database.rows("SELECT state, COUNT(*) AS n FROM study GROUP BY state")
        found = {StudyState(row["state"]): int(row["n"]) for row in rows}
        return {state: found.get(state, 0) for state in StudyState}

    def record_verdict(
        self, study_uid: str, generation: int, eligibility: Eligibility, facts: str
    ) -> None:
        """Write what a model was told about a series; the last word counts."""
        refused = isinstance(eligibility, Ineligible)
        self.set_verdict(
            study_uid,
            generation,
            VerdictRow(
                eligibility.stack_id,
                eligibility.model,
                "not eligible" if refused else "run",
                eligibility.reason if isinstance(eligibility, Ineligible) else "",
                facts,
                generation,
                self._clock(),
                eligibility.code if isinstance(eligibility, Ineligible) else "",
            ),
        )

    def set_verdict(self, study_uid: str, generation: int, row: VerdictRow) -> None:
        """Write one verdict row; an empty `facts` keeps the facts that are there."""
        with self._database.transaction() as db:
            db.execute(
                "INSERT INTO verdict VALUES (?,?,?,?,?,?,?,?) "
                "ON CONFLICT (study_uid, generation, series_uid, model) DO UPDATE SET "
                "verdict=excluded.verdict, reason=excluded.reason, at=excluded.at, "
                "facts=CASE excluded.facts WHEN '' THEN facts ELSE excluded.facts END",
                (
                    study_uid,
                    generation,
                    row.series_uid,
                    row.model,
                    row.verdict,
                    row.reason,
                    row.facts,
                    row.at,
                ),
            )
            db.execute(
                "INSERT OR REPLACE INTO verdict_reason VALUES (?,?,?,?,?)",
                (study_uid, generation, row.series_uid, row.model, row.reason_code),
            )

    def verdicts(self, study_uid: str, generation: int) -> tuple[VerdictRow, ...]:
        """Every series x model of one generation."""
        rows = self._database.rows(
            "SELECT verdict.*, coalesce(code, '') AS code FROM verdict LEFT JOIN verdict_reason "
            "USING (study_uid, generation, series_uid, model) "
            "WHERE study_uid=? AND generation=? ORDER BY model, series_uid",
            (study_uid, generation),
        )
        return tuple(
            VerdictRow(
                row["series_uid"],
                row["model"],
                row["verdict"],
                row["reason"],
                row["facts"],
                row["generation"],
                row["at"],
                row["code"],
            )
            for row in rows
        )

    def tell(self, study_uid: str, what: str, detail: str = "", *, at: float | None = None) -> None:
        """Add one event to the life of a study."""
        with self._database.transaction() as db:
            db.execute(
                "INSERT INTO event (at, study_uid, what, detail) VALUES (?,?,?,?)",
                (self._clock() if at is None else at, study_uid, what, detail),
            )

    def events(self, study_uid: str) -> tuple[EventRow, ...]:
        """The life of a study, first event first."""
        rows = self._database.rows(
            "SELECT at, what, detail FROM event WHERE study_uid=? ORDER BY id", (study_uid,)
        )
        return tuple(EventRow(row["at"], row["what"], row["detail"]) for row in rows)

    def _rows(self, where: str, parameters: tuple[object, ...]) -> tuple[StudyRow, ...]:
        # `where` is one of the literals of this module; values are always bound.
        rows = self._database.rows(
            "SELECT *, (SELECT certainty FROM completion c WHERE c.study_uid=study.study_uid "  # noqa: S608
            f"AND c.generation=study.generation) AS certainty FROM study {where}",
            parameters,
        )
        return tuple(
            StudyRow(
                StudyUID(row["study_uid"]),
                StudyState(row["state"]),
                row["generation"],
                row["first_at"],
                row["last_at"],
                bool(row["interrupted"]),
                row["completed_at"],
                row["confidence"],
                row["cause"],
                row["attempts"],
                Certainty(row["certainty"]) if row["certainty"] else None,
            )
            for row in rows
        )
