"""What `evaluate` cannot do it says, with the remedy; nothing unread counts as negative."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from node import packages
from tests.node.evaluation.cohorts import Folder, Found, Said
from tests.node.evaluation.evaluating import FAILURES, GOOD, NODULE, REFUSED, evaluate, prepared


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return prepared(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "nowhere: no such folder - name a folder of images or of reports, or write"),
        (("ledger",), "has `serve` ever run"),
        (("ledger", "--read"), "--read is about a folder, not about the ledger"),
        (("--days", "3"), "--days is about the ledger, not about a folder"),
        (("--run",), "holds no images to analyse"),
        (("--by", "sight"), "--by sight: no such grouping - did you mean 'site'?"),
        (("--model", "nodule"), "no result of model nodule for these studies; there are results"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_remedy(
    folder: Folder,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    one = folder.study("a", Said())
    code = evaluate(folder, [f"{one.study_uid},{NODULE},0"], *arguments)
    assert message in capsys.readouterr().err
    assert code == REFUSED


def test_a_rule_that_is_none_is_refused_with_an_example(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        evaluate(folder, [], "--positive", "large")
    assert ended.value.code == REFUSED
    assert "'Skeletal muscle index at L3 < 38.5'" in capsys.readouterr().err


def test_images_beside_reports_need_a_word(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    one = folder.study("a", Said())
    rows = [f"{one.study_uid},{NODULE},0"]
    assert evaluate(folder, rows, str(folder.images.parent)) == REFUSED
    assert "8 images and 1 reports - add --run" in capsys.readouterr().err
    assert evaluate(folder, rows, str(folder.images.parent), "--read") == GOOD


def test_a_package_that_cannot_be_read_leaves_out_its_own_model_only_and_is_named(
    folder: Folder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = tmp_path / "models" / "broken"
    broken.mkdir(parents=True)
    (broken / "model.yaml").write_text("format: [\n")
    monkeypatch.setattr(packages, "MODELS_FOLDER", tmp_path / "models")
    good = folder.study("s", Said(found=(Found(certainty=90),)))
    row = f"{good.study_uid},{NODULE},positive"
    assert evaluate(folder, [row], "--json") == FAILURES
    written = capsys.readouterr()
    assert "model broken is left out, because its package cannot be read" in written.err
    assert "model.yaml:" in written.err
    assert {one["model"] for one in json.loads(written.out)["evaluations"]} == {"nodules"}
    # Who asks about another model is not told of it.
    assert evaluate(folder, [row], "--json", "--model", "nodules") == GOOD
    assert "broken" not in capsys.readouterr().err


def test_results_of_a_package_that_cannot_be_read_are_not_judged_without_its_thresholds(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "models" / "nodules"
    broken.mkdir(parents=True)
    (broken / "model.yaml").write_text("format: [\n")
    monkeypatch.setattr(packages, "MODELS_FOLDER", tmp_path / "models")
    good = folder.study("s", Said(found=(Found(certainty=90),)))
    assert evaluate(folder, [f"{good.study_uid},{NODULE},positive"], "--json") == REFUSED
