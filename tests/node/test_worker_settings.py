"""What `workers:` says reaches the workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from config.load import load_appliance
from config.schema import Appliance
from node.domain.errors import ConfigError
from node.settings import (
    engine_options,
    holding_settings,
    job_limits,
    model_setups,
    roster_settings,
    routes_of,
    threads_of,
    unwanted_kinds,
)
from tests.node import words


def appliance(folder: Path, **workers: Any) -> Appliance:
    document = {
        "version": 1,
        "receiver": {"peers": {"here": {"addresses": ["127.0.0.1"], "any_ae_title": True}}},
        "storage": {"path": str(folder)},
        "models": {"m": {"unsigned": True}},
        "routes": {"all": {"models": ["m"], "shadow": True}},
        "workers": workers,
    }
    path = folder / "appliance.yaml"
    path.write_text(yaml.safe_dump(document))
    return load_appliance(path, ["m"])


@pytest.mark.parametrize(
    ("cores", "workers", "threads"),
    [(1, 1, 1), (2, 1, 1), (2, 4, 1), (4, 1, 3), (16, 2, 7), (16, 15, 1)],
)
def test_analyses_leave_a_core_to_receiving(cores: int, workers: int, threads: int) -> None:
    assert threads_of(cores, workers) == threads
    assert cores == 1 or threads * min(workers, cores - 1) <= cores - 1


def test_limits_of_the_site_go_before_those_of_the_package(tmp_path: Path) -> None:
    manifest = words.manifest("m")
    plain = job_limits(appliance(tmp_path), manifest)
    assert (plain.time_s, plain.memory_mb) == (60.0, 1000)
    own = job_limits(appliance(tmp_path, time_limit_s=5, memory_mb=300), manifest)
    assert (own.time_s, own.memory_mb) == (5.0, 300)


def test_a_triton_server_is_named_once_and_encrypted_unless_the_site_says_otherwise(
    tmp_path: Path,
) -> None:
    server = {"host": "gpu-farm.example", "models": {"m/net": "seg"}}
    options = engine_options(appliance(tmp_path, providers=["triton", "cpu"], triton=server))
    assert options.providers == ("triton", "cpu")
    assert options.triton is not None
    assert options.triton.url == "gpu-farm.example:8001"
    assert options.triton.tls
    assert options.triton.name_of("m", "net") == "seg"
    assert options.triton.name_of("m", "other") == "m_other"
    with pytest.raises(ConfigError, match=r"no server is named.*triton: \{host"):
        appliance(tmp_path, providers=["triton", "cpu"])


def test_what_is_set_for_models_reaches_the_roster(tmp_path: Path) -> None:
    site = appliance(
        tmp_path,
        resident_mb=4000,
        load_limit_s=20,
        golden_every_hours=12,
        failures_in_a_row=5,
        out_of_service_wait_s=30,
    )
    holding, roster = holding_settings(site), roster_settings(site)
    assert (holding.resident_mb, holding.load_limit_s) == (4000, 20)
    assert (roster.golden_every_s, roster.failures, roster.wait_s) == (43200, 5, 30)
    manifests = {"m": words.manifest("m")}
    (setup,) = model_setups(site, routes_of(site, manifests), manifests)
    assert setup.trust.unsigned == {"m"}


def test_each_kind_of_object_can_be_kept_from_a_destination() -> None:
    site = load_appliance(Path("appliance.yaml"), ["body_composition"])
    few = site.destinations["pacs"].model_copy(update={"objects": ("report",)})
    site = site.model_copy(update={"destinations": {"pacs": few}})
    assert unwanted_kinds(site)["pacs"] == {
        "segmentation", "secondary capture", "key images", "structure set",
    }  # fmt: skip
