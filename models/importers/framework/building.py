"""Builds a MONAI network from its definition as data, and loads its weights strictly."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from monai.networks import nets

from models.importers.framework import without_torchvision
from models.importers.framework.weights import is_script, load_script, load_state
from models.importers.monai_network import DETECTION_PARTS, NETWORKS
from node.domain.errors import ImportRefused

#: Of a state dictionary that does not fit, so many keys are told.
_TOLD = 3


def build_network(
    definition: Mapping[str, Any] | None, weights: Path, own_code: Path | None = None
) -> tuple[torch.nn.Module, list[str]]:
    """The network in evaluation mode with its weights, and notes for the card.

    Args:
        definition: as `models.importers.monai_network` has it; None for a TorchScript file.
        own_code: folder of a bundle whose own Python builds the network, which was allowed.

    Raises:
        ImportRefused: unknown class or arguments, or the weights do not fit exactly.
    """
    if is_script(weights):
        network: torch.nn.Module = load_script(weights)
        return network, [
            f"{weights.name} is TorchScript: the network is the author's program for PyTorch's "
            "interpreter, not the class that the configuration names"
        ]
    if own_code is not None:
        from models.importers.framework.monai_code import build_own_network  # noqa: PLC0415

        without_torchvision.provide()
        built = build_own_network(own_code)
        fit(built, load_state(weights), weights.name)
        return built.eval(), ["the network was built by the bundle's own Python (--allow-code)"]
    if definition is None:
        raise ImportRefused.once(weights.name, "there is no network to load it into", "see --help")
    notes: list[str] = []
    if without_torchvision.provide():
        notes.append("built without torchvision, by equal parts")
    network = _build(definition, notes)
    if not isinstance(network, torch.nn.Module):
        raise ImportRefused.once(
            "network_def", "it is no network", "name a class of monai.networks.nets"
        )
    fit(network, load_state(weights), weights.name)
    return network.eval(), [note for note in notes if _matters(note, definition)]


def fit(network: torch.nn.Module, state: Mapping[str, torch.Tensor], name: str) -> None:
    """Load a state dictionary; every key and every shape must fit.

    Raises:
        ImportRefused: they do not; the first few differences are named.
    """
    own = network.state_dict()
    missing = [key for key in own if key not in state]
    strange = [key for key in state if key not in own]
    wrong = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    told = [
        f"{len(keys)} {what} ({', '.join(keys[:_TOLD])})"
        for what, keys in (("lacking", missing), ("unknown", strange), ("of another size", wrong))
        if keys
    ]
    if told:
        raise ImportRefused.once(
            name,
            f"the weights do not fit the network: {'; '.join(told)}",
            "take weights and configuration from the same version of the bundle",
        )
    network.load_state_dict(dict(state), strict=True)


def _build(definition: Mapping[str, Any], notes: list[str]) -> Any:  # noqa: ANN401 - a module or a part
    builder = _builder(str(definition["build"]))
    arguments = {key: _value(item, notes) for key, item in definition["arguments"].items()}
    positional = [_value(item, notes) for item in definition["positional"]]
    for key in _not_taken(builder, arguments):
        del arguments[key]
        notes.append(
            f"{definition['build']}: this MONAI does not know the argument `{key}`; it was left "
            "out, and the weights fit exactly without it"
        )
    try:
        return builder(*positional, **arguments)
    except (TypeError, ValueError, AssertionError, RuntimeError, KeyError) as error:
        raise ImportRefused.once(
            f"network_def: {definition['build']}",
            f"MONAI refuses its arguments ({' '.join(str(error).split())[:300]})",
            "compare the MONAI version of the bundle's metadata with the import environment's",
        ) from None


def _value(item: Any, notes: list[str]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(item, Mapping):
        if "build" in item and "arguments" in item:
            return _build(item, notes)
        return {key: _value(entry, notes) for key, entry in item.items()}
    if isinstance(item, list):
        return [_value(entry, notes) for entry in item]
    return item


def _builder(name: str) -> Callable[..., Any]:
    """The class or function of an allow-listed name; nothing else is ever looked up."""
    if name in DETECTION_PARTS:
        from monai.apps.detection.networks import retinanet_network  # noqa: PLC0415 - rarely needed

        builder: Callable[..., Any] = getattr(retinanet_network, name)
        return builder
    if name in NETWORKS and hasattr(nets, name):
        builder = getattr(nets, name)
        return builder
    raise ImportRefused.once(
        "network_def", f"`{name}` is not in this MONAI", "see models/IMPORT.md for known networks"
    )


def _not_taken(builder: Callable[..., Any], arguments: Mapping[str, Any]) -> list[str]:
    parameters = inspect.signature(builder).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return []
    names = {parameter.name for parameter in parameters}
    return [key for key in arguments if key not in names]


def _matters(note: str, definition: Mapping[str, Any]) -> bool:
    if "torchvision" not in note:
        return True
    return str(definition["build"]) in ("TorchVisionFCModel", "RetinaNet")
