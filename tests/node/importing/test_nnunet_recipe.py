"""A plan of nnU-Net becomes a manifest that says the same in the words of a package."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from config.nnunet_form import NnunetForm
from models.importers.nnunet_plans import plan_of
from models.importers.totalsegmentator import STRUCTURES
from node.domain.errors import ImportRefused
from node.importing.nnunet_recipe import (
    AXIAL_LPS,
    TURNED_RAS,
    Cubes,
    Recipe,
    check_supported,
    inputs_of,
    networks_of,
    results_of,
    steps_before,
    steps_behind,
)
from tests.models.importers.nnunet_documents import small_dataset, small_plans, stored


def _recipe(
    plans: dict[str, Any], dataset: dict[str, Any], configuration: str, **more: Any
) -> Recipe:
    fields = {
        "plan": plan_of(plans, dataset, configuration),
        "form": NnunetForm(),
        "framework": "nnunet",
        "axes": AXIAL_LPS,
        "step": 0.5,
        "mirror_axes": (),
        "networks": ("weights/net.onnx",),
    }
    return Recipe(**(fields | more))


def test_steps_of_a_full_resolution_ct_plan() -> None:
    recipe = _recipe(*stored("abdomen"), "3d_fullres")
    assert steps_before(recipe) == [
        {"step": "orient", "axes": "SPL"},
        {"step": "crop_nonzero"},
        {
            "step": "ct_normalize",
            "lower": [-987.3],
            "upper": [911.8],
            "mean": [83.5],
            "std": [153.2],
        },
        {
            "step": "spacing",
            "spacing_mm": [3.0, 0.78, 0.78],
            "interpolation": "cubic",
            "grid": "nnunet",
            "separate_above": 3.0,
        },
    ]
    assert steps_behind(recipe) == [
        {"step": "invert", "interpolation": "linear"},
        {"step": "argmax"},
    ]
    (network,) = networks_of(recipe)
    assert network["windows"]["starts"] == "nnunet"
    assert network["windows"]["weights"] == "gaussian_nnunet"
    assert network["outputs"][0]["channels"] == ["background", "liver", "tumour"]


def test_transposed_plan_turns_the_axes_of_the_network() -> None:
    recipe = _recipe(small_plans(transpose=(2, 0, 1)), small_dataset(), "3d_fullres")
    assert steps_before(recipe)[0]["axes"] == "LSP"


def test_plane_network_keeps_the_slices() -> None:
    plans = small_plans(patch=(64, 48), spacing=(1.5, 1.5))
    recipe = _recipe(plans, small_dataset(), "2d", mirror_axes=(0, 1))
    assert steps_before(recipe)[-1]["spacing_mm"] == [None, 1.5, 1.5]
    (network,) = networks_of(recipe)
    assert (network["patch"], network["spacing_mm"]) == ([64, 48], [1.5, 1.5])
    assert network["windows"]["mirror_axes"] == [0, 1]


def test_regions_are_painted_in_their_order() -> None:
    plans, dataset = stored("brain_resenc")
    recipe = _recipe(plans, dataset, "3d_fullres")
    assert steps_behind(recipe)[1:] == [
        {"step": "sigmoid"},
        {"step": "regions", "values": [1, 2, 3]},
    ]
    assert steps_before(recipe)[2] == {"step": "normalize", "region": "filled", "least_std": 1e-8}


def test_several_images_at_once_are_refused_by_name() -> None:
    with pytest.raises(ImportRefused, match=r"2 images at once \(T1, T2\)"):
        check_supported(plan_of(*stored("brain_resenc"), "3d_fullres"))


def test_forced_coarse_axis_is_refused_and_forbidden_one_is_never_apart() -> None:
    plans = small_plans()
    arguments = plans["configurations"]["3d_fullres"]["resampling_fn_data_kwargs"]
    arguments["force_separate_z"] = True
    with pytest.raises(ImportRefused, match="force_separate_z"):
        check_supported(plan_of(plans, small_dataset(), "3d_fullres"))
    arguments["force_separate_z"] = False
    recipe = _recipe(plans, small_dataset(), "3d_fullres")
    assert steps_before(recipe)[-1]["separate_above"] > 1000


def test_folds_are_networks_of_their_own_without_yaml_aliases() -> None:
    paths = ("weights/fold_0.onnx", "weights/fold_1.onnx")
    networks = networks_of(_recipe(small_plans(), small_dataset(), "3d_fullres", networks=paths))
    assert [(network["name"], network["path"]) for network in networks] == [
        ("fold_0", paths[0]),
        ("fold_1", paths[1]),
    ]
    assert "&" not in yaml.safe_dump(networks)


def test_totalsegmentator_resamples_to_cubes_and_brings_labels_back() -> None:
    recipe = _recipe(
        *stored("total_3mm"),
        "3d_fullres",
        axes=TURNED_RAS,
        step=0.8,
        cubes=Cubes(size_mm=3.0, input_order=3, labels_back="linear"),
        structures=STRUCTURES,
    )
    assert [step["step"] for step in steps_before(recipe)] == [
        "orient", "spacing", "cast", "crop_nonzero", "ct_normalize",
    ]  # fmt: skip
    assert steps_before(recipe)[1] == {
        "step": "spacing",
        "spacing_mm": [3.0, 3.0, 3.0],
        "interpolation": "cubic",
        "grid": "zoom",
    }
    assert steps_behind(recipe) == [
        {"step": "argmax"},
        {"step": "invert", "interpolation": "per_class_linear"},
    ]
    assert networks_of(recipe)[0]["windows"]["overlap"] == 0.2
    named = results_of(recipe)
    assert len(named.entries) == 117
    assert named.entries[22]["kind"] == "lesion"
    assert named.entries[22]["site"] == ["64033007", "SCT", "Kidney"]
    assert len({tuple(entry["colour"]) for entry in named.entries}) > 100


def test_form_says_what_a_label_is() -> None:
    form = NnunetForm.model_validate(
        {
            "labels": {
                "tumour": {
                    "code": ["108369006", "SCT", "Neoplasm"],
                    "kind": "lesion",
                    "site": ["10200004", "SCT", "Liver"],
                }
            }
        }
    )
    recipe = _recipe(small_plans(), small_dataset(), "3d_fullres", form=form)
    tumour = results_of(recipe).entries[1]
    assert (tumour["kind"], tumour["site"]) == ("lesion", ["10200004", "SCT", "Liver"])
    assert results_of(recipe).unplaced == ()


def test_lesion_without_an_organ_is_named() -> None:
    recipe = _recipe(small_plans(), small_dataset(), "3d_fullres")
    assert results_of(recipe).unplaced == ("tumour",)


@pytest.mark.parametrize(
    ("channel", "scheme", "modality"),
    [("CT", "CTNormalization", "CT"), ("T1", "ZScoreNormalization", "MR"),
     ("PET", "ZScoreNormalization", "PT")],
)  # fmt: skip
def test_modality_follows_the_channel(channel: str, scheme: str, modality: str) -> None:
    dataset = small_dataset(channel_names={"0": channel})
    recipe = _recipe(small_plans(scheme=scheme), dataset, "3d_fullres")
    assert inputs_of(recipe)["modalities"] == [modality]
