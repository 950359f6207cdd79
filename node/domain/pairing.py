"""Two models on one study: do they say the same?"""

from __future__ import annotations

from enum import StrEnum


class Pair(StrEnum):
    """What two results of one study say of one finding; one that is missing is never negative."""

    BOTH_POSITIVE = "both positive"
    ONLY_FIRST = "only the first"
    ONLY_SECOND = "only the second"
    BOTH_NEGATIVE = "both negative"
    NOT_COMPARED = "not compared"


def paired(first: bool | None, second: bool | None) -> Pair:
    """From what each says; None: it has no result that can be positive or negative."""
    if first is None or second is None:
        return Pair.NOT_COMPARED
    if first:
        return Pair.BOTH_POSITIVE if second else Pair.ONLY_FIRST
    return Pair.ONLY_SECOND if second else Pair.BOTH_NEGATIVE
