"""The `appliance.yaml` in the checkout works as it is, and is short."""

from __future__ import annotations

import re
import shutil
from ipaddress import ip_address
from pathlib import Path

import pytest

from config.explain import explain_rows
from config.load import load_appliance
from node.domain.errors import ConfigError
from node.packages import installed_models

CHECKOUT = Path(__file__).resolve().parents[2]
SHIPPED = CHECKOUT / "appliance.yaml"


def test_the_shipped_file_has_no_fault() -> None:
    appliance = load_appliance(SHIPPED, ["body_composition"])
    assert appliance.called_ae_titles == ("VIGIE",)
    assert appliance.is_research
    assert appliance.routes["body-composition"].destinations == ("pacs",)
    assert appliance.calling_ae_title("pacs") == "VIGIE"


def test_the_shipped_file_lets_only_this_computer_send() -> None:
    appliance = load_appliance(SHIPPED, ["body_composition"])
    networks = [net for peer in appliance.receiver.peers.values() for net in peer.addresses]
    assert all(net.is_loopback for net in networks)
    for address in ("127.0.0.1", "::1"):
        assert any(ip_address(address) in network for network in networks)


def test_the_shipped_file_is_short_and_commented() -> None:
    lines = SHIPPED.read_text().splitlines()
    assert len(lines) < 70
    assert max(map(len, lines)) <= 100
    assert sum("#" in line for line in lines) >= 15
    assert lines[0] == "# yaml-language-server: $schema=config/appliance.schema.json"


def test_the_shipped_models_say_nothing_about_studies_they_were_not_made_for() -> None:
    # No acute finding is among them: a page in every other study would be noise.
    rows = {row["key"]: row for row in explain_rows(SHIPPED, installed_models())}
    row = rows["models.body_composition.report_not_eligible"]
    assert (row["value"], row["origin"]) == ("false", "models/body_composition/model.yaml (triage)")


def test_paths_are_relative_to_the_file_and_not_to_where_vigie_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    shutil.copy(SHIPPED, tmp_path / "site")
    monkeypatch.chdir(tmp_path)
    appliance = load_appliance(Path("site/appliance.yaml"), ["body_composition"])
    assert appliance.storage.path == tmp_path / "site" / "var"


def test_what_is_commented_out_works_when_it_is_uncommented(tmp_path: Path) -> None:
    text = SHIPPED.read_text().replace("label: research", "label: cleared")
    text = re.sub(
        r"^( *)# (responsible_person|ct1|  addresses|  ae_titles|report_not_eligible)",
        r"\1\2",
        text,
        flags=re.M,
    )
    path = tmp_path / "appliance.yaml"
    path.write_text(text)
    appliance = load_appliance(path, ["body_composition"])
    assert not appliance.is_research
    assert appliance.models["body_composition"].report_not_eligible is True
    assert appliance.node.responsible_person == "Dr. Ada Lovelace"
    assert appliance.receiver.peers["ct1"].ae_titles == ("CT1",)


def test_a_value_cannot_be_changed_after_loading() -> None:
    appliance = load_appliance(SHIPPED, ["body_composition"])
    with pytest.raises(ValueError, match="frozen"):
        appliance.node.label = "cleared"  # type: ignore[misc]


def test_a_model_that_is_not_installed_is_a_fault_of_the_shipped_file() -> None:
    with pytest.raises(ConfigError, match="no such model is installed - choose from: lungs"):
        load_appliance(SHIPPED, ["lungs"])
