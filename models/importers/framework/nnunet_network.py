"""Weights of nnU-Net checkpoints, loaded without running anything, and their network.

A checkpoint is a pickle, and a pickle can run any program. Only tensors, plain containers and
the few classes that nnU-Net's own training leaves beside them (NumPy numbers of the progress
log) are taken; the first other one is named and the file refused.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dynamic_network_architectures.architectures import unet
from torch import nn

from models.importers.framework.weights import pickled_names
from models.importers.nnunet_plans import Plan
from models.importers.nnunet_trainers import BATCH_NORM
from node.domain.errors import ImportRefused

_SCALAR: Any = getattr(np, "_core").multiarray.scalar  # noqa: B009 - NumPy gives it no other name
#: What may be in a checkpoint besides tensors: numbers of NumPy 1 and 2, as the log holds them.
_NUMBERS = [
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Float32DType,
    np.dtypes.Int64DType,
    _SCALAR,
    (_SCALAR, "numpy.core.multiarray.scalar"),
]


#: Beginnings of what every checkpoint names.
_HARMLESS = ("torch", "collections.", "numpy.", "_codecs.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What of one `checkpoint_final.pth` is used.

    Attributes:
        weights: by the name of the parameter, float32.
        mirror_axes: spatial axes that training mirrored, so that inference may.
    """

    weights: Mapping[str, torch.Tensor]
    trainer: str
    configuration: str
    mirror_axes: tuple[int, ...]


def load_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint; no code in it can run.

    Raises:
        ImportRefused: it holds something else than numbers and words, or lacks what is needed.
    """
    where = f"{path.parent.name}/{path.name}"
    content = _load(path, where)
    return Checkpoint(
        weights=_weights(content.get("network_weights"), where),
        trainer=_word(content, "trainer_name", where),
        configuration=_word(_mapping(content, "init_args", where), "configuration", where),
        mirror_axes=_axes(content.get("inference_allowed_mirroring_axes"), where),
    )


def _load(path: Path, where: str) -> Mapping[str, Any]:
    again = "copy it again, whole, from where the model was published"
    try:
        with torch.serialization.safe_globals(_NUMBERS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        strange = [name for name in pickled_names(path) if not name.startswith(_HARMLESS)]
        what = ", ".join(strange[:5]) or "an object that is no number"
        raise ImportRefused.once(
            where,
            f"the file wants {what} to be called when it is loaded, which could run a program",
            "do not use this file unless you know who wrote it; a checkpoint that nnU-Net wrote "
            "by itself holds nothing of the kind",
        ) from None
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise ImportRefused.once(
            where, f"it cannot be read as a checkpoint ({type(error).__name__})", again
        ) from None
    if not isinstance(content, dict):
        raise ImportRefused.once(where, "it holds no checkpoint of nnU-Net v2", again)
    return content


def _mapping(content: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = content.get(key)
    if not isinstance(value, dict):
        raise _lacking(key, where)
    return value


def _word(content: Mapping[str, Any], key: str, where: str) -> str:
    value = content.get(key)
    if not isinstance(value, str):
        raise _lacking(key, where)
    return value


def _lacking(key: str, where: str) -> ImportRefused:
    return ImportRefused.once(
        where,
        f"'{key}' is missing, which every checkpoint of nnU-Net v2 has",
        "name a results folder of nnU-Net v2; models of nnU-Net v1 are not supported",
    )


def _axes(value: object, where: str) -> tuple[int, ...]:
    if value is None:
        return ()
    axes: list[Any] = list(value) if isinstance(value, list | tuple) else [value]
    if not all(isinstance(axis, int | np.integer) and 0 <= axis < 3 for axis in axes):
        raise _lacking("inference_allowed_mirroring_axes", where)
    return tuple(sorted({int(axis) for axis in axes}))


def _weights(value: object, where: str) -> dict[str, torch.Tensor]:
    if not isinstance(value, dict) or not value:
        raise _lacking("network_weights", where)
    weights: dict[str, torch.Tensor] = {}
    for name, tensor in value.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise _lacking("network_weights", where)
        floating = tensor.is_floating_point()
        if floating and not bool(torch.isfinite(tensor).all()):
            raise ImportRefused.once(
                where,
                f"the weights '{name}' are not all finite numbers",
                "the training failed: use another checkpoint",
            )
        # A network trained on several GPUs or compiled may have one of these before each name.
        plain = name.removeprefix("_orig_mod.").removeprefix("module.")
        weights[plain] = tensor.float() if floating else tensor
    return weights


def build_network(plan: Plan, checkpoint: Checkpoint) -> nn.Module:
    """The network of a plan with the weights of one fold, ready for inference.

    Raises:
        ImportRefused: the weights do not fit the network that the plan describes.
    """
    network = bare_network(plan, checkpoint.trainer)
    expected, given = network.state_dict(), checkpoint.weights
    missing = sorted(expected.keys() - given.keys())
    unknown = sorted(given.keys() - expected.keys())
    other = sorted(
        name for name in expected.keys() & given.keys() if expected[name].shape != given[name].shape
    )
    if missing or unknown or other:
        example = (*missing, *unknown, *other)[0]
        raise ImportRefused.once(
            "network_weights",
            f"they do not fit the {plan.architecture.network} of the plan: {len(missing)} are "
            f"missing, {len(unknown)} unknown, {len(other)} of another shape ('{example}')",
            "plans.json, dataset.json and the checkpoint must come from one training",
        )
    network.load_state_dict(dict(given))
    return network.eval()


def bare_network(plan: Plan, trainer: str) -> nn.Module:
    """The network of a plan, without weights; deep supervision, which only training needs, off."""
    arguments = dict(plan.architecture.arguments)
    for name in ("conv_op", "norm_op", "dropout_op", "nonlin"):
        word = arguments[name]
        arguments[name] = None if word is None else getattr(nn, word)
    if trainer == BATCH_NORM:
        arguments["norm_op"] = getattr(nn, f"BatchNorm{plan.dimensions}d")
        arguments["norm_op_kwargs"] = {"eps": 1e-5, "affine": True}
    network: nn.Module = getattr(unet, plan.architecture.network)(
        input_channels=len(plan.channels),
        num_classes=plan.labels.heads,
        deep_supervision=False,
        **arguments,
    )
    return network
