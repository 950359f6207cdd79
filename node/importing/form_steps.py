"""The form of a plain ONNX network as steps, and as MONAI's transforms for the comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.import_form import ImportForm, IntensitySection
from node.domain.errors import ImportRefused

Step = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class FormSteps:
    """What a form comes to.

    Attributes:
        kind: "windows", "planes" (a network of two axes over a volume), "whole" or "stack"
            (each plane on its own, a row of scores each).
        windows: as in model.yaml.
    """

    kind: str
    windows: Mapping[str, Any]
    before: tuple[Step, ...] = ()
    behind: tuple[Step, ...] = ()
    references_before: list[Step] = field(default_factory=list)
    references_behind: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def steps_of_form(form: ImportForm, patch: tuple[int, ...], task: str) -> FormSteps:
    """Steps before and behind the network.

    Raises:
        ImportRefused: the form contradicts itself.
    """
    planar = len(patch) == 2
    before: list[Step] = []
    reference: list[Step] = []
    if form.modality != "SM":
        before.append({"step": "orient", "axes": form.orientation})
        reference.append(_monai("Orientationd", axcodes=form.orientation))
        _space(form, planar, before, reference)
        if task == "classification":
            _fit(form, patch, before, reference)
        _repeat(form, before, reference)
    assert form.intensity is not None
    _intensity(form.intensity, before, reference)
    steps = FormSteps(kind=_kind(form, planar, task), windows=_windows(form, task))
    steps.before, steps.references_before = tuple(before), reference
    _results(form, task, steps)
    return steps


def _monai(name: str, **arguments: object) -> Step:
    return {"build": name, "arguments": arguments}


def _kind(form: ImportForm, planar: bool, task: str) -> str:
    if form.modality == "SM":
        return "whole"
    if task == "classification":
        return "stack" if planar else "whole"
    return "planes" if planar else "windows"


def _windows(form: ImportForm, task: str) -> dict[str, Any]:
    whole = task in ("classification", "tiles")
    overlap = 0.0 if whole else (0.5 if form.overlap is None else form.overlap)
    gaussian = overlap > 0
    return {
        "overlap": overlap,
        "batch": form.batch or 1,
        "weights": "gaussian" if gaussian else "constant",
        "sigma": 0.125,
        "least_weight": 0.001 if gaussian else 0.0,
        "padding": "constant",
        "padding_value": 0.0,
        "starts": "monai",
    }


def _space(form: ImportForm, planar: bool, before: list[Step], reference: list[Step]) -> None:
    if form.spacing_mm is None:
        return
    wanted = 2 if planar else 3
    if len(form.spacing_mm) != wanted:
        raise ImportRefused.once(
            "form: spacing_mm",
            f"{len(form.spacing_mm)} numbers for a network of {wanted} axes",
            "write one number for each axis of its input",
        )
    sides: list[float | None] = [None, *form.spacing_mm] if planar else [*form.spacing_mm]
    before.append(
        {"step": "spacing", "spacing_mm": sides, "interpolation": "linear", "grid": "monai"}
    )
    pixdim = [-1.0 if side is None else side for side in sides]
    reference.append(_monai("Spacingd", pixdim=pixdim, mode="bilinear"))


def _fit(
    form: ImportForm, patch: tuple[int, ...], before: list[Step], reference: list[Step]
) -> None:
    size: list[int | None] = [None, *patch] if len(patch) == 2 else [*patch]
    theirs = [-1 if side is None else side for side in size]
    if form.fit == "resize":
        before.append({"step": "resize", "size": size, "interpolation": "linear"})
        reference.append(_monai("Resized", spatial_size=theirs, mode="trilinear"))
        return
    before.append({"step": "crop_centre", "size": size})
    before.append({"step": "pad", "size": size})
    reference.append(_monai("CenterSpatialCropd", roi_size=theirs))
    reference.append(_monai("SpatialPadd", spatial_size=theirs))


def _repeat(form: ImportForm, before: list[Step], reference: list[Step]) -> None:
    channels = form.channels or ()
    if len(channels) < 2:
        return
    if len(set(channels)) > 1:
        raise ImportRefused.once(
            "form: channels",
            f"{len(channels)} different channels of one series ({', '.join(channels)})",
            "a network of several series would need a rule of which is which; of one grey image "
            "write the same name for each channel",
        )
    before.append({"step": "repeat_channels", "times": len(channels)})
    reference.append(_monai("RepeatChanneld", repeats=len(channels)))


def _intensity(rule: IntensitySection, before: list[Step], reference: list[Step]) -> None:
    if rule.range is not None:
        (low, high), to = rule.range.source, rule.range.to
        before.append(
            {
                "step": "scale_range",
                "from": [low, high],
                "to": list(to),
                "clip": rule.range.clip,
            }
        )
        reference.append(
            _monai(
                "ScaleIntensityRanged",
                a_min=low,
                a_max=high,
                b_min=to[0],
                b_max=to[1],
                clip=rule.range.clip,
            )
        )
    elif rule.score is not None:
        _clip(rule.score.clip, before, reference)
        mean, std = list(rule.score.mean), list(rule.score.std)
        each = len(mean) > 1
        before.append({"step": "normalize", "mean": mean, "std": std, "per_channel": each})
        arguments = (
            {"subtrahend": mean, "divisor": std, "channel_wise": True}
            if each
            else {"subtrahend": mean[0], "divisor": std[0]}
        )
        reference.append(_monai("NormalizeIntensityd", **arguments))
    elif rule.own_score is not None:
        _clip(rule.own_score.clip, before, reference)
        nonzero = rule.own_score.region == "nonzero"
        before.append({"step": "normalize", "region": rule.own_score.region, "per_channel": True})
        reference.append(_monai("NormalizeIntensityd", nonzero=nonzero, channel_wise=True))
    elif rule.own_range is not None:
        before.append({"step": "scale_unit", "to": list(rule.own_range)})
        reference.append(_monai("ScaleIntensityd", minv=rule.own_range[0], maxv=rule.own_range[1]))


def _clip(limits: tuple[float, float] | None, before: list[Step], reference: list[Step]) -> None:
    if limits is None:
        return
    low, high = limits
    before.append({"step": "clip", "low": low, "high": high})
    reference.append(_monai("ThresholdIntensityd", threshold=low, above=True, cval=low))
    reference.append(_monai("ThresholdIntensityd", threshold=high, above=False, cval=high))


def _results(form: ImportForm, task: str, steps: FormSteps) -> None:
    behind: list[Step] = []
    reference: list[Step] = []
    if form.activation in ("softmax", "sigmoid"):
        behind.append({"step": form.activation})
        reference.append(_monai("Activationsd", **{str(form.activation): True}))
    if task != "segmentation":
        steps.behind = tuple(behind)
        return
    behind.append({"step": "invert", "interpolation": "linear"})
    reference.append(_monai("Invertd", nearest_interp=False))
    values = sorted(label.value for label in form.labels)
    alone = values == [1] and form.activation == "sigmoid"
    if alone:
        behind.append({"step": "threshold", "at": 0.5, "channel": 0})
        reference.append(_monai("AsDiscreted", threshold=0.5))
    elif form.activation == "sigmoid":
        raise ImportRefused.once(
            "form: activation",
            "sigmoid of several channels gives masks that overlap",
            "write softmax where classes exclude each other; overlapping masks need one network "
            "and package for each",
        )
    else:
        behind.append({"step": "argmax"})
        reference.append(_monai("AsDiscreted", argmax=True))
    steps.behind, steps.references_behind = tuple(behind), reference
