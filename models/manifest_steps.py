"""The closed vocabulary of steps before and behind a network, as frozen values.

`preprocess:` and `postprocess:` of a `model.yaml` are lists of these; nothing in a package is
executed. A new step is one class here, its section in `config/package_steps.py`, and one
function in `inference/steps/`. What each key means is told in `models/PACKAGE.md`.

Spatial sizes, spacings and margins are in the order of the axes as they are at that step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from models.manifest_boxes import Boxes
from models.manifest_region import RegionOfInterest

Interpolation = Literal["nearest", "linear", "cubic"]
Grid = Literal["monai", "nnunet", "zoom"]
Connectivity = Literal[6, 18, 26]
Sizes = tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Orient:
    """Turn and flip the axes to point to e.g. R, A, S (nibabel's letters)."""

    step: ClassVar[str] = "orient"
    axes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spacing:
    """Resample to a voxel size.

    Attributes:
        spacing_mm: one for each axis; None keeps the axis as it is.
        grid: whose rule for size and place of the new grid. "monai": the corner voxel stays,
            outside is the edge (MONAI Spacing). "nnunet": the outer edges stay, sizes are
            rounded (nnU-Net's resampling). "zoom": both corner voxels stay (scipy.ndimage.zoom,
            TotalSegmentator).
        separate_above: with "nnunet": where the largest voxel side is more than this times the
            smallest, that axis is resampled on its own, by nearest.
    """

    step: ClassVar[str] = "spacing"
    spacing_mm: tuple[float | None, ...]
    interpolation: Interpolation = "linear"
    grid: Grid = "monai"
    separate_above: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """Resample to a size in voxels; outer edges stay (torch interpolate, align_corners off)."""

    step: ClassVar[str] = "resize"
    size: Sizes
    interpolation: Literal["nearest", "linear", "area"] = "linear"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleRange:
    """Map a range linearly to another; `to` None only subtracts and divides."""

    step: ClassVar[str] = "scale_range"
    source: tuple[float, float]
    to: tuple[float, float] | None = (0.0, 1.0)
    clip: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleUnit:
    """Map the image's own smallest and largest value to a range."""

    step: ClassVar[str] = "scale_unit"
    to: tuple[float, float] = (0.0, 1.0)
    per_channel: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalize:
    """Subtract a mean and divide by a standard deviation.

    Attributes:
        mean, std: one number for each channel, or one for all; None measures them.
        region: what is measured and changed: "all", "nonzero" (values other than 0) or
            "filled" (as nonzero in any channel, holes filled: nnU-Net's mask).
        least_std: a smaller standard deviation counts as this; None: 0 counts as 1 (MONAI).
    """

    step: ClassVar[str] = "normalize"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    per_channel: bool = True
    region: Literal["all", "nonzero", "filled"] = "all"
    least_std: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CtNormalize:
    """nnU-Net's CTNormalization: clip to percentiles of the training set, then z-score.

    Attributes: one number for each channel.
    """

    step: ClassVar[str] = "ct_normalize"
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Cut values off below and above."""

    step: ClassVar[str] = "clip"
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPercentiles:
    """Cut off below and above the image's own percentiles (0 to 100)."""

    step: ClassVar[str] = "clip_percentiles"
    lower: float
    upper: float
    per_channel: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Round as a cast does: integers are cut off towards 0 (TotalSegmentator's int32)."""

    step: ClassVar[str] = "cast"
    to: Literal["uint8", "int16", "int32", "float16", "float32"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CropForeground:
    """Cut to the box around all values above a limit, in any channel.

    Attributes:
        margin: voxels added on every side. allow_smaller: the margin ends at the image's edge;
            else what is beyond is padded with 0 (MONAI CropForeground).
        divisible_by: sizes are enlarged, on both sides, to multiples of it.
    """

    step: ClassVar[str] = "crop_foreground"
    above: float = 0.0
    margin: int = 0
    allow_smaller: bool = False
    divisible_by: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CropNonzero:
    """Cut to the box around all values other than 0, in any channel (nnU-Net)."""

    step: ClassVar[str] = "crop_nonzero"


@dataclass(frozen=True, slots=True, kw_only=True)
class CropCentre:
    """Cut to a size around the centre; an axis that is shorter stays as it is."""

    step: ClassVar[str] = "crop_centre"
    size: Sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class Pad:
    """Pad to a size, or to multiples of a number; longer axes stay as they are."""

    step: ClassVar[str] = "pad"
    size: Sizes | None = None
    divisible_by: tuple[int, ...] | None = None
    where: Literal["both", "end"] = "both"
    mode: Literal["constant", "edge", "reflect"] = "constant"
    value: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectChannels:
    """Keep some channels, in this order; counted from 0."""

    step: ClassVar[str] = "select_channels"
    channels: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatChannels:
    """A grey image as e.g. three equal channels, for networks that learned from colour."""

    step: ClassVar[str] = "repeat_channels"
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """One channel for each window of the first channel, clipped and mapped to a range.

    Attributes:
        windows: (centre, width) of each, as radiologists write them.
    """

    step: ClassVar[str] = "windows"
    windows: tuple[tuple[float, float], ...]
    to: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """2.5-D: the slices at these offsets along axis 0 as channels; beyond the ends: the end."""

    step: ClassVar[str] = "neighbours"
    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax:
    """Channels to probabilities that add to 1."""

    step: ClassVar[str] = "softmax"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sigmoid:
    """Each channel to a probability of its own."""

    step: ClassVar[str] = "sigmoid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Argmax:
    """One label for each voxel: the first channel with the largest value."""

    step: ClassVar[str] = "argmax"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One channel to label 1 where it is above a limit (not where equal), else 0.

    Attributes:
        at: the limit, or the name of one of the package's thresholds, which a site may change.
        channel: which; counted from 0.
    """

    step: ClassVar[str] = "threshold"
    at: float | str = 0.5
    channel: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """Overlapping channels to labels: later ones overwrite (nnU-Net's regions_class_order).

    Attributes:
        values: label of each channel. at: as in `Threshold`.
    """

    step: ClassVar[str] = "regions"
    values: tuple[int, ...]
    at: float | str = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Invert:
    """Undo the spatial steps, last first, exactly.

    Attributes:
        interpolation: of what was resampled. "per_class_linear": labels one by one, linear,
            at 0.5 or more (TotalSegmentator's way back; its grid keeps the outer edges).
        only: undo from the last step back as long as it is one of these; () undoes all.
    """

    step: ClassVar[str] = "invert"
    interpolation: Literal["nearest", "linear", "cubic", "per_class_linear"] = "linear"
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestComponent:
    """Keep the largest connected parts of labels.

    Attributes:
        labels: which; () for every label above 0. keep: how many parts.
        independent: label by label; else of all of them together.
    """

    step: ClassVar[str] = "largest_component"
    labels: tuple[int, ...] = ()
    connectivity: Connectivity = 26
    keep: int = 1
    independent: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Dust:
    """Remove connected parts that are smaller than a limit, label by label."""

    step: ClassVar[str] = "dust"
    labels: tuple[int, ...] = ()
    least_ml: float | None = None
    least_voxels: int | None = None
    connectivity: Connectivity = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class FillHoles:
    """Fill background that a label encloses; other labels stay.

    Attributes:
        planar: within each plane along axis 0, else in space.
    """

    step: ClassVar[str] = "fill_holes"
    labels: tuple[int, ...] = ()
    planar: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Relabel:
    """Label values by a table; values that it does not name become 0."""

    step: ClassVar[str] = "relabel"
    table: Mapping[int, int]


#: Before the network.
PreStep = (
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
    | RegionOfInterest
)
#: Behind it.
PostStep = (
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
    | SelectChannels
)
PRE_STEPS: tuple[type[PreStep], ...] = PreStep.__args__
POST_STEPS: tuple[type[PostStep], ...] = PostStep.__args__
