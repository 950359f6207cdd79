"""`models import --kind nnunet`: a results folder of nnU-Net v2 becomes a package."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from config.load import read_document
from config.nnunet_form import NnunetForm
from models.importers.archive import unpack
from models.importers.nnunet_folder import ResultsFolder, find_results
from models.importers.nnunet_plans import Plan, Scheme, read_plan
from models.registry import file_sha256
from node.importing import nnunet_recipe
from node.importing.cases import GeneratedImage, generate_cases
from node.importing.draft import CardFacts, PackageDraft
from node.importing.environment import find_environment
from node.importing.importer import ImportRequest
from node.importing.nnunet_parity import Opened, compare, opened
from node.importing.nnunet_recipe import Cubes, Named, Recipe
from node.importing.nnunet_windows import compare_windows
from node.importing.parity import Parity
from node.importing.sandbox import Outcome, Sandbox

_NEEDED = ("torch", "onnx", "onnxscript", "nibabel", "dynamic_network_architectures")
_EXPORT = "models.importers.framework.nnunet_export"
_REFERENCE = "models.importers.framework.nnunet_reference"
#: What is compared where nnU-Net itself is lacking.
_WINDOWS = "models.importers.framework.nnunet_windows"
#: nnU-Net's own default step of windows.
_STEP = 0.5
#: Weights above these make a window take seconds, or tens of them: fewer volumes are compared.
_LARGE, _HUGE = 3_000_000, 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A network that left the sandbox as ONNX.

    Attributes:
        report: of `nnunet_export`. folder: where its files lie.
        exact: take the graphs whose normalisations sum in stages.
    """

    plan: Plan
    results: ResultsFolder
    form: NnunetForm
    sandbox: Sandbox
    outcome: Outcome
    folder: Path
    exact: bool = False

    @property
    def report(self) -> Mapping[str, Any]:
        """What the program said."""
        return self.outcome.report

    @property
    def networks(self) -> Mapping[str, Path]:
        """Path in the package -> file, one a fold."""
        suffix = ".exact.onnx" if self.exact else ".onnx"
        return {
            f"weights/{name}": (self.folder / name).with_suffix(suffix)
            for name in self.report["networks"]
        }


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


def export_network(request: ImportRequest) -> Exported:
    """Find the folder, load the weights safely, write ONNX."""
    form = read_document(request.form, NnunetForm) if request.form else NnunetForm()
    source = request.source
    if source.is_file():
        request.tell("unpack")
        unpacked = request.scratch / "unpacked"
        unpacked.mkdir()
        source = unpack(source, unpacked)
    results = find_results(source, tuple(map(str, form.folds)))
    environment = find_environment(request.python, _NEEDED)
    folder = request.scratch / "export"
    folder.mkdir()
    request.tell(f"export {len(results.folds)} fold(s) of {results.folder.name} to ONNX")
    sandbox = Sandbox(environment=environment, readable=(results.folder,), limits=request.limits)
    outcome = sandbox.run(_EXPORT, _location(results), folder)
    plan = read_plan(results.folder, str(outcome.report["configuration"]))
    nnunet_recipe.check_supported(plan)
    return Exported(
        plan=plan,
        results=results,
        form=form,
        sandbox=sandbox,
        outcome=outcome,
        folder=folder,
    )


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
    manifest = _manifest(request, exported, recipe, named)
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
        card=_card(exported, recipe, named, (*_notes(exported, recipe), *notes)),
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
    package = opened(draft, request.scratch / "package" / request.name)
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
    package = opened(draft, request.scratch / "exact" / request.name)
    return replace(draft, parity=compare_now(package))


def _reference(
    request: ImportRequest, exported: Exported, recipe: Recipe
) -> Callable[[Opened], tuple[Parity, ...]]:
    """nnU-Net's own results on generated volumes, to be compared with a package."""
    cases = _cases(recipe, exported)
    folder = request.scratch / "reference"
    folder.mkdir()
    if "nnunetv2" not in exported.report["versions"]:
        return lambda package: _without_nnunet(request, exported, package, (cases, folder))
    for case in cases:
        case.save(folder / f"{case.name}.npz")
    request.tell(f"run nnU-Net itself on {len(cases)} generated volume(s)")
    settings = {**_location(exported.results), **_settings(recipe)}
    settings |= {"cases": [case.name for case in cases], "as_shipped": [cases[0].name]}
    report = exported.sandbox.run(_REFERENCE, settings, folder).report
    return lambda package: compare(package, cases, folder, report)


def _without_nnunet(
    request: ImportRequest,
    exported: Exported,
    package: Opened,
    work: tuple[Sequence[GeneratedImage], Path],
) -> tuple[Parity, ...]:
    cases, folder = work

    def compute(there: Path, names: Sequence[str]) -> Mapping[str, Any]:
        request.tell(f"nnU-Net is not installed: run the network by PyTorch on {len(names)} cases")
        settings = {**_location(exported.results), "cases": list(names)}
        return exported.sandbox.run(_WINDOWS, settings, there).report

    return compare_windows(package, cases, folder, compute)


def _location(results: ResultsFolder) -> dict[str, Any]:
    return {
        "folder": str(results.folder.resolve()),
        "folds": list(results.folds),
        "checkpoint": results.checkpoint,
    }


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
    cases = generate_cases((extent[0], extent[1], extent[2]), unit=unit)
    if weights > _HUGE:
        return cases[1:2]
    return cases[1:3] if weights > _LARGE else cases


