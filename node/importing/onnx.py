"""A plain ONNX file and a short form become a package."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.import_form import ImportForm
from models.importers.foreign import ForeignModel
from models.importers.monai_metadata import BundleMetadata
from models.importers.monai_results import Inference
from node.domain.errors import ImportFault, ImportRefused
from node.importing.cases import GeneratedImage, generate_cases, generate_pictures
from node.importing.confined_package import Theirs, compare_foreign
from node.importing.draft import PackageDraft
from node.importing.environment import find_environment
from node.importing.foreign import draft_of
from node.importing.foreign_manifest import Exported
from node.importing.form_steps import FormSteps, steps_of_form
from node.importing.forms import read_form
from node.importing.importer import ImportRequest
from node.importing.package import assemble
from node.importing.sandbox import Outcome, Sandbox

_PROGRAM = "models.importers.framework.onnx_program"
_NEEDED = ("onnx", "onnxruntime", "numpy")
_NEEDED_FOR_PARITY = ("torch", "monai", "nibabel")
_BEYOND = 1.2
#: Weights from which a network is run on fewer images.
_LARGE = 3_000_000
#: What no form may leave out.
_ASKED = {
    "modality": "modality: CT",
    "channels": "channels: [CT]",
    "intensity": "intensity: {range: {source: [-57, 164], to: [0, 1]}}",
    "activation": "activation: softmax",
    "labels": "labels: [{value: 1, name: spleen}]",
}


def describe(request: ImportRequest) -> Mapping[str, Any]:
    """What the file says of itself; see `models/importers/framework/onnx_program.py`.

    Raises:
        ImportRefused: faults of the file.
    """
    return _described(request, _readable(request))


def _described(request: ImportRequest, readable: tuple[Path, ...]) -> Mapping[str, Any]:
    sandbox = _sandbox(request, _NEEDED, readable)
    return _run(request, sandbox, {"deed": "describe"}, "facts").report


def draft_package(request: ImportRequest) -> PackageDraft:
    """Everything of the package, with parity on generated images.

    Raises:
        ImportRefused: what stands against it. WorkerError: the sandbox ended the program.
    """
    form = read_form(request.form)
    request.tell("judge the file, in the sandbox")
    readable = _readable(request)
    facts = _described(request, readable)
    planar = len(facts["inputs"][0][2]) == 4
    _complete(form, planar)
    patch = _patch(facts, form)
    task = _task(form, facts)
    steps = steps_of_form(form, patch, task)
    model = _model(request, form, steps)
    images = _images(form, patch, steps, task, int(facts["parameters"]))
    request.tell("run MONAI's transforms and windows around it on generated images")
    sandbox = _sandbox(request, (*_NEEDED, *_NEEDED_FOR_PARITY), readable)
    plan = {
        "before": steps.references_before,
        "behind": steps.references_behind,
        "key": "image",
        "frame": "RAS",
        "kind": steps.kind,
        "patch": list(patch),
        "windows": dict(steps.windows),
        "detector": None,
        "single": True,
    }
    demand = {
        "deed": "references",
        "plan": plan,
        "channels": len(form.channels or ()),
        "threads": request.limits.threads,
        "cases": [image.name for image in images],
    }
    outcome = _run(request, sandbox, demand, "onnx", images)
    folder = request.scratch / "onnx"
    exported = Exported(
        network=folder / "network.onnx",
        golden=folder / "golden.npz",
        outputs=tuple(
            (str(name), tuple(map(int, shape))) for name, shape in outcome.report["exported"]
        ),
        patch=patch,
        sentence=_sentence(facts),
        framework="onnx",
        version=str(facts["opsets"].get("ai.onnx", "")),
        notes=(*map(str, facts["notes"]), *steps.notes),
        input_name=str(facts["inputs"][0][0]),
    )
    _check_labels(form, exported)
    origin = f"ONNX file `{request.source.name}` ({facts['producer'] or 'producer not stated'})."
    draft = draft_of(request.name, model, form, exported, (origin, outcome.isolation))
    request.tell("run the package on the same images")
    manifest = assemble(draft, request.scratch / "package")
    theirs = Theirs(folder=folder, report=outcome.report)
    rows = compare_foreign(manifest, images, theirs, request.limits)
    return dataclasses.replace(draft, parity=rows)


def _readable(request: ImportRequest) -> tuple[Path, ...]:
    """The file, and the files beside it that hold its weights; not what else lies there.

    Raises:
        ImportRefused: the source is no file, or one of those is missing or lies elsewhere.
    """
    source = request.source
    if not source.is_file():
        raise ImportRefused.once(str(source), "this is a folder", "name the .onnx file in it")
    sandbox = _sandbox(request, _NEEDED, (source,))
    named = _run(request, sandbox, {"deed": "files"}, "files").report["files"]
    beside = [(source.parent / str(name)).resolve() for name in named]
    # Judged here once more: the program that named them has read the foreign file.
    for path in beside:
        if not path.is_relative_to(source.parent) or not path.is_file():
            raise ImportRefused.once(
                source.name,
                f"it keeps weights in {path.name!r}, which is no file beside it",
                "do not use this file; a sound one names files beside itself",
            )
    return (source, *beside)


def _sandbox(
    request: ImportRequest, needed: tuple[str, ...], readable: tuple[Path, ...]
) -> Sandbox:
    return Sandbox(
        environment=find_environment(request.python, needed),
        readable=readable,
        limits=request.limits,
    )


def _run(
    request: ImportRequest,
    sandbox: Sandbox,
    demand: Mapping[str, object],
    name: str,
    images: tuple[GeneratedImage, ...] = (),
) -> Outcome:
    scratch = request.scratch / name
    scratch.mkdir(exist_ok=True)
    for image in images:
        image.save(scratch / f"{image.name}.npz")
    return sandbox.run(_PROGRAM, {"weights": str(request.source), **demand}, scratch)


def _complete(form: ImportForm, planar: bool) -> None:
    """Everything that the file cannot say.

    Raises:
        ImportRefused: one fault for each key that is missing.
    """
    asked = dict(_ASKED)
    if form.modality != "SM" and not (form.task == "classification" and form.fit == "resize"):
        asked["spacing_mm"] = "spacing_mm: [1.5, 1.5, 2.0]" if not planar else "spacing_mm: [1, 1]"
    if form.modality != "SM":
        asked["orientation"] = "orientation: RAS" if not planar else "orientation: SPL"
    faults = [
        ImportFault(
            where=f"form: {key}",
            why="it is missing, and the file cannot say it",
            remedy=f"add it, for example {example}",
        )
        for key, example in asked.items()
        if getattr(form, key) in (None, ())
    ]
    if faults:
        raise ImportRefused(faults=faults)


def _patch(facts: Mapping[str, Any], form: ImportForm) -> tuple[int, ...]:
    sizes = facts["inputs"][0][2][2:]
    if form.patch is not None:
        return form.patch
    if None in sizes:
        raise ImportRefused.once(
            "form: patch",
            "it is missing, and the file leaves the size free",
            "write the window that the network was trained with, for example "
            f"patch: [{', '.join(['96'] * len(sizes))}]",
        )
    return tuple(map(int, sizes))


def _task(form: ImportForm, facts: Mapping[str, Any]) -> str:
    if form.task is not None:
        return form.task
    if form.modality == "SM":
        return "tiles"
    return "classification" if len(facts["outputs"][0][2]) == 2 else "segmentation"


def _model(request: ImportRequest, form: ImportForm, steps: FormSteps) -> ForeignModel:
    names = {label.value: label.name for label in form.labels}
    top = max(names, default=0)
    return ForeignModel(
        folder=request.source.parent,
        metadata=BundleMetadata(
            title=form.title or request.name,
            version=form.version or "1.0.0",
            authors=form.manufacturer or "",
            modality=form.modality or "",
            input_channels=tuple(form.channels or ()),
            output_channels=tuple(names.get(value, "background") for value in range(top + 1)),
        ),
        network=None,
        before=steps.before,
        behind=steps.behind,
        references={"before": steps.references_before, "behind": steps.references_behind},
        image_key="image",
        frame="RAS",
        several_outputs=False,
        inference=Inference(steps.kind, None, steps.windows),
        detector=None,
        channels=len(form.channels or ()),
        weights=request.source,
        checked="",
        licence=form.licence or "",
        notes=(),
    )


def _images(
    form: ImportForm, patch: tuple[int, ...], steps: FormSteps, task: str, weights: int
) -> tuple[GeneratedImage, ...]:
    """Images of a little more than one window; large networks see fewer."""
    if form.modality == "SM":
        return generate_pictures((patch[0], patch[1]), len(form.channels or ()))
    spacing = list(form.spacing_mm or (1.5,) * len(patch))
    unit = "HU" if form.modality == "CT" else "MR"
    if len(patch) == 3:
        extent = [side * mm * _BEYOND for side, mm in zip(patch, spacing, strict=True)]
    else:
        # A few planes along axis 0; in-plane as large as the window and a bit.
        extent = [12.0, *(side * mm * _BEYOND for side, mm in zip(patch, spacing, strict=True))]
    along = [
        "RAS".index("RAS"["RLAPSI".index(letter) // 2]) for letter in form.orientation or "RAS"
    ]
    patient = [0.0, 0.0, 0.0]
    for axis, length in zip(along, extent, strict=True):
        patient[axis] = length
    classes = len(form.labels or ()) + 1
    images = generate_cases((patient[0], patient[1], patient[2]), classes=classes, unit=unit)
    if len(patch) == 3 and weights > _LARGE:
        # The LPS one and the oblique one show all there is to show.
        return images[1:3]
    return images[:3] if task == "classification" or steps.kind == "planes" else images


def _check_labels(form: ImportForm, exported: Exported) -> None:
    """Labels and channels agree.

    Raises:
        ImportRefused: a label names a channel that the network does not have.
    """
    name, shape = exported.outputs[0]
    count = shape[0]
    values = [label.value for label in form.labels]
    highest = max(values)
    # A single channel becomes label 1.
    allowed = 1 if count == 1 else count - 1
    if highest > allowed:
        raise ImportRefused.once(
            "form: labels",
            f"label {highest}, but the output {name!r} has {count} channels (0 to {count - 1})",
            "correct the values",
        )


def _sentence(facts: Mapping[str, Any]) -> str:
    opsets = ", ".join(f"{domain} {version}" for domain, version in facts["opsets"].items())
    return (
        f"An ONNX graph of {facts['parameters'] / 1e6:.1f} million parameters, IR {facts['ir']}, "
        f"operators of {opsets}."
    )
