"""`models import --kind totalsegmentator`: one model of its task `total` becomes a package."""

from __future__ import annotations

from models.importers.nnunet_plans import Plan
from models.importers.totalsegmentator import MODELS, STEP, TOTAL, Model, dataset_number
from node.domain.errors import ImportRefused
from node.importing.draft import PackageDraft
from node.importing.importer import ImportRequest
from node.importing.nnunet import draft_of
from node.importing.nnunet_exported import export_network
from node.importing.nnunet_recipe import TURNED_RAS, Cubes, Recipe


def draft_package(request: ImportRequest) -> PackageDraft:
    """From a results folder of TotalSegmentator to everything that is written.

    Raises:
        ImportRefused, WorkerError, ConfigError: as `node.importing.nnunet.draft_package`.
    """
    exported = export_network(request)
    plan, form = exported.plan, exported.form
    model = _model(plan, exported.results.dataset)
    recipe = Recipe(
        plan=plan,
        form=form,
        framework="totalsegmentator",
        axes=form.axes or TURNED_RAS,
        step=form.step or STEP,
        mirror_axes=tuple(exported.report["mirror_axes"]) if form.mirror else (),
        networks=tuple(exported.networks),
        cubes=Cubes(
            size_mm=model.spacing_mm,
            input_order=form.input_order,
            labels_back=form.labels_back,
        ),
        structures=model.structures,
    )
    return draft_of(request, exported, recipe, _notes(model, recipe))


def _model(plan: Plan, folder: str) -> Model:
    """Which of the published models it is; its labels must be that model's."""
    number = dataset_number(plan.dataset) or dataset_number(folder)
    model = MODELS.get(number or 0)
    if model is None:
        known = ", ".join(map(str, MODELS))
        raise ImportRefused.once(
            "plans.json: dataset_name",
            f"'{plan.dataset}' is none of the data sets of TotalSegmentator's task total ({known})",
            "other tasks crop to an organ first or add steps of their own: import the folder with "
            "--kind nnunet if it has none, or ask for the task",
        )
    labels = plan.labels.foreground
    if plan.labels.regions or len(labels) != len(model.structures):
        raise ImportRefused.once(
            "dataset.json: labels",
            f"{len(labels)} structures, data set {number} has {len(model.structures)}",
            "the folder is of another version of TotalSegmentator; import it with --kind nnunet",
        )
    named = [
        (label.name, name)
        for label, name in zip(labels, model.structures, strict=True)
        if label.name in set(model.structures) and label.name != name
    ]
    if named:
        raise ImportRefused.once(
            "dataset.json: labels",
            f"'{named[0][0]}' stands where data set {number} has '{named[0][1]}'",
            "the folder is of another version of TotalSegmentator; import it with --kind nnunet",
        )
    spacing = (model.spacing_mm,) * 3
    if any(abs(a - b) > 1e-3 for a, b in zip(plan.spacing_mm, spacing, strict=False)):
        raise ImportRefused.once(
            "plans.json: spacing",
            f"{list(plan.spacing_mm)} mm, data set {number} has cubes of {model.spacing_mm:g} mm",
            "plans.json must come from the published model",
        )
    return model


def _notes(model: Model, recipe: Recipe) -> tuple[str, ...]:
    cubes = recipe.cubes
    assert cubes is not None
    back = (
        "one class at a time, linearly (its option --higher_order_resampling_LEGACY)"
        if cubes.labels_back == "linear"
        else "by the nearest voxel (its default)"
    )
    notes = [
        f"Images are resampled to {cubes.size_mm:g} mm by a spline of order {cubes.input_order} "
        "(TotalSegmentator up to 2.4: 3; 2.18: 1 unless -ro 3), cut to whole numbers; labels come "
        f"back {back}. `input_order:` and `labels_back:` in the form choose.",
        "Parity was measured against nnU-Net with these steps around it, not against the "
        "TotalSegmentator program.",
    ]
    if model.dataset in TOTAL:
        notes.append(
            f"One of the five models of 1.5 mm ({', '.join(map(str, TOTAL))}): structures "
            f"{model.first} to {model.last} of the task. The node runs each as a package of its "
            "own; their labels are not merged into one object."
        )
    return tuple(notes)
