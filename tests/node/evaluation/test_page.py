"""The page about evaluation: its tables are read, its options exist, its routes are valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import config
from node.cli.main import parser
from node.domain.acute import AcuteFinding
from node.evaluation.truth_table import read_truth

PAGE = Path(config.__file__).with_name("EVALUATION.md")
TEXT = PAGE.read_text(encoding="utf-8")
TABLES = re.findall(r"```csv\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("text", TABLES)
def test_each_table_on_the_page_can_be_copied(tmp_path: Path, text: str) -> None:
    path = tmp_path / "truth.csv"
    path.write_text(text, encoding="utf-8")
    none: dict[str, tuple[AcuteFinding, ...]] = {}
    assert len(read_truth(path, none).studies) == 2


def test_there_is_a_table_for_labels_lesions_and_values() -> None:
    assert len(TABLES) == 3


def test_each_option_on_the_page_exists(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("evaluate", "agreement"):
        with pytest.raises(SystemExit):
            parser().parse_args([command, "--help"])
    known = set(re.findall(r"--[a-z]+", capsys.readouterr().out))
    assert set(re.findall(r"--[a-z]+", TEXT)) <= known


def test_the_routes_are_yaml_with_a_shadow() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert yaml.safe_load(text)["routes"]["second"]["shadow"] is True
