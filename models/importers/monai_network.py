"""The network of a MONAI bundle: an allow-listed class and plain arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.importers.faults import Faults
from models.importers.monai_config import MonaiConfig
from models.importers.monai_values import Component, Named, Value

#: Classes and functions of `monai.networks.nets` that compute an output from one image.
NETWORKS = frozenset(
    {
        "AttentionUnet",
        "BasicUNet",
        "BasicUnet",
        "BasicUNetPlusPlus",
        "DenseNet",
        "DenseNet121",
        "DenseNet169",
        "DenseNet201",
        "DenseNet264",
        "Densenet121",
        "DynUNet",
        "EfficientNetBN",
        "FlexibleUNet",
        "FlexUNet",
        "HighResNet",
        "MedNeXt",
        "ResNet",
        "SEResNet50",
        "SEResNet101",
        "SEResNet152",
        "SEResNext50",
        "SEResNext101",
        "SegResNet",
        "SegResNetDS",
        "SwinUNETR",
        "TorchVisionFCModel",
        "UNETR",
        "UNet",
        "Unet",
        "VNet",
        "ViT",
        "resnet10",
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "resnet200",
    }
)
#: Parts of detection networks.
DETECTION_PARTS = frozenset({"RetinaNet", "resnet_fpn_feature_extractor"})
#: Where those may be said to lie.
_PACKAGES = ("monai.networks.nets", "monai.apps.detection.networks.retinanet_network")
#: Arguments that would download weights.
_DOWNLOADS = ("pretrained", "pretrained_backbone")
#: Names that stand for themselves.
_TYPES = ("torch.float32", "torch.float", "numpy.float32", "np.float32")

#: {"build": class, "arguments": {...}, "positional": [...]}: what the sandboxed program builds.
Definition = Mapping[str, Any]


def read_network(config: MonaiConfig, faults: Faults) -> Definition | None:
    """The definition of `network_def`, or of `network`; None where faults were found."""
    key = "network_def" if config.has("network_def") else "network"
    if not config.has(key):
        faults.add(
            config.where("network_def"),
            "there is no network definition",
            "name the inference configuration of the bundle",
        )
        return None
    value = config.value(key)
    if not faults.known(value):
        return None
    if not isinstance(value, Component):
        faults.add(
            config.where(key),
            f"a network is expected, found {type(value).__name__}",
            "write it as `_target_` with arguments",
        )
        return None
    return _definition(value, faults, outermost=True)


def _definition(component: Component, faults: Faults, *, outermost: bool) -> Definition:
    allowed = NETWORKS | DETECTION_PARTS
    package = component.target.rpartition(".")[0]
    inside = package == "" or any(
        package == known or package.startswith(f"{known}.") for known in _PACKAGES
    )
    if component.name not in allowed or not inside:
        own = component.target.startswith("scripts.")
        faults.add(
            component.where,
            f"the network `{component.target}` is "
            + ("the bundle's own Python" if own else "not in the vocabulary"),
            "known are classes of monai.networks.nets such as UNet or SegResNet; if you trust the "
            "bundle's authors, import with --allow-code",
        )
    arguments = {}
    for name, value in component.arguments.items():
        if name in _DOWNLOADS and value not in (False, None):
            faults.note(
                f"{component.name}: `{name}` was set to false; weights come with the bundle"
            )
            value = False  # noqa: PLW2901 - the same argument
        arguments[name] = _plain(value, component, faults)
    positional = [_plain(value, component, faults) for value in component.positional]
    kind = "network" if outermost else "part"
    return {
        "build": component.name,
        "kind": kind,
        "arguments": arguments,
        "positional": positional,
    }


def _plain(value: Value, owner: Component, faults: Faults) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, Component):
        return _definition(value, faults, outermost=False)
    if isinstance(value, Named):
        if value.name not in _TYPES:
            faults.add(
                owner.where,
                f"the argument `{value.name}` is a Python object",
                "write it out as plain data",
            )
        return value.name
    if isinstance(value, Mapping):
        return {str(key): _plain(item, owner, faults) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, owner, faults) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    faults.add(owner.where, f"an argument of type {type(value).__name__}", "write plain data")
    return None
