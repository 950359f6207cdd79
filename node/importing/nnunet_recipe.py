"""A plan of nnU-Net as a package's manifest: steps, windows, tensors, results.

The order is nnU-Net's own: turn, cut to what is not 0, normalise, resample; windows; logits back
to the grid of the images, then the largest. TotalSegmentator puts a resampling to cubes before
it and brings labels, not logits, back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.nnunet_form import FormLabel, NnunetForm
from models.importers.nnunet_labels import Label
from models.importers.nnunet_plans import Normalisation, Plan, Scheme
from models.importers.structures import ABNORMAL, STRUCTURE, Code, colour_of, structure_of
from node.domain.errors import ImportRefused

#: Of a lesion whose organ the name does not say.
_SOMEWHERE: Code = ("38266002", "SCT", "Entire body")
_STORAGE: Mapping[str, tuple[str, ...]] = {
    "CT": ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"),
    "MR": ("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"),
    "PT": ("1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.130"),
}
#: Axes (z, y, x) of an axial DICOM series as SimpleITK reads it; of a reader that turns to RAS.
AXIAL_LPS, TURNED_RAS = "SPL", "SAR"
#: "Never apart" for the step `spacing`.
_NEVER = 1e6
#: Output channels above this are run one window at a time.
_MANY_CHANNELS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Cubes:
    """TotalSegmentator's resampling before and behind nnU-Net.

    Attributes:
        size_mm: of the voxels. input_order: of the spline, 1 or 3.
        labels_back: "linear" (one class at a time) or "nearest".
    """

    size_mm: float
    input_order: int
    labels_back: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides what the package computes.

    Attributes:
        axes: where (z, y, x) of nnU-Net's arrays point to. step: of the windows.
        mirror_axes: spatial axes of the patch. networks: file of each fold, in the package.
        structures: name of each foreground label, by value, where it is not the data set's.
    """

    plan: Plan
    form: NnunetForm
    framework: str
    axes: str
    step: float
    mirror_axes: tuple[int, ...]
    networks: tuple[str, ...]
    cubes: Cubes | None = None
    structures: tuple[str, ...] = ()

    @property
    def modality(self) -> str:
        """As the form says, or as the normalisation tells."""
        if self.form.modality is not None:
            return self.form.modality
        names = {name.upper() for name in self.plan.channels}
        if names <= {"CT"} or self.plan.normalisations[0].scheme is Scheme.CT:
            return "CT"
        if names & {"PET", "PT", "SUV"}:
            return "PT"
        return "MR"

    @property
    def network_axes(self) -> str:
        """Where the axes of the network point to, after nnU-Net's transpose."""
        return "".join(self.axes[axis] for axis in self.plan.transpose_forward)


def check_supported(plan: Plan) -> None:
    """What of a plan our pipeline does not do.

    Raises:
        ImportRefused: by name.
    """
    if len(plan.channels) != 1:
        raise ImportRefused.once(
            "dataset.json: channel_names",
            f"the network takes {len(plan.channels)} images at once ({', '.join(plan.channels)})",
            "the node looks at one series at a time; use a network trained on one image",
        )
    if plan.data_resampling.separate is True or plan.logits_resampling.separate is True:
        raise ImportRefused.once(
            "plans.json: force_separate_z",
            "true resamples the coarse axis by itself whatever the spacing is",
            "plans say null here; report this one with its origin",
        )


def steps_before(recipe: Recipe) -> list[dict[str, Any]]:
    """`preprocess:`."""
    plan, cubes = recipe.plan, recipe.cubes
    steps: list[dict[str, Any]] = [{"step": "orient", "axes": recipe.network_axes}]
    if cubes is not None:
        steps.append(
            {
                "step": "spacing",
                "spacing_mm": [cubes.size_mm] * 3,
                "interpolation": "cubic" if cubes.input_order == 3 else "linear",
                "grid": "zoom",
            }
        )
        steps.append({"step": "cast", "to": "int32"})
    steps.append({"step": "crop_nonzero"})
    steps.extend(_normalising(plan.normalisations))
    resampling = plan.data_resampling
    if cubes is None and not resampling.off:
        keep: list[float | None] = [None] * (3 - plan.dimensions)
        steps.append(
            {
                "step": "spacing",
                "spacing_mm": [*keep, *plan.spacing_mm],
                "interpolation": {0: "nearest", 1: "linear", 3: "cubic"}[resampling.order],
                "grid": "nnunet",
                "separate_above": _NEVER if resampling.separate is False else resampling.anisotropy,
            }
        )
    return steps


def _normalising(channels: Sequence[Normalisation]) -> list[dict[str, Any]]:
    """One scheme for all channels; there is one channel."""
    first = channels[0]
    if first.scheme is Scheme.CT:
        return [
            {
                "step": "ct_normalize",
                "lower": [first.lower],
                "upper": [first.upper],
                "mean": [first.mean],
                "std": [max(first.deviation, 1e-8)],
            }
        ]
    if first.scheme is Scheme.ZSCORE:
        region = "filled" if first.within_mask else "all"
        return [{"step": "normalize", "region": region, "least_std": 1e-8}]
    if first.scheme is Scheme.RESCALE:
        return [{"step": "scale_unit", "to": [0.0, 1.0], "per_channel": True}]
    if first.scheme is Scheme.RGB:
        return [{"step": "scale_range", "from": [0, 255], "to": [0, 1]}]
    return []


