"""What MONAI does behind the network: windows, transforms of the prediction, boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from models.importers.faults import Faults
from models.importers.monai_arguments import Arguments, Reading, Step, read_one, transforms_of
from models.importers.monai_config import MonaiConfig
from models.importers.monai_transforms import select_channels
from models.importers.monai_values import Component, Value

#: MONAI raises smaller weights of a Gaussian window to this fraction.
_LEAST_WEIGHT = 0.001
_CONNECTIVITY: Mapping[Any, int] = {None: 26, 1: 6, 2: 18, 3: 26}
#: Boxes are moved to the patient by our own pipeline.
_BOX_TRANSFORMS = ("ClipBoxToImage", "AffineBoxToWorldCoordinate", "ConvertBoxMode")
#: The zoo's own class of this name hands windows to the detector; nothing else is in it.
_DETECTION_INFERERS = ("RetinaNetInferer",)


@dataclass(frozen=True, slots=True)
class Inference:
    """How the network is run.

    Attributes:
        kind: "windows", "whole" (the image at once) or "detector".
        patch: size of the window; None where the configuration does not say.
        windows: `windows:` of the network in model.yaml.
    """

    kind: str
    patch: tuple[int, ...] | None
    windows: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """MONAI's `RetinaNetDetector`: the box rule, as the step `boxes` has it without names."""

    anchors: tuple[tuple[float, ...], ...]
    scales: tuple[float, ...]
    score_above: float
    candidates: int
    overlap: float
    at_most: int
    divisible_by: tuple[int, ...]
    num_classes: int


def read_inferer(value: Value, faults: Faults, where: str) -> Inference | None:
    """`inferer`; None where it is not understood."""
    if not isinstance(value, Component):
        if faults.known(value):
            faults.add(
                where, "there is no inferer", "write `SlidingWindowInferer` or `SimpleInferer`"
            )
        return None
    if value.name in _DETECTION_INFERERS:
        if value.target.startswith("scripts."):
            faults.note(
                f"`{value.target}` was not run: by its name, windows and boxes are those of the "
                "detector"
            )
        return Inference("detector", None, {})
    arguments = Arguments(value, faults)
    if value.name == "SimpleInferer":
        return Inference("whole", None, {"overlap": 0.0, "batch": 1, "weights": "constant"})
    if value.name in ("SlidingWindowInferer", "SlidingWindowInfererAdapt"):
        inference = Inference("windows", *_windows(arguments, arguments.get("roi_size")))
        arguments.refuse_rest()
        return inference
    faults.add(
        value.where,
        f"the inferer `{value.target}` is unknown",
        "known are SlidingWindowInferer, SimpleInferer and the detector's",
    )
    return None


def _windows(arguments: Arguments, size: Value) -> tuple[tuple[int, ...] | None, Mapping[str, Any]]:
    mode = arguments.get("mode", "constant")
    overlap = arguments.get("overlap", 0.25)
    if isinstance(overlap, list):
        if len(set(overlap)) > 1:
            arguments.fault("`overlap` differs by axis", "write one number")
        overlap = overlap[0]
    sigma = arguments.get("sigma_scale", 0.125)
    if isinstance(sigma, list):
        sigma = sigma[0]
    if mode not in ("constant", "gaussian") or not isinstance(overlap, int | float):
        arguments.fault(f"`mode: {mode}`, `overlap: {overlap}`", "write constant or gaussian")
        return None, {}
    for ignored in ("sw_device", "progress", "cache_roi_weight_map", "cpu_thresh", "buffer_steps"):
        # Where and how fast, not what.
        arguments.ignore(ignored)
    arguments.must_be("with_coord", False)
    arguments.must_be("buffer_dim", None, -1)
    padding = arguments.get("padding_mode", "constant")
    if padding not in ("constant", "replicate", "reflect"):
        arguments.fault(f"`padding_mode: {padding}`")
        padding = "constant"
    batch = arguments.get("sw_batch_size", 1)
    windows = {
        "overlap": float(overlap),
        "batch": int(batch) if isinstance(batch, int) else 1,
        "weights": mode,
        "sigma": float(sigma),
        "least_weight": _LEAST_WEIGHT if mode == "gaussian" else 0.0,
        "padding": padding,
        "padding_value": float(arguments.get("cval", 0.0)),
        "starts": "monai",
    }
    return _patch(size), windows


def _patch(size: Value) -> tuple[int, ...] | None:
    if isinstance(size, list) and all(isinstance(side, int) and side > 0 for side in size):
        return tuple(size)
    return None


def read_postprocessing(value: Value, reading: Reading, where: str) -> None:
    """Fill `reading` with the steps of `postprocessing`."""
    for component in transforms_of(value, reading, where):
        name = component.name.removesuffix("d").removesuffix("D")
        if name in _BOX_TRANSFORMS:
            continue
        keys = component.get("keys")
        names = [keys] if isinstance(keys, str) else keys
        if isinstance(names, list) and reading.key not in names:
            continue
        read_one(component, reading, _BEHIND)
    words = [step["step"] for step in reading.steps]
    if "argmax" in words and "threshold" in words:
        reading.faults.add(where, "both an arg-max and a threshold", "keep one of them")


def _activations(arguments: Arguments, _reading: Reading) -> list[Step]:
    arguments.must_be("other", None)
    steps = []
    if arguments.each_key("sigmoid", False):
        steps.append({"step": "sigmoid"})
    if arguments.each_key("softmax", False):
        steps.append({"step": "softmax"})
    return steps


