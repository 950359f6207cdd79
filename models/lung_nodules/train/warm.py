"""A network that goes on from exported weights, in which every normalisation is folded away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

Folded = nn.Conv3d | nn.Linear


def begin(network: nn.Module, start: Path, images: torch.Tensor) -> None:
    """Weights to go on from: of a `.pt` file as they are, of an exported `.onnx` file unfolded."""
    if start.suffix == ".onnx":
        load_exported(network, start, images)
    else:
        network.load_state_dict(torch.load(start, weights_only=True))


def load_exported(network: nn.Module, path: Path, images: torch.Tensor) -> None:
    """Give a network the weights of an ONNX file of its own kind.

    The export multiplied each normalisation into the convolution before it. Here every
    normalisation gets the statistics that the images have there, and the gain and shift that undo
    them, so that the network answers as the file does and can be trained on.

    Args:
        images: (batch, 1, z, y, x) in 0..1, as in training; more are better statistics.

    Raises:
        ValueError: the file is of another kind of network.
    """
    layers = dict(_called(network, images[:1]))
    stored = list(_weights(path))
    if len(layers) != len(stored):
        raise ValueError(f"{path} has {len(stored)} layers with weights, not {len(layers)}")
    network.eval()
    with torch.no_grad():
        for (layer, norm), (weight, bias) in zip(layers.items(), stored, strict=True):
            if layer.weight.shape != weight.shape:
                raise ValueError(f"{path}: a layer of {weight.shape}, not {layer.weight.shape}")
            layer.weight.copy_(torch.from_numpy(weight))
            if norm is None:
                assert layer.bias is not None
                layer.bias.copy_(torch.from_numpy(bias))
                continue
            norm.running_mean.zero_()
            norm.running_var.fill_(1 - norm.eps)
            norm.weight.fill_(1.0)
            norm.bias.copy_(torch.from_numpy(bias))
        _standardise([norm for norm in layers.values() if norm is not None], network, images)


def _standardise(norms: list[nn.BatchNorm3d], network: nn.Module, images: torch.Tensor) -> None:
    """Statistics of the images into each normalisation, which answers as before."""
    seen: dict[nn.BatchNorm3d, torch.Tensor] = {}
    hooks = [
        norm.register_forward_pre_hook(lambda at, args: seen.update({at: args[0]}))
        for norm in norms
    ]
    network(images)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        mean = seen[norm].mean((0, 2, 3, 4))
        spread = seen[norm].var((0, 2, 3, 4), unbiased=False).clamp(min=1e-4)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(spread)
        norm.weight.copy_((spread + norm.eps).sqrt())
        norm.bias.add_(mean)


def _called(
    network: nn.Module, image: torch.Tensor
) -> Iterator[tuple[Folded, nn.BatchNorm3d | None]]:
    """Layers with weights in the order of their use, each with its normalisation."""
    order: list[nn.Module] = []
    kinds = (nn.Conv3d, nn.Linear, nn.BatchNorm3d)
    hooks = [
        module.register_forward_hook(lambda at, *_: order.append(at))
        for module in network.modules()
        if isinstance(module, kinds)
    ]
    network.eval()
    with torch.no_grad():
        network(image)
    for hook in hooks:
        hook.remove()
    for index, layer in enumerate(order):
        if isinstance(layer, nn.Conv3d | nn.Linear):
            after = order[index + 1] if index + 1 < len(order) else None
            yield layer, after if isinstance(after, nn.BatchNorm3d) else None


def _weights(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Weight and bias of each convolution and product of an ONNX file, in its order."""
    graph = onnx.load(str(path)).graph
    values = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            yield values[node.input[1]].copy(), values[node.input[2]].copy()
