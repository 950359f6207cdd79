"""Older layouts of `appliance.yaml`, brought to the present one while they are read.

The file itself is never rewritten. Each step works on the tree with its places, so that a fault
in an old file is still reported at the line on which the operator wrote it.
"""

from __future__ import annotations

from collections.abc import Callable

from config.document import (
    Document,
    Entry,
    MappingNode,
    ScalarNode,
    Step,
    child,
)
from config.messages import close_to
from config.schema import CURRENT_VERSION
from node.domain.errors import ConfigError, ConfigFault

Notes = list[ConfigFault]


def migrate(document: Document) -> tuple[ConfigFault, ...]:
    """Bring the tree to the present version, in place; returns what was changed, for people.

    Raises:
        ConfigError: the file does not say its version, or one that this Vigie does not know.
    """
    version = _version(document)
    notes: Notes = []
    for step in range(version, CURRENT_VERSION):
        _STEPS[step](document, notes)
        entry = document.root.entries["version"]
        document.root.entries["version"] = Entry(
            entry.place, ScalarNode(entry.node.place, step + 1, str(step + 1))
        )
    return tuple(notes)


def _version(document: Document) -> int:
    node = document.node(("version",))
    if node is None:
        meant = close_to("version", document.root.entries)
        remedy = f"add the line 'version: {CURRENT_VERSION}' at the top"
        place = document.key_place((meant,) if meant else ())
        why = "this key is required and missing (version of the file's layout)"
        if meant:
            remedy = f"rename '{meant}' to 'version'"
        raise ConfigError(faults=[document.fault_at(place, ("version",), why, remedy)])
    value = node.value if isinstance(node, ScalarNode) else None
    text = node.text if isinstance(node, ScalarNode) else ""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(
            faults=[
                document.fault(
                    ("version",),
                    "must be the number of the file's layout",
                    f"write version: {CURRENT_VERSION}",
                    got=f"'{text}'" if text else "",
                )
            ]
        )
    if value > CURRENT_VERSION:
        raise ConfigError(
            faults=[
                document.fault(
                    ("version",),
                    "this file was written for a newer Vigie; this one knows layouts up to "
                    f"{CURRENT_VERSION}",
                    "install the Vigie that the file belongs to, or start from the appliance.yaml "
                    "that came with this one",
                    got=text,
                )
            ]
        )
    return value


def _to_version_1(document: Document, notes: Notes) -> None:
    """The drafts before the first release: `scp:` for `receiver:`, `quiet_seconds` inside it."""
    _move(document, notes, ("scp",), ("receiver",))
    _move(document, notes, ("receiver", "quiet_seconds"), ("completion", "quiet_time_s"))
    _move(document, notes, ("receiver", "allow"), ("receiver", "peers"))
    _move(document, notes, ("storage", "watermark_percent"), ("storage", "refuse_above_percent"))


_STEPS: dict[int, Callable[[Document, Notes], None]] = {0: _to_version_1}


def _move(document: Document, notes: Notes, old: tuple[str, ...], new: tuple[str, ...]) -> None:
    """Give a value another key, in the same or another section; nothing where it is not given."""
    source = _section(document, old[:-1])
    if source is None or old[-1] not in source.entries:
        return
    entry = source.entries[old[-1]]
    old_name, new_name = ".".join(old), ".".join(new)
    if document.node(new) is not None:
        raise ConfigError(
            faults=[
                document.fault_at(
                    entry.place,
                    old,
                    f"the old name of '{new_name}', which stands in this file as well",
                    f"delete '{old[-1]}'",
                )
            ]
        )
    target = _section(document, new[:-1])
    if target is None:
        target = MappingNode(entry.place)
        document.root.entries[new[0]] = Entry(entry.place, target)
    del source.entries[old[-1]]
    target.entries[new[-1]] = entry
    notes.append(
        document.fault_at(
            entry.place, old, f"read as '{new_name}'", f"rename '{old_name}' to '{new_name}'"
        )
    )


def _section(document: Document, steps: tuple[Step, ...]) -> MappingNode | None:
    node = document.root
    for step in steps:
        below = child(node, step)
        if not isinstance(below, MappingNode):
            return None
        node = below
    return node
