"""What a model package says of itself in `model.yaml`, as typed, frozen values.

Reading it runs no code of the package (design.md section 6); `models/registry.py` builds
these from the file and checks every digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from config.schema.needs import Need
from models.manifest_results import Results
from models.manifest_steps import PostStep, PreStep
from node.domain.acute import AcuteFinding
from node.domain.finding import ModelIdentity


class Axes(StrEnum):
    """Which axes a tensor has behind its batch axis."""

    MAP = "map"
    VECTOR = "vector"
    BAG = "bag"


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
class TensorSpec:
    """One input or output of a network; its batch axis is dynamic and comes first.

    Attributes:
        name: of the tensor in the ONNX graph.
        dtype: NumPy's word: float32, float16, uint8, int32, int64.
        channels: meaning of each channel, in order; () where only their number is stated.
        count: how many channels.
        axes: MAP (batch, channel, *spatial), VECTOR (batch, channel) or BAG (batch, any
            number of items, channel).
        stride: of a map, patch size / map size along each spatial axis; () for the patch itself.
    """

    name: str
    dtype: str = "float32"
    channels: tuple[str, ...] = ()
    count: int
    axes: Axes = Axes.MAP
    stride: tuple[int, ...] = ()

    def shape(self, patch: tuple[int, ...]) -> tuple[int | None, ...]:
        """Behind the batch axis, for windows of `patch`; None where any size may come."""
        if self.axes is Axes.VECTOR:
            return (self.count,)
        if self.axes is Axes.BAG:
            return (None, self.count)
        stride = self.stride or (1,) * len(patch)
        # A strided convolution with padding rounds up.
        sizes = (-(-size // step) for size, step in zip(patch, stride, strict=True))
        return (self.count, *sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """How an image that is larger than the patch is cut, and the outputs put together.

    Attributes:
        overlap: fraction of the window that it shares with the next, 0 <= overlap < 1.
        batch: windows per call.
        weights: "gaussian", "constant" or "gaussian_nnunet" inside a window.
        sigma: standard deviation of the Gaussian as a fraction of the patch.
        least_weight: smaller weights are raised to it; MONAI has 1e-3.
        padding: of an image smaller than the patch: "constant", "replicate", "reflect".
        padding_value: of constant padding, in the network's range.
        starts: "even" spreads windows evenly; "monai" and "nnunet" put them where these do.
        mirror_axes: spatial axes (0 first) that are also run mirrored and averaged.
        accumulate: "float32"; "float16" only reproduces nnU-Net to the bit.
    """

    overlap: float = 0.0
    batch: int = 1
    weights: str = "gaussian"
    sigma: float = 0.125
    least_weight: float = 0.0
    padding: str = "constant"
    padding_value: float = 0.0
    starts: str = "even"
    mirror_axes: tuple[int, ...] = ()
    accumulate: str = "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """One ONNX network of a package.

    Attributes:
        path: the file. sha256: its digest, hex.
        inputs / outputs: its tensors.
        patch: spatial window, in the order of the network's axes, e.g. (256, 256) or (96, 96, 96).
            () for a network without spatial axes.
        spacing_mm: voxel size the network was trained at, in the order of `patch`.
        value_range: range of the stored unit (HU) that the input was scaled from.
        windows: how an image is cut.
        precisions: what it may be run in, first choice first: "fp32", "fp16", "bf16".
        tolerance: largest |difference| / max|golden| accepted, by what runs it
            (config/RUNTIMES.md); a key "TensorrtExecutionProvider/fp16" or "OpenVINO/bf16" holds
            for that precision only, and only these two lower by themselves.
    """

    name: str
    path: Path
    sha256: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    patch: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    value_range: tuple[float, float]
    windows: Windows
    tolerance: Mapping[str, float]
    precisions: tuple[str, ...] = ("fp32",)

    @property
    def input_name(self) -> str:
        """Name of the first input."""
        return self.inputs[0].name

    @property
    def output_name(self) -> str:
        """Name of the first output."""
        return self.outputs[0].name

    @property
    def channels(self) -> tuple[str, ...]:
        """Meaning of each channel of the first input."""
        return self.inputs[0].channels

    @property
    def classes(self) -> tuple[str, ...]:
        """Meaning of each channel of the first output."""
        return self.outputs[0].channels

    @property
    def overlap(self) -> float:
        """Fraction of a window that it shares with the next."""
        return self.windows.overlap

    @property
    def batch(self) -> int:
        """Windows per call."""
        return self.windows.batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where an imported network came from.

    Attributes:
        framework: "monai", "nnunet", "totalsegmentator", "onnx".
        version: of the framework that it was exported with.
        licence: of the weights, as SPDX or in words. reference: where they were published.
        files: SHA-256, hex, of each file that was read, by its name in the source.
    """

    framework: str
    version: str = ""
    licence: str = ""
    reference: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


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
        folder: where it lies. pipeline: dotted module that holds `analyse`, or the name of a
            built-in pipeline.
        key_objects: a Key Object Selection is written with its findings by default.
        triage: True for acute tasks: "not eligible" is then reported as an object by default.
        priority: default order of its jobs, smaller first.
        job_time_limit_s / job_memory_mb: limits of one job in the worker.
        acute: acute findings with the operating thresholds that the package states.
        source: where an imported package came from.
        preprocess / postprocess / results: of a built-in pipeline: steps before and behind the
            network, and what becomes which finding.
        needs: other series that it analyses together with the first, by role; a route may
            state a role otherwise.
        uses: packages whose sight of the same series its pipeline asks for: ("anatomy",).
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
    source: Source | None = None
    preprocess: tuple[PreStep, ...] = ()
    postprocess: tuple[PostStep, ...] = ()
    results: Results | None = None
    needs: Mapping[str, Need] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    key_objects: bool = False
