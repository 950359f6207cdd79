"""`plan` from the command line: exit codes, JSON, each source."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.cli import plan as plan_command
from node.cli.main import main
from node.domain.study import StudyUID
from node.ledger import Ledger
from tests.dicom_factory import ct_series, write
from tests.node import words

HEAD = """\
version: 1
receiver: {peers: {ct1: {addresses: [10.0.0.1], ae_titles: [CT1]}}}
storage: {path: ./var}
models: {body_composition: {unsigned: true}}
destinations: {pacs: {type: dicom, ae_title: A, host: a, port: 104}}
routes:
  r: {models: [body_composition], destinations: [pacs], when: {WHEN}}
"""
TABLE = """\
StudyInstanceUID,SeriesInstanceUID,Modality,SeriesDescription
1.1,1.1.1,CT,Thorax
1.2,1.2.1,MR,Thorax
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "now.yaml").write_text(HEAD.replace("WHEN", ""))
    (tmp_path / "same.yaml").write_text(HEAD.replace("WHEN", "modalities: [CT]"))
    (tmp_path / "new.yaml").write_text(HEAD.replace("WHEN", "body_region: abdomen"))
    (tmp_path / "wrong.yaml").write_text(HEAD.replace("WHEN", "body_regoin: abdomen"))
    (tmp_path / "table.csv").write_text(TABLE)
    return tmp_path


def plan(folder: Path, new: str, *arguments: str) -> int:
    files = ["--config", str(folder / "now.yaml"), "--new", str(folder / new)]
    return main(["plan", *files, *arguments])


def test_no_difference_is_0_and_a_difference_is_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = ("--headers", str(folder / "table.csv"))
    assert plan(folder, "same.yaml", *table) == 0
    assert "no difference" in capsys.readouterr().out
    assert plan(folder, "new.yaml", *table) == 1
    told = capsys.readouterr().out
    assert "1.1  body_composition  MAY LOSE" in told
    reason = "body region chest; the rule asks for body region abdomen"
    assert f"  1 body_composition may lose: no routing rule applies: {reason}" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("wrong.yaml", "--headers", "table.csv"), "did you mean 'body_region'?"),
        (("new.yaml", "--headers", "none.csv"), "none.csv: cannot be read"),
        (("new.yaml", "--folder", "none"), "no DICOM images"),
        (("new.yaml", "--days", "3"), "has `serve` ever run"),
    ],
)
def test_what_cannot_be_planned_is_2_with_the_remedy(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(folder)
    assert plan(folder, *arguments) == 2
    assert message in capsys.readouterr().err


def test_json_holds_every_difference(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(folder, "new.yaml", "--json", "--headers", str(folder / "table.csv")) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["studies"], found["series"]) == (2, 2)
    assert found["models"][0]["unknown"] == [1, 0]
    assert [one["change"] for one in found["differences"]] == ["may lose"]
    assert [(one["change"], one["studies"]) for one in found["reasons"]] == [("may lose", 1)]


def test_received_studies_are_replayed_from_the_ledger(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "var").mkdir()
    ledger = Ledger(folder / "var")
    ledger.instances.record(words.instance(1))
    ledger.studies.complete(words.instance(1).study_uid, confidence="assumed")
    ledger.facts.record(
        words.study_facts(
            words.facts(body_region=("chest",)), study_uid=StudyUID("1.1"), at=datetime.now(UTC)
        )
    )
    ledger.close()
    assert plan(folder, "new.yaml", "--days", "1") == 1
    told = capsys.readouterr()
    assert "LOSES" in told.out
    assert "1 studies of these days are left out" in told.err
    assert "`rerun STUDY`" in told.err


def test_a_folder_is_described_as_a_node_does_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(ct_series(slices=20, spacing_mm=3.0), folder / "images")
    (folder / "images" / "notes.txt").write_text("no DICOM")
    assert plan(folder, "new.yaml", "--folder", str(folder / "images")) == 0
    told = capsys.readouterr()
    assert "1 files are no DICOM images" in told.err
    assert "1 -> 1" in told.out


def test_a_package_that_cannot_be_read_leaves_out_its_own_model_only_and_is_named(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    models = tmp_path / "models"
    (models / "body_composition").mkdir(parents=True)
    (models / "body_composition" / "model.yaml").write_text("format: [\n")
    monkeypatch.setattr(plan_command, "MODELS_FOLDER", models)
    table = ("--headers", str(folder / "table.csv"))
    assert plan(folder, "new.yaml", *table) == 0
    told = capsys.readouterr()
    assert "model body_composition is left out, because its package cannot be read" in told.err
    assert "no difference" in told.out
