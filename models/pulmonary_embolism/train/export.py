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


def export(network: nn.Module, patch: tuple[int, ...], path: Path) -> float:
    """Write the network and give the largest difference from torch over max|output|."""
    network.eval()
    example = torch.rand(2, 1, *patch, generator=torch.Generator().manual_seed(1))
    axes = {"image": {0: "batch"}, "logits": {0: "batch"}}
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # The exporter calls itself deprecated; instance norm keeps its statistics on purpose.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            str(path),
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    onnx.checker.check_model(str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    one = example[:1]
    with torch.no_grad():
        expected = network(one).numpy()
    (got,) = session.run(None, {"image": one.numpy()})
    return float(np.abs(got - expected).max() / np.abs(expected).max())
