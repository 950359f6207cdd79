"""Trained weights to ONNX (opset 18, float32, dynamic batch), checked against torch."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

OPSET = 18


def export(
    network: nn.Module, patch: tuple[int, ...], path: Path, names: tuple[str, ...] = ("logits",)
) -> float:
    """Write the network and give the largest difference from torch over max|output|.

    Args:
        patch: size of the input, without batch and channel.
        names: of the outputs.
    """
    network.eval()
    example = torch.rand(2, 1, *patch, generator=torch.Generator().manual_seed(1))
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # The exporter calls itself deprecated; it is the one whose graphs all runtimes take.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            str(path),
            input_names=["image"],
            output_names=list(names),
            dynamic_axes={name: {0: "batch"} for name in ("image", *names)},
            opset_version=OPSET,
            dynamo=False,
        )
    onnx.checker.check_model(str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    one = example[:1]
    with torch.no_grad():
        answer = network(one)
    expected = answer if isinstance(answer, tuple) else (answer,)
    got = session.run(None, {"image": one.numpy()})
    return max(
        float(np.abs(g - e.numpy()).max() / np.abs(e.numpy()).max())
        for g, e in zip(got, expected, strict=True)
    )
