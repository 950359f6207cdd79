"""What the engineer is told of the models, by the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from models.registry import read_manifest
from node.cli import packages
from node.cli.main import main
from node.cli.service import why_waiting
from node.domain.serving import ModelState
from node.ledger import Ledger
from node.ledger.service import ModelRow
from node.pipeline.wording import in_short
from tests.inference.builtin.examples import package
from tests.node.packages import build_package, tamper

PROOF = {
    "has_golden": True,
    "seconds": 1.0,
    "resident_mb": 10,
    "networks": [
        {
            "network": "net",
            "provider": "OpenVINO",
            "difference": 0.0001,
            "tolerance": 0.001,
            "windows_per_s": 12.0,
        }
    ],
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration and two packages that a node has run."""
    models = tmp_path / "models"
    build_package(models, "good")
    build_package(models, "other")
    for module in ("node.packages", "node.cli.packages", "node.cli.appliance"):
        monkeypatch.setattr(f"{module}.MODELS_FOLDER", models)
    installed = packages.installed_models
    for module in (
        "node.cli.packages",
        "node.cli.service",
        "node.cli.studies",
        "node.cli.appliance",
    ):
        monkeypatch.setattr(f"{module}.installed_models", lambda: installed(models))
    config = tmp_path / "appliance.yaml"
    document = {
        "version": 1,
        "receiver": {"peers": {"here": {"addresses": ["127.0.0.1"], "any_ae_title": True}}},
        "storage": {"path": str(tmp_path / "store")},
        "models": {"good": {"unsigned": True}, "other": {"unsigned": True}},
        "routes": {"all": {"models": ["good", "other"], "shadow": True}},
        "workers": {"providers": ["cpu"]},
    }
    config.write_text(yaml.safe_dump(document))
    (tmp_path / "store").mkdir()
    ledger = Ledger(tmp_path / "store")
    digest = read_manifest(models / "good").identity.digest
    ledger.service.proved(ModelRow(model="good", digest=digest, proof=PROOF, barred={"cuda": "x"}))
    ledger.service.set_state("good", ModelState.READY)
    ledger.service.set_state("other", ModelState.QUARANTINED, "it hung; mend it")
    ledger.close()
    return config


def test_the_list_shows_digest_provider_state_golden_case_and_speed(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "list", "--config", str(site)]) == 0
    heads, good, other = capsys.readouterr().out.splitlines()
    assert heads.split()[:4] == ["model", "version", "class", "digest"]
    assert read_manifest(site.parent / "models" / "good").identity.digest[:16] in good
    for told in ("OpenVINO", "ready", "reproduced (10 % of the tolerance)", "net 12/s"):
        assert told in good
    assert "quarantined" in other


def test_a_golden_case_run_by_hand_asks_the_node_to_take_the_model_back(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "golden", "other", "--config", str(site)]) == 0
    told = capsys.readouterr()
    assert "golden case reproduced" in told.out
    assert "the node tries it again" in told.err
    ledger = Ledger(site.parent / "store")
    assert ledger.service.take_asked() == ("other",)
    ledger.close()


