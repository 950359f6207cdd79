"""Rows of the findings that our reports state, so that an answer about one finds its result."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from node.domain.feedback import MeasuredValue, ReportedFinding, ResultFinding
from node.ledger.database import Database
from node.ledger.outbox import ResultObject
from node.ledger.states import JobState

#: Results that count no more.
_OVER = (JobState.SUPERSEDED, JobState.WITHDRAWN)
_FINDINGS = "SELECT finding.*, job.state, job.created_at FROM finding JOIN job ON job.key=job_key "


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report of ours that has been read; `study_uid` as it is written in the report."""

    sop_instance_uid: str
    study_uid: str
    findings: tuple[ReportedFinding, ...]


class FindingTable:
    """The finding and read_report tables."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def unread(self, limit: int) -> tuple[tuple[str, str], ...]:
        """(SOP Instance UID, job key) of reports of ours that have not been read, oldest first."""
        rows = self._database.rows(
            "SELECT r.sop_instance_uid, r.job_key FROM result_object r "
            "JOIN job ON job.key=r.job_key WHERE r.kind='report' "
            "AND NOT EXISTS (SELECT 1 FROM read_report d "
            "WHERE d.sop_instance_uid=r.sop_instance_uid) ORDER BY job.created_at LIMIT ?",
            (limit,),
        )
        return tuple((row["sop_instance_uid"], row["job_key"]) for row in rows)

    def record(self, item: ResultObject, report: Report) -> None:
        """Write what a report of ours states; idempotent."""
        with self._database.transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO finding VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                [
                    (
                        item.job_key,
                        one.tracking_uid,
                        position,
                        item.study_uid,
                        report.study_uid,
                        item.sop_instance_uid,
                        one.model,
                        one.model_version,
                        one.identifier,
                        one.finding,
                        one.site,
                        written_measurements(one.measurements),
                    )
                    for position, one in enumerate(report.findings)
                ],
            )
            self._read(item.sop_instance_uid, "")

    def give_up(self, sop_instance_uid: str, cause: str) -> None:
        """A report of ours cannot be read any more, with the cause."""
        self._read(sop_instance_uid, cause)

    def _read(self, sop_instance_uid: str, cause: str) -> None:
        with self._database.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO read_report VALUES (?,?,?)",
                (sop_instance_uid, self._clock(), cause),
            )

    def of_study(self, study_uid: str) -> tuple[ResultFinding, ...]:
        """Every finding of every result of a study, newest result first."""
        return self._rows(
            "WHERE finding.study_uid=? ORDER BY job.created_at DESC, job_key, position",
            (study_uid,),
        )

    def of_results(self, keys: Iterable[str]) -> tuple[ResultFinding, ...]:
        """The findings of these results, newest result first."""
        return self._rows(
            "WHERE job_key IN (SELECT value FROM json_each(?)) "
            "ORDER BY job.created_at DESC, job_key, position",
            (json.dumps(list(keys)),),
        )

    def tracked_in(self, written_study_uid: str) -> tuple[ResultFinding, ...]:
        """Findings of reports that carry this Study Instance UID, newest result first."""
        return self._rows(
            "WHERE report_study_uid=? ORDER BY job.created_at DESC, job_key, position",
            (written_study_uid,),
        )

    def results_of(self, sop_instance_uids: Sequence[str]) -> tuple[str, ...]:
        """Keys of the jobs that wrote any of these objects."""
        # One value: a document may refer to more objects than SQLite takes values.
        rows = self._database.rows(
            "SELECT DISTINCT job_key FROM result_object "
            "WHERE sop_instance_uid IN (SELECT value FROM json_each(?))",
            (json.dumps(list(sop_instance_uids)),),
        )
        return tuple(row["job_key"] for row in rows)

    def numbers(self, study_uid: str) -> dict[str, int]:
        """How many findings each result of a study has, by job; without those not read."""
        rows = self._database.rows(
            "SELECT job_key, (SELECT COUNT(*) FROM finding f WHERE f.job_key=r.job_key) AS n "
            "FROM result_object r JOIN read_report d USING (sop_instance_uid) "
            "WHERE r.study_uid=? AND d.cause=''",
            (study_uid,),
        )
        return {row["job_key"]: int(row["n"]) for row in rows}

    def totals(self) -> dict[tuple[str, str], int]:
        """Number of findings by model and version, superseded results included."""
        rows = self._database.rows(
            "SELECT model, model_version, COUNT(*) AS n FROM finding GROUP BY 1, 2"
        )
        return {(row["model"], row["model_version"]): int(row["n"]) for row in rows}

    def _rows(self, where: str, parameters: tuple[object, ...]) -> tuple[ResultFinding, ...]:
        rows = self._database.rows(_FINDINGS + where, parameters)
        return tuple(_finding(row) for row in rows)


def _finding(row: sqlite3.Row) -> ResultFinding:
    return ResultFinding(
        study_uid=row["study_uid"],
        result=row["job_key"],
        report_uid=row["report_uid"],
        report_study_uid=row["report_study_uid"],
        at=row["created_at"],
        is_current=JobState(row["state"]) not in _OVER,
        finding=ReportedFinding(
            tracking_uid=row["tracking_uid"],
            identifier=row["identifier"],
            finding=row["finding"],
            site=row["site"],
            model=row["model"],
            model_version=row["model_version"],
            measurements=read_measurements(row["measurements"]),
        ),
    )


def written_measurements(items: Iterable[MeasuredValue]) -> str:
    """As JSON."""
    return json.dumps([asdict(item) for item in items], ensure_ascii=False)


def read_measurements(text: str) -> tuple[MeasuredValue, ...]:
    """From JSON."""
    return tuple(MeasuredValue(**item) for item in json.loads(text))
