"""The steps of a package before and behind its network: `preprocess:` and `postprocess:`.

One section for each class of `models.manifest_steps`, with the same keys (`from` is its
`source`); a test holds the two together.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from config.messages import refusal
from config.package_boxes import Boxes
from config.package_region import RegionOfInterest
from config.schema.base import Section

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Channel = Annotated[int, Field(ge=0)]
Label = Annotated[int, Field(ge=1, le=65535)]
Percentile = Annotated[float, Field(ge=0, le=100)]
Numbers = Annotated[tuple[float, ...], Field(min_length=1)]
Sizes = Annotated[tuple[Count | None, ...], Field(min_length=2, max_length=3)]
#: A number, or the name of one of the package's thresholds.
Limit = float | Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Connectivity = Literal[6, 18, 26]
#: What `invert` can undo.
SPATIAL = (
    "orient",
    "spacing",
    "resize",
    "crop_foreground",
    "crop_nonzero",
    "crop_centre",
    "pad",
)
Spatial = Literal[
    "orient", "spacing", "resize", "crop_foreground", "crop_nonzero", "crop_centre", "pad"
]


def axes_of_patient(text: str) -> str:
    """Three letters, one of each pair, or a refusal."""
    pairs = ("RL", "AP", "SI")
    named = [sum(letter in pair for letter in text) for pair in pairs]
    if len(text) != 3 or named != [1, 1, 1]:
        raise refusal(
            "these are not three axes of the patient",
            "write one of R/L, one of A/P and one of S/I, for example RAS",
        )
    return text


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] >= pair[1]:
        raise refusal("an empty range", "write the lower value first, for example [-57, 164]")
    return pair


Range = Annotated[tuple[float, float], AfterValidator(_rising)]


class Orient(Section):
    """Turn the axes."""

    step: Literal["orient"]
    axes: Annotated[str, AfterValidator(axes_of_patient), Field(examples=["RAS"])]


class Spacing(Section):
    """Resample to a voxel size."""

    step: Literal["spacing"]
    spacing_mm: Annotated[
        tuple[Positive | None, ...],
        Field(min_length=3, max_length=3, examples=[[1.5, 1.5, 2.0]]),
    ]
    interpolation: Literal["nearest", "linear", "cubic"] = "linear"
    grid: Literal["monai", "nnunet", "zoom"] = "monai"
    separate_above: Annotated[float, Field(ge=1)] = 3.0

    @model_validator(mode="after")
    def _possible(self) -> Spacing:
        if self.grid == "monai" and self.interpolation == "cubic":
            raise refusal(
                "the grid 'monai' is read with nearest or linear interpolation",
                "write interpolation: linear, or another grid",
                at="interpolation",
            )
        return self


class Resize(Section):
    """Resample to a size in voxels."""

    step: Literal["resize"]
    size: Annotated[tuple[Count | None, ...], Field(min_length=3, max_length=3)]
    interpolation: Literal["nearest", "linear", "area"] = "linear"


class ScaleRange(Section):
    """Map a range to another."""

    step: Literal["scale_range"]
    source: Annotated[Range, Field(alias="from", examples=[[-57, 164]])]
    to: Range | None = (0.0, 1.0)
    clip: bool = False


class ScaleUnit(Section):
    """Map the image's own range to another."""

    step: Literal["scale_unit"]
    to: Range = (0.0, 1.0)
    per_channel: bool = False


class Normalize(Section):
    """Subtract the mean, divide by the standard deviation."""

    step: Literal["normalize"]
    mean: Numbers | None = None
    std: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None
    per_channel: bool = True
    region: Literal["all", "nonzero", "filled"] = "all"
    least_std: Positive | None = None


