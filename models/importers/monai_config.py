"""A MONAI bundle's configuration as data: references followed, expressions read, nothing run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from models.importers.monai_grammar import read_expression
from models.importers.monai_values import Component, Unknown, Value
from node.domain.errors import ImportRefused

#: Keys of a component that are no arguments.
_SPECIAL = ("_target_", "_disabled_", "_requires_", "_desc_", "_mode_")
_SEPARATOR = re.compile(r"#|::")
_LARGEST_FILE = 5_000_000
_DEEPEST = 60
_MISSING = object()


class _Loader(yaml.SafeLoader):
    """YAML without aliases, which can be nested into a bomb, and without date magic."""

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - PyYAML's own types
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)


class _TextLoader(yaml.BaseLoader):
    """Every value as text: a digest of digits is no number."""


def read_tree(path: Path, name: str, *, as_text: bool = False) -> Mapping[str, Any]:
    """A JSON or YAML file as a mapping.

    Args:
        as_text: values of YAML stay as they are written.

    Raises:
        ImportRefused: it is too large, or no such file.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ImportRefused.once(
                name, f"{path.stat().st_size} bytes", "a configuration is smaller than 5 MB"
            )
        text = path.read_text(encoding="utf-8")
        loader = _TextLoader if as_text else _Loader
        tree = json.loads(text) if path.suffix == ".json" else yaml.load(text, loader)  # noqa: S506
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        told = " ".join(str(error).split())[:200]
        raise ImportRefused.once(
            name, f"it cannot be read ({told})", "it must be a JSON or YAML file in UTF-8"
        ) from None
    if not isinstance(tree, dict):
        raise ImportRefused.once(name, "it holds no mapping", "name the bundle's inference file")
    return tree


@dataclass(slots=True)
class MonaiConfig:
    """One configuration file.

    Attributes:
        name: for messages. tree: as read. overrides: values by id that replace what it says.
    """

    name: str
    tree: Mapping[str, Any]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def value(self, key: str) -> Value:
        """What stands at a key path such as "inferer#roi_size"; None where nothing does."""
        item = self._item(key)
        return None if item is _MISSING else self._read(item, key)

    def has(self, key: str) -> bool:
        """Does anything stand there?"""
        return self._item(key) is not _MISSING

    def where(self, key: str) -> str:
        """File and key path, for messages."""
        return f"{self.name}: {key}"

    def _item(self, key: str) -> Any:  # noqa: ANN401 - JSON
        key = "#".join(part for part in _SEPARATOR.split(key) if part)
        if key in self.overrides:
            return self.overrides[key]
        item: Any = self.tree
        for part in key.split("#"):
            if isinstance(item, Mapping) and part in item:
                item = item[part]
            elif isinstance(item, list) and part.isdecimal() and int(part) < len(item):
                item = item[int(part)]
            else:
                return _MISSING
        return item

    def _read(self, item: Any, key: str) -> Value:  # noqa: ANN401 - JSON
        if key in self.overrides:
            return self.overrides[key]
        if isinstance(item, str):
            return self._text(item, key)
        if isinstance(item, list):
            return [self._read(entry, f"{key}#{number}") for number, entry in enumerate(item)]
        if not isinstance(item, Mapping):
            return item
        if key.count("#") > _DEEPEST:
            return Unknown(self.where(key), "nested too deep")
        if "_target_" in item:
            return self._component(item, key)
        return {name: self._read(entry, f"{key}#{name}") for name, entry in item.items()}

    def _text(self, text: str, key: str) -> Value:
        if text.startswith("$"):
            return self._guarded(
                key, lambda: read_expression(text[1:], self.where(key), self._reference)
            )
        if text.startswith("@"):
            return self._guarded(key, lambda: self._reference(text[1:]))
        if text.startswith("%"):
            if "." in text:
                return Unknown(self.where(key), f"`{text}` copies from another file")
            return self._guarded(key, lambda: self._reference(text[1:]))
        return text

    def _guarded(self, key: str, read: Any) -> Value:  # noqa: ANN401 - a function without arguments
        """Circles end here."""
        if key in self._open or len(self._open) > _DEEPEST:
            return Unknown(self.where(key), "it refers to itself")
        self._open.append(key)
        try:
            return read()
        finally:
            self._open.pop()

    def _reference(self, key: str) -> Value:
        if key.startswith(("#", "::")):
            return Unknown(self.name, f"`@{key}` is a relative reference")
        if not self.has(key):
            return Unknown(self.name, f"`@{key}` refers to nothing")
        return self.value(key)

    def _component(self, item: Mapping[str, Any], key: str) -> Value:
        target = item["_target_"]
        if not isinstance(target, str) or target.startswith(("$", "@", "%")):
            return Unknown(self.where(key), f"its `_target_` {target!r} is computed")
        disabled = self._read(item.get("_disabled_", False), f"{key}#_disabled_")
        if disabled is True or disabled == "true":
            return None
        if disabled not in (False, "false", None):
            return Unknown(self.where(key), "whether it is disabled is computed")
        if item.get("_mode_", "default") != "default":
            return Unknown(self.where(key), f"its `_mode_` is {item['_mode_']!r}")
        return Component(
            target,
            self.where(key),
            {
                name: self._read(entry, f"{key}#{name}")
                for name, entry in item.items()
                if name not in _SPECIAL
            },
        )
