"""MONAI's transforms before the network as steps of a package; by name, one function each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from models.importers.monai_arguments import (
    Arguments,
    Reading,
    Step,
    read_one,
    short_name,
    transforms_of,
)
from models.importers.monai_grammar import Formula
from models.importers.monai_values import Component, Value

_MODES: Mapping[Any, str] = {"bilinear": "linear", "trilinear": "linear", "nearest": "nearest"}


def read_preprocessing(value: Value, reading: Reading, where: str) -> None:
    """Fill `reading` with the steps of `preprocessing`."""
    for component in transforms_of(value, reading, where):
        if not _concerns(component, reading):
            continue
        read_one(component, reading, _BEFORE)


def _concerns(component: Component, reading: Reading) -> bool:
    """Is the image among its keys? Transforms of labels and boxes are for training."""
    keys = component.get("keys", component.positional[0] if component.positional else None)
    names = [keys] if isinstance(keys, str) else keys
    if not isinstance(names, list):
        return True
    return reading.key in names


def _load(arguments: Arguments, reading: Reading) -> list[Step]:
    reader = arguments.component.get("reader")
    arguments.get("ensure_channel_first")
    arguments.get("simple_keys")
    arguments.get("affine_lps_to_ras")
    arguments.ignore("reader")
    if isinstance(reader, Component):
        if reader.name == "ITKReader" and reader.get("affine_lps_to_ras", True) is False:
            reading.frame = "LPS"
            reading.faults.note(
                "the bundle reads files in LPS axes and orients those; the step `orient` names the "
                "axes of the patient that result"
            )
        elif reader.name not in ("ITKReader", "NibabelReader", "PILReader", "NumpyReader"):
            arguments.fault(f"the reader `{reader.target}` is unknown")
    elif reader is not None:
        arguments.faults.known(reader)
    arguments.taken.clear()
    return []


def _channel_first(arguments: Arguments, _reading: Reading) -> list[Step]:
    arguments.get("channel_dim")
    arguments.get("strict_check")
    return []


def _orientation(arguments: Arguments, reading: Reading) -> list[Step]:
    axes = arguments.get("axcodes")
    if arguments.get("as_closest_canonical"):
        axes = "RAS"
    arguments.get("labels")
    if not isinstance(axes, str) or len(axes) != 3:
        arguments.fault(f"`axcodes` is {axes!r}", "write three letters such as RAS")
        return []
    if reading.frame == "LPS":
        axes = axes.translate(str.maketrans("LRAP", "RLPA"))
    return [{"step": "orient", "axes": axes}]


def _spacing(arguments: Arguments, _reading: Reading) -> list[Step]:
    pixdim = arguments.get("pixdim")
    mode = arguments.each_key("mode", "bilinear")
    arguments.must_be("padding_mode", "border")
    arguments.must_be("diagonal", False)
    arguments.must_be("scale_extent", False)
    arguments.must_be("recompute_affine", False)
    arguments.must_be("min_pixdim", None)
    arguments.must_be("max_pixdim", None)
    arguments.get("align_corners")
    arguments.get("ensure_same_shape")
    if isinstance(pixdim, int | float):
        pixdim = [pixdim] * 3
    if not isinstance(pixdim, list) or len(pixdim) != 3 or mode not in _MODES:
        arguments.fault(f"`pixdim: {pixdim}` with `mode: {mode}`", "write three spacings in mm")
        return []
    spacing = [float(side) if _positive(side) else None for side in pixdim]
    return [
        {"step": "spacing", "spacing_mm": spacing, "interpolation": _MODES[mode], "grid": "monai"}
    ]


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and value > 0


def _scale_range(arguments: Arguments, _reading: Reading) -> list[Step]:
    source = [arguments.number("a_min"), arguments.number("a_max")]
    low, high = arguments.get("b_min"), arguments.get("b_max")
    clip = bool(arguments.get("clip", False))
    if (low is None) != (high is None) or source[0] >= source[1]:
        arguments.fault("an empty or half-open range", "write a_min < a_max and both b_min, b_max")
        return []
    if low is None:
        if clip:
            arguments.fault("`clip` without `b_min` and `b_max`", "write both")
        return [{"step": "scale_range", "from": source, "to": None}]
    return [{"step": "scale_range", "from": source, "to": [float(low), float(high)], "clip": clip}]


def _scale(arguments: Arguments, _reading: Reading) -> list[Step]:
    low, high = arguments.get("minv", 0.0), arguments.get("maxv", 1.0)
    arguments.must_be("factor", None)
    per_channel = bool(arguments.get("channel_wise", False))
    if low is None or high is None:
        arguments.fault("`minv` and `maxv` are not both given", "write both")
        return []
    return [{"step": "scale_unit", "to": [float(low), float(high)], "per_channel": per_channel}]


def _scale_percentiles(arguments: Arguments, _reading: Reading) -> list[Step]:
    lower, upper = arguments.number("lower"), arguments.number("upper")
    target = [arguments.number("b_min", 0.0), arguments.number("b_max", 1.0)]
    per_channel = bool(arguments.get("channel_wise", False))
    arguments.must_be("relative", False)
    if arguments.get("clip", False) is not True:
        arguments.fault("values beyond the percentiles are not clipped", "set `clip: true`")
    return [
        {"step": "clip_percentiles", "lower": lower, "upper": upper, "per_channel": per_channel},
        {"step": "scale_unit", "to": target, "per_channel": per_channel},
    ]


def _normalize(arguments: Arguments, reading: Reading) -> list[Step]:
    if arguments.get("nonzero", False):
        reading.faults.note(
            "the intensity is normalised over voxels other than 0: where resampling gives 0 to the "
            "last bit, this node and MONAI may differ in single voxels"
        )
    step: Step = {
        "step": "normalize",
        "region": "nonzero" if arguments.get("nonzero", False) else "all",
        "per_channel": bool(arguments.get("channel_wise", False)),
    }
    for ours, theirs in (("mean", "subtrahend"), ("std", "divisor")):
        value = arguments.get(theirs)
        if value is not None:
            numbers = value if isinstance(value, list) else [value]
            step[ours] = [float(number) for number in numbers]
    return [step]


def _cast(arguments: Arguments, _reading: Reading) -> list[Step]:
    kind = arguments.each_key("dtype", "float32")
    kind = str(kind).rpartition(".")[2]
    if kind in ("float32", "float"):
        return []
    if kind in ("uint8", "int16", "int32", "float16"):
        return [{"step": "cast", "to": kind}]
    arguments.fault(f"a cast to {kind}")
    return []


def _ensure_type(arguments: Arguments, reading: Reading) -> list[Step]:
    if arguments.component.get("dtype") is None:
        return []
    return _cast(arguments, reading)


def _resize(arguments: Arguments, _reading: Reading) -> list[Step]:
    size = arguments.get("spatial_size")
    mode = arguments.each_key("mode", "area")
    arguments.must_be("size_mode", "all")
    arguments.must_be("align_corners", None, False)
    arguments.must_be("anti_aliasing", False)
    modes = {**_MODES, "area": "area"}
    if not isinstance(size, list) or mode not in modes:
        arguments.fault(f"`spatial_size: {size}` with `mode: {mode}`", "write a list of sizes")
        return []
    sizes = [int(side) if _positive(side) else None for side in size]
    return [{"step": "resize", "size": sizes, "interpolation": modes[mode]}]


def _crop_foreground(arguments: Arguments, reading: Reading) -> list[Step]:
    if arguments.get("source_key", reading.key) != reading.key:
        arguments.fault("it looks at another image", "only the image itself is known")
    arguments.taken["source_key"] = reading.key
    formula = arguments.get("select_fn")
    above = 0.0
    if formula is not None:
        limit = formula.threshold() if isinstance(formula, Formula) else None
        if limit is None:
            arguments.fault("`select_fn` is not of the form `lambda x: x > NUMBER`")
        else:
            above = limit
            arguments.taken["select_fn"] = {"above": above}
    arguments.must_be("channel_indices", None)
    arguments.must_be("mode", "constant")
    margin = arguments.get("margin", 0)
    divisible = arguments.get("k_divisible", 1)
    if isinstance(margin, list) or isinstance(divisible, list):
        arguments.fault("`margin` or `k_divisible` differ by axis", "write one number")
        return []
    # MONAI's default became False in version 1.5.
    smaller = bool(arguments.get("allow_smaller", False))
    arguments.get("start_coord_key")
    arguments.get("end_coord_key")
    return [
        {
            "step": "crop_foreground",
            "above": above,
            "margin": int(margin),
            "allow_smaller": smaller,
            "divisible_by": int(divisible),
        }
    ]


def _pad(arguments: Arguments, reading: Reading) -> list[Step]:
    name = short_name(arguments.component)
    step: Step = {"step": "pad"}
    if name == "DivisiblePad":
        k = arguments.get("k")
        step["divisible_by"] = k if isinstance(k, list) else [k] * 3
    else:
        size = arguments.get("spatial_size")
        sizes = size if isinstance(size, list) else [size] * 3
        step["size"] = [int(side) if _positive(side) else None for side in sizes]
    step["where"] = {"symmetric": "both", "end": "end"}.get(
        arguments.get("method", "symmetric"), "both"
    )
    modes = {"constant": "constant", "edge": "edge", "replicate": "edge", "reflect": "reflect"}
    mode = arguments.each_key("mode", "constant")
    if mode not in modes:
        arguments.fault(f"`mode: {mode}`")
    step["mode"] = modes.get(mode, "constant")
    step["value"] = float(arguments.get("value", arguments.get("constant_values", 0.0)))
    return [step]


def _crop_centre(arguments: Arguments, _reading: Reading) -> list[Step]:
    size = arguments.get("roi_size")
    sizes = size if isinstance(size, list) else [size] * 3
    return [
        {"step": "crop_centre", "size": [int(side) if _positive(side) else None for side in sizes]}
    ]


def select_channels(arguments: Arguments, reading: Reading) -> list[Step]:
    """`Lambdad` whose function only picks channels."""
    formula = arguments.get("func")
    arguments.must_be("overwrite", True)
    chosen = formula.channels(reading.channels) if isinstance(formula, Formula) else None
    if chosen is None:
        arguments.fault(
            "a function other than `lambda x: x[channels]`",
            "only picking channels is known; leave other functions out or add a step",
        )
        return []
    arguments.taken["func"] = {"channels": list(chosen)}
    reading.channels = len(chosen)
    return [{"step": "select_channels", "channels": list(chosen)}]


def _repeat(arguments: Arguments, reading: Reading) -> list[Step]:
    times = int(arguments.number("repeats"))
    reading.channels *= max(1, times)
    return [{"step": "repeat_channels", "times": times}]


_BEFORE: Mapping[str, Callable[[Arguments, Reading], list[Step]]] = {
    "LoadImage": _load,
    "EnsureChannelFirst": _channel_first,
    "AddChannel": _channel_first,
    "AsChannelFirst": _channel_first,
    "Orientation": _orientation,
    "Spacing": _spacing,
    "ScaleIntensityRange": _scale_range,
    "ScaleIntensity": _scale,
    "ScaleIntensityRangePercentiles": _scale_percentiles,
    "NormalizeIntensity": _normalize,
    "CastToType": _cast,
    "EnsureType": _ensure_type,
    "Resize": _resize,
    "CropForeground": _crop_foreground,
    "SpatialPad": _pad,
    "DivisiblePad": _pad,
    "CenterSpatialCrop": _crop_centre,
    "Lambda": select_channels,
    "RepeatChannel": _repeat,
}
#: What `models/IMPORT.md` lists.
BEFORE: tuple[str, ...] = tuple(_BEFORE)
