"""Bodies and discs are stacked: between two neighbours lies a disc, and no more.

An endplate that was put through the middle of a body makes the body low and the disc beside it as
high as no disc is. A fracture lowers a body and leaves its discs, but for what sinks into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from models.vertebral_fractures.measuring import Body, Looked, Unmeasured

#: Between two bodies may lie this many times the usual distance of this person, and so much more
#: at least, mm: as deep as endplates sink, in the mean from front to back.
MOST, LEAST_MORE_MM = 2.0, 10.0
#: So many other distances tell what is usual.
_ENOUGH = 2


def gap_mm(lower: Body, upper: Body) -> float:
    """From the upper endplate of a body to the lower one of the next, mean of front to back."""
    between = upper.points_mm[:, 1] - lower.points_mm[:, 0]
    return float(np.linalg.norm(between, axis=-1).mean())


def stacked(looked: Sequence[Looked]) -> list[Looked]:
    """The bodies from below; of two with more than a disc between them the lower in height is not
    measured.
    """
    found = list(looked)
    gaps = _gaps(found)
    for number, gap in gaps.items():
        most = _most(gaps, number)
        if most is None or gap <= most:
            continue
        pair = {k: one for k in (number, number + 1) if isinstance(one := found[k], Body)}
        if len(pair) == 2:
            wrong = min(pair, key=lambda k: float(np.mean(pair[k].heights_mm)))
            found[wrong] = Unmeasured(
                place=pair[wrong].place,
                reason=f"its endplates are not clear: {gap:.0f} mm lie between it and its "
                f"neighbour, where {most:.0f} mm are the most that a disc of this person could be",
            )
    return found


def fits(body: Body, looked: Sequence[Looked]) -> bool:
    """Does another look at a body leave no more than discs between it and its neighbours?"""
    number = body.place.number
    gaps = _gaps(looked)
    rest = {k: gap for k, gap in gaps.items() if k not in (number - 1, number)}
    most = _most(rest, -1)
    if most is None:
        return True
    beside = []
    for other in looked:
        if isinstance(other, Body) and abs(other.place.number - number) == 1:
            pair = sorted((body, other), key=lambda one: one.place.number)
            beside.append(gap_mm(*pair))
    return all(gap <= most for gap in beside)


def _gaps(looked: Sequence[Looked]) -> dict[int, float]:
    """By the index of the lower one, of measured neighbours."""
    return {
        index: gap_mm(lower, upper)
        for index, (lower, upper) in enumerate(pairwise(looked))
        if isinstance(lower, Body) and isinstance(upper, Body)
    }


def _most(gaps: dict[int, float], but: int) -> float | None:
    """The largest distance that counts as a disc; None where too few tell what is usual."""
    others = [gap for index, gap in gaps.items() if index != but]
    if len(others) < _ENOUGH:
        return None
    usual = float(np.median(others))
    return max(MOST * usual, usual + LEAST_MORE_MM)