def test_a_golden_case_that_fails_asks_for_nothing(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper(site.parent / "models" / "other")
    assert main(["models", "golden", "other", "--config", str(site)]) == 1
    assert "SHA-256" in capsys.readouterr().err
    ledger = Ledger(site.parent / "store")
    assert ledger.service.take_asked() == ()
    ledger.close()


def test_status_tells_each_model_with_the_cause_and_where_it_cannot_run(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--config", str(site)]) == 0
    told = capsys.readouterr().out
    assert "model good: ready since" in told
    assert "not on cuda: x" in told
    assert "model other: quarantined since" in told
    assert "it hung; mend it" in told


def test_a_waiting_analysis_says_what_it_waits_for() -> None:
    row = ModelRow(model="m", state=ModelState.QUARANTINED, cause="it hung")
    assert why_waiting(row) == "the model is quarantined: it hung"
    assert why_waiting(ModelRow(model="m", state=ModelState.LOADING)) == "the model is loading"
    assert why_waiting(ModelRow(model="m", state=ModelState.READY)) == ""
    assert why_waiting(None) == ""


@pytest.mark.parametrize(
    ("cause", "short"),
    [
        ("/srv/vigie/models/m/weights/net.onnx cannot be read", "net.onnx cannot be read"),
        ("weights outside of the package ('/etc/hostname')", "('hostname')"),
        ("keeps '../weights.bin'; export it", "keeps '../weights.bin'"),
        ("", ""),
    ],
)
def test_a_cause_for_a_report_names_no_folder_of_this_computer(cause: str, short: str) -> None:
    told = in_short(cause)
    assert ";" not in told
    assert short in told
    assert "/srv" not in told
    assert "/etc" not in told


def test_check_names_every_package_that_may_not_run(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("good", "other"):
        tamper(site.parent / "models" / name)
    assert main(["check", "--config", str(site)]) == 1
    told = capsys.readouterr().err
    assert "package good: " in told
    assert "package other: " in told


def configured(site: Path, **models: dict[str, bool]) -> None:
    """What stands below `models:`; the routes name what is enabled."""
    document = yaml.safe_load(site.read_text())
    document["models"] = models
    enabled = [name for name, said in models.items() if said.get("enabled", True)]
    document["routes"]["all"]["models"] = enabled
    site.write_text(yaml.safe_dump(document))


@pytest.mark.parametrize("action", ["check", "list"])
@pytest.mark.parametrize("said", [{}, {"unsigned": False}])
def test_a_package_in_use_that_nobody_signed_is_a_fault_with_its_remedy(
    site: Path, capsys: pytest.CaptureFixture[str], action: str, said: dict[str, bool]
) -> None:
    configured(site, good={"unsigned": True}, other=said)
    assert main(["models", action, "--config", str(site)]) == 1
    told = capsys.readouterr()
    assert "other: package other carries no signature (signature.json)" in told.err
    assert "write 'unsigned: true' below models.other in appliance.yaml" in told.err
    _, good, other = told.out.splitlines()
    assert "none, as appliance.yaml allows" in good
    assert "good: files" in good or action == "list"
    assert other.rstrip().endswith("faulty")


def test_of_a_package_that_is_not_in_use_it_is_told_that_it_would_be_refused(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configured(site, good={"unsigned": True}, other={"enabled": False})
    assert main(["models", "check", "--config", str(site)]) == 0
    _, good, other = capsys.readouterr().out.splitlines()
    assert "unsigned: would be refused unless appliance.yaml says so" in other
    assert "would be refused" not in good
    missing = str(site.parent / "none.yaml")
    assert main(["models", "list", "good", "--config", missing]) == 0
    assert "unsigned: would be refused unless" in capsys.readouterr().out


def test_a_golden_case_is_run_by_hand_also_of_a_package_that_nobody_signed(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configured(site, good={"unsigned": True}, other={})
    assert main(["models", "golden", "other", "--config", str(site)]) == 0
    assert "golden case reproduced" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["tiles", "attention_mil"])
def test_check_and_list_say_that_slides_are_not_analysed_yet(
    site: Path, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    package(word, site.parent / "models")
    for action in ("check", "list"):
        assert main(["models", action, "--config", str(site)]) == 0
        _, slides, *others = capsys.readouterr().out.splitlines()
        assert slides.startswith(f"example_{word}")
        assert "the node does not yet analyse slides" in slides
        assert not any("slides" in line for line in others)


def test_a_precision_that_no_tolerance_allows_is_told(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = site.parent / "models" / "good" / "model.yaml"
    document = yaml.safe_load(manifest.read_text())
    document["networks"][0]["precisions"] = ["fp32", "bf16"]
    manifest.write_text(yaml.safe_dump(document))
    assert main(["models", "check", "good", "--config", str(site)]) == 0
    assert "net is never run in bf16: no tolerance is for it" in capsys.readouterr().out
    document["networks"][0]["tolerance"]["OpenVINO/bf16"] = 0.01
    manifest.write_text(yaml.safe_dump(document))
    assert main(["models", "check", "good", "--config", str(site)]) == 0
    assert "never run" not in capsys.readouterr().out


def test_a_package_that_lies_elsewhere_is_checked_by_its_folder(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = build_package(tmp_path / "elsewhere", "fresh")
    assert main(["models", "check", str(folder), "--config", str(site)]) == 0
    assert "good: files" in capsys.readouterr().out
    assert main(["models", "golden", str(folder), "--config", str(site)]) == 0
    tamper(folder)
    assert main(["models", "check", str(folder), "--config", str(site)]) == 1
    assert main(["models", "check", str(tmp_path), "--config", str(site)]) == 2
    assert "nor is it the folder of one; installed: good, other" in capsys.readouterr().err
