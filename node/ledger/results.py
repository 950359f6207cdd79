"""Rows about results beyond their jobs: their input, what they track, whether taken back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from node.domain.finding import Tracked
from node.ledger.database import Database
from node.ledger.jobs import JobRow
from node.ledger.states import JobState
from node.ledger.studies import Studies


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysed:
    """What a job really looked at.

    Attributes:
        looked_at: number of its candidates, best first, up to the one that was analysed.
        input_digest: of these series and everything else that decides the result.
    """

    series_uid: str
    looked_at: int
    input_digest: str


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """When and why a result was taken back by hand."""

    reason: str
    at: float


class Results:
    """The analysed, tracked and withdrawal tables."""

    def __init__(
        self, database: Database, studies: Studies, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._studies = studies
        self._clock = clock

    def record(self, job_key: str, analysed: Analysed, tracked: Sequence[Tracked]) -> None:
        """Write what the result of a job rests on."""
        with self._database.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO analysed VALUES (?,?,?,?)",
                (job_key, analysed.series_uid, analysed.looked_at, analysed.input_digest),
            )
            db.execute("DELETE FROM tracked WHERE job_key=?", (job_key,))
            db.executemany(
                "INSERT OR REPLACE INTO tracked VALUES (?,?,?,?,?,?,?,?,?,?)",
                [
                    (
                        job_key,
                        item.tracking_uid,
                        item.identifier,
                        item.finding,
                        item.laterality,
                        item.frame_of_reference_uid,
                        *item.centre_mm,
                        item.radius_mm,
                    )
                    for item in tracked
                ],
            )

    def analysed(self, job_key: str) -> Analysed | None:
        """What a job looked at; None while it has not ended, or where a status was reported."""
        row = self._database.row("SELECT * FROM analysed WHERE job_key=?", (job_key,))
        if row is None:
            return None
        return Analysed(
            series_uid=row["series_uid"],
            looked_at=int(row["looked_at"]),
            input_digest=row["input"],
        )

    def tracked(self, job_key: str) -> tuple[Tracked, ...]:
        """The findings of a result that can be followed."""
        rows = self._database.rows(
            "SELECT * FROM tracked WHERE job_key=? ORDER BY tracking_uid", (job_key,)
        )
        return tuple(
            Tracked(
                tracking_uid=row["tracking_uid"],
                identifier=row["identifier"],
                finding=row["finding"],
                laterality=row["laterality"],
                frame_of_reference_uid=row["frame_of_reference_uid"],
                centre_mm=(row["x_mm"], row["y_mm"], row["z_mm"]),
                radius_mm=row["radius_mm"],
            )
            for row in rows
        )

    def withdraw(self, job: JobRow, reason: str) -> bool:
        """Take back the result of an ended job; False when that was done already."""
        with self._database.transaction() as db:
            cursor = db.execute(
                "UPDATE job SET state=?, reason=? WHERE key=? AND state IN (?,?,?)",
                (
                    JobState.WITHDRAWN,
                    reason,
                    job.key,
                    JobState.DONE,
                    JobState.NOT_ELIGIBLE,
                    JobState.FAILED,
                ),
            )
            if not cursor.rowcount:
                return False
            db.execute(
                "INSERT OR REPLACE INTO withdrawal VALUES (?,?,?)",
                (job.key, reason, self._clock()),
            )
            told = f"{job.model}: {reason}" if reason else job.model
            self._studies.tell(job.study_uid, "result withdrawn", told)
            return True

    def withdrawal(self, job_key: str) -> Withdrawal | None:
        """When a result was withdrawn, or None."""
        row = self._database.row("SELECT * FROM withdrawal WHERE job_key=?", (job_key,))
        return Withdrawal(row["reason"], row["at"]) if row else None
