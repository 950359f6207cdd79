"""A MONAI bundle becomes a package: read as data, exported and compared in a sandbox."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from config.import_form import ImportForm
from models.importers.archive import unpack
from models.importers.foreign import ForeignModel
from models.importers.monai_bundle import read_bundle
from node.domain.errors import ImportRefused
from node.importing.cases import GeneratedImage, generate_cases, generate_pictures
from node.importing.confined_package import Theirs, compare_foreign
from node.importing.draft import PackageDraft
from node.importing.environment import find_environment
from node.importing.foreign import draft_of
from node.importing.foreign_manifest import Exported
from node.importing.forms import read_form
from node.importing.importer import ImportRequest
from node.importing.package import assemble
from node.importing.sandbox import Outcome, Sandbox

_PROGRAM = "models.importers.framework.monai_program"
_RESOLVER = "models.importers.framework.monai_code"
_NEEDED = ("torch", "monai", "onnx", "onnxscript", "onnxruntime", "nibabel", "yaml")
#: Generated volumes reach this much beyond one window, so that windows overlap.
_BEYOND = (1.2, 1.2, 1.2)
_VOLUMES = ("CT", "MR", "PT")
#: Of a detector, whose windows are large, along the head.
_BEYOND_DETECTOR = 1.1
#: Cells of the coarsest map by which a larger window is looked for.
_SEARCHED = 64
#: Classes above which two of the four volumes are enough: their maps take gigabytes.
_MANY_CLASSES = 40


def draft_package(request: ImportRequest) -> PackageDraft:
    """Everything of the package, with parity on generated images.

    Raises:
        ImportRefused: what stands against it. WorkerError: the sandbox ended the program.
    """
    form = read_form(request.form)
    environment = find_environment(request.python, _NEEDED)
    request.tell("read the bundle")
    folder = _folder(request)
    sandbox = Sandbox(
        environment=environment,
        readable=(folder,),
        limits=request.limits,
    )
    overrides = _resolved(request, folder, sandbox) if request.allow_code else None
    bundle = read_bundle(folder, overrides=overrides, own_code=request.allow_code)
    patch = _patch(bundle, form)
    images = _images(bundle, patch)
    request.tell("export to ONNX and run MONAI on generated images, in the sandbox")
    outcome = _run(request, sandbox, bundle, patch, images)
    exported = _exported(outcome, bundle, patch, request.scratch / "monai")
    folder_of_maps = request.scratch / "monai"
    draft = draft_of(request.name, bundle, form, exported, (_origin(bundle), outcome.isolation))
    request.tell("run the package on the same images")
    manifest = assemble(draft, request.scratch / "package")
    theirs = Theirs(folder=folder_of_maps, report=outcome.report)
    rows = compare_foreign(manifest, images, theirs, request.limits)
    return dataclasses.replace(draft, parity=rows)


def _folder(request: ImportRequest) -> Path:
    if request.source.is_dir():
        return request.source
    target = request.scratch / "bundle"
    target.mkdir()
    return unpack(request.source, target)


def _resolved(request: ImportRequest, folder: Path, sandbox: Sandbox) -> Mapping[str, Any]:
    """What MONAI's own parser makes of the bundle's expressions, in the sandbox."""
    request.tell("run the bundle's own code in the sandbox (--allow-code)")
    scratch = _scratch(request, "code")
    outcome = sandbox.run(_RESOLVER, {"folder": str(folder)}, scratch)
    overrides = outcome.report["overrides"]
    assert isinstance(overrides, dict)
    return overrides


def _scratch(request: ImportRequest, name: str) -> Path:
    folder = request.scratch / name
    folder.mkdir()
    return folder


def _patch(bundle: ForeignModel, form: ImportForm) -> tuple[int, ...]:
    """Size of the network's window: of the form, the inferer, a resize, the metadata."""
    resized = [step["size"] for step in bundle.before if step["step"] == "resize"]
    fixed = [tuple(size) for size in resized if None not in size]
    patch = form.patch or bundle.inference.patch or (fixed or [()])[-1] or bundle.metadata.shape
    if not patch:
        raise ImportRefused.once(
            "inferer",
            "the size of the network's window is not written as numbers",
            "write it into the form: patch: [96, 96, 96]",
        )
    if bundle.detector is not None:
        _on_raster(patch, bundle.detector.divisible_by, float(bundle.inference.windows["overlap"]))
    return tuple(patch)


def _on_raster(patch: Sequence[int], raster: Sequence[int], overlap: float) -> None:
    """Windows of a detector must begin where a cell of its coarsest map begins.

    Raises:
        ImportRefused: they do not; boxes would be shifted.
    """
    pairs = list(zip(patch, raster, strict=True))
    if not all(_fits(cell, overlap, side) for side, cell in pairs):
        steps = [_step(side, overlap) for side in patch]
        fitting = [
            next(filter(partial(_fits, cell, overlap), range(side, side + _SEARCHED * cell)), side)
            for side, cell in pairs
        ]
        raise ImportRefused.once(
            "patch",
            f"windows of {list(patch)} in steps of {steps} do not lie on the raster {list(raster)} "
            "of the network's coarsest map",
            f"write one into the form of which both patch and steps are multiples of it, for "
            f"example patch: {fitting}",
        )


