"""`model.yaml` of an imported network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.import_form import ImportForm
from models.importers.foreign import ForeignModel
from node.domain.errors import ImportRefused
from node.importing.identity import (
    TOLERANCE,
    Identity,
    header,
    label_entries,
    scored_entries,
)

_VECTOR = 1
#: Where neither the bundle nor the form says what a network is for.
_NO_USE = "Research use only; the source states no intended use."
#: Memory of a job: the network's weights, its activations and the maps; a bound, not a forecast.
_MEMORY_MB = 12_000
_TIME_S = 1800.0
#: Micrometres a pixel of slides at 40x.
_MPP_UM = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What came out of the sandbox.

    Attributes:
        outputs: (name, shape without batch). patch: the window.
        sentence: what the network is and how it was exported, for the card.
        framework: "monai" or "onnx". version: of it. input_name: of the graph's input.
    """

    network: Path
    golden: Path
    outputs: tuple[tuple[str, tuple[int, ...]], ...]
    patch: tuple[int, ...]
    sentence: str
    framework: str
    version: str
    notes: tuple[str, ...]
    input_name: str = "image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A manifest, and what the card says of it."""

    manifest: dict[str, Any]
    notes: tuple[str, ...]
    private: tuple[str, ...]


def manifest_of(
    bundle: ForeignModel,
    form: ImportForm,
    exported: Exported,
    name: str,
    files: Mapping[str, str],
) -> Written:
    """The tree of `model.yaml`, without digests.

    Raises:
        ImportRefused: bundle and form together do not say enough.
    """
    meta = bundle.metadata
    modality = form.modality or meta.modality
    if not modality:
        raise ImportRefused.once(
            "configs/metadata.json: network_data_format#inputs#image",
            "the modality is not stated",
            "write it into the form, for example modality: CT",
        )
    if len(exported.outputs) > 1 and bundle.detector is None:
        raise ImportRefused.once(
            "network",
            f"it has {len(exported.outputs)} outputs ({', '.join(n for n, _ in exported.outputs)})",
            "what is made of several outputs is not in the vocabulary",
        )
    pipeline = form.task or _pipeline(bundle, exported, modality)
    notes: list[str] = []
    network = _network(bundle, form, exported, modality, notes)
    results, thresholds, private = _results(pipeline, bundle, form, exported, notes)
    identity = Identity(
        name=name,
        title=form.title or meta.title or name,
        version=form.version or meta.version,
        manufacturer=form.manufacturer or meta.authors,
        intended_use=form.intended_use or meta.intended_use or meta.description or _NO_USE,
        ebai_class=form.ebai_class or "B",
        task_number=form.task_number,
        priority=form.priority,
        modality=modality,
        memory_mb=_MEMORY_MB,
        time_s=_TIME_S,
    )
    if not form.intended_use and not meta.intended_use:
        instead = "its description stands there" if meta.description else "write one into the form"
        notes.append(f"the source states no intended use; {instead}")
    before = list(bundle.before)
    behind = _behind(pipeline, bundle, exported)
    manifest = {
        **header(identity, form, pipeline),
        "networks": [network],
        **({"preprocess": before} if before else {}),
        **({"postprocess": behind} if behind else {}),
        "results": results,
        **({"thresholds": thresholds} if thresholds else {}),
        "source": {
            "framework": exported.framework,
            "version": exported.version,
            "licence": form.licence or bundle.licence,
            "reference": form.reference or "; ".join(meta.references)[:500],
            "files": dict(files),
        },
    }
    return Written(manifest=manifest, notes=tuple(notes), private=private)


def _pipeline(bundle: ForeignModel, exported: Exported, modality: str) -> str:
    if bundle.detector is not None:
        return "detection"
    _, shape = exported.outputs[0]
    if modality == "SM":
        return "tiles"
    return "classification" if len(shape) == _VECTOR else "segmentation"


def _network(
    bundle: ForeignModel,
    form: ImportForm,
    exported: Exported,
    modality: str,
    notes: list[str],
) -> dict[str, Any]:
    meta = bundle.metadata
    channels = list(form.channels or meta.input_channels)
    if len(channels) != bundle.channels or any(not text for text in channels):
        channels = [f"channel {number}" for number in range(bundle.channels)]
    if bundle.channels == 1:
        channels = [modality]
    windows = dict(bundle.inference.windows)
    if form.overlap is not None:
        windows["overlap"] = form.overlap
    if form.batch is not None:
        windows["batch"] = form.batch
    stated = bundle.inference.patch
    if stated and tuple(exported.patch) != tuple(stated):
        size = " x ".join(map(str, exported.patch))
        notes.append(
            f"windows of {size} as the form says; the bundle has {' x '.join(map(str, stated))}, "
            "and results near the borders of windows differ from its"
        )
    return {
        "name": "net",
        "path": "weights/net.onnx",
        "inputs": [{"name": exported.input_name, "dtype": "float32", "channels": channels}],
        "outputs": [_output(name, shape, exported, bundle) for name, shape in exported.outputs],
        "patch": list(exported.patch),
        "spacing_mm": spacing_of(bundle.before, form, len(exported.patch), notes),
        "value_range": _value_range(bundle),
        "windows": windows,
        "tolerance": dict(TOLERANCE),
    }


