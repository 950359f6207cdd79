"""Rows of jobs: claimed with a lease, retried, quarantined; never lost, never run twice at once."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from node.domain.study import StackID, StudyUID
from node.domain.verdict import Companion, Job, ModelName
from node.ledger.database import Database
from node.ledger.states import JobState, StudyState, outcome_in_words
from node.ledger.studies import Studies

OPEN = (JobState.WAITING, JobState.RUNNING)
#: States of a study whose analyses were queued.
_REACHED = (StudyState.ANALYSING, StudyState.DELIVERING, StudyState.ENDED, StudyState.FAILED)
#: A job that was running when the node died this often goes behind every other job.
INTERRUPTIONS_BEFORE_LAST = 5


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job as the ledger knows it.

    Attributes:
        report_reason: "" for an analysis; else the job writes a "not eligible" report only.
        candidates: series the model may look at, best first; the pixels of each decide.
        destinations: names of the destinations its objects go to.
        created_at: also the content time of its result objects, so that a repeated job
            writes identical objects.
        summary: what its result says, in one line; "" where there is no result.
    """

    key: str
    study_uid: StudyUID
    candidates: tuple[StackID, ...]
    model: ModelName
    generation: int
    priority: int
    predecessor: str
    destinations: tuple[str, ...]
    report_reason: str
    state: JobState
    reason: str
    attempts: int
    interruptions: int
    created_at: float
    finished_at: float | None
    summary: str

    @property
    def outcome(self) -> str:
        """The state in words, and whether a result is one of a part only."""
        return outcome_in_words(self.state, self.reason)

    @property
    def told(self) -> str:
        """Why it ended so, and what it found."""
        return "; ".join(text for text in (self.reason, self.summary) if text)


