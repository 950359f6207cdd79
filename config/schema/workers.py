"""`workers:` the processes that run the networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from config.fields import Host, Port, ReadableFile
from config.messages import refusal
from config.schema.base import Section

Provider = Literal["tensorrt", "cuda", "cpu", "openvino", "triton"]
#: What the node sets itself: engines are kept by their content, precision is gated by the golden
#: case, and the proof of a GPU names the first one.
_OWN_OPTIONS = (
    "trt_engine_cache",
    "trt_timing_cache",
    "trt_profile",
    "trt_fp16",
    "trt_bf16",
    "trt_int8",
    "use_tf32",
    "user_compute_stream",
    "has_user_compute_stream",
)


def _as_text(value: object) -> object:
    """YAML's numbers and truth values as ONNX Runtime takes them."""
    if isinstance(value, bool):
        return str(int(value))
    return str(value) if isinstance(value, int | float) else value


def _left_to_the_site(name: str) -> str:
    if name == "device_id":
        raise refusal(
            "the GPU is not chosen here",
            "take this option out and name the GPU in workers.gpus",
        )
    if name.startswith(_OWN_OPTIONS):
        raise refusal("the node sets this option itself", "take it out")
    return name


def _each_once(numbers: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(numbers)) < len(numbers):
        raise refusal("a GPU is named twice", "name each once; workers.count says how many share")
    return numbers


GpuNumber = Annotated[int, Field(ge=0, le=255)]
#: An option of an execution provider, in ONNX Runtime's words.
OptionName = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$"), AfterValidator(_left_to_the_site)
]
OptionText = Annotated[str, BeforeValidator(_as_text), Field(max_length=200)]
#: `package/network`, as `models list` and `models check` name them.
NetworkName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*/[a-z][a-z0-9_]*$")]


class Triton(Section):
    """An NVIDIA Triton Inference Server that runs networks for this node."""

    host: Host = Field(
        title="Address",
        description="Windows of images are sent there: inside the hospital's network only.",
        examples=["gpu-farm.hospital.example"],
    )
    port: Port = Field(default=8001, title="Port of its gRPC interface", description="TCP.")
    tls: bool = Field(
        default=True,
        title="Encrypted",
        description="Without it whoever listens on the way sees parts of images.",
    )
    ca_file: ReadableFile | None = Field(
        default=None,
        title="Certificate authority",
        description="PEM file; left out: those of this computer.",
        examples=["/etc/ssl/hospital-ca.pem"],
    )
    connect_timeout_s: float = Field(
        default=10.0,
        title="Wait for an answer about a network",
        description="When a model is loaded.",
        ge=1,
        le=300,
        examples=[10],
    )
    time_limit_s: float = Field(
        default=60.0,
        title="Time of one call",
        description="A call that takes longer is an analysis that failed and is tried again.",
        ge=1,
        le=3600,
        examples=[60],
    )
    models: Mapping[NetworkName, str] = Field(
        default_factory=dict,
        title="Names in its model repository",
        description="By package/network; left out: package_network.",
        examples=["{body_composition/levels: l3_levels}"],
    )


class Workers(Section):
    """How many, how large, on what."""

    count: int = Field(
        default=1,
        title="Worker processes",
        description="Jobs at the same time.",
        ge=1,
        le=64,
        examples=[1],
    )
    memory_mb: int | None = Field(
        default=None,
        title="Memory of one job",
        description="A job that takes more is ended; left out: what the package says.",
        ge=256,
        le=1048576,
        examples=[4096],
    )
    time_limit_s: float | None = Field(
        default=None,
        title="Time of one job",
        description="A job that takes longer is ended; left out: what the package says.",
        ge=1,
        le=86400,
        examples=[600],
    )
    providers: tuple[Provider, ...] = Field(
        default=("tensorrt", "cuda", "openvino", "cpu"),
        title="Execution providers",
        description="Tried in this order; those that this computer lacks are passed over.",
        min_length=1,
        examples=["[cpu]"],
    )
    provider_options: Mapping[Literal["tensorrt", "cuda"], Mapping[OptionName, OptionText]] = Field(
        default_factory=dict,
        title="Options of execution providers",
        description="Handed to ONNX Runtime as they are. An engine is built anew for other options "
        "of TensorRT.",
        examples=[
            "{cuda: {gpu_mem_limit: 8000000000}, tensorrt: {trt_builder_optimization_level: 5}}"
        ],
    )
    gpus: Annotated[tuple[GpuNumber, ...], AfterValidator(_each_once)] | None = Field(
        default=None,
        title="GPUs",
        description="By their numbers in nvidia-smi, all of one kind; the workers are dealt out "
        "among them in turn. Left out: the first one.",
        min_length=1,
        max_length=16,
        examples=["[0, 1]"],
    )
    threads: int | None = Field(
        default=None,
        title="Threads of one worker",
        description="Left out: the cores of this computer, shared among the workers.",
        ge=1,
        le=256,
        examples=[2],
    )
    one_process_per_device: bool | None = Field(
        default=None,
        title="One process holds the networks of all workers",
        description="Windows of several studies then share a call. Left out: where several workers "
        "share a GPU.",
        examples=["true"],
    )
    resident_mb: int | None = Field(
        default=None,
        title="Memory of loaded models in one worker",
        description="Those that were not used for longest are let go above it and loaded again "
        "when they are needed; left out: half of the memory, shared among the workers.",
        ge=64,
        le=4194304,
        examples=[8192],
    )
    reserve_mb: int = Field(
        default=1024,
        title="Memory kept free",
        description="An analysis waits until what it will take, by what earlier ones took, leaves "
        "this much for receiving.",
        ge=0,
        le=1048576,
        examples=[2048],
    )
    decoders: int | None = Field(
        default=None,
        title="Processes that decode images",
        description="Compressed images are decoded while the rest of their study arrives; left "
        "out: one for each core but one, at most four.",
        ge=1,
        le=64,
        examples=[2],
    )
    shared_memory_mb: int = Field(
        default=2048,
        title="Memory for images decoded ahead, and as much for volumes",
        description="Volumes are shared by the models of a study; what does not fit is decoded "
        "and loaded by each analysis. 0: nothing is decoded ahead or shared.",
        ge=0,
        le=1048576,
        examples=[4096],
    )
    load_limit_s: float = Field(
        default=300.0,
        title="Time to load a model",
        description="A model that takes longer to load and to prove is taken out of service.",
        ge=1,
        le=86400,
        examples=[300],
    )
    golden_every_hours: float = Field(
        default=24.0,
        title="Pause between two proofs",
        description="After it each model has to reproduce its golden case again.",
        gt=0,
        le=8760,
        examples=[24],
    )
    failures_in_a_row: int = Field(
        default=3,
        title="Failures before a model is taken out of service",
        description="Analyses in a row that die, hang, or give no numbers.",
        ge=1,
        le=1000,
        examples=[3],
    )
    out_of_service_wait_s: float = Field(
        default=600.0,
        title="Wait for a model that is out of service",
        description="Analyses wait so long for it, then end as failed and are reported so.",
        ge=0,
        le=604800,
        examples=[600],
    )
    triton: Triton | None = Field(
        default=None,
        title="Triton server",
        description="Needed where providers names triton.",
        examples=["{host: gpu-farm.hospital.example}"],
    )

    @model_validator(mode="after")
    def _no_gpu_idle(self) -> Workers:
        named = len(self.gpus or ())
        if named > self.count:
            raise refusal(
                f"{self.count} worker{'s' * (self.count > 1)} cannot use {named} GPUs",
                f"write workers.count: {named} or more, or name fewer GPUs",
                at="gpus",
            )
        return self
