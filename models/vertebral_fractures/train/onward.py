"""Take up an exported network again: its weights, without what exporting folded away."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import nn

from models.vertebral_fractures.train.network import Outline


@torch.no_grad()
def taken_up(path: Path, images: torch.Tensor) -> Outline:
    """The network of an ONNX file, to be trained on.

    Exporting folds each normalisation into the convolution before it. Here each gets the mean and
    the spread that these images give back, so that it changes nothing at first.

    Args:
        images: (n, 1, 64, 64) in 0..1.

    Raises:
        ValueError: the file is of another network.
    """
    graph = onnx.load(path).graph
    stored = {one.name: torch.tensor(numpy_helper.to_array(one)) for one in graph.initializer}
    folded = [
        (stored[node.input[1]], stored[node.input[2]])
        for node in graph.node
        if node.op_type == "Conv" and tuple(stored[node.input[1]].shape[2:]) == (3, 3)
    ]
    network = Outline()
    own = {name: value for name, value in stored.items() if name in network.state_dict()}
    network.load_state_dict(own, strict=False)
    blocks = [network.first, network.second, network.third, network.fourth, *network.merge]
    pairs = [
        (one, after)
        for block in blocks
        for one, after in zip(block, list(block)[1:], strict=False)
        if isinstance(one, nn.Conv2d) and isinstance(after, nn.BatchNorm2d)
    ]
    if [tuple(one.weight.shape) for one, _ in pairs] != [tuple(w.shape) for w, _ in folded]:
        raise ValueError(f"{path} holds another network than this recipe trains")
    for (one, after), (weight, bias) in zip(pairs, folded, strict=True):
        one.weight.copy_(weight)
        seen: list[torch.Tensor] = []
        hook = one.register_forward_hook(lambda _m, _i, out, to=seen: to.append(out))
        network(images)
        hook.remove()
        (out,) = seen
        mean, spread = out.mean((0, 2, 3)), out.var((0, 2, 3), unbiased=False)
        after.running_mean.copy_(mean)
        after.running_var.copy_(spread)
        after.weight.copy_((spread + after.eps).sqrt())
        after.bias.copy_(bias + mean)
    return network
