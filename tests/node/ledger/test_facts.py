"""Facts survive in the ledger; priors are those of the same patient, earlier, still stored."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.domain.facts import StudyFacts
from node.domain.study import StudyUID
from node.domain.verdict import Companion, Ineligible, Job, ModelName, ReasonCode
from node.ledger import Ledger
from node.ledger.facts import why_alone
from node.ledger.schema import SCHEMA_VERSION, TABLES
from tests.node import words


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path)
    yield opened
    opened.close()


def study(uid: str, date: str = "20260101", **changes: object) -> StudyFacts:
    facts = words.study_facts(words.facts(uid), study_uid=StudyUID(uid), study_date=date)
    patient = {"patient_id": "P1", "birth_date": "19600101", "issuer_of_patient_id": "H"}
    return replace(facts, **(patient | changes))  # type: ignore[arg-type]


def stored(ledger: Ledger, facts: StudyFacts) -> StudyFacts:
    instance = replace(words.instance(1, series=facts.study_uid), study_uid=facts.study_uid)
    ledger.instances.record(instance)
    ledger.facts.record(facts)
    return facts


def test_facts_come_back_as_they_were(ledger: Ledger) -> None:
    facts = study("1", faults=("two patients",), study_time="0830")
    ledger.facts.record(facts)
    assert ledger.facts.get("1") == facts
    newer = replace(facts, generation=2, series=())
    ledger.facts.record(newer)
    assert ledger.facts.get("1") == newer


def test_studies_since_a_time(ledger: Ledger) -> None:
    for day in (1, 2, 3):
        ledger.facts.record(study(str(day), at=datetime(2026, 1, day, tzinfo=UTC)))
    since = datetime(2026, 1, 2, tzinfo=UTC).timestamp()
    assert [facts.study_uid for facts in ledger.facts.since(since)] == ["2", "3"]


def test_studies_without_facts_are_counted(ledger: Ledger) -> None:
    known = stored(ledger, study("1"))
    instance = replace(words.instance(1, series="2"), study_uid=StudyUID("2"))
    ledger.instances.record(instance)
    assert ledger.facts.untold_since(0.0) == 0, "neither is complete yet"
    for uid in (known.study_uid, "2"):
        assert ledger.studies.complete(uid, confidence="assumed")
    assert ledger.facts.untold_since(0.0) == 1
    assert ledger.facts.untold_since(9e12) == 0


def test_priors_are_earlier_studies_of_the_same_patient_newest_first(ledger: Ledger) -> None:
    now = stored(ledger, study("now", "20260301"))
    for uid, date in (("old", "20240101"), ("new", "20260201"), ("later", "20260401")):
        stored(ledger, study(uid, date))
    stored(ledger, study("other", "20250101", patient_id="P2"))
    stored(ledger, study("reused", "20250101", birth_date="19990101"))
    stored(ledger, study("elsewhere", "20250101", issuer_of_patient_id="X"))
    ledger.facts.record(study("deleted", "20250101"))
    assert [prior.study_uid for prior in ledger.facts.priors(now)] == ["new", "old"]
    assert ledger.facts.priors(replace(now, patient_id="")) == ()


def test_a_study_under_the_same_identifier_that_is_no_prior_has_a_reason(ledger: Ledger) -> None:
    now = stored(ledger, study("now", "20260301"))
    others: dict[str, tuple[str, dict[str, object]]] = {
        "old": ("20240101", {}),
        "later": ("20260401", {}),
        "undated": ("", {}),
        "reused": ("20250101", {"birth_date": "19990101"}),
        "unborn": ("20250102", {"birth_date": ""}),
        "elsewhere": ("20250103", {"issuer_of_patient_id": "X"}),
        "stranger": ("20250104", {"patient_id": "P2"}),
    }
    for uid, (date, changes) in others.items():
        stored(ledger, study(uid, date, **changes))
    assert dict(ledger.facts.no_priors(now)) == {
        "later": "not earlier",
        "elsewhere": "other issuer of the patient ID",
        "unborn": "no birth date stated",
        "reused": "other birth date",
        "undated": "no study date stated",
    }
    assert [prior.study_uid for prior in ledger.facts.priors(now)] == ["old"]
    assert ledger.facts.no_priors(replace(now, patient_id="")) == ()


def test_a_study_that_can_have_no_prior_says_why() -> None:
    assert why_alone(study("1")) == ""
    assert "no birth date" in why_alone(study("1", birth_date=""))
    assert "strangers" in why_alone(study("1", patient_id="UNKNOWN"))
    assert "no study date" in why_alone(study("1", ""))


@pytest.mark.parametrize(
    "nobody",
    [
        {"patient_id": "UNKNOWN"},
        {"patient_id": "Unbekannt 2"},
        {"patient_id": "TRAUMA20240131"},
        {"patient_id": "UNBEKANNT 31.01.2024"},
        {"patient_id": "ANON00417"},
        {"patient_id": "NN 31012024"},
        {"patient_id": "0000000"},
        {"patient_id": "123456"},
        {"birth_date": ""},
    ],
)
def test_strangers_under_one_placeholder_are_no_priors_of_each_other(
    ledger: Ledger, nobody: dict[str, str]
) -> None:
    stored(ledger, study("old", "20240101", **nobody))
    assert ledger.facts.priors(stored(ledger, study("now", "20260301", **nobody))) == ()


@pytest.mark.parametrize("somebody", ["PAT0047113", "ID-839201", "NN 55021"])
def test_a_word_with_a_number_behind_it_is_an_identifier(ledger: Ledger, somebody: str) -> None:
    stored(ledger, study("old", "20240101", patient_id=somebody))
    now = stored(ledger, study("now", "20260301", patient_id=somebody))
    assert [prior.study_uid for prior in ledger.facts.priors(now)] == ["old"]


def test_a_prior_of_the_other_sex_is_somebody_else(ledger: Ledger) -> None:
    def of(uid: str, date: str, sex: str | None) -> StudyFacts:
        facts = study(uid, date)
        return stored(
            ledger, replace(facts, series=tuple(replace(s, patient_sex=sex) for s in facts.series))
        )

    for uid, date, sex in (("a", "20240101", "M"), ("b", "20240201", "F"), ("c", "20240301", None)):
        of(uid, date, sex)
    now = of("now", "20260301", "F")
    assert [prior.study_uid for prior in ledger.facts.priors(now)] == ["c", "b"]
    assert ledger.facts.no_priors(now) == (("a", "other sex"),)


def test_facts_go_with_the_images(ledger: Ledger) -> None:
    ledger.facts.record(study("1"))
    ledger.facts.remove("1")
    assert ledger.facts.get("1") is None


def test_a_verdict_keeps_the_code_of_its_reason(ledger: Ledger) -> None:
    facts = words.facts()
    verdict = Ineligible(
        model=ModelName("m"), stack_id=facts.stack_id, reason="why", code=ReasonCode.TILT
    )
    ledger.studies.record_verdict(facts.study_uid, 1, verdict, "line")
    (row,) = ledger.studies.verdicts(facts.study_uid, 1)
    assert (row.verdict, row.reason, row.reason_code) == ("not eligible", "why", "tilt")


def test_a_job_keeps_its_companions_and_waits_for_its_hours(tmp_path: Path) -> None:
    now = 1000.0
    ledger = Ledger(tmp_path, clock=lambda: now)
    facts = words.facts()
    companions = ((facts.stack_id, Companion("ct", StudyUID("9"), words.facts("2").stack_id)),)
    job = Job(
        key="k",
        study_uid=facts.study_uid,
        candidates=(facts.stack_id,),
        model=ModelName("m"),
        generation=1,
        priority=1,
        companions=companions,
        not_before=2000.0,
    )
    ledger.jobs.add(job, destinations=())
    assert ledger.jobs.claim("me", 30) is None
    now = 2000.0
    claimed = ledger.jobs.claim("me", 30)
    assert claimed is not None
    assert ledger.jobs.companions("k") == companions
    ledger.close()


def test_a_ledger_of_the_version_before_is_brought_up_to_date(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "ledger.sqlite")
    old.executescript(TABLES)
    old.execute("INSERT INTO meta VALUES ('version', '2')")
    old.execute("INSERT INTO verdict VALUES ('1', 1, '1.1', 'm', 'run', '', 'f', 0.0)")
    old.commit()
    old.close()
    ledger = Ledger(tmp_path)
    assert [row.reason_code for row in ledger.studies.verdicts("1", 1)] == [""]
    assert ledger.facts.get("1") is None
    ledger.close()
    assert SCHEMA_VERSION > 2
