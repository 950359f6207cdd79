"""Rows of typed facts: what `plan` replays, and where the priors of a study are found."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime

from node.domain.facts import StudyFacts, plain, revived
from node.domain.identity import is_placeholder
from node.domain.study import StudyUID
from node.ledger.database import Database

#: Priors that are looked at, newest first: a role wants the last ones, not a life's archive.
PRIORS = 20


class FactTable:
    """The study_facts table: one row a study, of its newest generation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, facts: StudyFacts) -> None:
        """Write or replace the facts of a study."""
        at = facts.at.timestamp() if facts.at is not None else 0.0
        with self._database.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO study_facts VALUES (?,?,?,?,?,?,?,?,?,?)",
                (
                    facts.study_uid,
                    facts.generation,
                    at,
                    facts.patient_id,
                    facts.issuer_of_patient_id,
                    facts.birth_date,
                    facts.study_date,
                    facts.study_time,
                    json.dumps(facts.faults),
                    json.dumps([plain(series) for series in facts.series]),
                ),
            )

    def get(self, study_uid: str) -> StudyFacts | None:
        """The facts of one study."""
        row = self._database.row("SELECT * FROM study_facts WHERE study_uid=?", (study_uid,))
        return _study(row) if row else None

    def since(self, at: float) -> Iterator[StudyFacts]:
        """Every study that was complete at this time (seconds since the epoch) or later."""
        rows = self._database.rows("SELECT * FROM study_facts WHERE at>=? ORDER BY at", (at,))
        yield from map(_study, rows)

    def untold_since(self, at: float) -> int:
        """Number of studies complete at this time or later whose facts are not here."""
        row = self._database.row(
            "SELECT count(*) AS number FROM study WHERE completed_at>=? "
            "AND study_uid NOT IN (SELECT study_uid FROM study_facts)",
            (at,),
        )
        return int(row["number"]) if row else 0

    def priors(self, study: StudyFacts) -> tuple[StudyFacts, ...]:
        """Earlier studies of the same patient whose images are still here, newest first.

        The same patient: identifier, its issuer and the birth date agree, and the sex is not
        another one. Without a birth date, or with an identifier that strangers may share
        ("UNKNOWN", "0000"), nothing is a prior: a comparison with somebody else is worse than none.
        """
        if why_alone(study):
            return ()
        rows = self._database.rows(
            "SELECT * FROM study_facts WHERE patient_id=? AND issuer_of_patient_id=? "
            "AND birth_date=? AND study_uid<>? AND study_date||study_time<? AND study_date<>'' "
            "AND EXISTS (SELECT 1 FROM instance WHERE instance.study_uid=study_facts.study_uid) "
            "ORDER BY study_date||study_time DESC LIMIT ?",
            (
                study.patient_id,
                study.issuer_of_patient_id,
                study.birth_date,
                study.study_uid,
                study.study_date + study.study_time,
                PRIORS,
            ),
        )
        found = map(_study, rows)
        return tuple(prior for prior in found if len(_sexes(prior) | _sexes(study)) < 2)

    def no_priors(self, study: StudyFacts) -> tuple[tuple[StudyUID, str], ...]:
        """Other studies under the same patient ID that are no priors, newest first, and why."""
        if not study.patient_id:
            return ()
        rows = self._database.rows(
            "SELECT * FROM study_facts WHERE patient_id=? AND study_uid<>? "
            "ORDER BY study_date||study_time DESC LIMIT ?",
            (study.patient_id, study.study_uid, PRIORS),
        )
        others = [(other, _why_no_prior(study, other)) for other in map(_study, rows)]
        return tuple((other.study_uid, why) for other, why in others if why)

    def remove(self, study_uid: str) -> None:
        """The images of the study are gone: so is what identifies its patient."""
        with self._database.transaction() as db:
            db.execute("DELETE FROM study_facts WHERE study_uid=?", (study_uid,))


def why_alone(study: StudyFacts) -> str:
    """Why no other study is a prior of this one; "" where one may be."""
    if is_placeholder(study.patient_id):
        return "its patient ID is missing, or one that strangers may share"
    if not study.birth_date:
        return "it states no birth date"
    return "" if study.study_date else "it states no study date"


def _why_no_prior(study: StudyFacts, other: StudyFacts) -> str:
    """As `FactTable.priors` decides; "" of a prior."""
    if other.issuer_of_patient_id != study.issuer_of_patient_id:
        return "other issuer of the patient ID"
    if other.birth_date != study.birth_date:
        return "other birth date" if other.birth_date else "no birth date stated"
    if not other.study_date:
        return "no study date stated"
    if other.study_date + other.study_time >= study.study_date + study.study_time:
        return "not earlier"
    return "other sex" if len(_sexes(other) | _sexes(study)) > 1 else ""


def _sexes(study: StudyFacts) -> set[str]:
    return {one.patient_sex for one in study.series if one.patient_sex in ("F", "M")}


def _study(row: sqlite3.Row) -> StudyFacts:
    return StudyFacts(
        study_uid=StudyUID(row["study_uid"]),
        series=tuple(revived(series) for series in json.loads(row["series"])),
        generation=row["generation"],
        at=datetime.fromtimestamp(row["at"], tz=UTC),
        patient_id=row["patient_id"],
        issuer_of_patient_id=row["issuer_of_patient_id"],
        birth_date=row["birth_date"],
        study_date=row["study_date"],
        study_time=row["study_time"],
        faults=tuple(json.loads(row["faults"])),
    )
