"""`models import --kind nnunet`: a results folder of nnU-Net v2 becomes a package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.manifest import ModelManifest
from node.importing import nnunet_recipe
from node.importing.cases import GeneratedImage, generate_cases
from node.importing.confined_package import (
    Theirs,
    compare_nnunet,
    compare_windows,
    note_windows,
)
from node.importing.draft import PackageDraft
from node.importing.importer import ImportRequest
from node.importing.nnunet_exported import Exported, export_network, location
from node.importing.nnunet_recipe import Recipe
from node.importing.nnunet_words import card_of, manifest_of
from node.importing.package import assemble
from node.importing.parity import Parity

_REFERENCE = "models.importers.framework.nnunet_reference"
#: What is compared where nnU-Net itself is lacking.
_WINDOWS = "models.importers.framework.nnunet_windows"
#: nnU-Net's own default step of windows.
_STEP = 0.5
#: Weights above these make a window take seconds, or tens of them: fewer volumes are compared.
_LARGE, _HUGE = 3_000_000, 10_000_000


def draft_package(request: ImportRequest) -> PackageDraft:
    """From a results folder to everything that is written.

    Raises:
        ImportRefused: what stands against it, one line each. WorkerError: a sandboxed program
            passed a limit or died. ConfigError: the form cannot be used.
    """
    exported = export_network(request)
    plan, form = exported.plan, exported.form
    turned = plan.reader.endswith("WithReorient")
    mirror = form.mirror is not False
    recipe = Recipe(
        plan=plan,
        form=form,
        framework="nnunet",
        axes=form.axes or (nnunet_recipe.TURNED_RAS if turned else nnunet_recipe.AXIAL_LPS),
        step=form.step or _STEP,
        mirror_axes=tuple(exported.report["mirror_axes"]) if mirror else (),
        networks=tuple(exported.networks),
    )
    notes = []
    if form.axes is None and not turned:
        notes.append(
            "The plans do not say how the training images lay. Assumed: axial, rows to the back, "
            "columns to the left, slices to the head, as SimpleITK reads a DICOM series. Series "
            "are turned so. Write `axes:` in the form if that is wrong."
        )
    return draft_of(request, exported, recipe, tuple(notes))


def draft_of(
    request: ImportRequest, exported: Exported, recipe: Recipe, notes: tuple[str, ...]
) -> PackageDraft:
    """Manifest, parity, card."""
    draft = _draft(request, exported, recipe, notes)
    return _compared(request, exported, recipe, draft, notes)


def _draft(
    request: ImportRequest, exported: Exported, recipe: Recipe, notes: tuple[str, ...]
) -> PackageDraft:
    """Everything but the parity."""
    named = nnunet_recipe.results_of(recipe)
    manifest = manifest_of(request.name, exported, recipe, named)
    files = exported.networks
    golden = np.load(exported.folder / "golden_input.npy")
    names = [network["name"] for network in manifest["networks"]]
    draft = PackageDraft(
        manifest=manifest,
        files=files,
        golden_inputs={name: golden for name in names},
        golden_expected={
            name: np.load(exported.folder / f"golden_{Path(path).stem}.npy", mmap_mode="r")
            for name, path in zip(names, files, strict=True)
        },
        parity=(),
        card=card_of(exported, recipe, named, notes),
        seconds={"export": exported.outcome.seconds},
    )
    return draft


def _compared(
    request: ImportRequest,
    exported: Exported,
    recipe: Recipe,
    draft: PackageDraft,
    notes: tuple[str, ...],
) -> PackageDraft:
    """With its parity; a network that the engine's own normalisation blurs gets the exact one."""
    compare_now = _reference(request, exported, recipe)
    request.tell("run the package on the generated volumes and compare")
    package = assemble(draft, request.scratch / "package" / request.name)
    rows = compare_now(package)
    worst = max(rows, key=lambda row: row.logits.largest / row.logits.allowed)
    if worst.logits.largest <= worst.logits.allowed or not exported.report["norms"]:
        return replace(draft, parity=rows)
    request.tell("normalise in stages, which is more exact, and compare again")
    exact = replace(exported, exact=True)
    note = (
        f"{exported.report['norms']} instance normalisations sum in stages: ONNX Runtime's own "
        f"moved logits by up to {worst.logits.largest:.1e}. This costs 10 to 30 % of the time."
    )
    draft = _draft(request, exact, recipe, (*notes, note))
    package = assemble(draft, request.scratch / "exact" / request.name)
    return replace(draft, parity=compare_now(package))


