"""Sandboxed program: what MONAI's own parser makes of a bundle's expressions.

This runs Python that came with the bundle. It is started only with --allow-code, in a process
that has no network, reads nothing but the bundle and libraries, and writes into a scratch
folder. What it gives back are plain values by key path; the configuration is then read as data
as any other, with these values in place of the expressions.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.importers.exchange import Json, answer
from node.domain.errors import ImportRefused

#: Parts of the configuration that a package is made of.
_SECTIONS = (
    "preprocessing",
    "inferer",
    "postprocessing",
    "detector",
    "anchor_generator",
    "image_key",
)
_NAMES = ("inference.json", "inference.yaml", "inference.yml")
_LONGEST_LIST = 10_000


def open_parser(folder: Path) -> Any:  # noqa: ANN401 - MONAI's ConfigParser
    """MONAI's parser over the bundle's inference configuration, its `scripts` importable."""
    from monai.bundle import ConfigParser  # noqa: PLC0415 - slow to import

    path = next(
        folder / "configs" / name for name in _NAMES if (folder / "configs" / name).exists()
    )
    sys.path.insert(0, str(folder))
    parser = ConfigParser()
    parser.read_config(str(path))
    parser["bundle_root"] = str(folder)
    return parser


def main(request: Json, folder: Path) -> Json:
    """Overrides by key path."""
    parser = open_parser(Path(request["folder"]))
    overrides: dict[str, Any] = {}
    for section in _SECTIONS:
        for key in _expressions(parser.config.get(section), section):
            found, value = _evaluated(parser, key)
            if found:
                overrides[key] = value
    return {"overrides": overrides}


def build_own_network(folder: Path) -> torch.nn.Module:
    """The network as the bundle's own code builds it.

    Raises:
        ImportRefused: it does not build one.
    """
    parser = open_parser(folder)
    name = "network_def" if "network_def" in parser.config else "network"
    try:
        network = parser.get_parsed_content(name, instantiate=True)
    except Exception as error:
        told = " ".join(str(error).split())[:300]
        raise ImportRefused.once(
            f"{name}",
            f"the bundle's own code fails ({type(error).__name__}: {told})",
            "ask its authors; MONAI's version may differ from theirs",
        ) from None
    if not isinstance(network, torch.nn.Module):
        raise ImportRefused.once(
            name, f"it gives {type(network).__name__}, no network", "ask its authors"
        )
    return network


def _expressions(item: Any, key: str) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Key paths of everything below that is computed."""
    if isinstance(item, str) and item.startswith(("$", "@", "%")):
        yield key
    elif isinstance(item, Mapping):
        for name, entry in item.items():
            yield from _expressions(entry, f"{key}#{name}")
    elif isinstance(item, list):
        for number, entry in enumerate(item):
            yield from _expressions(entry, f"{key}#{number}")


def _evaluated(parser: Any, key: str) -> tuple[bool, Any]:  # noqa: ANN401
    """(True, value) where it comes to plain data; objects stay what they are."""
    with contextlib.suppress(Exception):
        value = _plain(parser.get_parsed_content(key.replace("#", "::")))
        return True, value
    return False, None


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Raises TypeError for what is no plain data."""
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.Tensor | np.ndarray):
        return _plain(value.tolist())
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple) and len(value) <= _LONGEST_LIST:
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    raise TypeError(type(value).__name__)


if __name__ == "__main__":
    sys.exit(answer(main))
