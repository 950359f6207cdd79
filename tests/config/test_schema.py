"""What the sections themselves can tell: AE titles, marks, networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.explain import explain_rows
from config.installed import InstalledModel
from config.load import load_appliance
from node.domain.errors import ConfigError

HEAD = """\
version: 1
receiver:
  peers:
    ct1: {addresses: [10.0.0.1], ae_titles: [CT1]}
storage: {path: ./var}
"""


def test_ae_titles_follow_the_node_unless_they_are_set(tmp_path: Path) -> None:
    path = tmp_path / "appliance.yaml"
    path.write_text(
        HEAD.replace("peers:", "ae_titles: [DAY, NIGHT]\n  peers:")
        + "node: {ae_title: OWN}\n"
        + "destinations:\n"
        + "  a: {type: dicom, ae_title: A, host: a, port: 104}\n"
        + "  b: {type: dicom, ae_title: B, host: b, port: 104, calling_ae_title: OTHER}\n"
    )
    appliance = load_appliance(path, ())
    assert appliance.called_ae_titles == ("DAY", "NIGHT")
    assert appliance.calling_ae_title("a") == "OWN"
    assert appliance.calling_ae_title("b") == "OTHER"


def test_research_is_the_mark_until_a_person_answers_for_its_removal(tmp_path: Path) -> None:
    path = tmp_path / "appliance.yaml"
    path.write_text(HEAD)
    assert load_appliance(path, ()).is_research
    path.write_text(HEAD + "node: {label: cleared, responsible_person: Prof. Grace Hopper}\n")
    assert not load_appliance(path, ()).is_research


def test_one_address_and_a_network_are_both_networks(tmp_path: Path) -> None:
    path = tmp_path / "appliance.yaml"
    path.write_text(HEAD.replace("[10.0.0.1]", '[10.0.0.1, 10.1.0.0/16, "fd00::/8"]'))
    addresses = load_appliance(path, ()).receiver.peers["ct1"].addresses
    assert [str(network) for network in addresses] == ["10.0.0.1/32", "10.1.0.0/16", "fd00::/8"]


ACUTE = """\
models: {pe: {enabled: true}, body: {enabled: true}}
alerts:
  channels: {duty: {type: hl7, host: 127.0.0.1, port: 2575}}
  findings:
    pe: {models: [MODEL], findings: [FINDING], at_least: 85, channels: [duty]}
"""


@pytest.mark.parametrize(
    ("model", "finding", "told"),
    [
        ("pe", "embolizm", r"10:35: .*no model that is in use states .* did you mean 'embolism'"),
        ("body", "embolism", r"10:19: .*this model states no acute finding"),
        ("pe", "rv_strain", r"10:57: .*at_least: this is below the operating threshold .* 90, "),
    ],
)
def test_a_rule_is_held_against_what_the_package_confirms(
    tmp_path: Path, model: str, finding: str, told: str
) -> None:
    installed = {
        "pe": InstalledModel(triage=True, acute={"embolism": 82.0, "rv_strain": 90.0}),
        "body": InstalledModel(thresholds=("muscle",)),
    }
    path = tmp_path / "appliance.yaml"
    path.write_text(HEAD + ACUTE.replace("MODEL", "pe").replace("FINDING", "embolism"))
    rule = load_appliance(path, installed).alerts.findings["pe"]
    assert (rule.models, rule.at_least) == (("pe",), 85)
    path.write_text(HEAD + ACUTE.replace("MODEL", model).replace("FINDING", finding))
    with pytest.raises(ConfigError, match=told):
        load_appliance(path, installed)


def test_not_eligible_is_reported_by_models_of_acute_findings_only_unless_the_site_says_so(
    tmp_path: Path,
) -> None:
    path = tmp_path / "appliance.yaml"
    path.write_text(HEAD + "models: {pe: {enabled: true}, body: {enabled: true}}\n")
    installed = {"pe": InstalledModel(triage=True), "body": InstalledModel()}
    rows = {row["key"]: row for row in explain_rows(path, installed)}
    for name, value in (("pe", "true"), ("body", "false")):
        row = rows[f"models.{name}.report_not_eligible"]
        assert (row["value"], row["origin"]) == (value, f"models/{name}/model.yaml (triage)")
        assert "silence could be read as 'nothing found'" in row["meaning"]


def test_key_images_follow_the_package_and_the_site_decides(tmp_path: Path) -> None:
    path = tmp_path / "appliance.yaml"
    path.write_text(HEAD + "models: {pe: {enabled: true}, body: {key_objects: true}}\n")
    installed = {"pe": InstalledModel(key_objects=True), "body": InstalledModel()}
    rows = {row["key"]: row for row in explain_rows(path, installed)}
    assert rows["models.pe.key_objects"]["value"] == "true"
    assert rows["models.pe.key_objects"]["origin"] == "models/pe/model.yaml"
    assert rows["models.body.key_objects"]["value"] == "true"


def test_a_destination_that_would_not_learn_how_an_analysis_ended_is_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "appliance.yaml"
    pacs = "destinations: {pacs: {type: dicom, ae_title: P, host: h, port: 104, objects: [%s]}}\n"
    path.write_text(HEAD + pacs % "report, segmentation")
    loaded = load_appliance(path, {})
    assert loaded.destinations["pacs"].objects == ("report", "segmentation")
    path.write_text(HEAD + pacs % "segmentation, key_images")
    with pytest.raises(ConfigError, match="nobody would learn how an analysis ended"):
        load_appliance(path, {})
