"""Results folders as nnU-Net v2 writes them, with generated weights. Needs PyTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.importers.framework.nnunet_network import bare_network
from models.importers.nnunet_plans import plan_of

CT = {
    "max": 3071.0, "mean": 83.5, "median": 90.0, "min": -1024.0,
    "percentile_00_5": -987.3, "percentile_99_5": 911.8, "std": 153.2,
}  # fmt: skip


def write_results(
    folder: Path,
    plans: Mapping[str, Any],
    dataset: Mapping[str, Any],
    configuration: str,
    *,
    folds: Sequence[str] = ("fold_0",),
    trainer: str = "nnUNetTrainer",
    mirror_axes: Sequence[int] | None = (0, 1, 2),
    seed: int = 11,
) -> Path:
    """`folder` as training leaves it; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    plan = plan_of(plans, dataset, configuration)
    for number, fold in enumerate(folds):
        torch.manual_seed(seed + number)
        network = bare_network(plan, trainer)
        with torch.no_grad():
            for name, tensor in network.named_parameters():
                if "norm" in name:
                    tensor.add_(0.3 * torch.randn_like(tensor))
                if "seg_layers" in name:
                    # Logits of a trained network run over several units.
                    tensor.mul_(3.0)
        (folder / fold).mkdir(exist_ok=True)
        torch.save(
            checkpoint_of(network.state_dict(), plans, dataset, configuration)
            | {
                "trainer_name": trainer,
                "inference_allowed_mirroring_axes": None
                if mirror_axes is None
                else tuple(mirror_axes),
            },
            folder / fold / "checkpoint_final.pth",
        )
    return folder


def checkpoint_of(
    weights: Mapping[str, torch.Tensor],
    plans: Mapping[str, Any],
    dataset: Mapping[str, Any],
    configuration: str,
) -> dict[str, Any]:
    """With what `nnUNetTrainer.save_checkpoint` leaves beside the weights, NumPy numbers too."""
    return {
        "network_weights": dict(weights),
        "optimizer_state": {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": []},
        "grad_scaler_state": {"scale": 65536.0},
        "logging": {
            "mean_fg_dice": [np.float64(0.71), np.float64(0.83)],
            "train_losses": [np.float32(-0.4)],
            "lrs": [0.01],
        },
        "_best_ema": np.float64(0.78),
        "current_epoch": 1000,
        "init_args": {
            "plans": plans,
            "configuration": configuration,
            "fold": 0,
            "dataset_json": dataset,
            "unpack_dataset": True,
            "device": torch.device("cpu"),
        },
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }


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
    backward = [int(axis) for axis in np.argsort(transpose)]
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