class Jobs:
    """The job table."""

    def __init__(
        self, database: Database, studies: Studies, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._studies = studies
        self._clock = clock

    def add(self, job: Job, *, destinations: Sequence[str], report_reason: str = "") -> bool:
        """Queue a job; False when the same work is known already.

        Open jobs of the same model on the same study with another key are superseded: their
        input is no longer what the study holds. A job that was superseded before it had a
        result is begun anew.
        """
        with self._database.transaction() as db:
            db.execute(
                "DELETE FROM job WHERE key=? AND state=? AND NOT EXISTS "
                "(SELECT 1 FROM result_object WHERE job_key=job.key)",
                (job.key, JobState.SUPERSEDED),
            )
            if db.execute("SELECT 1 FROM job WHERE key=?", (job.key,)).fetchone():
                return False
            db.execute(
                "UPDATE job SET state=?, reason='newer input of the same study', finished_at=? "
                "WHERE study_uid=? AND model=? AND state=?",
                (JobState.SUPERSEDED, self._clock(), job.study_uid, job.model, JobState.WAITING),
            )
            db.execute(
                "INSERT INTO job (key, study_uid, candidates, model, generation, priority, "
                "predecessor, destinations, report_reason, state, created_at, not_before) "
                "VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    job.key,
                    job.study_uid,
                    "\n".join(job.candidates),
                    job.model,
                    job.generation,
                    job.priority,
                    job.predecessor,
                    "\n".join(destinations),
                    report_reason,
                    JobState.WAITING,
                    self._clock(),
                    job.not_before,
                ),
            )
            db.executemany(
                "INSERT OR REPLACE INTO companion VALUES (?,?,?,?,?)",
                [
                    (job.key, candidate, one.role, one.study_uid, one.stack_id)
                    for candidate, one in job.companions
                ],
            )
            self._studies.tell(job.study_uid, "job queued", job.model)
            return True

    def claim(self, owner: str, lease_s: float, without: Collection[str] = ()) -> JobRow | None:
        """Lease the most urgent waiting job, or one whose lease ran out.

        Jobs of a study that is being received again, or judged anew, wait for the verdicts: their
        input may be about to change.

        Args:
            without: models whose analyses wait; reports without an analysis need no model.
        """
        now = self._clock()
        with self._database.transaction() as db:
            row = db.execute(
                "UPDATE job SET state=?, lease_owner=?, lease_until=?, attempts=attempts+1 "
                "WHERE key = (SELECT key FROM job WHERE ((state=? AND not_before<=?) "
                "OR (state=? AND lease_until<?)) "
                "AND (report_reason<>'' OR model NOT IN (SELECT value FROM json_each(?))) "
                "AND NOT EXISTS (SELECT 1 FROM study s "
                "WHERE s.study_uid=job.study_uid AND (s.state IN (?,?) "
                "OR (s.state=? AND s.generation>job.generation))) "
                "ORDER BY interruptions>=?, priority, created_at LIMIT 1) RETURNING *",
                (
                    JobState.RUNNING,
                    owner,
                    now + lease_s,
                    JobState.WAITING,
                    now,
                    JobState.RUNNING,
                    now,
                    json.dumps(list(without)),
                    StudyState.RECEIVING,
                    StudyState.HELD,
                    StudyState.COMPLETED,
                    INTERRUPTIONS_BEFORE_LAST,
                ),
            ).fetchone()
            if row is None:
                return None
            job = _job(row)
            self._studies.tell(job.study_uid, "job started", f"{job.model}, attempt {job.attempts}")
            return job

    def renew(self, owner: str, lease_s: float, keys: Iterable[str]) -> None:
        """Heartbeat: extend the leases of this owner on the jobs that it has in hand."""
        until = self._clock() + lease_s
        with self._database.transaction() as db:
            db.executemany(
                "UPDATE job SET lease_until=? WHERE key=? AND lease_owner=? AND state=?",
                [(until, key, owner, JobState.RUNNING) for key in keys],
            )

    def supersede_others(self, study_uid: str, keep: Iterable[str]) -> int:
        """The study was judged anew: open jobs that the new verdicts do not ask for are over."""
        with self._database.transaction() as db:
            rows = db.execute(
                "SELECT key FROM job WHERE study_uid=? AND state IN (?,?)",
                (study_uid, JobState.WAITING, JobState.RUNNING),
            ).fetchall()
            over = [row["key"] for row in rows if row["key"] not in set(keep)]
            db.executemany(
                "UPDATE job SET state=?, reason='newer input of the same study', finished_at=?, "
                "lease_owner='' WHERE key=?",
                [(JobState.SUPERSEDED, self._clock(), key) for key in over],
            )
            return len(over)

    def finish(self, job: JobRow, state: JobState, *, reason: str = "", summary: str = "") -> bool:
        """End a leased job; False when the lease was lost to somebody else meanwhile."""
        with self._database.transaction() as db:
            cursor = db.execute(
                "UPDATE job SET state=?, reason=?, summary=?, finished_at=?, lease_owner='' "
                "WHERE key=? AND state=? AND attempts=?",
                (
                    state,
                    reason,
                    summary,
                    self._clock(),
                    job.key,
                    JobState.RUNNING,
                    job.attempts,
                ),
            )
            if cursor.rowcount:
                detail = f"{job.model}: {reason}" if reason else f"{job.model}"
                self._studies.tell(job.study_uid, f"job {state.value}", detail)
            return bool(cursor.rowcount)

    def retry(self, job: JobRow, *, cause: str, delay_s: float, counts: bool = True) -> None:
        """Give a failed attempt back to the queue; one that does not count is given back too."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE job SET state=?, reason=?, not_before=?, lease_owner='', "
                "attempts=attempts-? WHERE key=? AND state=? AND attempts=?",
                (
                    JobState.WAITING,
                    cause,
                    self._clock() + delay_s,
                    0 if counts else 1,
                    job.key,
                    JobState.RUNNING,
                    job.attempts,
                ),
            )
            self._studies.tell(
                job.study_uid, "job attempt failed", f"{job.model}, attempt {job.attempts}: {cause}"
            )

    def release_all(self) -> int:
        """At start: whatever was running died with the node and waits again.

        The lost attempt does not count as a failure of the job; it counts as an interruption.
        """
        with self._database.transaction() as db:
            cursor = db.execute(
                "UPDATE job SET state=?, attempts=attempts-1, interruptions=interruptions+1, "
                "lease_owner='' WHERE state=?",
                (JobState.WAITING, JobState.RUNNING),
            )
            return cursor.rowcount

    def begin_again(self, model: str, cause: str, since: float) -> int:
        """Queue anew the last analyses of a model that failed for a cause that is over.

        Only of studies that nothing has superseded and whose images are still here. The new
        result replaces the report of the failure.

        Args:
            cause: how the reason begins. since: of failures at this time or later.
        """
        with self._database.transaction() as db:
            rows = db.execute(
                "SELECT job.* FROM job JOIN study s ON s.study_uid=job.study_uid "
                "WHERE model=? AND job.state=? AND reason LIKE ?||'%' AND finished_at>=? "
                "AND s.generation=job.generation AND s.state IN (?,?,?,?) "
                "AND EXISTS (SELECT 1 FROM instance i WHERE i.study_uid=job.study_uid) "
                "AND NOT EXISTS (SELECT 1 FROM job later WHERE later.study_uid=job.study_uid "
                "AND later.model=job.model AND later.created_at>job.created_at) ",
                (model, JobState.FAILED, cause, since, *_REACHED),
            ).fetchall()
            for row in rows:
                self._once_more(db, _job(row))
            return len(rows)

    def _once_more(self, db: sqlite3.Connection, job: JobRow) -> None:
        key = hashlib.sha256(f"{job.key} after {job.key}".encode()).hexdigest()[:40]
        db.execute(
            "INSERT INTO job (key, study_uid, candidates, model, generation, priority, "
            "predecessor, destinations, report_reason, state, created_at) "
            "SELECT ?, study_uid, candidates, model, generation, priority, "
            "CASE WHEN EXISTS (SELECT 1 FROM result_object WHERE job_key=job.key) THEN key "
            "ELSE predecessor END, destinations, report_reason, ?, ? FROM job WHERE key=?",
            (key, JobState.WAITING, self._clock(), job.key),
        )
        db.execute(
            "INSERT INTO companion SELECT ?, candidate, role, study_uid, stack_id "
            "FROM companion WHERE job_key=?",
            (key, job.key),
        )
        db.execute(
            "UPDATE study SET state=?, cause='' WHERE study_uid=?",
            (StudyState.ANALYSING, job.study_uid),
        )
        self._studies.tell(job.study_uid, "analysed again", f"{job.model} is back in service")

    def companions(self, key: str) -> tuple[tuple[StackID, Companion], ...]:
        """What is analysed with each candidate of a job."""
        rows = self._database.rows(
            "SELECT * FROM companion WHERE job_key=? ORDER BY candidate, role", (key,)
        )
        return tuple(
            (
                StackID(row["candidate"]),
                Companion(row["role"], StudyUID(row["study_uid"]), StackID(row["stack_id"])),
            )
            for row in rows
        )

    def get(self, key: str) -> JobRow | None:
        """One job."""
        row = self._database.row("SELECT * FROM job WHERE key=?", (key,))
        return _job(row) if row else None

    def of_study(self, study_uid: str) -> tuple[JobRow, ...]:
        """All jobs of a study, oldest first."""
        rows = self._database.rows(
            "SELECT * FROM job WHERE study_uid=? ORDER BY created_at, generation", (study_uid,)
        )
        return tuple(_job(row) for row in rows)

    def newest_with_results(self, study_uid: str, model: str) -> JobRow | None:
        """The job whose result objects are the current ones of this model on this study."""
        row = self._database.row(
            "SELECT job.* FROM job WHERE study_uid=? AND model=? AND EXISTS "
            "(SELECT 1 FROM result_object WHERE job_key=job.key) "
            "ORDER BY created_at DESC LIMIT 1",
            (study_uid, model),
        )
        return _job(row) if row else None

    def current(self, study_uid: str) -> tuple[JobRow, ...]:
        """The newest job of each model on a study that no other one replaced."""
        newest = {
            job.model: job
            for job in self.of_study(study_uid)
            if job.state is not JobState.SUPERSEDED
        }
        return tuple(newest.values())

    def replaced(self, key: str) -> None:
        """The result of an ended job has a successor."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE job SET state=?, reason='replaced by a newer result' "
                "WHERE key=? AND state NOT IN (?,?,?)",
                (JobState.SUPERSEDED, key, JobState.WITHDRAWN, *OPEN),
            )

    def open_count(self, study_uid: str) -> int:
        """Number of jobs of a study that have not ended."""
        row = self._database.row(
            "SELECT COUNT(*) AS n FROM job WHERE study_uid=? AND state IN (?, ?)",
            (study_uid, *OPEN),
        )
        return int(row["n"]) if row else 0

    def totals(self) -> dict[tuple[str, JobState], int]:
        """Number of jobs by model and state."""
        rows = self._database.rows("SELECT model, state, COUNT(*) AS n FROM job GROUP BY 1, 2")
        return {(row["model"], JobState(row["state"])): int(row["n"]) for row in rows}

    def newer_exists(self, job: JobRow) -> bool:
        """True when a later job of the same model on the same study has been queued."""
        row = self._database.row(
            "SELECT 1 FROM job WHERE study_uid=? AND model=? AND key<>? AND generation>? LIMIT 1",
            (job.study_uid, job.model, job.key, job.generation),
        )
        return row is not None


def _job(row: sqlite3.Row) -> JobRow:
    return JobRow(
        key=row["key"],
        study_uid=StudyUID(row["study_uid"]),
        candidates=tuple(StackID(uid) for uid in row["candidates"].split("\n") if uid),
        model=ModelName(row["model"]),
        generation=row["generation"],
        priority=row["priority"],
        predecessor=row["predecessor"],
        destinations=tuple(filter(None, row["destinations"].split("\n"))),
        report_reason=row["report_reason"],
        state=JobState(row["state"]),
        reason=row["reason"],
        attempts=row["attempts"],
        interruptions=row["interruptions"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        summary=row["summary"],
    )
