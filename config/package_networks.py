"""What `model.yaml` says of a network: its tensors, its windows, how exact it must be."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from config.messages import refusal
from config.package_tolerance import tolerance_faults
from config.package_words import Name, PackageFile, Positive, Sha256, Text
from config.schema.base import Section

#: Element types of tensors that the engine converts to and from.
Dtype = Literal["float32", "float16", "uint8", "int32", "int64"]
Precision = Literal["fp32", "fp16", "bf16"]
_MOST_CHANNELS = 4096


class TensorSection(Section):
    """One input or output; same words as `models.manifest.TensorSpec`."""

    name: Text
    dtype: Dtype = "float32"
    channels: tuple[Text, ...] | Annotated[int, Field(ge=1, le=_MOST_CHANNELS)]
    axes: Literal["map", "vector", "bag"] = "map"
    stride: tuple[Annotated[int, Field(ge=1)], ...] = ()

    @model_validator(mode="after")
    def _some_channel(self) -> Self:
        if self.channels == ():
            raise refusal("no channel", "list their meanings, or write their number", at="channels")
        if self.stride and self.axes != "map":
            raise refusal("only a map has a stride", "remove it", at="stride")
        return self

    @property
    def count(self) -> int:
        """How many channels."""
        return self.channels if isinstance(self.channels, int) else len(self.channels)

    @property
    def meanings(self) -> tuple[str, ...]:
        """Of each channel, as far as they are listed."""
        return () if isinstance(self.channels, int) else self.channels


class WindowsSection(Section):
    """How an image is cut; same words as `models.manifest.Windows`."""

    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.0
    batch: Annotated[int, Field(ge=1)] = 1
    weights: Literal["gaussian", "gaussian_nnunet", "constant"] = "gaussian"
    sigma: Annotated[float, Field(gt=0, le=1)] = 0.125
    least_weight: Annotated[float, Field(ge=0, lt=1)] = 0.0
    padding: Literal["constant", "replicate", "reflect"] = "constant"
    padding_value: float = 0.0
    starts: Literal["even", "monai", "nnunet"] = "even"
    mirror_axes: tuple[Annotated[int, Field(ge=0, le=2)], ...] = ()
    accumulate: Literal["float32", "float16"] = "float32"


class NetworkSection(Section):
    """One ONNX network; same words as `models.manifest.NetworkSpec`.

    A network with one input and one output may be written short: `input_name`, `channels`,
    `output_name`, `classes`, `overlap` and `batch` instead of `inputs`, `outputs`, `windows`.
    """

    name: Name
    path: PackageFile
    sha256: Sha256
    inputs: tuple[TensorSection, ...] = ()
    outputs: tuple[TensorSection, ...] = ()
    patch: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(), max_length=3)
    spacing_mm: tuple[Positive, ...] = ()
    value_range: tuple[float, float]
    windows: WindowsSection | None = None
    precisions: tuple[Precision, ...] = Field(default=("fp32",), min_length=1)
    tolerance: dict[str, Positive] = Field(min_length=1)

    input_name: Text | None = None
    output_name: Text | None = None
    channels: tuple[Text, ...] = ()
    classes: tuple[Text, ...] = ()
    overlap: Annotated[float, Field(ge=0, lt=1)] | None = None
    batch: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        """Short form or long form, each whole."""
        for long, short in (
            ("inputs", ("input_name", "channels")),
            ("outputs", ("output_name", "classes")),
            ("windows", ("overlap", "batch")),
        ):
            given = [key for key in short if getattr(self, key) not in (None, ())]
            if getattr(self, long) and given:
                raise refusal(
                    f"'{given[0]}' says again what '{long}' says",
                    f"remove '{given[0]}'",
                    at=given[0],
                )
            if not getattr(self, long) and long != "windows" and len(given) < len(short):
                raise refusal(
                    f"the {long} of the network are not stated",
                    f"add '{long}: [{{name: ..., channels: [...]}}]'",
                )
        return self

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.spacing_mm) != len(self.patch):
            raise refusal(
                f"{len(self.spacing_mm)} numbers for a window of {len(self.patch)} axes",
                "write one spacing for each axis of 'patch'",
                at="spacing_mm",
            )
        if self.value_range[0] >= self.value_range[1]:
            raise refusal("an empty range", "write the lower value first", at="value_range")
        if not {"CPUExecutionProvider", "Triton"} & set(self.tolerance):
            raise refusal(
                "no tolerance for CPUExecutionProvider",
                "every network must be provable on the CPU: add it",
                at="tolerance",
            )
        fault = next(tolerance_faults(self.precisions, self.tolerance), None)
        if fault is not None:
            raise fault
        return self

    @model_validator(mode="after")
    def _tensors_fit(self) -> Self:
        tensors = (*self.inputs, *self.outputs)
        spatial = [tensor for tensor in tensors if tensor.axes == "map"]
        if self.input_name is not None and not self.patch:
            raise refusal("no window", "write the size of the network's patch", at="patch")
        if spatial and not self.patch:
            raise refusal(
                f"'{spatial[0].name}' is a map, but there is no 'patch'",
                "write the size of the network's window, or 'axes: vector' or 'axes: bag'",
                at="patch",
            )
        for tensor in spatial:
            if tensor.stride and len(tensor.stride) != len(self.patch):
                raise refusal(
                    f"the stride of '{tensor.name}' has {len(tensor.stride)} numbers for a window "
                    f"of {len(self.patch)} axes",
                    "write one for each axis of 'patch'",
                )
        for role in (self.inputs, self.outputs):
            names = [tensor.name for tensor in role]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise refusal(f"two tensors are called '{twice}'", "name each once")
        if self.windows is not None and any(
            axis >= len(self.patch) for axis in self.windows.mirror_axes
        ):
            raise refusal(
                f"there is no axis {max(self.windows.mirror_axes)} in a window of "
                f"{len(self.patch)} axes",
                "the first axis of 'patch' is 0",
                at="windows.mirror_axes",
            )
        return self
