"""A configuration that may still have faults, as the cross-checks see it.

A value with a fault of its own is unsettled: what depends on it is left unjudged, so that one
mistake is reported once and all other mistakes are still found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydantic import BaseModel

from config.document import (
    MERGE,
    Document,
    MappingNode,
    Plain,
    ScalarNode,
    SequenceNode,
    plain,
    shown,
)
from config.schema_walk import field_at
from node.domain.errors import ConfigFault

Faults = Iterator[ConfigFault]


class Unsettled(Exception):
    """The value has a fault or is missing; never leaves `config`."""


def settled(faults: Faults) -> Faults:
    """The faults, up to the first value that is unsettled."""
    try:
        yield from faults
    except Unsettled:
        return


class Draft:
    """Values by path, the schema's default where the file says nothing."""

    def __init__(
        self, document: Document, schema: type[BaseModel], faults: Collection[ConfigFault]
    ) -> None:
        self._document = document
        self._schema = schema
        self._faulty = tuple(fault.key for fault in faults)

    def names(self, *steps: str) -> tuple[str, ...]:
        """The keys of a section, faulty ones included; each stands in the file.

        Raises Unsettled where the section could not be read.
        """
        if self._document.is_unread((*steps, MERGE)):
            raise Unsettled
        node = self._document.node(steps)
        return tuple(node.entries) if isinstance(node, MappingNode) else ()

    def entries(self, *steps: str | int) -> tuple[str, ...]:
        """The texts of a list, "" for what is no text; raises Unsettled where there is no list."""
        if self._document.is_unread(steps):
            raise Unsettled
        node = self._document.node(steps)
        if node is None:
            return ()
        if not isinstance(node, SequenceNode):
            raise Unsettled
        return tuple(str(item.value) if isinstance(item, ScalarNode) else "" for item in node.items)

    def given(self, *steps: str | int) -> bool:
        """True when the file itself has the key."""
        return self._document.node(steps) is not None

    def text(self, *steps: str | int) -> str:
        """A text; "" where the value is null."""
        value = self._value(steps)
        return "" if value is None else str(value)

    def number(self, *steps: str | int) -> float:
        """A number; raises Unsettled where there is none."""
        value = self._value(steps)
        if not isinstance(value, int | float):
            raise Unsettled
        return float(value)

    def truth(self, *steps: str | int) -> bool:
        """A boolean."""
        return self._value(steps) is True

    def fault(self, steps: tuple[str | int, ...], why: str, remedy: str) -> ConfigFault:
        """A fault at a value; at the nearest parent that the file has, for a default."""
        node = self._document.node(steps)
        got = shown(node, str(steps[-1])) if isinstance(node, ScalarNode) else ""
        if node is None or not isinstance(node, ScalarNode):
            place = self._document.key_place(steps)
            return self._document.fault_at(place, steps, why, remedy)
        return self._document.fault(steps, why, remedy, got=got)

    def line(self, *steps: str | int) -> int:
        """The line on which a key stands."""
        return self._document.key_place(steps).line

    def _value(self, steps: tuple[str | int, ...]) -> Plain:
        if self._document.is_unread(steps):
            raise Unsettled
        key = ".".join(map(str, steps))
        for faulty in self._faulty:
            if faulty == key or key.startswith(f"{faulty}.") or faulty.startswith(f"{key}."):
                raise Unsettled
        node = self._document.node(steps)
        if node is not None:
            return plain(node)
        field = field_at(self._schema, steps)
        if field is None or field.is_required():
            raise Unsettled
        default: Plain = field.get_default(call_default_factory=True)
        return default
