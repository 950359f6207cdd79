"""Small packages on the disk: sound ones, and ones that are broken in one way each."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import yaml

from tests.inference.specs import FOLDER

#: Networks with the output classes ("a", "b"); the others have one.
_TWO = ("flat", "free")


def build_package(
    models: Path, name: str, network: str = "flat", *, golden: bool = True, **changes: Any
) -> Path:
    """A package of one network of `tests/inference/networks`, ready to be loaded.

    Args:
        changes: of `model.yaml`.
    """
    folder = models / name
    (folder / "weights").mkdir(parents=True)
    weights = folder / "weights" / "net.onnx"
    shutil.copy(FOLDER / f"{network}.onnx", weights)
    classes = ["a", "b"] if network in _TWO else ["a"]
    document: dict[str, Any] = {
        "format": 2,
        "name": name,
        "title": f"Tiny {name}",
        "version": "1.0.0",
        "manufacturer": "Vigie",
        "task": 1,
        "ebai_class": "A",
        "pipeline": "tests.node.looking",
        "intended_use": "Tests of the node.",
        "triage": False,
        "priority": 50,
        "limits": {"job_time_s": 10, "job_memory_mb": 512},
        "inputs": {
            "modalities": ["CT"],
            "sop_class_uids": ["1.2.840.10008.5.1.4.1.1.2"],
            "orientations": ["axial"],
            "min_planes": 3,
            "min_extent_mm": 0,
            "max_spacing_mm": 10.0,
            "max_tilt_degrees": 5.0,
            "max_gap_factor": 1.5,
            "pixel_spacing_mm": [0.1, 5.0],
        },
        "networks": [
            {
                "name": "net",
                "path": "weights/net.onnx",
                "sha256": digest(weights),
                "inputs": [{"name": "image", "channels": ["CT"]}],
                "outputs": [{"name": "logits", "channels": classes}],
                "patch": [16, 16],
                "spacing_mm": [1.0, 1.0],
                "value_range": [-250, 250],
                "windows": {"batch": 4},
                "tolerance": {"CPUExecutionProvider": 0.001, "OpenVINO": 0.001},
            }
        ],
    }
    if golden:
        document["golden"] = _golden(folder, weights)
    document |= changes
    (folder / "model.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return folder


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tamper(folder: Path) -> None:
    """One byte of the weights is another."""
    path = folder / "weights" / "net.onnx"
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)


def change_golden(folder: Path, factor: float) -> None:
    """The golden case wants other numbers, sealed as if they were right."""
    with np.load(folder / "golden" / "expected.npz") as arrays:
        changed = {key: arrays[key] * factor for key in arrays}
    store_golden(folder, "expected", **changed)


def store_golden(folder: Path, role: str, **arrays: Any) -> None:
    """Other arrays in a golden case ("inputs" or "expected"), sealed as if they were right."""
    path = folder / "golden" / f"{role}.npz"
    np.savez(path, **arrays)
    manifest = folder / "model.yaml"
    document = yaml.safe_load(manifest.read_text())
    document["golden"][f"{role}_sha256"] = digest(path)
    manifest.write_text(yaml.safe_dump(document, sort_keys=False))


def _golden(folder: Path, weights: Path) -> dict[str, str]:
    (folder / "golden").mkdir()
    inputs = np.random.default_rng(3).random((4, 1, 16, 16), np.float32)
    session = onnxruntime.InferenceSession(weights, providers=["CPUExecutionProvider"])
    (expected,) = session.run(["logits"], {"image": inputs})
    stated = {}
    for role, array in (("inputs", inputs), ("expected", expected)):
        path = folder / "golden" / f"{role}.npz"
        np.savez(path, net=array)
        stated |= {role: f"golden/{role}.npz", f"{role}_sha256": digest(path)}
    return stated
