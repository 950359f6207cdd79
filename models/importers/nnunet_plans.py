"""`plans.json` and `dataset.json` of an nnU-Net v2 results folder -> typed values.

Nothing is run and nothing is guessed: a key whose meaning is not known is named, together with
every other, in one error. Axes are (z, y, x) of the image file as nnU-Net reads it, then
permuted by `transpose_forward`; spacings are mm in that same order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from models.importers.nnunet_architecture import OLD_KEYS, Architecture, read_architecture
from models.importers.nnunet_json import Doubts, Node, read_json
from models.importers.nnunet_labels import LabelScheme, read_channels, read_labels

PLANS = "plans.json"
DATASET = "dataset.json"
#: Ratio of the largest to the smallest spacing above which nnU-Net resamples the coarse axis
#: by itself.
ANISOTROPY = 3.0


class Scheme(StrEnum):
    """Normalisations that are reproduced."""

    CT = "CTNormalization"
    ZSCORE = "ZScoreNormalization"
    NONE = "NoNormalization"
    RESCALE = "RescaleTo01Normalization"
    RGB = "RGBTo01Normalization"


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """What is done to the values of one input channel.

    Attributes:
        within_mask: z-score over the voxels inside the filled non-zero region only; the rest
            keeps its value.
        mean, deviation, lower, upper: of the training data's foreground, in the unit of the
            image (HU for CT); used by `Scheme.CT` alone: clip to lower..upper, then
            (value - mean) / deviation.
    """

    scheme: Scheme
    within_mask: bool = False
    mean: float = 0.0
    deviation: float = 1.0
    lower: float = 0.0
    upper: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """How arrays are brought to another grid (skimage's `resize`, edges repeated).

    Attributes:
        order: of the spline, 0, 1 or 3. Where the coarse axis is apart, it is read by nearest
            and the order holds in the plane.
        separate: the coarse axis is apart: True, False, or None: where the spacing is
            anisotropic.
        anisotropy: what counts as anisotropic, largest over smallest spacing.
        off: nothing is resampled at all.
    """

    order: int = 3
    separate: bool | None = None
    anisotropy: float = ANISOTROPY
    off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One configuration of one plan, complete.

    Attributes:
        configuration: "3d_fullres", "2d", ... patch: of the network's axes, after the
            transpose. spacing_mm: of the same axes; for a 2-D network the two of the plane.
        transpose_forward, transpose_backward: of (z, y, x).
        reader: the class that read the training images; `NibabelIOWithReorient` turns them to
            RAS first, the others take them as they lie in the file.
        channels: names of the input channels. fingerprint: of the data set's name and plans.
    """

    dataset: str
    name: str
    configuration: str
    patch: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    transpose_forward: tuple[int, int, int]
    transpose_backward: tuple[int, int, int]
    reader: str
    channels: tuple[str, ...]
    normalisations: tuple[Normalisation, ...]
    data_resampling: Resampling
    logits_resampling: Resampling
    architecture: Architecture
    labels: LabelScheme

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return len(self.patch)


#: Readers of image files whose axis order is known.
READERS = ("NibabelIO", "NibabelIOWithReorient", "SimpleITKIO", "SimpleITKIOWithReorient")
_UNUSED = frozenset(
    {
        "data_identifier", "preprocessor_name", "batch_size", "median_image_size_in_voxels",
        "resampling_fn_seg", "resampling_fn_seg_kwargs", "batch_dice", "next_stage",
        "inherits_from", "previous_stage",
    }
)  # fmt: skip
_USED = frozenset(
    {
        "patch_size", "spacing", "normalization_schemes", "use_mask_for_norm", "architecture",
        "resampling_fn_data", "resampling_fn_data_kwargs", "resampling_fn_probabilities",
        "resampling_fn_probabilities_kwargs",
    }
)  # fmt: skip


def read_plan(folder: Path, configuration: str) -> Plan:
    """The named configuration of a results folder (the one that holds `fold_0`, ...).

    Raises:
        ImportRefused: a file is missing, or something in it is not understood; one line each.
    """
    return plan_of(read_json(folder / PLANS), read_json(folder / DATASET), configuration)


def plan_of(plans: Mapping[str, Any], dataset: Mapping[str, Any], configuration: str) -> Plan:
    """As `read_plan`, from documents that were read already."""
    doubts, dataset_doubts = Doubts(PLANS), Doubts(DATASET)
    root, data = Node(plans, "", doubts), Node(dataset, "", dataset_doubts)
    section = _configuration(root, configuration)
    channels, labels = read_channels(data), read_labels(data)
    patch = section.integers("patch_size")
    if len(patch) not in (2, 3) or any(size < 1 for size in patch):
        doubts.add(section.key("patch_size"), f"{list(patch)} is no patch of a 2-D or 3-D network")
        patch = (1, 1, 1)
    forward = _permutation(root, "transpose_forward")
    backward = _permutation(root, "transpose_backward")
    if tuple(forward[axis] for axis in backward) != (0, 1, 2):
        doubts.add("transpose_backward", "does not undo transpose_forward")
    root.word("label_manager", ("LabelManager",)) if root.has("label_manager") else None
    plan = Plan(
        dataset=root.text("dataset_name"),
        name=root.text("plans_name"),
        configuration=configuration,
        patch=patch,
        spacing_mm=_spacing(section, len(patch)),
        transpose_forward=forward,
        transpose_backward=backward,
        reader=root.word("image_reader_writer", READERS),
        channels=channels,
        normalisations=_normalisations(root, section, len(channels)),
        data_resampling=_resampling(section, "resampling_fn_data"),
        logits_resampling=_resampling(section, "resampling_fn_probabilities"),
        architecture=read_architecture(section, len(patch)),
        labels=labels,
    )
    doubts.settle(dataset_doubts)
    return plan


def _configuration(root: Node, name: str) -> Node:
    """One configuration with what it inherits; a cascade is refused by name."""
    configurations = root.node("configurations")
    merged: dict[str, Any] = {}
    seen: list[str] = []
    wanted: object = name
    while isinstance(wanted, str):
        values = configurations.values.get(wanted)
        if not isinstance(values, dict) or wanted in seen:
            known = ", ".join(sorted(configurations.values)) or "none"
            root.doubts.add(
                "configurations", f"there is no configuration {wanted!r} (there are: {known})"
            )
            break
        seen.append(wanted)
        merged = {**values, **merged}
        wanted = values.get("inherits_from")
    node = Node(merged, f"configurations.{name}", root.doubts)
    if node.has("previous_stage"):
        root.doubts.add(
            node.key("previous_stage"),
            f"{name} is the second stage of a cascade, which takes the labels of "
            f"{merged['previous_stage']!r} as input channels; cascades are not supported",
            f"import {merged['previous_stage']!r} or 3d_fullres",
        )
    if node.has("preprocessor_name"):
        node.word("preprocessor_name", ("DefaultPreprocessor",))
    node.only(_USED | _UNUSED | OLD_KEYS)
    return node


def _permutation(root: Node, name: str) -> tuple[int, int, int]:
    axes = root.integers(name)
    if sorted(axes) != [0, 1, 2]:
        root.doubts.add(name, f"{list(axes)} is no order of three axes")
        return (0, 1, 2)
    return (axes[0], axes[1], axes[2])


def _spacing(section: Node, dimensions: int) -> tuple[float, ...]:
    spacing = section.numbers("spacing")
    if len(spacing) != dimensions or any(step <= 0 for step in spacing):
        section.doubts.add(
            section.key("spacing"), f"{list(spacing)} is no spacing of {dimensions} axes"
        )
        return (1.0,) * dimensions
    return spacing


def _normalisations(root: Node, section: Node, count: int) -> tuple[Normalisation, ...]:
    names = section.values.get("normalization_schemes")
    masks = section.values.get("use_mask_for_norm")
    if not isinstance(names, list) or not isinstance(masks, list):
        section.doubts.add(
            section.key("normalization_schemes"),
            "with use_mask_for_norm a list for the input channels is expected",
        )
        return ()
    if len(names) != count or len(masks) != count:
        section.doubts.add(
            section.key("normalization_schemes"),
            f"{len(names)} schemes and {len(masks)} masks stand for {count} input channels",
        )
    properties = "foreground_intensity_properties_per_channel"
    if not root.has(properties):
        properties = "foreground_intensity_properties_by_modality"
    found = []
    for index, (name, mask) in enumerate(zip(names, masks, strict=False)):
        if name not in set(Scheme) or not isinstance(mask, bool | None):
            known = ", ".join(sorted(Scheme))
            section.doubts.add(
                section.key(f"normalization_schemes[{index}]"),
                f"{name!r} with mask {mask!r} is not understood (known: {known})",
            )
        elif name == Scheme.CT:
            found.append(_ct(root.node(properties).node(str(index))))
        else:
            within = bool(mask) and name == Scheme.ZSCORE
            found.append(Normalisation(scheme=Scheme(name), within_mask=within))
    return tuple(found)


def _ct(properties: Node) -> Normalisation:
    return Normalisation(
        scheme=Scheme.CT,
        mean=properties.number("mean"),
        deviation=properties.number("std"),
        lower=properties.number("percentile_00_5"),
        upper=properties.number("percentile_99_5"),
    )


def _resampling(section: Node, key: str) -> Resampling:
    """The function and its arguments, reduced to what decides the values."""
    function = section.word(key, ("resample_data_or_seg_to_shape", "resample_torch_fornnunet",
                                  "no_resampling_hack"))  # fmt: skip
    if function == "no_resampling_hack":
        return Resampling(off=True)
    arguments = section.node(f"{key}_kwargs")
    threshold = "separate_z_anisotropy_threshold"
    anisotropy = arguments.number(threshold) if arguments.has(threshold) else ANISOTROPY
    separate = arguments.flag("force_separate_z", None)
    if arguments.flag("is_seg", False):
        section.doubts.add(arguments.key("is_seg"), "images and logits are not resampled as labels")
    if function == "resample_torch_fornnunet":
        _torch_words(arguments)
        return Resampling(order=1, separate=separate, anisotropy=anisotropy)
    arguments.only(("is_seg", "order", "order_z", "force_separate_z", threshold))
    order, order_z = arguments.integer("order"), arguments.integer("order_z")
    if order not in (0, 1, 3) or order_z != 0:
        section.doubts.add(
            arguments.place,
            f"order {order} with order_z {order_z} is not supported (0, 1 or 3 with order_z 0)",
        )
    if not section.has(f"{key}_kwargs") or "force_separate_z" not in arguments.values:
        # The function's own default differs from what every planner writes.
        separate = False
    return Resampling(order=order, separate=separate, anisotropy=anisotropy)


def _torch_words(arguments: Node) -> None:
    """PyTorch's linear resampling equals order 1 in the plane and order 0 along the coarse axis."""
    threshold = "separate_z_anisotropy_threshold"
    ways = {"mode": "linear", "aniso_axis_mode": "nearest-exact"}
    for name, way in ways.items():
        if arguments.has(name):
            arguments.word(name, (way,))
    without_effect = ("num_threads", "device", "memefficient_seg_resampling")
    arguments.only(("is_seg", "force_separate_z", threshold, *ways, *without_effect))
