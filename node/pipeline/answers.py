"""What a destination can answer to an object, and what a link to a destination can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from node.ledger.outbox import ResultObject
from node.ledger.peers import CLASS, STATUS, SYNTAX


@dataclass(frozen=True, slots=True)
class Accepted:
    """The destination answered success or a warning."""

    warning: str = ""


@dataclass(frozen=True, slots=True)
class RefusedForGood:
    """The destination will not take this object, now or later.

    Attributes:
        about: CLASS or SYNTAX where it is not this object alone; STATUS where it may be; ""
            where it says nothing about the destination.
    """

    cause: str
    about: str = STATUS


@dataclass(frozen=True, slots=True)
class Passing:
    """The destination could not take this object now.

    Attributes:
        out_of_resources: it says that it is full (0xA7xx): other objects may fare no better.
        broke_off: no answer came; what is left of the link is of no use.
    """

    cause: str
    out_of_resources: bool = False
    broke_off: bool = False


Answer = Accepted | RefusedForGood | Passing

#: How the cause of a C-STORE without an answer begins.
NO_RESPONSE = "no response"

MEANINGS = {
    0xA900: "data set does not match SOP class",
    0xC000: "cannot understand",
    0x0105: "no such attribute",
    0x0106: "invalid attribute value",
    0x0110: "processing failure",
    0x0111: "duplicate SOP instance UID",
    0x0112: "no such SOP instance",
    0x0117: "invalid SOP instance UID",
    0x0119: "SOP class and instance contradict each other",
    0x0122: "SOP class not supported",
    0x0124: "not authorised",
    0x0131: "duplicate transaction UID",
    0x0210: "duplicate invocation",
    0x0211: "unrecognised operation",
    0x0213: "resource limitation",
}


#: PS3.4 table B.2-1; the object was kept.
WARNINGS = {
    0xB000: "the destination changed some of its attributes",
    0xB006: "the destination left some of its attributes out",
    0xB007: "data set does not match SOP class",
}
#: The same numbers as answers to C-FIND, PS3.4 table C.4-1.
FIND_MEANINGS = {0xA900: "identifier does not match SOP class", 0xC000: "unable to process"}


def meaning_of(status: int, *, find: bool = False) -> str:
    """A failure status in words, with its number (PS3.7 annex C, PS3.4 table B.2-1).

    Args:
        find: as an answer to C-FIND instead of C-STORE.
    """
    family = status & 0xFF00 if status & 0xF000 == 0xA000 else status
    family = 0xC000 if status & 0xF000 == 0xC000 else family
    words = "out of resources" if family == 0xA700 else MEANINGS.get(family, "refused")
    words = FIND_MEANINGS.get(family, words) if find else words
    return f"{words} (0x{status:04X})"


def judge_status(status: int | None) -> Answer:
    """Read a C-STORE response status, PS3.4 table B.2-1 and PS3.7 annex C."""
    if status is None:
        return Passing(f"{NO_RESPONSE}: the association broke off or timed out", broke_off=True)
    if status == 0x0000:
        return Accepted()
    if status & 0xF000 == 0xB000 or status in (0x0001, 0x0107, 0x0116):
        told = f": {WARNINGS[status]}" if status in WARNINGS else ""
        return Accepted(f"warning 0x{status:04X}{told}")
    if status & 0xFF00 == 0xA700 or status == 0x0213:
        return Passing(meaning_of(status), out_of_resources=True)
    if status == 0x0110:
        return Passing(meaning_of(status))
    return RefusedForGood(meaning_of(status), CLASS if status == 0x0122 else STATUS)


class Link(Protocol):
    """An open way to a destination; used by one thread.

    Attributes:
        is_open: False once it broke off: the rest needs another one.
        why_no_commitment, why_no_query: "" where this proof can be asked for.
    """

    is_open: bool
    why_no_commitment: str
    why_no_query: str

    def send(self, path: Path) -> Answer:
        """Send one Part 10 file."""
        ...

    def find(self, item: ResultObject) -> bool:
        """Does the destination hold the object? Raises DeliveryError when it cannot say."""
        ...

    def commit(self, transaction_uid: str, items: Sequence[ResultObject]) -> Answer:
        """Ask it to commit itself to these objects (PS3.4 J.3.2); the report comes later."""
        ...

    def listen(self, seconds: float) -> None:
        """Leave it open a while for what the destination has to say."""
        ...

    def close(self) -> None:
        """End it; never raises."""
        ...


class Peer(Protocol):
    """How a destination is reached."""

    def open(self, items: Sequence[ResultObject]) -> Link:
        """A link that can carry these objects, and prove them.

        Raises:
            DeliveryError: nobody answers, or this node is turned away.
        """
        ...


__all__ = [
    "CLASS",
    "NO_RESPONSE",
    "STATUS",
    "SYNTAX",
    "Accepted",
    "Answer",
    "Link",
    "Passing",
    "Peer",
    "RefusedForGood",
    "judge_status",
    "meaning_of",
]
