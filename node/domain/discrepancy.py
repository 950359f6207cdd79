"""Instances that came again under their UIDs with other bytes: what differs, what is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from node.domain.study import Instance


class Kind(StrEnum):
    """What differs."""

    #: Whose images they are, and nothing of the images themselves.
    IDENTITY = "identity"
    #: Anything else that a result could rest on.
    CONTENT = "content"
    #: Nothing that a result rests on: private elements, or how it is encoded.
    FORM = "form"


class Decision(StrEnum):
    """What is done about it."""

    #: The newer instances are the current ones.
    TAKEN = "taken"
    #: Nobody knows which are right: nothing is analysed until somebody says.
    HELD = "held back"
    #: The first ones stay current, both are kept.
    APART = "kept apart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How the newer instances of one series differ from those that came first.

    Attributes:
        newer: the instances that came later. keywords: attributes that differ, sorted.
        newer_identity, earlier_identity: values by keyword where all instances agree; a
            keyword of which they do not agree is missing. Never logged.
    """

    kind: Kind
    newer: tuple[Instance, ...]
    earlier: tuple[Instance, ...]
    keywords: tuple[str, ...]
    newer_identity: dict[str, str] = field(default_factory=dict, repr=False)
    earlier_identity: dict[str, str] = field(default_factory=dict, repr=False)
