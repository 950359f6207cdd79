"""Each example of ALERTS.md works when it is pasted into a good file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.alert_text import OF_A_FINDING, OF_AN_EVENT
from config.load import load_appliance

PAGE = Path(__file__).resolve().parents[2] / "config" / "ALERTS.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.S)
GOOD = """\
version: 1
receiver:
  peers:
    ct1: {addresses: [10.0.0.1], ae_titles: [CT1]}
storage: {path: ./var}
"""


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_good(example: str, tmp_path: Path) -> None:
    for name in ("webhook-secret", "mail-password"):
        (tmp_path / name).write_text("swordfish")
        (tmp_path / name).chmod(0o600)
    (tmp_path / "hospital-ca.pem").write_text("x")
    path = tmp_path / "appliance.yaml"
    path.write_text(GOOD + example.replace("# ca_file", "ca_file").replace("/etc/vigie", "."))
    assert load_appliance(path, {}).alerts.channels


def test_there_is_an_example_of_each_kind_of_channel() -> None:
    for kind in ("webhook", "email", "hl7"):
        assert any(f"type: {kind}" in example for example in EXAMPLES)


def test_every_placeholder_is_named() -> None:
    for name in (*OF_A_FINDING, *OF_AN_EVENT):
        assert f"`{{{name}}}`" in TEXT