def _step(side: int, overlap: float) -> int:
    return int(side * (1 - overlap)) or side


def _fits(cell: int, overlap: float, side: int) -> bool:
    return side % cell == 0 and _step(side, overlap) % cell == 0


def _images(bundle: ForeignModel, patch: tuple[int, ...]) -> tuple[GeneratedImage, ...]:
    if len(patch) == 2 and bundle.metadata.modality in _VOLUMES:
        raise ImportRefused.once(
            "inferer",
            "a network of planes; which planes of a volume it looks at, the bundle does not say",
            "export it to ONNX and import that with a form, where `orientation` says it",
        )
    if len(patch) == 2:
        size = patch if bundle.inference.kind == "whole" else tuple(int(1.3 * s) for s in patch)
        return generate_pictures((size[0], size[1]), bundle.channels)
    if bundle.channels != 1:
        raise ImportRefused.once(
            "configs/metadata.json",
            f"the network takes {bundle.channels} volumes at once",
            "networks of one series are supported; one of several would need a rule of which "
            "series is which",
        )
    spacing: Any = next(
        (step["spacing_mm"] for step in bundle.before if step["step"] == "spacing"), [1.5] * 3
    )
    voxels = tuple(side * more for side, more in zip(patch, _BEYOND, strict=True))
    if bundle.detector is not None:
        voxels = _for_detector(patch, bundle.detector.divisible_by)
    extent = [side * (mm or 1.5) for side, mm in zip(voxels, spacing, strict=True)]
    unit = "HU" if bundle.metadata.modality in ("CT", "") else "MR"
    classes = len(bundle.metadata.output_channels)
    volumes = generate_cases((extent[0], extent[1], extent[2]), classes=classes, unit=unit)
    heavy = bundle.detector or classes > _MANY_CLASSES
    # The LPS one and the oblique one show all there is to show.
    return (volumes[1], volumes[2]) if heavy else volumes


def _for_detector(patch: Sequence[int], raster: Sequence[int]) -> tuple[float, ...]:
    """Voxels of a generated volume: two windows along the head, across one that is padded.

    MONAI pads it to the raster, then on both sides to the window, and takes the maps' margins off
    again. Where a margin is no whole cell of the coarsest map, its boxes are shifted and ours are
    not (`inference.builtin.detection.as_network_sees`): the margin is one cell on each side here.
    """
    across = (
        side - 2.5 * cell if side >= 4 * cell else side * _BEYOND_DETECTOR
        for side, cell in zip(patch[:2], raster[:2], strict=True)
    )
    return (*across, patch[2] * _BEYOND_DETECTOR)


def _run(
    request: ImportRequest,
    sandbox: Sandbox,
    bundle: ForeignModel,
    patch: tuple[int, ...],
    images: tuple[GeneratedImage, ...],
) -> Outcome:
    scratch = _scratch(request, "monai")
    for image in images:
        image.save(scratch / f"{image.name}.npz")
    detector = bundle.detector
    plan = {
        "before": bundle.references["before"],
        "behind": bundle.references["behind"],
        "key": bundle.image_key,
        "frame": bundle.frame,
        "kind": bundle.inference.kind,
        "patch": list(patch),
        "windows": dict(bundle.inference.windows),
        "detector": dataclasses.asdict(detector) if detector else None,
        "single": detector is None and not bundle.several_outputs,
    }
    return sandbox.run(
        _PROGRAM,
        {
            "definition": bundle.network,
            "own_code": str(bundle.folder) if request.allow_code else None,
            "weights": str(bundle.weights),
            "plan": plan,
            "channels": bundle.channels,
            "threads": request.limits.threads,
            "cases": [image.name for image in images],
        },
        scratch,
    )


def _exported(
    outcome: Outcome, bundle: ForeignModel, patch: tuple[int, ...], folder: Path
) -> Exported:
    report = outcome.report
    return Exported(
        network=folder / "network.onnx",
        golden=folder / "golden.npz",
        outputs=tuple((str(name), tuple(map(int, shape))) for name, shape in report["outputs"]),
        patch=patch,
        sentence=_sentence(bundle, report),
        framework="monai",
        version=str(report["versions"]["monai"]),
        notes=(*bundle.notes, *map(str, report["notes"])),
    )


def _sentence(bundle: ForeignModel, report: Mapping[str, Any]) -> str:
    kind = bundle.network["build"] if bundle.network else "A network of the bundle's own code"
    versions = report["versions"]
    return (
        f"{kind}, {report['parameters'] / 1e6:.1f} million parameters, imported from MONAI "
        f"{versions['monai']} with PyTorch {versions['torch']}; exported by {report['exporter']}, "
        f"opset {report['opset']}; ONNX Runtime differs from PyTorch by "
        f"{report['difference']:.1e} at most on the golden input."
    )


def _origin(bundle: ForeignModel) -> str:
    meta = bundle.metadata
    parts = [f"MONAI bundle `{meta.title or bundle.folder.name}`"]
    if meta.version:
        parts.append(f"version {meta.version}")
    if meta.authors:
        parts.append(f"by {meta.authors}")
    text = ", ".join(parts) + "."
    if meta.copyright:
        text += f" {meta.copyright}."
    if bundle.checked:
        text += f" The weights have the {bundle.checked}."
    else:
        text += " The source states no digest of the weights."
    return text