def steps_behind(recipe: Recipe) -> list[dict[str, Any]]:
    """`postprocess:`."""
    labels, cubes = recipe.plan.labels, recipe.cubes
    to_labels: list[dict[str, Any]] = [{"step": "argmax"}]
    if labels.regions:
        values = [label.value for label in labels.channels]
        to_labels = [{"step": "sigmoid"}, {"step": "regions", "values": values}]
    if cubes is not None:
        back = "per_class_linear" if cubes.labels_back == "linear" else "nearest"
        return [*to_labels, {"step": "invert", "interpolation": back}]
    order = recipe.plan.logits_resampling.order
    words = {0: "nearest", 1: "linear", 3: "cubic"}
    return [{"step": "invert", "interpolation": words[order]}, *to_labels]


def networks_of(recipe: Recipe) -> list[dict[str, Any]]:
    """`networks:`, one a fold, without digests."""
    plan = recipe.plan
    overlap = round(1.0 - recipe.step, 12)
    windows = {
        "overlap": overlap,
        "batch": 1 if plan.labels.heads > _MANY_CHANNELS or plan.dimensions == 3 else 4,
        "weights": "gaussian_nnunet",
        "starts": "nnunet",
        "accumulate": recipe.form.accumulate,
    }
    classes = [label.name for label in plan.labels.channels]
    spacing = plan.spacing_mm if recipe.cubes is None else (recipe.cubes.size_mm,) * 3
    return [
        {
            "name": f"fold_{number}" if len(recipe.networks) > 1 else "net",
            "path": path,
            "inputs": [{"name": "image", "channels": [str(name) for name in plan.channels]}],
            "outputs": [{"name": "logits", "channels": list(classes)}],
            "patch": list(plan.patch),
            "spacing_mm": list(spacing),
            "value_range": list(_value_range(plan.normalisations[0])),
            # Copies: YAML would write the second mention of one value as an alias.
            "windows": {**windows, "mirror_axes": list(recipe.mirror_axes)},
            "tolerance": {
                "CPUExecutionProvider": 0.001,
                "CUDAExecutionProvider": 0.01,
                "TensorrtExecutionProvider": 0.02,
                "OpenVINO": 0.001,
            },
        }
        for number, path in enumerate(recipe.networks)
    ]


def _value_range(normalisation: Normalisation) -> tuple[float, float]:
    """What the values of the image mean before normalising; relative ones have no range."""
    if normalisation.scheme is Scheme.CT:
        return normalisation.lower, normalisation.upper
    if normalisation.scheme is Scheme.RGB:
        return 0.0, 255.0
    return 0.0, 1.0


@dataclass(frozen=True, slots=True)
class Named:
    """`results.labels` and the names that have no standard code.

    Attributes:
        entries: of model.yaml. private: names with a code of 99VIGIE. unplaced: lesions whose
            organ is not known.
    """

    entries: list[dict[str, Any]]
    private: tuple[str, ...]
    unplaced: tuple[str, ...]


def results_of(recipe: Recipe) -> Named:
    """What each label value means to a radiologist."""
    entries, private, unplaced = [], [], []
    for number, label in enumerate(recipe.plan.labels.foreground):
        name = recipe.structures[number] if recipe.structures else label.name
        entry = _entry(label, name, recipe.form.labels.get(label.name))
        if entry["code"][1] == "99VIGIE":
            private.append(name)
        if entry["kind"] == "lesion" and entry["site"] == list(_SOMEWHERE):
            unplaced.append(name)
        entries.append(entry)
    return Named(entries, tuple(private), tuple(unplaced))


def _entry(label: Label, name: str, stated: FormLabel | None) -> dict[str, Any]:
    found = structure_of(name)
    lesion = found.lesion if stated is None else stated.kind == "lesion"
    entry: dict[str, Any] = {
        "value": label.value,
        "name": found.name,
        "kind": "lesion" if lesion else "structure",
        "code": list(stated.code if stated else found.code),
        "category": list(ABNORMAL if lesion else STRUCTURE),
        "colour": list(colour_of(label.value)),
        "measure": ["volume"],
    }
    site = stated.site if stated else found.site
    if lesion:
        entry["site"] = list(site or _SOMEWHERE)
    laterality = stated.laterality if stated else found.laterality
    if laterality is not None:
        entry["laterality"] = list(laterality)
    return entry


def inputs_of(recipe: Recipe) -> dict[str, Any]:
    """`inputs:`: which series are eligible.

    nnU-Net takes whatever it is given. What is certain is the modality; the rest keeps out what
    no volumetric model was trained on.
    """
    modality = recipe.modality
    return {
        "modalities": [modality],
        "sop_class_uids": list(recipe.form.sop_class_uids or _STORAGE[modality]),
        "orientations": ["axial", "coronal", "sagittal"] if modality == "MR" else ["axial"],
        "min_planes": 8,
        "min_extent_mm": 20,
        "max_spacing_mm": 10.0 if modality == "MR" else 6.0,
        "max_tilt_degrees": 5.0,
        "max_gap_factor": 1.5,
        "pixel_spacing_mm": [0.2, 6.0],
        "refused_image_types": ["LOCALIZER", "MPR", "REFORMATTED", "PROJECTION IMAGE", "MIP"],
    }
