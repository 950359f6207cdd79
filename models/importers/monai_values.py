"""Values of a MONAI configuration that are no plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from node.domain.errors import ImportFault

#: Plain values, lists and dicts of them, `Component`, `Unknown` or `Named`.
Value = Any


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that is not understood; harmless as long as nobody needs it."""

    where: str
    why: str
    remedy: str = (
        "write the value out as plain data, or, if you trust its authors, import with --allow-code"
    )

    def fault(self) -> ImportFault:
        """To be told."""
        return ImportFault(where=self.where, why=self.why, remedy=self.remedy)


@dataclass(frozen=True, slots=True)
class Named:
    """A dotted name that stands for itself, such as `torch.float32`."""

    name: str


@dataclass(frozen=True, slots=True)
class Component:
    """An object to be built: what MONAI writes as `_target_` or as a call.

    Attributes:
        target: as written. where: key path. arguments: by keyword. positional: others.
    """

    target: str
    where: str
    arguments: Mapping[str, Value] = field(default_factory=dict)
    positional: tuple[Value, ...] = ()

    @property
    def name(self) -> str:
        """The last part of `target`."""
        return self.target.rpartition(".")[2]

    def get(self, key: str, default: Value = None) -> Value:
        """An argument, or the default where it is not given."""
        return self.arguments.get(key, default)


def unknowns(value: Value) -> tuple[Unknown, ...]:
    """Everything below a value that is not understood."""
    if isinstance(value, Unknown):
        return (value,)
    if isinstance(value, Component):
        return unknowns([*value.arguments.values(), *value.positional])
    if isinstance(value, Mapping):
        return unknowns(list(value.values()))
    if isinstance(value, list | tuple):
        return tuple(found for item in value for found in unknowns(item))
    return ()


def plain(value: Value, component: Callable[[Component], Any] | None = None) -> Any:  # noqa: ANN401
    """As JSON: names as text, components by the function given."""
    if isinstance(value, Component) and component is not None:
        return component(value)
    if isinstance(value, Named):
        return value.name
    if isinstance(value, Mapping):
        return {key: plain(item, component) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, component) for item in value]
    return value
