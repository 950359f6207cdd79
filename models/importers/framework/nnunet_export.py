"""Sandboxed program: the network of an nnU-Net results folder becomes ONNX.

Request:
    folder, folds ["fold_0", ...], checkpoint: see `models.importers.nnunet_folder`.
Writes:
    net.onnx, or fold_0.onnx ...  input "image", output "logits"; batch dynamic, patch fixed.
    net.exact.onnx, ...           the same with normalisations that sum in stages.
    golden_input.npy              (1, channel, *patch) float32, values that float16 holds.
    golden_net.npy, ...           (1, class, *patch) float32, as PyTorch computed it.
Report:
    networks, norms (rewritten in each exact one), configuration, trainer, mirror_axes,
    parameters (of one fold), exporter, versions.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.importers.exchange import Json, answer
from models.importers.framework.exact_norms import with_exact_norms
from models.importers.framework.nnunet_network import Checkpoint, build_network, load_checkpoint
from models.importers.nnunet_json import Doubts
from models.importers.nnunet_plans import Plan, read_plan
from models.importers.nnunet_trainers import judge_trainer
from node.domain.errors import ImportRefused

_OPSET_DYNAMO, _OPSET_TORCHSCRIPT = 20, 17
_LARGEST_BATCH = 64
_GOLDEN_SEED = 20
_PACKAGES = ("torch", "dynamic-network-architectures", "onnx", "onnxscript", "nnunetv2")


def export(request: Json, out: Path) -> Json:
    """See the module."""
    folder = Path(request["folder"])
    files = [folder / fold / request["checkpoint"] for fold in request["folds"]]
    checkpoints = [load_checkpoint(path) for path in files]
    configuration, trainer, axes = _common(checkpoints, request["folds"])
    doubts = Doubts(request["checkpoint"])
    judge_trainer(trainer, doubts)
    doubts.settle()
    plan = read_plan(folder, configuration)
    image = _golden_input(plan)
    np.save(out / "golden_input.npy", image)
    names = ["net"] if len(checkpoints) == 1 else list(request["folds"])
    parameters, norms, exporters = 0, 0, []
    for name, checkpoint in zip(names, checkpoints, strict=True):
        network = build_network(plan, checkpoint)
        parameters = sum(tensor.numel() for tensor in network.parameters())
        with torch.inference_mode():
            np.save(out / f"golden_{name}.npy", network(torch.from_numpy(image)).numpy())
        exporters.append(_to_onnx(network, plan, out / f"{name}.onnx"))
        norms = with_exact_norms(out / f"{name}.onnx", out / f"{name}.exact.onnx")
    return {
        "networks": [f"{name}.onnx" for name in names],
        "norms": norms,
        "configuration": configuration,
        "trainer": trainer,
        "mirror_axes": [axis for axis in axes if axis < plan.dimensions],
        "parameters": parameters,
        "exporter": ", ".join(dict.fromkeys(exporters)),
        "versions": _versions(),
    }


def _common(
    checkpoints: Sequence[Checkpoint], folds: Sequence[str]
) -> tuple[str, str, tuple[int, ...]]:
    """Configuration, trainer and mirrored axes, which all folds must share."""
    first = checkpoints[0]
    shared = (first.configuration, first.trainer, first.mirror_axes)
    for fold, other in zip(folds, checkpoints, strict=True):
        theirs = (other.configuration, other.trainer, other.mirror_axes)
        if theirs != shared:
            raise ImportRefused.once(
                fold,
                f"it is of another training than {folds[0]}: {theirs} and {shared}",
                "name folds of one training below 'folds:' of the form",
            )
    return shared


def _golden_input(plan: Plan) -> NDArray[np.float32]:
    """A seeded image of several grain sizes in the range of normalised values."""
    rng = np.random.default_rng(_GOLDEN_SEED)
    image = np.zeros((1, len(plan.channels), *plan.patch), np.float32)
    inside = (slice(None), slice(None), *(slice(0, size) for size in plan.patch))
    for step, share in ((16, 0.8), (4, 0.5), (1, 0.2)):
        sizes = [-(-size // step) for size in plan.patch]
        grains = rng.standard_normal((1, len(plan.channels), *sizes)).astype(np.float32)
        for axis in range(2, grains.ndim):
            grains = grains.repeat(step, axis=axis)
        image += np.float32(share) * grains[inside]
    return image.astype(np.float16).astype(np.float32)


def _to_onnx(network: nn.Module, plan: Plan, path: Path) -> str:
    """Write the graph; returns the exporter that managed to."""
    # torch.export takes sizes 0 and 1 as fixed, so that the example has two images.
    example = torch.zeros((2, len(plan.channels), *plan.patch))
    names = {"input_names": ["image"], "output_names": ["logits"]}
    try:
        batch = torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)
        torch.onnx.export(
            network,
            (example,),
            path,
            dynamo=True,
            opset_version=_OPSET_DYNAMO,
            dynamic_shapes=({0: batch},),
            external_data=False,
            verbose=False,
            **names,
        )
    except Exception as error:
        sys.stderr.write(f"dynamo: {type(error).__name__}: {error}\n")
    else:
        return f"torch.onnx dynamo, opset {_OPSET_DYNAMO}"
    with torch.inference_mode():
        torch.onnx.export(
            network,
            (example[:1],),
            path,
            dynamo=False,
            opset_version=_OPSET_TORCHSCRIPT,
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
            **names,
        )
    return f"torch.onnx TorchScript, opset {_OPSET_TORCHSCRIPT}"


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(answer(export))
