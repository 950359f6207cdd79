"""The page on rules says what the code does, and its examples are valid."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from config.load import load_appliance
from config.rules_page import PAGE, page_with_tables
from config.schema.preferences import MEANINGS
from node.domain.facts import FACTS
from node.pipeline.rules import preference
from tests.node import words

TEXT = PAGE.read_text(encoding="utf-8")
HEAD = """\
version: 1
receiver: {peers: {ct1: {addresses: [10.0.0.1], ae_titles: [CT1]}}}
storage: {path: ./var}
models: {body_composition: {}, lesions: {}, mammography: {}, nodules: {}}
destinations:
  pacs: {type: dicom, ae_title: A, host: a, port: 104}
  night-reading: {type: dicom, ae_title: B, host: b, port: 104}
"""


def test_the_tables_are_current() -> None:
    assert page_with_tables(TEXT) == TEXT, "run `python -m config.rules_page`"


def test_every_fact_and_every_preference_is_in_the_page() -> None:
    for name in (*FACTS, *MEANINGS):
        assert f"| `{name}` |" in TEXT, name


def test_every_preference_can_be_asked() -> None:
    assert len(preference(list(MEANINGS), words.facts())) == len(MEANINGS)  # type: ignore[arg-type]


def test_whole_routes_of_the_page_can_be_used(tmp_path: Path) -> None:
    blocks = [block for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]
    routes = [block for block in blocks if block.startswith("routes:")]
    assert len(routes) == 2
    for block in routes:
        path = tmp_path / "appliance.yaml"
        path.write_text(HEAD + block)
        appliance = load_appliance(path, ["body_composition", "lesions", "mammography", "nodules"])
        assert appliance.routes


def test_parts_of_routes_of_the_page_can_be_used(tmp_path: Path) -> None:
    (block,) = [b for b in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL) if "  # " in b[:6]]
    parts = re.split(r"\n\n", block)
    assert len(parts) == 4
    for part in parts:
        given = yaml.safe_load(part)
        route = {"models": ["body_composition"], **given}
        if not given.get("shadow"):
            route["destinations"] = ["pacs"]
        path = tmp_path / "appliance.yaml"
        path.write_text(HEAD + yaml.safe_dump({"routes": {"r": route}}))
        load_appliance(path, ["body_composition", "lesions", "mammography", "nodules"])
