"""`explain-config` shows every value in force and the line it comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.explain import explain_config, explain_rows
from node.domain.errors import ConfigError

CONTENT = """\
version: 1
node:
  ae_title: NIGHT
receiver:
  peers:
    ct1:
      addresses: [10.0.0.1]
      ae_titles: [CT1]
storage: {path: ./var}
destinations:
  pacs: {type: dicom, ae_title: PACS, host: pacs, port: 104}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A small site."""
    path = tmp_path / "site.yaml"
    path.write_text(CONTENT)
    return path


@pytest.mark.parametrize(
    ("key", "value", "origin"),
    [
        ("node.ae_title", "NIGHT", "site.yaml:3"),
        ("node.label", "research", "default"),
        ("receiver.port", "11112", "default"),
        ("receiver.ae_titles", "[NIGHT]", "node.ae_title"),
        ("receiver.peers.ct1.addresses", "[10.0.0.1/32]", "site.yaml:7"),
        ("receiver.peers.ct1.any_ae_title", "false", "default"),
        ("destinations.pacs.port", "104", "site.yaml:11"),
        ("destinations.pacs.calling_ae_title", "NIGHT", "node.ae_title"),
        ("completion.quiet_time_s", "20", "default"),
        ("workers.memory_mb", "(what the package says)", "default"),
        ("logging.file", "(standard error)", "default"),
        ("node.responsible_person", "(not set)", "default"),
        ("models", "{}", "default"),
    ],
)
def test_each_value_is_shown_with_its_origin(path: Path, key: str, value: str, origin: str) -> None:
    rows = {row["key"]: row for row in explain_rows(path)}
    assert (rows[key]["value"], rows[key]["origin"]) == (value, origin)


def test_every_value_but_a_name_has_its_meaning(path: Path) -> None:
    assert all(row["meaning"] for row in explain_rows(path))


def test_the_table_has_one_line_for_each_value(path: Path) -> None:
    lines = explain_config(path).splitlines()
    assert lines[0].split() == ["KEY", "VALUE", "FROM"]
    assert len(lines) == 1 + len(explain_rows(path))


def test_a_file_with_faults_is_not_explained(path: Path) -> None:
    path.write_text(CONTENT.replace("104", "104000"))
    with pytest.raises(ConfigError, match=r"site\.yaml:11:57: destinations\.pacs\.port"):
        explain_config(path)


def test_what_was_read_by_an_old_name_is_told_below_the_table(path: Path) -> None:
    path.write_text(CONTENT.replace("version: 1", "version: 0").replace("receiver:", "scp:"))
    assert "4:1: scp: read as 'receiver' - rename 'scp' to 'receiver'" in explain_config(path)
