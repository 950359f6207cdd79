"""What the built-in pipelines need: the steps, the results and the networks must fit together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_core import PydanticCustomError

from config.messages import listed, refusal
from config.package_agreement import agreement_faults
from config.package_networks import NetworkSection
from config.package_region import region_faults
from config.package_results import ResultsSection
from config.package_steps import SPATIAL

#: Steps that make labels of channels.
_LABELLING = ("argmax", "threshold", "regions")
#: Steps that work on labels.
_ON_LABELS = ("largest_component", "dust", "fill_holes", "relabel")
#: Which entries of `results:` a pipeline reports; one of them at least.
_REPORTED = {
    "segmentation": ("labels",),
    "detection": ("boxes",),
    "classification": ("classes", "questions"),
    "tiles": ("regions", "boxes"),
    "attention_mil": ("classes", "questions"),
}


def fault_of(
    pipeline: str,
    networks: Sequence[NetworkSection],
    steps: tuple[Sequence[Any], Sequence[Any]],
    results: ResultsSection | None,
    thresholds: Sequence[str],
) -> PydanticCustomError | None:
    """The first fault of a package with a built-in pipeline; None when there is none.

    Args:
        steps: of `preprocess:` and of `postprocess:`.
        thresholds: names of the package's thresholds.
    """
    if pipeline not in _REPORTED:
        return _no_pipeline(pipeline, steps, results)
    # Each kind of fault is looked for only where there is none of those before it.
    faults = itertools.chain(
        _results(pipeline, results),
        _thresholds(steps[1], results, thresholds),
        _postprocess(pipeline, steps, results),
        _tensors(pipeline, networks, results),
        _raster(pipeline, networks, steps[1]),
        region_faults(pipeline, _channels_out(networks[0]), steps, SPATIAL),
        agreement_faults(pipeline, networks, _channels_out(networks[0]), steps, results),
    )
    return next(faults, None)


def _no_pipeline(
    pipeline: str, steps: tuple[Sequence[Any], Sequence[Any]], results: ResultsSection | None
) -> PydanticCustomError | None:
    keys = [
        key
        for key, given in (
            ("preprocess", steps[0]),
            ("postprocess", steps[1]),
            ("results", results),
        )
        if given
    ]
    if not keys:
        return None
    return refusal(
        f"only a built-in pipeline reads this, and '{pipeline}' is a Python module",
        f"remove it, or write 'pipeline: {listed(_REPORTED)}'",
        at=keys[0],
    )


def _results(pipeline: str, results: ResultsSection | None) -> Iterator[PydanticCustomError]:
    wanted = _REPORTED[pipeline]
    if results is None or not any(getattr(results, key) for key in wanted):
        yield refusal(
            f"the pipeline '{pipeline}' has nothing to report",
            f"add 'results:' with {listed(wanted)} (models/PACKAGE.md)",
        )
        return
    others = {"labels", "classes", "questions", "boxes", "regions"} - set(wanted)
    for key in sorted(others):
        if getattr(results, key):
            yield refusal(
                f"the pipeline '{pipeline}' does not report this",
                f"remove it; it reports {listed(wanted)}",
                at=f"results.{key}",
            )
    if pipeline in ("tiles", "attention_mil") and results.tiles is None:
        yield refusal(
            "how the slide is read is not said",
            "add 'tiles: {mpp_um: 0.5}' with the resolution that the network learned at",
            at="results",
        )


def _thresholds(
    post: Sequence[Any], results: ResultsSection | None, known: Sequence[str]
) -> Iterator[PydanticCustomError]:
    used = [
        (f"postprocess.{number}.at", step.at)
        for number, step in enumerate(post)
        if isinstance(getattr(step, "at", None), str)
    ]
    for key in ("classes", "boxes", "regions"):
        used += [
            (f"results.{key}.{number}.threshold", entry.threshold)
            for number, entry in enumerate(getattr(results, key, ()))
        ]
    for place, name in used:
        if name not in known:
            yield refusal(
                f"there is no threshold '{name}'",
                "add it below 'thresholds:' with its value",
                at=place,
            )


def _postprocess(
    pipeline: str, steps: tuple[Sequence[Any], Sequence[Any]], results: ResultsSection | None
) -> Iterator[PydanticCustomError]:
    pre, post = steps
    words = [step.step for step in post]
    if pipeline == "segmentation":
        yield from _segmentation(pre, post)
        yield from _certain(post, results)
        return
    if pipeline == "detection":
        if words.count("boxes") != 1 or words[-1] != "boxes":
            yield refusal(
                "a detection ends with the step 'boxes'",
                "add '- {step: boxes, ...}' as the last step",
                at="postprocess",
            )
        return
    allowed = ("softmax", "sigmoid", "select_channels") + (
        ("boxes",) if pipeline == "tiles" else ()
    )
    for number, word in enumerate(words):
        if word not in allowed:
            yield refusal(
                f"the pipeline '{pipeline}' has scores, no image, behind its network",
                f"use {listed(allowed)}",
                at=f"postprocess.{number}.step",
            )


def _segmentation(pre: Sequence[Any], post: Sequence[Any]) -> Iterator[PydanticCustomError]:
    labelled = False
    left = [step.step for step in pre if step.step in SPATIAL]
    for number, step in enumerate(post):
        at = f"postprocess.{number}"
        if step.step == "invert":
            yield from _inverted(step, at, labelled=labelled)
            while left and (not step.only or left[-1] in step.only):
                left.pop()
        else:
            yield from _in_order(step.step, at, labelled=labelled)
        labelled = labelled or step.step in _LABELLING
    if not labelled:
        yield refusal(
            "no step makes labels of the network's output",
            f"add one of {listed(_LABELLING)}, for example '- {{step: argmax}}'",
            at="postprocess",
        )
    if left:
        yield refusal(
            f"the labels do not come back to the images: '{left[-1]}' is never undone",
            "add '- {step: invert, interpolation: linear}' before argmax, or nearest behind it",
            at="postprocess",
        )


def _certain(post: Sequence[Any], results: ResultsSection | None) -> Iterator[PydanticCustomError]:
    """A certainty is a probability."""
    words = [step.step for step in post]
    first = next((number for number, word in enumerate(words) if word in _LABELLING), len(words))
    if {"softmax", "sigmoid"} & set(words[:first]):
        return
    for number, label in enumerate(results.labels if results else ()):
        if "certainty" in label.measure:
            yield refusal(
                "no step makes probabilities of the network's output",
                "add '- {step: softmax}' or sigmoid as the first of 'postprocess:'",
                at=f"results.labels.{number}.measure",
            )


def _in_order(word: str, at: str, *, labelled: bool) -> Iterator[PydanticCustomError]:
    if word == "boxes":
        yield refusal("a segmentation has no boxes", "remove this step", at=f"{at}.step")
    elif word in _ON_LABELS and not labelled:
        yield refusal(
            f"'{word}' works on labels, and there are none yet",
            f"put {listed(_LABELLING)} before it",
            at=f"{at}.step",
        )
    elif word not in _ON_LABELS and labelled:
        yield refusal(
            f"'{word}' works on channels, and they are labels already",
            f"put it before {listed(_LABELLING)}",
            at=f"{at}.step",
        )


def _inverted(step: Any, at: str, *, labelled: bool) -> Iterator[PydanticCustomError]:  # noqa: ANN401
    if labelled and step.interpolation in ("linear", "cubic"):
        yield refusal(
            "labels cannot be interpolated like values",
            "write nearest or per_class_linear, or put 'invert' before them",
            at=f"{at}.interpolation",
        )
    if not labelled and step.interpolation == "per_class_linear":
        yield refusal(
            "there are no labels yet",
            "write linear, or put 'invert' behind argmax",
            at=f"{at}.interpolation",
        )


def _tensors(
    pipeline: str, networks: Sequence[NetworkSection], results: ResultsSection | None
) -> Iterator[PydanticCustomError]:
    if pipeline == "attention_mil":
        names = [network.name for network in networks]
        if names != ["features", "attention"]:
            yield refusal(
                "attention MIL needs two networks, 'features' and 'attention', in this order",
                "name the network that looks at one tile 'features', the other 'attention'",
                at="networks",
            )
        elif not {"score", "attention"} <= {one.name for one in networks[1].outputs}:
            yield refusal(
                "the attention network gives no 'score' and 'attention'",
                "name its outputs so, both under 'outputs:'",
                at="networks.1.outputs",
            )
    elif len(networks) > 1 and pipeline != "segmentation":
        yield refusal(
            f"the pipeline '{pipeline}' runs one network, here are {len(networks)}",
            "make one package for each, or write a pipeline module",
            at="networks.1",
        )
    elif len({_channels_out(network) for network in networks}) > 1:
        yield refusal(
            "the networks of an ensemble have different channels",
            "their outputs are averaged: only networks of the same channels belong together",
            at="networks.1",
        )
    assert results is not None or pipeline not in _REPORTED
    count = _channels_out(networks[-1])
    for key in ("classes", "regions"):
        for number, entry in enumerate(getattr(results, key, ())):
            if count is not None and entry.channel >= count:
                yield refusal(
                    f"there is no channel {entry.channel}: the network has {count}",
                    "the first channel is 0",
                    at=f"results.{key}.{number}.channel",
                )


def _channels_out(network: NetworkSection) -> int | None:
    """Channels of the first output; None where steps may change their number."""
    if network.outputs:
        return network.outputs[0].count
    return len(network.classes) or None


def _raster(
    pipeline: str, networks: Sequence[NetworkSection], post: Sequence[Any]
) -> Iterator[PydanticCustomError]:
    """Windows of a detector must begin on the raster of its coarsest map, or boxes shift."""
    if pipeline != "detection":
        return
    network, step = networks[0], post[-1]
    axes = len(network.patch)
    strides = [one.stride or (1,) * axes for one in network.outputs]
    coarse = [max(stride[axis] for stride in strides) for axis in range(axes)] if strides else []
    windows = network.windows
    if windows is None or not strides:
        yield refusal(
            "the outputs of a detector have names, strides and windows",
            "write 'outputs: [...]' and 'windows: {...}' instead of the short form",
            at="networks.0",
        )
        return
    if windows.starts != "monai":
        yield refusal(
            "windows that are spread evenly do not begin on the raster of the maps",
            "write starts: monai",
            at="networks.0.windows.starts"
            if "starts" in windows.model_fields_set
            else "networks.0",
        )
    divisors = step.divisible_by or (1,) * axes
    for axis, stride in enumerate(coarse):
        advance = int(network.patch[axis] * (1.0 - windows.overlap)) or network.patch[axis]
        if any(size % stride for size in (network.patch[axis], advance, divisors[axis])):
            yield refusal(
                f"axis {axis}: the patch of {network.patch[axis]}, steps of {advance} and images "
                f"in multiples of {divisors[axis]} do not lie on a raster of {stride}",
                f"choose patch and overlap so that all are multiples of {stride}, and write "
                f"divisible_by: {coarse} in the step boxes",
                at="networks.0.patch",
            )
