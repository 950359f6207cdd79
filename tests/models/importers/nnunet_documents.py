"""Plans and data sets as nnU-Net v2 writes them: stored ones, and small ones made to order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STORED = Path(__file__).parent / "nnunet_plans"
CT = {
    "max": 3071.0, "mean": 83.5, "median": 90.0, "min": -1024.0,
    "percentile_00_5": -987.3, "percentile_99_5": 911.8, "std": 153.2,
}  # fmt: skip


def stored(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Plans and data set of that name, as nnU-Net's planner wrote them."""
    plans = json.loads((_STORED / f"{name}.plans.json").read_text())
    return plans, json.loads((_STORED / f"{name}.dataset.json").read_text())


def small_plans(
    *,
    patch: Sequence[int] = (16, 32, 32),
    spacing: Sequence[float] = (3.0, 1.5, 1.5),
    network: str = "PlainConvUNet",
    scheme: str = "CTNormalization",
    transpose: Sequence[int] = (0, 1, 2),
    reader: str = "SimpleITKIO",
) -> dict[str, Any]:
    """A plan of nnU-Net 2.8 for a small network of the same kind as the large ones."""
    size = len(patch)
    layers = "n_conv_per_stage" if network == "PlainConvUNet" else "n_blocks_per_stage"
    backward = sorted(range(3), key=lambda axis: transpose[axis])
    resampling = {"is_seg": False, "order_z": 0, "force_separate_z": None}
    configuration = {
        "data_identifier": "nnUNetPlans",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": list(patch),
        "median_image_size_in_voxels": [60.0, 200.0, 200.0],
        "spacing": list(spacing),
        "normalization_schemes": [scheme],
        "use_mask_for_norm": [scheme == "ZScoreNormalization"],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": {**resampling, "order": 3},
        "resampling_fn_seg_kwargs": {**resampling, "is_seg": True, "order": 1},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": {**resampling, "order": 1},
        "architecture": {
            "network_class_name": f"dynamic_network_architectures.architectures.unet.{network}",
            "arch_kwargs": {
                "n_stages": 3,
                "features_per_stage": [8, 16, 32],
                "conv_op": f"torch.nn.modules.conv.Conv{size}d",
                "kernel_sizes": [[3] * size] * 3,
                "strides": [[1] * size, [2] * size, [2] * size],
                layers: [1, 2, 2] if layers.startswith("n_blocks") else [2, 2, 2],
                "n_conv_per_stage_decoder": [1, 1] if layers.startswith("n_blocks") else [2, 2],
                "conv_bias": True,
                "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{size}d",
                "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        "batch_dice": True,
    }
    return {
        "dataset_name": "Dataset801_Abdomen",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [3.0, 0.8, 0.8],
        "original_median_shape_after_transp": [110, 512, 512],
        "image_reader_writer": reader,
        "transpose_forward": list(transpose),
        "transpose_backward": backward,
        "configurations": {"3d_fullres" if size == 3 else "2d": configuration},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": CT},
    }


def small_dataset(**more: Any) -> dict[str, Any]:
    """A `dataset.json` of one CT channel and two structures."""
    return {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1, "tumour": 2},
        "numTraining": 40,
        "file_ending": ".nii.gz",
        **more,
    }


def old_plans() -> dict[str, Any]:
    """The same network as `small_plans` in the words of nnU-Net before 2.2."""
    plans = small_plans()
    configuration = plans["configurations"]["3d_fullres"]
    del configuration["architecture"]
    configuration |= {
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": 8,
        "unet_max_num_features": 24,
        "n_conv_per_stage_encoder": [2, 2, 2],
        "n_conv_per_stage_decoder": [2, 2],
        "num_pool_per_axis": [2, 2, 2],
        "pool_op_kernel_sizes": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
        "conv_kernel_sizes": [[3, 3, 3]] * 3,
    }
    return plans


def array_volume(name: str) -> NDArray[np.int16]:
    """(z, y, x) of a case of `ARRAY_CASES`: noise over a step, with a margin of exact zeros."""
    rng = np.random.default_rng(len(name))
    shape = {"thick": (7, 22, 19), "turned": (15, 13, 17), "halved": (35, 21, 18)}.get(
        name, (14, 21, 18)
    )
    values = rng.normal(60, 160, shape)
    values[:, shape[1] // 2 :] += 700
    values = np.rint(np.clip(values, -1024, 3071)).astype(np.int16)
    if name in ("masked", "turned"):
        values[values == 0] = 1
        values[:3] = values[-2:] = 0
        values[:, :2] = values[:, -4:] = 0
        # A hole is inside: it is filled.
        values[6:8, 8:10, 8:10] = 0
    return values


def array_logits(shape: Sequence[int]) -> NDArray[np.float32]:
    """(3, *shape) noise that float16 holds, as what a network says."""
    noise = np.random.default_rng(7).normal(size=(3, *shape))
    return noise.astype(np.float16).astype(np.float32)


def _masked(**more: Any) -> dict[str, Any]:
    return small_plans(scheme="ZScoreNormalization", **more)


#: Name: plans, configuration, spacing (z, y, x) of the volume. Together they go through every
#: way that nnU-Net prepares a volume and brings logits back.
ARRAY_CASES: Mapping[str, tuple[dict[str, Any], str, tuple[float, float, float]]] = {
    "cubic": (small_plans(spacing=(2.0, 1.5, 1.5)), "3d_fullres", (2.6, 1.1, 1.2)),
    "one_axis_kept": (small_plans(spacing=(2.0, 1.5, 1.5)), "3d_fullres", (2.0, 1.1, 1.1)),
    "thick": (small_plans(spacing=(7.5, 1.2, 1.2)), "3d_fullres", (5.0, 0.9, 0.9)),
    "halved": (small_plans(spacing=(7.5, 1.2, 1.2)), "3d_fullres", (2.2, 1.2, 1.2)),
    "made_thick": (small_plans(spacing=(6.0, 1.2, 1.2)), "3d_fullres", (2.0, 0.9, 0.9)),
    "masked": (_masked(spacing=(2.0, 1.5, 1.5)), "3d_fullres", (2.5, 1.3, 1.3)),
    "turned": (
        _masked(spacing=(1.4, 2.0, 1.6), transpose=(2, 0, 1)),
        "3d_fullres",
        (2.5, 1.3, 1.3),
    ),
    "planes": (small_plans(patch=(64, 48), spacing=(1.5, 1.5)), "2d", (3.0, 1.1, 1.2)),
    "rescaled": (small_plans(scheme="RescaleTo01Normalization"), "3d_fullres", (2.6, 1.1, 1.2)),
    "unscaled": (small_plans(scheme="NoNormalization"), "3d_fullres", (3.0, 1.5, 1.5)),
}
