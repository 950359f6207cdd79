"""Parts of torchvision that MONAI's networks ask for, where torchvision cannot be installed.

PyPI's torchvision comes with another, larger PyTorch. Three things suffice: a sub-network that
gives the outputs of some of its layers (for feature pyramids), a rule of trainable layers that
does not matter for inference, and residual networks of He et al. 2016 (arXiv 1512.03385) whose
parameters have torchvision's names, so that weights trained with it load.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections import OrderedDict
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

#: (kind of block, blocks of the four stages).
_RESNETS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
    "resnet101": ("bottleneck", (3, 4, 23, 3)),
    "resnet152": ("bottleneck", (3, 8, 36, 3)),
}


def provide() -> bool:
    """Put these parts where MONAI looks for torchvision; False where the real one is there."""
    if importlib.util.find_spec("torchvision") is not None:
        return False
    pyramid = importlib.import_module("monai.networks.blocks.backbone_fpn_utils")
    getter = SimpleNamespace(IntermediateLayerGetter=LayerOutputs)
    vars(pyramid)["torchvision_models"] = SimpleNamespace(_utils=getter)
    retina = importlib.import_module("monai.apps.detection.networks.retinanet_network")
    vars(retina)["_validate_trainable_layers"] = _trainable_layers
    classifier = importlib.import_module("monai.networks.nets.torchvision_fc")
    builders = {name: _builder(*shape) for name, shape in _RESNETS.items()}
    vars(classifier)["models"] = SimpleNamespace(**builders)
    return True


def _trainable_layers(
    _pretrained: bool, _asked: int | None, max_value: int, **_rest: object
) -> int:
    return max_value


class LayerOutputs(nn.ModuleDict):  # type: ignore[misc] # torch has no types here
    """A network up to its last wanted layer; gives the outputs of the wanted ones by new names."""

    def __init__(self, model: nn.Module, return_layers: Mapping[str, str]) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        waiting = set(return_layers)
        for name, layer in model.named_children():
            layers[name] = layer
            waiting.discard(name)
            if not waiting:
                break
        super().__init__(layers)
        self.return_layers = dict(return_layers)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Outputs in the order of the layers."""
        outputs: OrderedDict[str, torch.Tensor] = OrderedDict()
        for name, layer in self.items():
            image = layer(image)
            if name in self.return_layers:
                outputs[self.return_layers[name]] = image
        return outputs


class _Basic(nn.Module):  # type: ignore[misc]
    """Two 3 x 3 convolutions and the way around them."""

    growth = 1

    def __init__(self, entering: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(entering, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(entering, width * self.growth, stride)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        inner = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(image)))))
        around = image if self.downsample is None else self.downsample(image)
        return self.relu(inner + around)


class _Bottleneck(nn.Module):  # type: ignore[misc]
    """1 x 1, 3 x 3, 1 x 1, the stride in the middle, and the way around them."""

    growth = 4

    def __init__(self, entering: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(entering, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.growth, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.growth)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(entering, width * self.growth, stride)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        inner = self.relu(self.bn1(self.conv1(image)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        inner = self.bn3(self.conv3(inner))
        around = image if self.downsample is None else self.downsample(image)
        return self.relu(inner + around)


def _shortcut(entering: int, leaving: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and entering == leaving:
        return None
    return nn.Sequential(
        nn.Conv2d(entering, leaving, 1, stride, bias=False), nn.BatchNorm2d(leaving)
    )


class _ResNet(nn.Module):  # type: ignore[misc]
    """Children in torchvision's order: MONAI takes them by their place."""

    def __init__(self, block: Any, counts: tuple[int, ...]) -> None:  # noqa: ANN401 - a class
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        entering = 64
        for stage, count in enumerate(counts):
            width = 64 << stage
            layers = []
            for number in range(count):
                stride = 2 if stage and number == 0 else 1
                layers.append(block(entering, width, stride))
                entering = width * block.growth
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(entering, 1000)


def _builder(kind: str, counts: tuple[int, ...]) -> Any:  # noqa: ANN401 - a function of one network
    def build(weights: object = None, **arguments: object) -> _ResNet:
        if weights is not None or arguments:
            raise TypeError(f"a {kind} network takes no arguments here, got {sorted(arguments)}")
        return _ResNet(_Basic if kind == "basic" else _Bottleneck, counts)

    return build
