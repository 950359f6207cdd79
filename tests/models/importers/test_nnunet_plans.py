"""What a plan of nnU-Net says is taken as it stands; what it says otherwise is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.importers.nnunet_plans import Scheme, plan_of, read_plan
from node.domain.errors import ImportRefused
from tests.models.importers.nnunet_documents import old_plans, small_dataset, small_plans, stored


def test_full_resolution_plan_of_the_planner_is_read_whole() -> None:
    plan = plan_of(*stored("abdomen"), "3d_fullres")
    assert plan.patch == (48, 224, 192)
    assert plan.spacing_mm == (3.0, 0.78, 0.78)
    assert plan.channels == ("CT",)
    ct = plan.normalisations[0]
    assert (ct.scheme, ct.lower, ct.upper, ct.mean, ct.deviation) == (
        Scheme.CT, -987.3, 911.8, 83.5, 153.2,
    )  # fmt: skip
    assert (plan.data_resampling.order, plan.logits_resampling.order) == (3, 1)
    assert plan.data_resampling.separate is None
    assert plan.architecture.network == "PlainConvUNet"
    assert plan.architecture.arguments["features_per_stage"] == [32, 64, 128, 256, 320, 320]
    assert plan.architecture.arguments["conv_op"] == "Conv3d"
    assert [label.name for label in plan.labels.channels] == ["background", "liver", "tumour"]


def test_plane_plan_keeps_the_distance_of_slices() -> None:
    plan = plan_of(*stored("abdomen"), "2d")
    assert (plan.patch, plan.spacing_mm, plan.dimensions) == ((512, 512), (0.78, 0.78), 2)
    assert plan.architecture.arguments["norm_op"] == "InstanceNorm2d"


def test_low_resolution_plan_is_read() -> None:
    assert plan_of(*stored("abdomen"), "3d_lowres").patch == (64, 192, 160)


def test_cascade_is_refused_by_name() -> None:
    with pytest.raises(ImportRefused, match=r"cascade.*3d_lowres"):
        plan_of(*stored("abdomen"), "3d_cascade_fullres")


def test_residual_encoder_plan_with_regions_and_masked_normalisation() -> None:
    plan = plan_of(*stored("brain_resenc"), "3d_fullres")
    assert plan.architecture.network == "ResidualEncoderUNet"
    assert plan.architecture.arguments["n_blocks_per_stage"] == [1, 3, 4, 6, 6, 6]
    assert [n.scheme for n in plan.normalisations] == [Scheme.ZSCORE, Scheme.ZSCORE]
    assert all(n.within_mask for n in plan.normalisations)
    assert plan.labels.regions
    assert [(c.name, c.value, c.values) for c in plan.labels.channels] == [
        ("whole", 1, (1, 2, 3)),
        ("core", 2, (2, 3)),
        ("enhancing", 3, (3,)),
    ]


def test_total_plan_has_118_channels() -> None:
    plan = plan_of(*stored("total_3mm"), "3d_fullres")
    assert plan.labels.heads == 118
    assert plan.labels.foreground[0].name == "spleen"


def test_plan_before_2_2_gives_the_network_it_stands_for() -> None:
    plan = plan_of(old_plans(), small_dataset(), "3d_fullres")
    assert plan.architecture.converted
    assert plan.architecture.arguments["features_per_stage"] == [8, 16, 24]
    assert plan.architecture.arguments["strides"] == [[1, 1, 1], [2, 2, 2], [2, 2, 2]]
    assert plan.architecture.arguments["conv_bias"] is True
    assert plan.architecture.arguments["nonlin"] == "LeakyReLU"


def test_configuration_inherits_from_another() -> None:
    plans = small_plans()
    plans["configurations"]["bigger"] = {"inherits_from": "3d_fullres", "patch_size": [32, 32, 32]}
    plan = plan_of(plans, small_dataset(), "bigger")
    assert plan.patch == (32, 32, 32)
    assert plan.spacing_mm == (3.0, 1.5, 1.5)


def test_configurations_that_inherit_in_a_circle_are_refused() -> None:
    plans = small_plans()
    plans["configurations"]["a"] = {"inherits_from": "b"}
    plans["configurations"]["b"] = {"inherits_from": "a"}
    with pytest.raises(ImportRefused, match="no configuration 'a'"):
        plan_of(plans, small_dataset(), "a")


def test_resampling_by_torch_is_linear() -> None:
    plans = small_plans()
    section = plans["configurations"]["3d_fullres"]
    section["resampling_fn_data"] = "resample_torch_fornnunet"
    section["resampling_fn_data_kwargs"] = {"is_seg": False, "force_separate_z": False}
    resampling = plan_of(plans, small_dataset(), "3d_fullres").data_resampling
    assert (resampling.order, resampling.separate) == (1, False)


def _set(*path: str) -> Callable[[dict[str, Any], object], None]:
    def change(plans: dict[str, Any], value: object) -> None:
        node = plans
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value

    return change


_AT = ("configurations", "3d_fullres")
_ARCHITECTURE = (*_AT, "architecture")
_KWARGS = (*_ARCHITECTURE, "arch_kwargs")


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ((*_ARCHITECTURE, "network_class_name"), "os.system", "network_class_name.*os.system"),
        (
            (*_ARCHITECTURE, "network_class_name"),
            "evil.architectures.unet.PlainConvUNet",
            "evil.architectures",
        ),
        ((*_KWARGS, "conv_op"), "subprocess.Popen", "conv_op.*subprocess.Popen"),
        ((*_KWARGS, "nonlin"), "torch.hub.load", "nonlin.*torch.hub.load"),
        ((*_KWARGS, "norm_op"), "torch.nn.LayerNorm", "norm_op.*LayerNorm"),
        ((*_KWARGS, "n_stages"), 10**9, "n_stages.*1000000000"),
        ((*_KWARGS, "features_per_stage"), [8, 16], "features_per_stage"),
        ((*_KWARGS, "strides"), [[1, 1], [2, 2], [2, 2]], "strides"),
        ((*_KWARGS, "surprise"), 1, "surprise"),
        ((*_AT, "normalization_schemes"), ["MagicNormalization"], "MagicNormalization"),
        ((*_AT, "preprocessor_name"), "CT_DirtyPreprocessor", "CT_DirtyPreprocessor"),
        ((*_AT, "resampling_fn_data"), "resample_by_magic", "resample_by_magic"),
        ((*_AT, "resampling_fn_data_kwargs", "order_z"), 1, "order_z 1"),
        ((*_AT, "resampling_fn_data_kwargs", "order"), 5, "order 5"),
        ((*_AT, "patch_size"), "large", "patch_size"),
        ((*_AT, "spacing"), [1.0, 0.0, 1.0], "spacing"),
        ((*_AT, "spacing"), [float("nan")] * 3, "spacing"),
        ((*_AT, "unheard_of"), 1, "unheard_of"),
        (("transpose_forward",), [0, 0, 1], "transpose_forward"),
        (("transpose_backward",), [2, 0, 1], "transpose_backward"),
        (("image_reader_writer",), "NaturalImage2DIO", "NaturalImage2DIO"),
        (("label_manager",), "OtherManager", "OtherManager"),
    ],
)
def test_what_is_not_understood_is_named(path: tuple[str, ...], value: object, named: str) -> None:
    plans = small_plans()
    _set(*path)(plans, value)
    with pytest.raises(ImportRefused, match=named):
        plan_of(plans, small_dataset(), "3d_fullres")


def test_every_fault_is_named_at_once() -> None:
    plans = small_plans(scheme="Magic")
    plans["image_reader_writer"] = "Elsewhere"
    dataset = small_dataset(labels={"background": 0, "liver": 3})
    with pytest.raises(ImportRefused) as refused:
        plan_of(plans, dataset, "3d_fullres")
    told = str(refused.value)
    assert "Magic" in told
    assert "Elsewhere" in told
    assert "dataset.json: labels" in told


@pytest.mark.parametrize(
    ("labels", "order", "named"),
    [
        ({"liver": 1}, None, "background"),
        ({"background": 0, "liver": 2}, None, "without gaps"),
        ({"background": 0, "liver": "one"}, None, "liver"),
        ({"background": 0, "whole": [1, 2], "core": 2}, None, "regions_class_order"),
        ({"background": 0, "whole": [1, 2], "core": 2}, [1], "1 values for the 2 regions"),
        ({"background": 0, "whole": [1, 2], "core": 2}, [1, 1], "cannot be told apart"),
    ],
)
def test_labels_that_cannot_be_told_are_named(
    labels: dict[str, Any], order: list[int] | None, named: str
) -> None:
    dataset = small_dataset(labels=labels, **({"regions_class_order": order} if order else {}))
    with pytest.raises(ImportRefused, match=named):
        plan_of(small_plans(), dataset, "3d_fullres")


def test_ignore_label_has_no_channel() -> None:
    dataset = small_dataset(labels={"background": 0, "liver": 1, "ignore": 2})
    assert plan_of(small_plans(), dataset, "3d_fullres").labels.heads == 2


def test_older_word_for_channels_is_read() -> None:
    dataset = small_dataset()
    dataset["modality"] = dataset.pop("channel_names")
    assert plan_of(small_plans(), dataset, "3d_fullres").channels == ("CT",)


def test_a_folder_without_plans_says_so(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=r"plans\.json"):
        read_plan(tmp_path, "3d_fullres")
    (tmp_path / "plans.json").write_text("[1, 2")
    with pytest.raises(ImportRefused, match="no JSON"):
        read_plan(tmp_path, "3d_fullres")
    (tmp_path / "plans.json").write_text(json.dumps([1]))
    with pytest.raises(ImportRefused, match="no JSON object"):
        read_plan(tmp_path, "3d_fullres")