def _manifest(
    request: ImportRequest, exported: Exported, recipe: Recipe, named: Named
) -> dict[str, Any]:
    plan, form = recipe.plan, recipe.form
    title = form.title or f"{plan.dataset.replace('_', ' ')} ({plan.configuration})"[:64]
    results: dict[str, Any] = {"labels": named.entries}
    limits = []
    if plan.labels.regions:
        limits.append(
            "Regions overlap: of each only the part is shown that no later one covers, in the "
            f"order {', '.join(label.name for label in plan.labels.channels)}."[:300]
        )
    if limits:
        results["limits"] = limits
    if recipe.modality == "CT":
        results["window"] = [40, 400]
    return {
        "format": 2,
        "name": request.name,
        "title": title,
        "version": form.version,
        "manufacturer": form.manufacturer or _maker(recipe),
        "task": form.task,
        "ebai_class": form.ebai_class,
        "pipeline": "segmentation",
        "intended_use": form.intended_use or _use(recipe),
        "triage": False,
        "priority": 60,
        "limits": {"job_time_s": form.job_time_s, "job_memory_mb": form.job_memory_mb},
        "source": {
            "framework": recipe.framework,
            "version": str(exported.report["versions"].get("nnunetv2", "")),
            "licence": form.licence,
            "reference": form.reference,
            "files": {
                path.relative_to(exported.results.folder).as_posix(): file_sha256(path)
                for path in exported.results.files
            },
        },
        "inputs": nnunet_recipe.inputs_of(recipe),
        "networks": nnunet_recipe.networks_of(recipe),
        "preprocess": nnunet_recipe.steps_before(recipe),
        "postprocess": nnunet_recipe.steps_behind(recipe),
        "results": results,
    }


def _maker(recipe: Recipe) -> str:
    return "TotalSegmentator" if recipe.cubes is not None else "nnU-Net model, maker not stated"


def _use(recipe: Recipe) -> str:
    names = ", ".join(label.name for label in recipe.plan.labels.foreground[:8])
    count = len(recipe.plan.labels.foreground)
    more = f" and {count - 8} more" if count > 8 else ""
    return (
        f"Outlines {names}{more} on {recipe.modality}. Research use only; what the model was "
        "made for is stated by its authors, not by its files."
    )


def _notes(exported: Exported, recipe: Recipe) -> tuple[str, ...]:
    """What was changed, assumed or left out."""
    report, plan = exported.report, recipe.plan
    notes = [
        f"Exported by {report['exporter']} from PyTorch {report['versions']['torch']}; deep "
        "supervision, which only training needs, is off.",
        f"Trained by {report['trainer']}, configuration {report['configuration']} of "
        f"{plan.name}; folds: {', '.join(exported.results.folds)}"
        + (", averaged." if len(exported.results.folds) > 1 else "."),
    ]
    if exported.results.checkpoint != "checkpoint_final.pth":
        notes.append(f"The weights are {exported.results.checkpoint}, of an unfinished training.")
    if plan.architecture.converted:
        notes.append("The plan is of nnU-Net before 2.2; its network was derived as nnU-Net does.")
    if report["mirror_axes"] and not recipe.mirror_axes:
        notes.append("Training mirrored the images; the form switched mirrored runs off.")
    if "nnunetv2" not in report["versions"]:
        notes.append(
            "nnU-Net was not installed where this was imported. Parity below is that of the "
            "network alone, behind our own steps; that these are nnU-Net's is known from the "
            "tests of the node only."
        )
    if recipe.form.accumulate == "float32":
        notes.append(
            "Windows are summed in float32. nnU-Net sums in float16, which moves logits by up to "
            "some hundredths; `accumulate: float16` in the form does the same."
        )
    return tuple(notes)


def _card(exported: Exported, recipe: Recipe, named: Named, notes: tuple[str, ...]) -> CardFacts:
    plan, report = recipe.plan, exported.report
    unknown = [
        "How well the model works on patients of this site: nothing here measures it.",
        "Which scanners, ages and diseases it was trained on, beyond what its authors publish.",
    ]
    if named.unplaced:
        unknown.append(
            "The organ of: " + ", ".join(named.unplaced) + ". Reports say 'entire body' until "
            "the form states `site:`."
        )
    millions = report["parameters"] / 1e6
    several = f", {len(recipe.networks)} folds averaged" if len(recipe.networks) > 1 else ""
    return CardFacts(
        origin=f"nnU-Net v2 results folder {plan.dataset}/{exported.results.folder.name}"
        + (f"; {recipe.form.reference}" if recipe.form.reference else "")
        + ".",
        licence=recipe.form.licence,
        intended_use=recipe.form.intended_use or _use(recipe),
        network=f"{plan.architecture.network}, {millions:.1f} million weights, patch "
        f"{' x '.join(map(str, plan.patch))}, {plan.labels.heads} output channels{several}.",
        steps=_steps(recipe),
        notes=notes,
        unknown=tuple(unknown),
        private_names=named.private,
        isolation=exported.outcome.isolation,
    )


def _steps(recipe: Recipe) -> tuple[str, ...]:
    """In words, in order."""
    steps = nnunet_recipe.steps_before(recipe)
    words = [f"`{step['step']}` {_rest(step)}".rstrip() for step in steps]
    mirrored = (
        f"mirrored runs along axes {list(recipe.mirror_axes)}"
        if recipe.mirror_axes
        else "no mirrored runs"
    )
    words.append(
        f"windows of {' x '.join(map(str, recipe.plan.patch))} that step by {recipe.step:g} of "
        f"the patch, nnU-Net's Gaussian weights, {mirrored}"
    )
    words += [
        f"`{step['step']}` {_rest(step)}".rstrip() for step in nnunet_recipe.steps_behind(recipe)
    ]
    if recipe.plan.normalisations[0].scheme is Scheme.NONE:
        words.append("values are taken as they are")
    return tuple(words)


def _rest(step: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in step.items() if key != "step")


__all__ = ["Cubes", "draft_of", "draft_package", "export_network"]