class CtNormalize(Section):
    """nnU-Net's CTNormalization; one number for each channel."""

    step: Literal["ct_normalize"]
    lower: Numbers
    upper: Numbers
    mean: Numbers
    std: Annotated[tuple[Positive, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _as_many(self) -> CtNormalize:
        if len({len(self.lower), len(self.upper), len(self.mean), len(self.std)}) > 1:
            raise refusal(
                "lower, upper, mean and std are for different numbers of channels",
                "write one number for each channel in each of them",
                at="std",
            )
        return self


class Clip(Section):
    """Cut values off."""

    step: Literal["clip"]
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _does_something(self) -> Clip:
        if self.low is None and self.high is None:
            raise refusal("neither low nor high is given", "add 'low:', 'high:' or both")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise refusal("an empty range", "write low below high", at="high")
        return self


class ClipPercentiles(Section):
    """Cut off at the image's own percentiles."""

    step: Literal["clip_percentiles"]
    lower: Percentile
    upper: Percentile
    per_channel: bool = False

    @model_validator(mode="after")
    def _rising(self) -> ClipPercentiles:
        if self.lower >= self.upper:
            raise refusal("an empty range", "write lower below upper", at="upper")
        return self


class Cast(Section):
    """Round as a cast to a type does."""

    step: Literal["cast"]
    to: Literal["uint8", "int16", "int32", "float16", "float32"]


class CropForeground(Section):
    """Cut to what is above a limit."""

    step: Literal["crop_foreground"]
    above: float = 0.0
    margin: Annotated[int, Field(ge=0)] = 0
    allow_smaller: bool = False
    divisible_by: Count = 1


class CropNonzero(Section):
    """Cut to what is not 0."""

    step: Literal["crop_nonzero"]


class CropCentre(Section):
    """Cut to a size around the centre."""

    step: Literal["crop_centre"]
    size: Annotated[tuple[Count | None, ...], Field(min_length=3, max_length=3)]


class Pad(Section):
    """Pad to a size or to multiples of a number."""

    step: Literal["pad"]
    size: Annotated[tuple[Count | None, ...], Field(min_length=3, max_length=3)] | None = None
    divisible_by: Annotated[tuple[Count, ...], Field(min_length=3, max_length=3)] | None = None
    where: Literal["both", "end"] = "both"
    mode: Literal["constant", "edge", "reflect"] = "constant"
    value: float = 0.0

    @model_validator(mode="after")
    def _one_aim(self) -> Pad:
        if (self.size is None) == (self.divisible_by is None):
            raise refusal(
                "to what size is padded is not said once",
                "write either 'size: [...]' or 'divisible_by: [...]'",
            )
        return self


class SelectChannels(Section):
    """Keep some channels."""

    step: Literal["select_channels"]
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]


class RepeatChannels(Section):
    """The same channels several times."""

    step: Literal["repeat_channels"]
    times: Annotated[int, Field(ge=2, le=64)]


def _window(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[1] <= 0:
        raise refusal("a window without width", "write [centre, width], for example [40, 400]")
    return pair


class Windows(Section):
    """One channel for each window."""

    step: Literal["windows"]
    windows: Annotated[
        tuple[Annotated[tuple[float, float], AfterValidator(_window)], ...],
        Field(min_length=1, examples=[[[40, 80], [80, 200], [600, 2800]]]),
    ]
    to: Range = (0.0, 1.0)


class Neighbours(Section):
    """Neighbouring slices as channels."""

    step: Literal["neighbours"]
    offsets: Annotated[tuple[int, ...], Field(min_length=1, examples=[[-1, 0, 1]])]


class Softmax(Section):
    """Channels to probabilities that add to 1."""

    step: Literal["softmax"]


class Sigmoid(Section):
    """Each channel to a probability."""

    step: Literal["sigmoid"]


class Argmax(Section):
    """One label for each voxel."""

    step: Literal["argmax"]


class Threshold(Section):
    """One channel to a mask."""

    step: Literal["threshold"]
    at: Limit = 0.5
    channel: Channel = 0


class Regions(Section):
    """Overlapping channels to labels."""

    step: Literal["regions"]
    values: Annotated[tuple[Label, ...], Field(min_length=1)]
    at: Limit = 0.5


class Invert(Section):
    """Undo the spatial steps."""

    step: Literal["invert"]
    interpolation: Literal["nearest", "linear", "cubic", "per_class_linear"] = "linear"
    only: tuple[Spatial, ...] = ()


class LargestComponent(Section):
    """Keep the largest parts."""

    step: Literal["largest_component"]
    labels: tuple[Label, ...] = ()
    connectivity: Connectivity = 26
    keep: Count = 1
    independent: bool = True


class Dust(Section):
    """Remove small parts."""

    step: Literal["dust"]
    labels: tuple[Label, ...] = ()
    least_ml: Positive | None = None
    least_voxels: Count | None = None
    connectivity: Connectivity = 26

    @model_validator(mode="after")
    def _one_limit(self) -> Dust:
        if (self.least_ml is None) == (self.least_voxels is None):
            raise refusal(
                "how small is too small is not said once",
                "write either 'least_ml: ...' or 'least_voxels: ...'",
            )
        return self


class FillHoles(Section):
    """Fill what a label encloses."""

    step: Literal["fill_holes"]
    labels: tuple[Label, ...] = ()
    planar: bool = False


class Relabel(Section):
    """Labels by a table."""

    step: Literal["relabel"]
    table: Annotated[
        dict[Annotated[int, Field(ge=0, le=65535)], Annotated[int, Field(ge=0, le=65535)]],
        Field(min_length=1, examples=["{1: 5, 2: 6}"]),
    ]


PreStep = Annotated[
    Orient
    | Spacing
    | Resize
    | ScaleRange
    | ScaleUnit
    | Normalize
    | CtNormalize
    | Clip
    | ClipPercentiles
    | Cast
    | CropForeground
    | CropNonzero
    | CropCentre
    | Pad
    | SelectChannels
    | RepeatChannels
    | Windows
    | Neighbours
    | RegionOfInterest,
    Field(discriminator="step"),
]
PostStep = Annotated[
    Softmax
    | Sigmoid
    | Argmax
    | Threshold
    | Regions
    | Invert
    | LargestComponent
    | Dust
    | FillHoles
    | Relabel
    | Boxes
    | SelectChannels,
    Field(discriminator="step"),
]
