"""`agreement` on reports in a folder: pairs, lesions by place, differences, refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from node.cli.main import main
from node.domain.finding import Status
from node.domain.pairing import Pair, paired
from tests.node.evaluation.cohorts import Folder, Found, Said
from tests.node.evaluation.evaluating import CONFIGURATION

GOOD, FAILURES, REFUSED = 0, 1, 2


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "appliance.yaml").write_text(CONFIGURATION.format(path=tmp_path / "var"))
    return Folder(tmp_path)


def agreement(folder: Folder, *arguments: str) -> int:
    config = folder.reports.parent / "appliance.yaml"
    return main(
        ["agreement", *arguments, "--reports", str(folder.reports), "--config", str(config)]
    )


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def two(*found: Found, other: tuple[Found, ...] = ()) -> tuple[Said, Said]:
    return Said(found=found), Said(found=other, model="rival")


@pytest.mark.parametrize(
    ("first", "second", "pair"),
    [
        (True, True, Pair.BOTH_POSITIVE),
        (True, False, Pair.ONLY_FIRST),
        (False, True, Pair.ONLY_SECOND),
        (False, False, Pair.BOTH_NEGATIVE),
        (None, False, Pair.NOT_COMPARED),
        (True, None, Pair.NOT_COMPARED),
        (None, None, Pair.NOT_COMPARED),
    ],
)
def test_a_missing_result_is_never_a_negative_one(
    first: bool | None, second: bool | None, pair: Pair
) -> None:
    assert paired(first, second) is pair


def test_pairs_are_counted_and_what_was_not_compared_is_told_with_the_reason(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.study("both", *two(Found(), other=(Found(),)), site="North")
    folder.study("first", *two(Found()), site="South")
    folder.study("none", *two(), site="South")
    failed = Said(status=Status.FAILED, reason="the worker died", model="rival")
    folder.study("failed", Said(), failed, site="North")
    folder.study("alone", Said(found=(Found(),)), site="South")
    assert agreement(folder, "nodules", "rival", "--json", "--by", "site") == GOOD
    (found,) = told(capsys)["findings"]
    groups = {group["group"]: group for group in found["groups"]}
    whole = groups["all"]
    names = ("both_positive", "only_first", "only_second", "both_negative", "not_compared")
    assert [whole[name] for name in names] == [1, 1, 0, 1, 2]
    assert [groups["site: South"][name] for name in names] == [0, 1, 0, 1, 1]
    assert found["not_compared"] == {
        "rival failed: the worker died": 1,
        "rival not asked about the study": 1,
        "the images are not here, so that places on them cannot be compared with mm": 1,
    }


def test_lesions_are_the_same_when_they_lie_close_in_space(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    # 5 mm is one slice; the nodules have a radius of 4 * sqrt(2) = 5.7 mm.
    near = Found(slice=3, column=30, row=30), Found(slice=4, column=30, row=30)
    far = Found(slice=1, column=10, row=10), Found(slice=6, column=10, row=10)
    folder.study("a", *two(near[0], far[0], other=(near[1], far[1])))
    agreement(folder, "nodules", "rival", "--json", "--images", str(folder.images))
    whole = told(capsys)["findings"][0]["groups"][0]
    names = ("lesions_of_both", "lesions_only_first", "lesions_only_second", "lesion_studies")
    assert [whole[name] for name in names] == [1, 1, 1, 1]


def test_measurements_differ_by_second_minus_first(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, second in enumerate((9.0, 11.0)):
        folder.study(str(number), *two(Found(), other=(Found(diameter_mm=second),)))
    out = folder.images.parent / "out"
    agreement(folder, "nodules", "rival", "--json", "--out", str(out))
    measured = {one["measurement"]: one for one in told(capsys)["measurements"]}
    diameter = measured["nodule 1: Diameter"]
    assert (diameter["pairs"], diameter["bias"], diameter["unit"]) == (2, 2.0, "mm")
    with (out / "pairs.csv").open() as stream:
        assert [row["pair"] for row in csv.DictReader(stream)] == ["both positive"] * 2


def test_a_rule_decides_for_both(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.study("a", *two(Found(diameter_mm=9), other=(Found(diameter_mm=7),)))
    agreement(folder, "nodules", "rival", "--json", "--positive", "Diameter >= 8")
    assert told(capsys)["findings"][0]["groups"][0]["only_first"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nodules", "nodules"), "name two models: nodules agrees with itself"),
        (("nodules", "riwal"), "no study with a verdict of model riwal in the reports in"),
        (("nodules", "rival", "--finding", "emboli"), "--finding emboli: no code, and no finding"),
        (("nodules", "rival", "--by", "ward"), "--by ward: no such grouping"),
        (("nodules", "rival", "--days", "2"), "--days is about the ledger"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    folder: Folder,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    folder.study("a", *two())
    assert agreement(folder, *arguments) == REFUSED
    assert message in capsys.readouterr().err


def test_nothing_compared_is_a_failure(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.study("a", Said())
    folder.study("b", Said(model="rival"))
    assert agreement(folder, "nodules", "rival") == FAILURES
    printed = capsys.readouterr().out
    assert "1: rival not asked about the study" in printed
    assert "1: nodules not asked about the study" in printed
