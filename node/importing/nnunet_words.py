"""`model.yaml` and CARD.md of an imported nnU-Net, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.importers.nnunet_plans import Scheme
from models.registry import file_sha256
from node.importing import nnunet_recipe
from node.importing.draft import CardFacts
from node.importing.nnunet_exported import Exported
from node.importing.nnunet_recipe import Named, Recipe


def manifest_of(name: str, exported: Exported, recipe: Recipe, named: Named) -> dict[str, Any]:
    """The whole manifest but digests and golden case."""
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
        "name": name,
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
    names = ", ".join(label.name.replace("_", " ") for label in recipe.plan.labels.foreground[:8])
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


def card_of(exported: Exported, recipe: Recipe, named: Named, notes: tuple[str, ...]) -> CardFacts:
    """Everything of the card but parity and digests; `notes` come behind its own."""
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
        notes=(*_notes(exported, recipe), *notes),
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
