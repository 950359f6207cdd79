"""A package is written whole, proved by the engine, or not at all."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from inference.engine import EngineOptions, open_network
from models.registry import load_manifest
from node.domain.errors import GoldenMismatch, ImportRefused
from node.importing.draft import CardFacts, PackageDraft
from node.importing.package import write_package
from node.importing.parity import Difference, Parity
from node.importing.sandbox import Isolation
from tests.inference.specs import network_spec

NETWORK = Path(__file__).resolve().parents[2] / "inference" / "networks" / "flat.onnx"


def draft(tmp_path: Path) -> PackageDraft:
    manifest = {
        "format": 2,
        "name": "tiny",
        "title": "Tiny",
        "version": "1.0.0",
        "manufacturer": "tests",
        "task": 90,
        "ebai_class": "B",
        "pipeline": "segmentation",
        "intended_use": "Tests.",
        "triage": False,
        "priority": 1,
        "limits": {"job_time_s": 60, "job_memory_mb": 1000},
        "inputs": {
            "modalities": ["CT"],
            "sop_class_uids": ["1.2.840.10008.5.1.4.1.1.2"],
            "orientations": ["axial"],
            "min_planes": 1,
            "min_extent_mm": 0,
            "max_spacing_mm": 5,
            "max_tilt_degrees": 5,
            "max_gap_factor": 1.5,
            "pixel_spacing_mm": [0.1, 5],
        },
        "networks": [
            {
                "name": "net",
                "path": "weights/net.onnx",
                "inputs": [{"name": "image", "channels": ["CT"]}],
                "outputs": [{"name": "logits", "channels": ["background", "spleen"]}],
                "patch": [16, 16],
                "spacing_mm": [1.0, 1.0],
                "value_range": [0, 1],
                "windows": {"overlap": 0.5, "batch": 1},
                "tolerance": {"CPUExecutionProvider": 0.001},
            }
        ],
        "postprocess": [{"step": "argmax"}],
        "results": {
            "labels": [
                {
                    "value": 1,
                    "name": "Spleen",
                    "code": ["78961009", "SCT", "Spleen"],
                    "colour": [1, 2, 3],
                }
            ]
        },
        "source": {"framework": "onnx", "files": {"a.onnx": "0" * 64}},
    }
    image = np.linspace(0, 1, 256, dtype=np.float32).reshape(1, 1, 16, 16)
    return PackageDraft(
        manifest=manifest,
        files={"weights/net.onnx": NETWORK},
        golden_inputs={"net": np.round(image * 64) / 64},
        golden_expected={"net": _answer(np.round(image * 64) / 64)},
        parity=(
            Parity(
                case="plain volume",
                shape=(3, 3, 3),
                logits=Difference(largest=1e-5, mean=1e-6, scale=2),
                our_seconds=1,
                their_seconds=2,
            ),
        ),
        card=CardFacts(
            origin="Made here.",
            licence="",
            intended_use="Tests.",
            network="A network.",
            notes=("something was assumed",),
            unknown=("everything",),
            private_names=("Thing: L123",),
            isolation=Isolation(network="namespace", files="Landlock", processes="namespace"),
        ),
    )


def _answer(image: np.ndarray) -> np.ndarray:
    return open_network(network_spec("flat"), EngineOptions(providers=("cpu",))).run(image)


def test_the_written_package_is_read_proved_and_told_in_its_card(tmp_path: Path) -> None:
    manifest = write_package(draft(tmp_path), tmp_path / "models" / "tiny")
    assert load_manifest(tmp_path / "models" / "tiny").identity == manifest.identity
    card = (manifest.folder / "CARD.md").read_text()
    assert "| plain volume | - | 1.0e-05 | 1.0e-06 | 2 |" in card
    for told in ("not stated by the source", "something was assumed", "Landlock", "Thing: L123"):
        assert told in card
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["tiny"]


def test_without_parity_nothing_is_written(tmp_path: Path) -> None:
    bad = dataclasses.replace(
        draft(tmp_path),
        parity=(
            dataclasses.replace(
                draft(tmp_path).parity[0], logits=Difference(largest=0.01, mean=0, scale=2)
            ),
        ),
    )
    with pytest.raises(ImportRefused, match="parity on plain volume"):
        write_package(bad, tmp_path / "models" / "tiny")
    assert not (tmp_path / "models").exists()


def test_a_golden_case_that_the_engine_does_not_reproduce_leaves_no_package(tmp_path: Path) -> None:
    good = draft(tmp_path)
    wrong = {"net": good.golden_expected["net"] + np.float32(0.1)}
    with pytest.raises(GoldenMismatch):
        write_package(
            dataclasses.replace(good, golden_expected=wrong), tmp_path / "models" / "tiny"
        )
    assert list((tmp_path / "models").iterdir()) == []


def test_an_existing_package_is_replaced_only_when_asked(tmp_path: Path) -> None:
    out = tmp_path / "models" / "tiny"
    out.mkdir(parents=True)
    (out / "mine.txt").write_text("x")
    with pytest.raises(ImportRefused, match=r"this folder exists.*--replace"):
        write_package(draft(tmp_path), out)
    assert (out / "mine.txt").exists()
    write_package(draft(tmp_path), out, replace=True)
    assert not (out / "mine.txt").exists()
    assert (out / "model.yaml").exists()
