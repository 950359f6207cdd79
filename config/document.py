"""A YAML file as a tree in which every key and value knows its line and column."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from config.syntax import Place, may_be_secret
from node.domain.errors import ConfigFault

PlainScalar = str | int | float | bool | None
Plain = PlainScalar | list["Plain"] | dict[str, "Plain"]


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """One value. `text` is what was written, `value` what YAML 1.2 makes of it."""

    place: Place
    value: PlainScalar
    text: str


@dataclass(frozen=True, slots=True)
class SequenceNode:
    """A list."""

    place: Place
    items: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its place, and its value."""

    place: Place
    node: Node


@dataclass(frozen=True, slots=True)
class MappingNode:
    """A section: keys in the order of the file."""

    place: Place
    entries: dict[str, Entry] = field(default_factory=dict)


#: The merge key of YAML 1.1.
MERGE = "<<"

Node = ScalarNode | SequenceNode | MappingNode
Step = str | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file, read.

    Attributes:
        path: of the file. root: its top section.
        faults: duplicate keys (the tree holds the first of each), and what is not read here.
        unread: paths whose values the tree lacks because of such a fault; one that ends in
            `<<` stands for any key of its section.
    """

    path: Path
    root: MappingNode
    faults: tuple[ConfigFault, ...]
    unread: tuple[tuple[str, ...], ...] = ()

    def is_unread(self, steps: tuple[Step, ...]) -> bool:
        """True where the file says something that could not be read."""
        texts = tuple(map(str, steps))
        absent = self.node(steps) is None
        return any(
            texts[: len(path)] == path or (absent and path[-1] == MERGE and texts[:-1] == path[:-1])
            for path in self.unread
            if path
        )

    def fault(
        self, steps: tuple[Step, ...], why: str, remedy: str, *, got: str = ""
    ) -> ConfigFault:
        """A fault at the value that the steps lead to, or at its nearest existing parent."""
        return self.fault_at(self.place(steps), steps, why, remedy, got=got)

    def fault_at(
        self, place: Place, steps: tuple[Step, ...], why: str, remedy: str, *, got: str = ""
    ) -> ConfigFault:
        """A fault at a place."""
        return ConfigFault(
            file=str(self.path),
            line=place.line,
            column=place.column,
            key=".".join(map(str, steps)),
            why=why,
            got=got,
            remedy=remedy,
        )

    def node(self, steps: tuple[Step, ...]) -> Node | None:
        """The value that the steps lead to, or None where the file has no such key."""
        found: Node | None = self.root
        for step in steps:
            found = child(found, step)
        return found

    def place(self, steps: tuple[Step, ...]) -> Place:
        """Where the value stands; of what is not in the file, where its parent's key stands."""
        node = self.node(steps)
        if node is not None:
            return node.place
        return self.key_place(steps[:-1]) if steps else self.root.place

    def key_place(self, steps: tuple[Step, ...]) -> Place:
        """Where the last key stands; of a list entry, where the entry begins."""
        if not steps:
            return Place(1, 1)
        parent = self.node(steps[:-1])
        if isinstance(parent, MappingNode) and steps[-1] in parent.entries:
            return parent.entries[str(steps[-1])].place
        node = self.node(steps)
        return node.place if node is not None else self.key_place(steps[:-1])


def child(node: Node | None, step: Step) -> Node | None:
    """The value under one key or index, or None."""
    if isinstance(node, MappingNode):
        entry = node.entries.get(str(step))
        return entry.node if entry else None
    if isinstance(node, SequenceNode) and isinstance(step, int) and 0 <= step < len(node.items):
        return node.items[step]
    return None


def plain(node: Node) -> Plain:
    """The tree without its places."""
    if isinstance(node, MappingNode):
        return {key: plain(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, SequenceNode):
        return [plain(item) for item in node.items]
    return node.value


def shown(node: Node | None, key: str = "") -> str:
    """The value as it goes into a message: short, quoted, and nothing that may be a secret."""
    if node is None:
        return ""
    if isinstance(node, MappingNode):
        return f"a section with {len(node.entries)} keys" if node.entries else "an empty section"
    if isinstance(node, SequenceNode):
        return f"a list of {len(node.items)}" if node.items else "an empty list"
    if node.value is None:
        return ""
    in_address = "@" in node.text and "://" in node.text
    if in_address or (may_be_secret(key) and not node.text.startswith("file:")):
        return "a value that is not shown"
    text = node.text if len(node.text) <= 60 else node.text[:57] + "..."
    text = text.encode("unicode_escape").decode("ascii") if not text.isprintable() else text
    return f"'{text}'" if isinstance(node.value, str) else text
