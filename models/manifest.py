"""What a model package says of itself in `model.yaml`, as typed, frozen values.

Reading it runs no code of the package (design.md section 6); `models/registry.py` builds
these from the file and checks every digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from node.domain.acute import AcuteFinding
from node.domain.finding import ModelIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class InputLimits:
    """Which series the package was made for; judged on facts of the whole series.

    Attributes:
        modalities: e.g. ("CT",). sop_class_uids: allowed storage classes.
        orientations: of the stack, e.g. ("axial",).
        min_planes: fewest planes. min_extent_mm: shortest stack, first to last plane.
        max_spacing_mm: widest regular distance of planes, between their centres.
        max_tilt_degrees: gantry tilt that the pipeline still measures correctly.
        max_gap_factor: a gap wider than this factor times the median spacing is a missing slice.
        pixel_spacing_mm: (smallest, largest) in-plane spacing.
        refused_image_types: any of these values in ImageType refuses the series.
        min_age_years: youngest patient, when the header gives an age.
        body_parts_hint: BodyPartExamined values that make a series a better candidate;
            never a reason to refuse, since headers lie.
    """

    modalities: tuple[str, ...]
    sop_class_uids: tuple[str, ...]
    orientations: tuple[str, ...]
    min_planes: int
    min_extent_mm: float
    max_spacing_mm: float
    max_tilt_degrees: float
    max_gap_factor: float
    pixel_spacing_mm: tuple[float, float]
    refused_image_types: tuple[str, ...] = ()
    min_age_years: float | None = None
    body_parts_hint: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """One ONNX network of a package.

    Attributes:
        path: the file. sha256: its digest, hex.
        input_name / output_name: ONNX tensor names; the batch axis is dynamic.
        patch: spatial window, in the order of the network's axes, e.g. (256, 256) or (96, 96, 96).
        channels: meaning of each input channel.
        classes: meaning of each output channel, in order.
        spacing_mm: voxel size the network was trained at, in the order of `patch`.
        value_range: HU range that is mapped linearly to 0..1 and clipped.
        overlap: fraction of the window, 0 <= overlap < 1. batch: windows per call.
        tolerance: largest |difference| / max|golden| accepted, by execution provider.
    """

    name: str
    path: Path
    sha256: str
    input_name: str
    output_name: str
    patch: tuple[int, ...]
    channels: tuple[str, ...]
    classes: tuple[str, ...]
    spacing_mm: tuple[float, ...]
    value_range: tuple[float, float]
    overlap: float
    batch: int
    tolerance: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """The golden case: seeded input and the numbers that must come back.

    Attributes:
        inputs: .npz with one float32 array per network name, a whole batch.
        expected: .npz with one array per network name, as the reference run gave it.
    """

    inputs: Path
    expected: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelManifest:
    """One package, read and verified.

    Attributes:
        folder: where it lies. pipeline: dotted module that holds `analyse`.
        triage: True for acute tasks: "not eligible" is then reported as an object by default.
        priority: default order of its jobs, smaller first.
        job_time_limit_s / job_memory_mb: limits of one job in the worker.
        acute: acute findings with the operating thresholds that the package states.
    """

    identity: ModelIdentity
    folder: Path
    pipeline: str
    intended_use: str
    inputs: InputLimits
    networks: tuple[NetworkSpec, ...]
    thresholds: Mapping[str, float]
    golden: Golden | None
    priority: int
    triage: bool
    job_time_limit_s: float
    job_memory_mb: int
    acute: tuple[AcuteFinding, ...] = ()
