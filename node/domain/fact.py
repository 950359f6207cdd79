"""What a fact of a series is: its kind, its unit, the values that can occur, where it comes from.

The table of facts in `config/RULES.md`, the conditions in `appliance.yaml` and the sentences in
the ledger are all made from these.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

#: Key under which a dataclass field carries its `Fact`.
METADATA = "fact"


class Kind(StrEnum):
    """How a fact is compared."""

    CHOICE = "one of a list"
    TEXT = "text"
    NUMBER = "number"
    FLAG = "true or false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that can be known of a series.

    Attributes:
        title: as it stands in a sentence ("slice thickness").
        meaning: one line for the table of facts.
        attributes: DICOM keywords that it is read from; a table of headers that lacks all of
            them cannot tell it.
        choices: the values that can occur, of a CHOICE.
        unit, low, high: of a NUMBER; outside of low..high nothing can lie.
        pixels: it is seen in the pixels, never told by a header.
    """

    kind: Kind
    title: str
    meaning: str
    attributes: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    unit: str = ""
    low: float = 0.0
    high: float = 0.0
    pixels: bool = False


def choice(title: str, meaning: str, choices: tuple[str, ...], *attributes: str) -> Any:  # noqa: ANN401 - the type of a dataclass field
    """A fact with a closed list of values; None where it is not known."""
    return _known(
        Fact(kind=Kind.CHOICE, title=title, meaning=meaning, choices=choices, attributes=attributes)
    )


def text(title: str, meaning: str, *attributes: str) -> Any:  # noqa: ANN401 - as above
    """A fact in free text."""
    return _known(Fact(kind=Kind.TEXT, title=title, meaning=meaning, attributes=attributes))


def number(
    title: str,
    meaning: str,
    unit: str,
    bounds: tuple[float, float],
    *attributes: str,
    pixels: bool = False,
) -> Any:  # noqa: ANN401 - as above
    """A number with its unit and what can occur at all."""
    return _known(
        Fact(
            kind=Kind.NUMBER,
            title=title,
            meaning=meaning,
            unit=unit,
            low=bounds[0],
            high=bounds[1],
            attributes=attributes,
            pixels=pixels,
        )
    )


def flag(title: str, meaning: str, *attributes: str, pixels: bool = False) -> Any:  # noqa: ANN401 - as above
    """True, False, or None where it is not known."""
    return _known(
        Fact(kind=Kind.FLAG, title=title, meaning=meaning, attributes=attributes, pixels=pixels)
    )


def seen(title: str, meaning: str, choices: tuple[str, ...]) -> Any:  # noqa: ANN401 - as above
    """A choice that only the pixels tell."""
    return _known(
        Fact(kind=Kind.CHOICE, title=title, meaning=meaning, choices=choices, pixels=True)
    )


def _known(fact: Fact) -> Any:  # noqa: ANN401 - as above
    return field(default=None, metadata={METADATA: fact})
