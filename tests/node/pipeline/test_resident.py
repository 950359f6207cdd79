"""A model is held only as it was proved, and makes room for others."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from inference.backends.base import TritonSettings
from inference.engine import EngineOptions
from models.registry import read_manifest
from models.signature import Trust
from node.domain.errors import GoldenMismatch, ModelError
from node.pipeline import resident
from node.pipeline.resident import ModelSetup, Residents, open_model, prove_model
from tests.inference.specs import FOLDER as NETWORKS
from tests.node.packages import build_package, change_golden, store_golden, tamper


def setup_of(folder: Path, **changes: object) -> ModelSetup:
    trust = Trust(unsigned=frozenset({folder.name}))
    options = {"trust": trust} | changes
    return ModelSetup(manifest=read_manifest(folder), **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resident, "residents", Residents())


def test_a_model_is_opened_once_and_proved_with_its_provider_and_speed(tmp_path: Path) -> None:
    setup = setup_of(build_package(tmp_path, "good"))
    proof = open_model(setup)
    assert proof.providers == ("CPUExecutionProvider",)
    assert proof.has_golden
    (network,) = proof.networks
    assert network.difference is not None
    assert network.difference < 1e-6
    assert network.windows_per_s > 10
    assert open_model(setup) is proof


def test_other_options_open_it_anew(tmp_path: Path) -> None:
    setup = setup_of(build_package(tmp_path, "good"))
    proof = open_model(setup)
    other = setup_of(tmp_path / "good", engine=EngineOptions(threads=1))
    assert open_model(other) is not proof


@pytest.mark.parametrize(
    ("network", "told"),
    [
        ("no_numbers", "network net gave values that are no numbers"),
        ("strange_set", "operator 'Teleport' of the set 'evil.example'"),
        ("unknown_operator", "Teleport"),
        ("weights_anywhere", "/etc/hostname"),
        ("double", "holds tensor"),
    ],
)
def test_a_broken_network_is_refused_by_name_and_cause(
    network: str, told: str, tmp_path: Path
) -> None:
    setup = setup_of(build_package(tmp_path, "bad", network, golden=False))
    with pytest.raises(ModelError, match="network net") as caught:
        open_model(setup)
    assert told in str(caught.value)


def test_changed_weights_are_refused_before_they_are_opened(tmp_path: Path) -> None:
    folder = build_package(tmp_path, "bad")
    setup = setup_of(folder)
    tamper(folder)
    with pytest.raises(ModelError, match="install the package again"):
        open_model(setup)


def test_a_package_of_a_stranger_is_refused(tmp_path: Path) -> None:
    folder = build_package(tmp_path, "foreign")
    with pytest.raises(ModelError, match="package foreign carries no signature"):
        open_model(setup_of(folder, trust=Trust()))


def test_numbers_that_differ_from_the_golden_case_are_refused(tmp_path: Path) -> None:
    folder = build_package(tmp_path, "bad")
    change_golden(folder, 1.01)
    with pytest.raises(GoldenMismatch, match="net on CPUExecutionProvider differs"):
        open_model(setup_of(folder))


def test_a_golden_case_that_cannot_be_used_is_blamed_on_no_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build_package(tmp_path, "bad")
    store_golden(folder, "inputs", net=np.array([{}], dtype=object))
    tried: list[object] = []
    monkeypatch.setattr(resident, "open_network", lambda *asked: tried.append(asked))
    with pytest.raises(ModelError, match="holds Python objects, which are not read") as caught:
        open_model(setup_of(folder))
    assert (tried, caught.value.provider) == ([], "")


def test_a_golden_case_that_went_away_is_blamed_on_no_provider_at_a_later_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build_package(tmp_path, "good")
    setup = setup_of(folder)
    open_model(setup)
    (folder / "golden" / "inputs.npz").unlink()
    # Gone just behind the check of all digests.
    monkeypatch.setattr(resident, "_verify", lambda _: None)
    with pytest.raises(ModelError, match=r"inputs.npz cannot be read") as caught:
        prove_model(setup)
    assert caught.value.provider == ""


@pytest.mark.parametrize("golden", [True, False])
def test_a_server_serves_only_what_a_golden_case_proves(golden: bool, tmp_path: Path) -> None:
    pytest.importorskip("tritonclient.grpc", reason="the extra 'triton' is not installed here")
    from tests.inference.triton_double import TritonDouble  # noqa: PLC0415 - needs the extra

    folder = build_package(tmp_path, "far", golden=golden)
    manifest = yaml.safe_load((folder / "model.yaml").read_text())
    manifest["networks"][0]["tolerance"]["Triton"] = 0.001
    (folder / "model.yaml").write_text(yaml.safe_dump(manifest))
    with TritonDouble({"far_net": NETWORKS / "flat.onnx"}) as server:
        engine = EngineOptions(
            providers=("triton", "cpu"), triton=TritonSettings(url=server.url, connect_timeout_s=5)
        )
        proof = open_model(setup_of(folder, engine=engine))
        assert proof.providers == (("Triton",) if golden else ("CPUExecutionProvider",))
        if not golden:
            assert "no golden case" in proof.passed_over["triton"]
            alone = setup_of(folder, engine=replace(engine, providers=("triton",)))
            with pytest.raises(ModelError, match="no golden case, which alone could prove it"):
                open_model(alone)


def test_a_pipeline_that_cannot_be_imported_is_the_fault_of_the_package(tmp_path: Path) -> None:
    folder = build_package(tmp_path, "bad", pipeline="tests.node.no_such_pipeline")
    with pytest.raises(ModelError, match="package bad: its pipeline tests"):
        open_model(setup_of(folder))


def test_a_proof_of_a_model_that_serves_sees_what_changed_on_the_disk(tmp_path: Path) -> None:
    folder = build_package(tmp_path, "good")
    setup = setup_of(folder)
    open_model(setup)
    assert prove_model(setup).networks
    change_golden(folder, 1.0)
    (folder / "model.yaml").write_text((folder / "model.yaml").read_text() + "# changed\n")
    with pytest.raises(ModelError, match="was changed while the node runs"):
        prove_model(setup)
    tamper(folder)
    with pytest.raises(ModelError, match="SHA-256"):
        prove_model(setup)


def test_other_numbers_at_a_later_proof_name_the_provider_also_across_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = setup_of(build_package(tmp_path, "good"))
    open_model(setup)

    def differs(*_: object) -> None:
        raise GoldenMismatch("other numbers")

    monkeypatch.setattr(resident, "check_golden", differs)
    with pytest.raises(GoldenMismatch) as caught:
        prove_model(setup)
    told = pickle.loads(pickle.dumps(caught.value))
    assert (told.provider, str(told)) == ("cpu", "other numbers")
    # It is not held any more: the next analysis would have to prove it first.
    with pytest.raises(GoldenMismatch):
        resident.residents.get(setup)


def test_a_speed_that_is_known_is_not_measured_again(tmp_path: Path) -> None:
    setup = setup_of(build_package(tmp_path, "good"))
    known = replace(setup, speeds={("net", "CPUExecutionProvider"): 7.0})
    assert open_model(known).networks[0].windows_per_s == 7.0
    # Not another model because of it: it stays open.
    assert open_model(setup) is open_model(known)


def test_the_model_that_was_not_used_for_longest_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setups = {
        name: setup_of(build_package(tmp_path, name), resident_mb=2) for name in ("a", "b", "c")
    }
    monkeypatch.setattr(resident, "status_bytes", lambda *_: 0)
    open_model(setups["a"])
    open_model(setups["b"])
    open_model(setups["a"])
    assert resident.residents.names == ("b", "a")
    open_model(setups["c"])
    assert resident.residents.names == ("a", "c")
    open_model(setups["b"])
    assert resident.residents.names == ("c", "b")
