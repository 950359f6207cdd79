"""Manifests of the tiny networks in `networks/`."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.manifest import InputLimits, ModelManifest, NetworkSpec, TensorSpec, Windows
from node.domain.finding import ModelIdentity

FOLDER = Path(__file__).parent / "networks"


def network_spec(name: str = "flat", **changes: Any) -> NetworkSpec:
    """The spec that fits `networks/NAME.onnx`: flat is 2-D, solid is 3-D."""
    path = FOLDER / f"{name}.onnx"
    spatial = (8, 8, 8) if name == "solid" else (16, 16)
    classes = {"solid": ("a", "b", "c"), "logarithm": ("a",), "double": ("a",)}
    spec = NetworkSpec(
        name=name,
        path=path,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        inputs=(tensor("image", "CT"),),
        outputs=(tensor("logits", *classes.get(name, ("a", "b"))),),
        patch=spatial,
        spacing_mm=(1.0,) * len(spatial),
        value_range=(-250.0, 250.0),
        windows=Windows(overlap=0.5, batch=4),
        tolerance={
            "CPUExecutionProvider": 0.001,
            "CUDAExecutionProvider": 0.01,
            "TensorrtExecutionProvider": 0.02,
            "OpenVINO": 0.001,
            "Triton": 0.001,
        },
    )
    return replace(spec, **changes)


def tensor(name: str, *channels: str) -> TensorSpec:
    """A float32 map with these channels."""
    return TensorSpec(name=name, channels=channels, count=len(channels))


def manifest(*networks: NetworkSpec, **changes: Any) -> ModelManifest:
    """A package of these networks, without a golden case unless one is given."""
    package = ModelManifest(
        identity=ModelIdentity(
            name="tiny", title="Tiny", version="1", digest="0", manufacturer="m", task_number=1
        ),
        folder=FOLDER,
        pipeline="",
        intended_use="tests",
        inputs=InputLimits(
            modalities=("CT",),
            sop_class_uids=(),
            orientations=("axial",),
            min_planes=1,
            min_extent_mm=0,
            max_spacing_mm=5,
            max_tilt_degrees=5,
            max_gap_factor=1.5,
            pixel_spacing_mm=(0.1, 5),
        ),
        networks=networks,
        thresholds={},
        golden=None,
        priority=1,
        triage=False,
        job_time_limit_s=60,
        job_memory_mb=1000,
    )
    return replace(package, **changes)
