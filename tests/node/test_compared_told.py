"""`explain` says with which earlier study a result was compared, and why with no other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from node.cli.main import main
from node.domain.study import StudyUID
from node.domain.verdict import Companion, Job, ModelName
from node.ledger import Ledger
from tests.node import words

PATIENT = {"patient_id": "P1", "birth_date": "19600101", "study_date": "20260301"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "appliance.yaml"
    path.write_text(
        f"version: 1\nstorage: {{path: {tmp_path / 'store'}}}\n"
        "receiver: {peers: {pacs: {addresses: [127.0.0.1], ae_titles: [PACS]}}}\n",
        encoding="utf-8",
    )
    (tmp_path / "store").mkdir()
    return path


def record(ledger: Ledger, uid: str, **changes: str) -> None:
    instance = replace(words.instance(1, series=uid), study_uid=StudyUID(uid))
    ledger.instances.record(instance)
    ledger.facts.record(
        words.study_facts(words.facts(uid), study_uid=StudyUID(uid), **(PATIENT | changes))
    )


def told(config: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert main(["explain", "1.1", "--config", str(config), *more]) == 0
    return capsys.readouterr().out


def test_explain_names_the_prior_and_what_is_none(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(tmp_path / "store")
    record(ledger, "1.1")
    record(ledger, "1.2", study_date="20250301")
    record(ledger, "1.3", study_date="20250201", birth_date="19610304")
    prior = Companion("prior", StudyUID("1.2"), words.facts("1.2").stack_id)
    ledger.jobs.add(
        Job(
            key="k",
            model=ModelName("lung_nodules"),
            study_uid=StudyUID("1.1"),
            generation=1,
            candidates=(words.facts("1.1").stack_id,),
            priority=1,
            companions=((words.facts("1.1").stack_id, prior),),
        ),
        destinations=(),
    )
    ledger.close()
    said = told(config, capsys)
    assert "    prior: a series of study 1.2\n" in said
    assert "  same patient ID, but no prior: study 1.3 (other birth date)\n" in said
    assert "P1" not in said
    (row,) = json.loads(told(config, capsys, "--json"))
    assert row["companions"] == [{"job": "k", "role": "prior", "study": "1.2"}]
    assert len(row["no_priors"]) == 1


def test_explain_says_why_a_study_is_compared_with_nothing(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(tmp_path / "store")
    record(ledger, "1.1", birth_date="")
    ledger.close()
    assert "no earlier study is compared with this one: it states no birth date" in told(
        config, capsys
    )
