"""A package draft around a tiny network, for tests of what writes and prints it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from inference.engine import EngineOptions, open_network
from node.importing.draft import CardFacts, PackageDraft
from node.importing.parity import Difference, Parity
from node.importing.sandbox import Isolation
from tests.inference.specs import network_spec

NETWORK = Path(__file__).resolve().parents[2] / "inference" / "networks" / "flat.onnx"


def draft() -> PackageDraft:
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