def _reference(
    request: ImportRequest, exported: Exported, recipe: Recipe
) -> Callable[[ModelManifest], tuple[Parity, ...]]:
    """nnU-Net's own results on generated volumes, to be compared with a package."""
    cases = _cases(recipe, exported)
    folder = request.scratch / "reference"
    folder.mkdir()
    if "nnunetv2" not in exported.report["versions"]:
        return lambda package: _without_nnunet(request, exported, package, (cases, folder))
    for case in cases:
        case.save(folder / f"{case.name}.npz")
    request.tell(f"run nnU-Net itself on {len(cases)} generated volume(s)")
    settings = {**location(exported.results), **_settings(recipe)}
    settings |= {"cases": [case.name for case in cases], "as_shipped": [cases[0].name]}
    report = exported.sandbox.run(_REFERENCE, settings, folder).report
    theirs = Theirs(folder=folder, report=report)
    return lambda package: compare_nnunet(package, cases, theirs, request.limits)


def _without_nnunet(
    request: ImportRequest,
    exported: Exported,
    package: ModelManifest,
    work: tuple[Sequence[GeneratedImage], Path],
) -> tuple[Parity, ...]:
    cases, folder = work
    note_windows(package, cases, folder, request.limits)
    request.tell(f"nnU-Net is not installed: run the network by PyTorch on {len(cases)} cases")
    settings = {**location(exported.results), "cases": [case.name for case in cases]}
    report = exported.sandbox.run(_WINDOWS, settings, folder).report
    return compare_windows(package, cases, Theirs(folder=folder, report=report), request.limits)


def _settings(recipe: Recipe) -> dict[str, Any]:
    cubes = recipe.cubes
    return {
        "axes": recipe.axes,
        "step": recipe.step,
        "mirror": bool(recipe.mirror_axes),
        "cubic_mm": None if cubes is None else cubes.size_mm,
        "input_order": 3 if cubes is None else cubes.input_order,
        "labels_back": "linear" if cubes is None else cubes.labels_back,
    }


def _cases(recipe: Recipe, exported: Exported) -> Sequence[GeneratedImage]:
    """Volumes of a little more than one window; large networks see fewer."""
    plan = recipe.plan
    spacing = plan.spacing_mm if recipe.cubes is None else (recipe.cubes.size_mm,) * 3
    sizes = dict(zip(recipe.network_axes[-plan.dimensions :], plan.patch, strict=True))
    steps = dict(zip(recipe.network_axes[-plan.dimensions :], spacing, strict=True))
    weights = int(exported.report["parameters"])
    # Along the head two windows, across one that is padded; the less the more it costs.
    across = 0.6 if weights > _HUGE and plan.dimensions == 3 else 0.9
    extent = [30.0, 30.0, 30.0]
    for letter, size in sizes.items():
        axis = next(n for n, pair in enumerate(("RL", "AP", "SI")) if letter in pair)
        extent[axis] = size * steps[letter] * (1.25 if axis == 2 else across)
    if plan.dimensions == 2:
        extent[0] *= 1.3
    unit = "HU" if recipe.modality == "CT" else "units"
    heads = plan.labels.heads
    cases = generate_cases((extent[0], extent[1], extent[2]), classes=heads, unit=unit)
    if weights > _HUGE:
        return cases[1:2]
    return cases[1:3] if weights > _LARGE else cases
