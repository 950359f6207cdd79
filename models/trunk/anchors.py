"""What vertebral levels were counted from, in words."""

from __future__ import annotations

from collections.abc import Sequence

#: Said where one end alone is in view: nobody can then see a vertebra too many or too few.
ALONE = "a transitional vertebra, or another number of ribs, would shift every level by one"


def counted_from(anchors: Sequence[str]) -> str:
    """The anchors; where there is one alone, also what it cannot show."""
    if len(anchors) == 1:
        return f"{anchors[0]} alone: {ALONE}"
    return " and ".join(anchors)
