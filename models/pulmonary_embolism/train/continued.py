"""Starting from an exported network: its layers into one that is as wide, or wider.

Exported convolutions hold the batch norm after them. The batch norms of the new network are set so
that it computes the same as before, and from there learns as any other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import nn

from models.pulmonary_embolism.train.networks import FoldedUNet


def take_over(network: FoldedUNet, path: Path, images: Sequence[torch.Tensor]) -> None:
    """Put the weights of an exported network into this one, which then answers as it does.

    Channels that the exported one lacks start at random, and nothing that was there before
    listens to them: only training finds a use for them.

    Args:
        images: (n, 1, z, y, x) in 0..1, on which the statistics of the batch norms are measured.

    Raises:
        ValueError: the exported network has other layers, or is wider.
    """
    given = list(_convolutions(path))
    wide = list(_layers(network))
    if len(given) != len(wide):
        raise ValueError(f"{path.name} has {len(given)} convolutions, not {len(wide)}")
    old = [1] + [weight.shape[0] for weight, _ in given]
    with torch.no_grad():
        for (weight, bias), (layer, norm, sources) in zip(given, wide, strict=True):
            _put(layer, weight, bias, norm, _places(old, network, sources))
        _settle(network, [norm for _, norm, _ in wide if norm is not None], images)


Group = tuple[int, int]


def _places(old: list[int], network: FoldedUNet, sources: tuple[int, ...]) -> list[Group]:
    """Of each input that a layer joins: channels in the old network, and in the new one."""
    if sources == (0,):
        return [(len(network.ramps), len(network.ramps))]
    new = [layer.out_channels for layer, _, _ in _layers(network)]
    return [(old[source], new[source - 1]) for source in sources]


def _put(
    layer: nn.Conv3d, weight: torch.Tensor, bias: torch.Tensor, norm: nn.BatchNorm3d | None,
    groups: list[Group],
) -> None:  # fmt: skip
    outs = weight.shape[0]
    if outs > layer.out_channels or sum(group[0] for group in groups) != weight.shape[1]:
        raise ValueError("the exported network is wider, or has other layers")
    layer.weight[:outs] = 0.0
    there, here = 0, 0
    for was, now in groups:
        layer.weight[:outs, here : here + was] = weight[:, there : there + was]
        there, here = there + was, here + now
    offsets = norm.bias if norm is not None else layer.bias
    assert offsets is not None
    if norm is not None:
        # Until `_settle`: the identity, and the exported offset.
        norm.weight.fill_(math.sqrt(1.0 + norm.eps))
        offsets.zero_()
    offsets[:outs] = bias


def _settle(
    network: FoldedUNet, norms: list[nn.BatchNorm3d], images: Sequence[torch.Tensor]
) -> None:
    """Statistics of what reaches each batch norm; weights and offsets that undo them."""
    network.eval()
    sums = [torch.zeros(3, norm.num_features, dtype=torch.float64) for norm in norms]

    def watched(index: int) -> nn.modules.module.RemovableHandle:  # type: ignore[name-defined]
        def hook(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            flat = inputs[0].double().transpose(0, 1).flatten(1)
            sums[index] += torch.stack(
                [flat.sum(1), flat.square().sum(1), torch.full((len(flat),), flat.shape[1])]
            )

        return norms[index].register_forward_pre_hook(hook)

    hooks = [watched(index) for index in range(len(norms))]
    for image in images:
        network(image)
    for hook in hooks:
        hook.remove()
    for norm, (total, squares, count) in zip(norms, sums, strict=True):
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=1e-6)
        norm.running_mean.copy_(mean)  # type: ignore[union-attr]
        norm.running_var.copy_(variance)  # type: ignore[union-attr]
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias += mean


def _convolutions(path: Path) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Weights and offsets in the order in which they are computed."""
    graph = onnx.load(str(path)).graph
    stored = {
        one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer
    }
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in stored:
            # Equal ones are stored once.
            stored[node.output[0]] = stored[node.input[0]]
    for node in graph.node:
        if node.op_type == "Conv":
            yield stored[node.input[1]], stored[node.input[2]]


def _layers(
    network: FoldedUNet,
) -> Iterator[tuple[nn.Conv3d, nn.BatchNorm3d | None, tuple[int, ...]]]:
    """Each convolution, its batch norm, and the convolutions (from 1; 0: the image) it reads."""
    yield network.fold, None, (0,)
    last, kept = 1, []
    blocks = [[network.first], *[list(stage) for stage in network.down]]  # type: ignore[arg-type]
    for stage in blocks:
        for block in stage:
            yield block[0], block[1], (last,)  # type: ignore[index, misc]
            last += 1
        kept.append(last)
    for block, skip in zip(network.up, reversed(kept[:-1]), strict=True):
        yield block[0], block[1], (last, skip)  # type: ignore[index, misc]
        last += 1
    yield network.head, None, (last,)
