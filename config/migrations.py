"""Older layouts of `appliance.yaml`, brought to the present one while they are read.

The file itself is never rewritten. Each step works on the tree with its places, so that a fault
in an old file is still reported at the line on which the operator wrote it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from config.document import (
    Document,
    Entry,
    MappingNode,
    ScalarNode,
    Step,
    child,
)
from config.schema import CURRENT_VERSION
from node.domain.errors import ConfigError, ConfigFault


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a migration did.

    Attributes:
        notes: what was read under another name, for the operator; nothing is wrong with it.
        faults: what could not be brought over.
    """

    notes: list[ConfigFault] = field(default_factory=list)
    faults: list[ConfigFault] = field(default_factory=list)


def migrate(document: Document) -> Migrated:
    """Bring the tree to the present version, in place.

    A version that is missing or no number is left for the schema to report.

    Raises:
        ConfigError: the file is of a later version than this Vigie knows.
    """
    done = Migrated()
    node = document.node(("version",))
    version = node.value if isinstance(node, ScalarNode) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        return done
    if version > CURRENT_VERSION:
        raise ConfigError(faults=[_too_new(document, version)])
    for step in range(version, CURRENT_VERSION):
        _STEPS[step](document, done)
        entry = document.root.entries["version"]
        document.root.entries["version"] = Entry(
            entry.place, ScalarNode(entry.node.place, step + 1, str(step + 1))
        )
        done.notes.append(
            document.fault(
                ("version",),
                f"layout {step} was read as layout {step + 1}",
                f"write version: {step + 1} once the lines named here are changed",
            )
        )
    return done


def _too_new(document: Document, version: int) -> ConfigFault:
    return document.fault(
        ("version",),
        f"this file was written for a newer Vigie; this one knows layouts up to {CURRENT_VERSION}",
        "install the Vigie that the file belongs to, or start from the appliance.yaml that came "
        "with this one",
        got=str(version),
    )


def _to_version_1(document: Document, done: Migrated) -> None:
    """The drafts before the first release: `scp:` for `receiver:`, `quiet_seconds` inside it."""
    _move(document, done, ("scp",), ("receiver",))
    _move(document, done, ("receiver", "quiet_seconds"), ("completion", "quiet_time_s"))
    _move(document, done, ("receiver", "allow"), ("receiver", "peers"))
    _move(document, done, ("storage", "watermark_percent"), ("storage", "refuse_above_percent"))


_STEPS: dict[int, Callable[[Document, Migrated], None]] = {0: _to_version_1}


def _move(document: Document, done: Migrated, old: tuple[str, ...], new: tuple[str, ...]) -> None:
    """Give a value another key, in the same or another section; nothing where it is not given."""
    source = _section(document, old[:-1])
    if source is None or old[-1] not in source.entries:
        return
    entry = source.entries[old[-1]]
    old_name, new_name = ".".join(old), ".".join(new)
    if document.node(new) is not None:
        done.faults.append(
            document.fault_at(
                entry.place,
                old,
                f"the old name of '{new_name}', which stands in this file as well",
                f"delete '{old[-1]}'",
            )
        )
        del source.entries[old[-1]]
        return
    target = _section(document, new[:-1])
    if target is None:
        target = MappingNode(entry.place)
        document.root.entries[new[0]] = Entry(entry.place, target)
    del source.entries[old[-1]]
    target.entries[new[-1]] = entry
    done.notes.append(
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