def _output(
    name: str, shape: tuple[int, ...], exported: Exported, bundle: ForeignModel
) -> dict[str, Any]:
    names = bundle.metadata.output_channels
    only = len(exported.outputs) == 1 and len(names) == shape[0] and all(names)
    output: dict[str, Any] = {
        "name": name,
        "dtype": "float32",
        "channels": list(names) if only else shape[0],
    }
    if len(shape) == _VECTOR:
        output["axes"] = "vector"
    elif tuple(shape[1:]) != tuple(exported.patch):
        pairs = zip(exported.patch, shape[1:], strict=True)
        output["stride"] = [round(whole / part) for whole, part in pairs]
    return output


def spacing_of(
    before: Sequence[Mapping[str, Any]], form: ImportForm, axes: int, notes: list[str]
) -> list[float]:
    """`spacing_mm` of a network of `axes`: what the steps make, else the form, else nominal, mm."""
    made: list[float | None] = [None, None, None]
    for step in before:
        if step["step"] == "spacing":
            made = [new or old for new, old in zip(step["spacing_mm"], made, strict=True)]
    # A network of two axes sees planes along axis 0, so its axes are the last ones.
    sides = made[-axes:] if axes else []
    if form.spacing_mm is not None and len(form.spacing_mm) == axes:
        sides = [own or said for own, said in zip(sides, form.spacing_mm, strict=True)]
    nominal = 1.0
    if axes == 2 and not any(sides):
        nominal = (form.mpp_um or _MPP_UM) / 1000.0
    elif not all(sides):
        notes.append("the configuration sets no voxel size; `spacing_mm` of the network is nominal")
    return [float(side or nominal) for side in sides]


def _value_range(bundle: ForeignModel) -> list[float]:
    """What the input was scaled from, as far as the steps say it."""
    for step in bundle.before:
        if step["step"] == "scale_range":
            return [float(edge) for edge in step["from"]]
    return [float(edge) for edge in bundle.metadata.value_range or (0.0, 1.0)]


def _behind(pipeline: str, bundle: ForeignModel, exported: Exported) -> list[dict[str, Any]]:
    behind = list(bundle.behind)
    if pipeline == "segmentation" and not any(
        step["step"] in ("argmax", "threshold", "regions") for step in behind
    ):
        raise ImportRefused.once(
            "postprocessing",
            "nothing makes labels of the network's output",
            "add AsDiscreted with `argmax: true` or a threshold to the configuration",
        )
    if bundle.detector is not None:
        detector = bundle.detector
        names = [name for name, _ in exported.outputs]
        half = len(names) // 2
        behind.append(
            {
                "step": "boxes",
                "classes": names[:half],
                "boxes": names[half:],
                "anchors": [list(sides) for sides in detector.anchors],
                "scales": list(detector.scales),
                "score_above": detector.score_above,
                "candidates": detector.candidates,
                "overlap": detector.overlap,
                "at_most": detector.at_most,
                "divisible_by": list(detector.divisible_by),
            }
        )
    return behind


def _results(
    pipeline: str,
    bundle: ForeignModel,
    form: ImportForm,
    exported: Exported,
    notes: list[str],
) -> tuple[dict[str, Any], dict[str, float], tuple[str, ...]]:
    limits = {"limits": list(form.limits)} if form.limits else {}
    names = _names(bundle, exported)
    if pipeline == "segmentation":
        found = label_entries(dict(enumerate(names)) if len(names) > 1 else {1: names[0]}, form)
        return {**limits, "labels": found.entries}, {}, found.private
    key = {"detection": "boxes", "tiles": "regions"}.get(pipeline, "classes")
    if bundle.detector is not None:
        wanted = bundle.detector.num_classes
        names = names[:wanted] if len(names) >= wanted else names
    entries, thresholds, private = scored_entries(names, form, key)
    results: dict[str, Any] = {**limits, key: entries}
    if pipeline == "tiles":
        mpp = form.mpp_um or _MPP_UM
        if form.mpp_um is None:
            notes.append(f"slides are read at {mpp} um a pixel; the source does not say at which")
        results["tiles"] = {"mpp_um": mpp}
    notes.append(
        "thresholds of " + ", ".join(sorted(thresholds)) + " are the form's or 50 %; none was "
        "confirmed on patients"
    )
    return results, thresholds, private


def _names(bundle: ForeignModel, exported: Exported) -> list[str]:
    names = list(bundle.metadata.output_channels)
    count = exported.outputs[0][1][0]
    if bundle.detector is not None:
        return names or ["finding"]
    chosen = [step for step in bundle.behind if step["step"] == "select_channels"]
    if chosen and len(names) == count:
        return [names[channel] for channel in chosen[-1]["channels"]]
    if len(names) == count:
        return names
    if count == 1:
        return names[-1:] or ["finding"]
    return [f"class {number}" for number in range(count)]


def steps_in_words(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Every step with its numbers, a line each."""
    lines = [_in_words(step) for step in manifest.get("preprocess", ())]
    network = manifest["networks"][0]
    windows = network["windows"]
    lines.append(
        f"windows of {_numbers(network['patch'])}, overlap {windows['overlap']:g}, "
        f"{windows['weights']} weights, padding {windows.get('padding', 'constant')}"
    )
    return (*lines, *(_in_words(step) for step in manifest.get("postprocess", ())))


def _in_words(step: Mapping[str, Any]) -> str:
    words = [
        f"{key} {_numbers(value) if isinstance(value, list) else value}"
        for key, value in step.items()
        if key != "step" and value is not None
    ]
    return f"{step['step']}: {', '.join(words)}" if words else str(step["step"])


def _numbers(values: Sequence[Any]) -> str:
    return " x ".join(
        f"{value:g}" if isinstance(value, int | float) else str(value) for value in values
    )
