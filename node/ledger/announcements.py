"""Rows of what modalities and archives announced about a study: MPPS and availability."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from node.domain.errors import NoticeRefused
from node.ledger.database import Database
from node.ledger.studies import Studies
from scp.notices import (
    COMPLETED,
    DISCONTINUED,
    DUPLICATE_INSTANCE,
    IN_PROGRESS,
    MAY_NO_LONGER_BE_UPDATED,
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    Availability,
    ExpectedSeries,
    StepChange,
)

#: Announcements of studies that never came are forgotten after this long.
KEPT_S = 90 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A performed procedure step of a study, with the images it names (none until it ends)."""

    step_uid: str
    status: str
    reason: str
    calling_ae_title: str
    series: tuple[ExpectedSeries, ...]

    @property
    def is_open(self) -> bool:
        """Is the modality still at work on it?"""
        return self.status == IN_PROGRESS

    @property
    def is_discontinued(self) -> bool:
        """Was it broken off?"""
        return self.status == DISCONTINUED


@dataclass(frozen=True, slots=True)
class Announced:
    """Everything that was announced about one study.

    Attributes:
        available: series that archives said they hold, by notification.
    """

    steps: tuple[Step, ...]
    available: tuple[ExpectedSeries, ...]


class Announcements:
    """The procedure_step and availability tables; implements `scp.notices.Notices`."""

    def __init__(
        self, database: Database, studies: Studies, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._studies = studies
        self._clock = clock

    def step_began(self, change: StepChange) -> None:
        """N-CREATE. Raises NoticeRefused when the step is known already."""
        now = self._clock()
        with self._database.transaction() as db:
            _forget(db, now - KEPT_S)
            row = db.execute("SELECT 1 FROM procedure_step WHERE step_uid=?", (change.step_uid,))
            if row.fetchone():
                raise NoticeRefused("this procedure step exists already", DUPLICATE_INSTANCE)
            db.execute(
                "INSERT INTO procedure_step VALUES (?,?,'',?,?,NULL)",
                (change.step_uid, change.status, change.calling_ae_title, now),
            )
            db.executemany(
                "INSERT OR IGNORE INTO procedure_step_study VALUES (?,?)",
                [(study_uid, change.step_uid) for study_uid in change.study_uids],
            )
            _replace(db, change.step_uid, change.series or ())
            for study_uid in change.study_uids:
                self._studies.tell(
                    study_uid, "procedure step in progress", f"MPPS from {change.calling_ae_title}"
                )

    def step_changed(self, change: StepChange) -> None:
        """N-SET. Raises NoticeRefused when the step is unknown or has ended (PS3.4 F.7.2.2.2)."""
        with self._database.transaction() as db:
            row = db.execute(
                "SELECT status FROM procedure_step WHERE step_uid=?", (change.step_uid,)
            ).fetchone()
            if row is None:
                raise NoticeRefused("no procedure step with this UID was begun", NO_SUCH_INSTANCE)
            if row["status"] != IN_PROGRESS:
                raise NoticeRefused(
                    "the procedure step has ended and may no longer be updated",
                    PROCESSING_FAILURE,
                    MAY_NO_LONGER_BE_UPDATED,
                )
            if change.series is not None:
                _replace(db, change.step_uid, change.series)
            if change.status in (COMPLETED, DISCONTINUED):
                self._end(db, change)

    def available(self, notice: Availability) -> None:
        """An archive holds these instances; said again, the newer list counts."""
        now = self._clock()
        with self._database.transaction() as db:
            _forget(db, now - KEPT_S)
            db.execute(
                "INSERT OR REPLACE INTO availability VALUES (?,?,?,?)",
                (notice.study_uid, notice.notice_uid, notice.calling_ae_title, now),
            )
            _replace(db, notice.notice_uid, notice.series)
            images = sum(len(item.sop_instance_uids) for item in notice.series)
            self._studies.tell(
                notice.study_uid,
                "availability notified",
                f"{images} images in {len(notice.series)} series, by {notice.calling_ae_title}",
            )

    def of_study(self, study_uid: str) -> Announced:
        """What is known of one study."""
        steps = self._database.rows(
            "SELECT s.* FROM procedure_step s JOIN procedure_step_study t USING (step_uid) "
            "WHERE t.study_uid=? ORDER BY s.created_at",
            (study_uid,),
        )
        notices = self._database.rows(
            "SELECT notice_uid FROM availability WHERE study_uid=? ORDER BY at", (study_uid,)
        )
        return Announced(
            steps=tuple(
                Step(
                    step_uid=row["step_uid"],
                    status=row["status"],
                    reason=row["reason"],
                    calling_ae_title=row["calling_ae_title"],
                    series=self._series(row["step_uid"]),
                )
                for row in steps
            ),
            available=tuple(
                series for row in notices for series in self._series(row["notice_uid"])
            ),
        )

    def _end(self, db: sqlite3.Connection, change: StepChange) -> None:
        db.execute(
            "UPDATE procedure_step SET status=?, reason=?, ended_at=? WHERE step_uid=?",
            (change.status, change.reason, self._clock(), change.step_uid),
        )
        images = sum(len(item.sop_instance_uids) for item in self._series(change.step_uid))
        detail = f"{images} images, MPPS from {change.calling_ae_title}"
        detail += f": {change.reason}" if change.reason else ""
        for row in db.execute(
            "SELECT study_uid FROM procedure_step_study WHERE step_uid=?", (change.step_uid,)
        ).fetchall():
            word = change.status.lower()
            self._studies.tell(row["study_uid"], f"procedure step {word}", detail)

    def _series(self, notice_uid: str) -> tuple[ExpectedSeries, ...]:
        rows = self._database.rows(
            "SELECT series_uid, instances FROM announced_series WHERE notice_uid=? "
            "ORDER BY series_uid",
            (notice_uid,),
        )
        return tuple(
            ExpectedSeries(row["series_uid"], tuple(filter(None, row["instances"].split("\n"))))
            for row in rows
        )


def _replace(db: sqlite3.Connection, notice_uid: str, series: Iterable[ExpectedSeries]) -> None:
    db.execute("DELETE FROM announced_series WHERE notice_uid=?", (notice_uid,))
    db.executemany(
        "INSERT OR REPLACE INTO announced_series VALUES (?,?,?)",
        [(notice_uid, item.series_uid, "\n".join(item.sop_instance_uids)) for item in series],
    )


def _forget(db: sqlite3.Connection, before: float) -> None:
    """Drop what is so old that no image of it will come any more."""
    old = [
        row["uid"]
        for row in db.execute(
            "SELECT step_uid AS uid FROM procedure_step WHERE created_at<? "
            "UNION SELECT notice_uid FROM availability WHERE at<?",
            (before, before),
        ).fetchall()
    ]
    for table, column in (
        ("announced_series", "notice_uid"),
        ("procedure_step_study", "step_uid"),
        ("procedure_step", "step_uid"),
        ("availability", "notice_uid"),
    ):
        db.executemany(
            f"DELETE FROM {table} WHERE {column}=?",  # noqa: S608 - names from the line above
            [(uid,) for uid in old],
        )
