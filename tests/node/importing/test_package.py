"""A package is written whole, proved by the engine, or not at all."""

from __future__ import annotations

import dataclasses
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.registry import load_manifest
from node.domain.errors import GoldenMismatch, ImportRefused, ModelError, WorkerError
from node.importing.package import require_place, write_package
from node.importing.parity import Difference
from node.importing.sandbox import SandboxLimits
from tests.node.importing.drafts import NETWORK, draft


def test_the_written_package_is_read_proved_and_told_in_its_card(tmp_path: Path) -> None:
    manifest = write_package(draft(), tmp_path / "models" / "tiny")
    assert load_manifest(tmp_path / "models" / "tiny").identity == manifest.identity
    card = (manifest.folder / "CARD.md").read_text()
    assert "| plain volume | - | 1.0e-05 | 1.0e-06 | 2 |" in card
    for told in ("not stated by the source", "something was assumed", "Landlock", "Thing: L123"):
        assert told in card
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["tiny"]


def test_without_parity_nothing_is_written(tmp_path: Path) -> None:
    bad = dataclasses.replace(
        draft(),
        parity=(
            dataclasses.replace(
                draft().parity[0], logits=Difference(largest=0.01, mean=0, scale=2)
            ),
        ),
    )
    with pytest.raises(ImportRefused, match="parity on plain volume"):
        write_package(bad, tmp_path / "models" / "tiny")
    assert not (tmp_path / "models").exists()


def test_a_golden_case_that_the_engine_does_not_reproduce_leaves_no_package(tmp_path: Path) -> None:
    good = draft()
    wrong = {"net": good.golden_expected["net"] + np.float32(0.1)}
    with pytest.raises(GoldenMismatch):
        write_package(
            dataclasses.replace(good, golden_expected=wrong), tmp_path / "models" / "tiny"
        )
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize(
    ("network", "limits", "told"),
    [
        ("endless", SandboxLimits(time_s=4), "did not end within 4 s"),
        ("hungry", SandboxLimits(memory_mb=600), "memory"),
    ],
)
def test_a_network_that_never_ends_or_takes_all_memory_leaves_the_command_alive(
    tmp_path: Path, network: str, limits: SandboxLimits, told: str
) -> None:
    started = time.monotonic()
    files = {"weights/net.onnx": NETWORK.with_name(f"{network}.onnx")}
    manifest = _with_one_class(dict(draft().manifest))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((WorkerError, ModelError), match=told):
        write_package(
            dataclasses.replace(draft(), files=files, manifest=manifest),
            tmp_path / "models" / "tiny",
            limits=limits,
        )
    assert list((tmp_path / "models").iterdir()) == []
    assert time.monotonic() - started < 60
    # Opened by another process, not by this one (kilobytes).
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


def _with_one_class(manifest: dict[str, Any]) -> dict[str, Any]:
    network = dict(manifest["networks"][0])
    network["outputs"] = [{"name": "logits", "channels": ["spleen"]}]
    network["windows"] = {**network["windows"], "batch": 4}
    # The best of one channel would always be background.
    return {**manifest, "networks": [network], "postprocess": [{"step": "threshold"}]}


def test_an_existing_package_is_replaced_only_when_asked(tmp_path: Path) -> None:
    out = tmp_path / "models" / "tiny"
    out.mkdir(parents=True)
    (out / "mine.txt").write_text("x")
    (out / "model.yaml").write_text("an earlier one")
    with pytest.raises(ImportRefused, match=r"this folder exists.*--replace"):
        write_package(draft(), out)
    assert (out / "mine.txt").exists()
    write_package(draft(), out, replace=True)
    assert not (out / "mine.txt").exists()
    assert "name: tiny" in (out / "model.yaml").read_text()


def test_a_folder_that_is_no_package_is_never_replaced(tmp_path: Path) -> None:
    out = tmp_path / "models" / "tiny"
    out.mkdir(parents=True)
    (out / "mine.txt").write_text("x")
    with pytest.raises(ImportRefused, match=r"is no package .* not replaced"):
        write_package(draft(), out, replace=True)
    assert (out / "mine.txt").exists()


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImportRefused, match=r"nothing can be written here.*--out"):
        require_place(tmp_path / "file" / "tiny", replace=False)