def _discrete(arguments: Arguments, reading: Reading) -> list[Step]:
    arguments.must_be("to_onehot", None)
    arguments.must_be("rounding", None)
    if arguments.each_key("argmax", False):
        arguments.must_be("threshold", None)
        return [{"step": "argmax"}]
    at = arguments.each_key("threshold")
    if isinstance(at, bool) or not isinstance(at, int | float):
        return []
    if reading.channels != 1:
        arguments.fault(
            f"a threshold of {reading.channels} channels gives masks that overlap",
            "say in the form how they become labels: `regions: [label of each channel]`",
        )
        return []
    return [{"step": "threshold", "at": float(at), "channel": 0}]


def _invert(arguments: Arguments, reading: Reading) -> list[Step]:
    for key in ("transform", "orig_keys", "orig_meta_keys", "meta_key_postfix", "to_tensor"):
        arguments.ignore(key)
    arguments.must_be("post_func", None)
    if arguments.each_key("nearest_interp", True):
        reading.faults.note(
            "labels are brought back by nearest; where a voxel lies exactly between two of the "
            "network's grid, this node takes the even one, MONAI what the last bit says"
        )
        return [{"step": "invert", "interpolation": "nearest"}]
    # MONAI then goes back in the way in which it came.
    ways = set(reading.forward) or {"linear"}
    if len(ways) > 1 or not ways <= {"linear", "nearest"}:
        arguments.fault(
            f"it would go back by {', '.join(sorted(ways))}",
            "set `nearest_interp: true`, or resample by one of bilinear and nearest only",
        )
        return []
    return [{"step": "invert", "interpolation": ways.pop()}]


def _largest(arguments: Arguments, _reading: Reading) -> list[Step]:
    labels = arguments.get("applied_labels")
    connectivity = arguments.get("connectivity")
    arguments.must_be("is_onehot", None, False)
    if connectivity not in _CONNECTIVITY:
        arguments.fault(f"`connectivity: {connectivity}`", "write 1, 2 or 3")
    step: Step = {
        "step": "largest_component",
        "independent": bool(arguments.get("independent", True)),
        "connectivity": _CONNECTIVITY.get(connectivity, 26),
        "keep": int(arguments.get("num_components", 1)),
    }
    if labels is not None:
        step["labels"] = labels if isinstance(labels, list) else [labels]
    return [step]


def _fill(arguments: Arguments, _reading: Reading) -> list[Step]:
    labels = arguments.get("applied_labels")
    arguments.must_be("connectivity", None)
    step: Step = {"step": "fill_holes"}
    if labels is not None:
        step["labels"] = labels if isinstance(labels, list) else [labels]
    return [step]


_BEHIND: Mapping[str, Callable[[Arguments, Reading], list[Step]]] = {
    "Activations": _activations,
    "AsDiscrete": _discrete,
    "Invert": _invert,
    "KeepLargestConnectedComponent": _largest,
    "FillHoles": _fill,
    "Lambda": select_channels,
}
BEHIND: tuple[str, ...] = tuple(_BEHIND)


def read_detector(config: MonaiConfig, faults: Faults) -> tuple[Detector, Inference] | None:
    """`detector` and `detector_ops`: anchors, selection, windows; None where not understood."""
    detector = config.value("detector")
    if not faults.known(detector) or not isinstance(detector, Component):
        faults.add(
            config.where("detector"), "there is no RetinaNetDetector", "write it as `_target_`"
        )
        return None
    generator = detector.get("anchor_generator")
    arguments = Arguments(detector, faults)
    if not isinstance(generator, Component) or generator.name != "AnchorGeneratorWithAnchorShape":
        arguments.fault("`anchor_generator` is unknown", "known is AnchorGeneratorWithAnchorShape")
        return None
    if generator.get("indexing", "ij") != "ij":
        arguments.fault("`indexing` of the anchors is not 'ij'", "only 'ij' is known")
    shapes, scales = generator.get("base_anchor_shapes"), generator.get("feature_map_scales")
    if not isinstance(shapes, list) or not isinstance(scales, list):
        arguments.fault("anchors are not written as numbers", "write base_anchor_shapes as lists")
        return None
    calls = _detector_calls(config)
    select = calls.get("set_box_selector_parameters", {})
    window = calls.get("set_sliding_window_inferer", {})
    if not faults.known(dict(select)) or select.get("apply_sigmoid", True) is not True:
        arguments.fault("`apply_sigmoid` is false", "only scores of sigmoid are known")
    windows = Arguments(Component("set_sliding_window_inferer", detector.where, window), faults)
    patch, settings = _windows(windows, windows.get("roi_size"))
    windows.refuse_rest()
    return (
        Detector(
            anchors=tuple(tuple(map(float, shape)) for shape in shapes),
            scales=tuple(map(float, scales)),
            score_above=float(select.get("score_thresh", 0.05)),
            candidates=int(select.get("topk_candidates_per_level", 1000)),
            overlap=float(select.get("nms_thresh", 0.5)),
            at_most=int(select.get("detections_per_img", 300)),
            divisible_by=_divisible(detector, config),
            num_classes=int(detector.get("num_classes", 1)),
        ),
        Inference("detector", patch, settings),
    )


def _divisible(detector: Component, config: MonaiConfig) -> tuple[int, ...]:
    size = detector.get("size_divisible")
    if size is None:
        network = config.value("network_def")
        size = network.get("size_divisible", 1) if isinstance(network, Component) else 1
    axes = int(detector.get("spatial_dims", 3))
    return tuple(size) if isinstance(size, list) else (int(size),) * axes


def _detector_calls(config: MonaiConfig) -> Mapping[str, Mapping[str, Value]]:
    """Keyword arguments of the methods called in `detector_ops`, by method."""
    calls: dict[str, Mapping[str, Value]] = {}
    for value in config.value("detector_ops") or ():
        if isinstance(value, Component):
            calls[value.name] = value.arguments
    return calls
