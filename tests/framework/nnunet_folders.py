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
