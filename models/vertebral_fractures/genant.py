"""How much height a body has lost, and the grade of Genant that this makes.

Heights are held against two expectations: the body's own posterior height with the usual form of
its level, and the heights of its neighbours with the usual growth from level to level. A loss is
the mean of both; a body that is low by only one of them is uncertain, and never an alarm.
Grades: Genant et al., J Bone Miner Res 1993;8:1137 (20, 25 and 40 %).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from models.vertebral_fractures.measuring import Body

LIMITS = (0.20, 0.25, 0.40)
"""Losses from which on a body has grade 1, 2 and 3."""

#: Levels from above, with usual heights: posterior, mm, and anterior and middle as parts of it.
#: Rounded from what morphometry of adults reports; only ratios are used.
USUAL = {
    "T1": (17.0, 0.95, 0.94), "T2": (17.8, 0.95, 0.94), "T3": (18.2, 0.95, 0.94),
    "T4": (18.7, 0.96, 0.94), "T5": (19.2, 0.96, 0.94), "T6": (19.9, 0.95, 0.94),
    "T7": (20.6, 0.95, 0.94), "T8": (21.2, 0.95, 0.94), "T9": (21.9, 0.95, 0.94),
    "T10": (23.0, 0.95, 0.94), "T11": (24.3, 0.94, 0.93), "T12": (25.8, 0.94, 0.92),
    "L1": (27.0, 0.95, 0.92), "L2": (27.6, 0.99, 0.92), "L3": (27.5, 1.02, 0.93),
    "L4": (26.6, 1.05, 0.95), "L5": (24.6, 1.13, 1.00),
}  # fmt: skip
#: Where no level is stated: growth of the heights from one body to the next below.
_GROWTH = 1.03
_ANY = (0.0, 0.97, 0.935)
#: How far away neighbours still say something, levels.
_FAR = 4
#: Standard deviation of what is usual, as a part of the height: of the form, of the size.
FORM, SIZE = 0.03, 0.035
UNNAMED = 0.02
#: Below this loss behind, the body's own posterior height is what the others are held against.
_BEHIND = 0.15
#: By so much the loss behind may pass that in front and in the middle.
_BEHIND_ALONE = 0.05
#: Bodies differ by so much anyway, as a part of the height.
ANYWAY = 0.15
#: Blur fills what is broken in: of a true loss so much is not measured, on slices so far apart, mm;
#: measured on 100 simulated spines (the development set). Beyond the last nothing is added: there
#: a wrong endplate would be made worse, and sound bodies be called possible.
_HIDDEN = ((0.0, 0.02), (1.5, 0.04), (2.5, 0.08), (3.05, 0.10))
#: The lowest body is no vertebra where its middle and its back are higher than so many neighbours
#: let expect by this part; on simulated spines (seeds from 1,700,000 on) no vertebra was by 0.12.
_TOO_HIGH, _HELD_AGAINST = 0.18, 3
#: No sound vertebra near an end, transitional ones too, was low by so much where bodies were
#: measured on both sides: of the development set and its variants none by 0.25.
_FAR_TOO_LOW = 0.36
#: A person's own form is learnt from at least so many bodies.
_ENOUGH = 5


class Deformity(StrEnum):
    """Where the height is lost."""

    NONE = "none"
    WEDGE = "wedge"
    BICONCAVE = "biconcave"
    CRUSH = "crush"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grading:
    """What one body's heights say.

    Attributes:
        losses: anterior, middle, posterior: share of the expected height that is lost; below 0
            where it is higher than expected. by_form, by_size: the two that they are means of.
        loss: the largest of the three. deformity: where it is, if more is
            lost than bodies differ anyway.
        grade: 0 to 3, of the loss as it is measured. certainty: probability that the true loss,
            with what blur hides of it, is of grade 2 or more, 0..1. lost: probability that it is
            more than bodies differ anyway.
        is_extrapolated: height is lost behind as well and its own form shows no grade, so that only
            the neighbours tell; on one side fewer than two whole bodies were recognised, or none of
            them was measured, and no level is known.
            A transitional vertebra and the one above it are so, and so are the last ones in view of
            a person whose heights change more from level to level than usual.
        is_between: on each side of it a body was measured that is not low as a whole itself.
        is_at_pelvis: it is the lowest, bones of the pelvis are near, and no level is known.
    """

    losses: tuple[float, float, float]
    by_form: tuple[float, float, float]
    by_size: tuple[float, float, float]
    loss: float
    deformity: Deformity
    grade: int
    certainty: float
    lost: float
    is_extrapolated: bool = False
    is_between: bool = False
    is_at_pelvis: bool = False

    @property
    def agrees(self) -> bool:
        """Do form and size both say that height is lost at the lowest place?"""
        at = self.losses.index(max(self.losses))
        return min(self.by_form[at], self.by_size[at]) >= 0.6 * LIMITS[0]

    @property
    def may_be_usual(self) -> bool:
        """Is its size alone no proof: near an end, and not lower than any vertebra there is?"""
        return self.is_extrapolated and not (self.is_between and self.loss >= _FAR_TOO_LOW)

    @property
    def may_be_sacral(self) -> bool:
        """May it be a piece of the sacrum, which narrows to the front?"""
        return self.is_at_pelvis and self.losses[0] == max(self.losses)

    @property
    def is_behind_alone(self) -> bool:
        """Is most of the height lost behind? No form of Genant is so; a wrong endplate often."""
        return self.losses[2] > max(self.losses[:2]) + _BEHIND_ALONE


def grade_bodies(
    bodies: Sequence[Body],
    slice_mm: float = 0.0,
    whole: Collection[int] = (),
    *,
    at_pelvis: bool = False,
) -> list[Grading]:
    """A grading of each, in the same order.

    Args:
        slice_mm: distance of the slices; 0 where the heights are exact.
        whole: numbers from below of whole bodies that were recognised and not measured.
        at_pelvis: bones of the pelvis are near the lowest body.
    """
    usual = [_usual(body) for body in bodies]
    own = _own_form(bodies, usual)
    shown = 1.0 - _hidden(slice_mm)
    found = []
    first = [_graded(bodies, usual, own, index, shown) for index in range(len(bodies))]
    numbers = [body.place.number for body in bodies]
    low = {
        n for n, one in zip(numbers, first, strict=True) if one.is_extrapolated and one.grade > 1
    }
    for index, grading in enumerate(first):
        lonely = _is_near_an_end(bodies, index, whole)
        number = numbers[index]
        # Beside another that is low as a whole both may be transitional, or sacrum.
        ways = [other > number for other in numbers if other != number and other not in low]
        found.append(
            replace(
                grading,
                is_extrapolated=grading.is_extrapolated and lonely,
                is_between=any(ways) and not all(ways),
                is_at_pelvis=at_pelvis and number == 0 and not bodies[index].place.level,
            )
        )
    return found


def is_lowest_too_high(bodies: Sequence[Body]) -> bool:
    """Is the lowest of some bodies, from below, higher than any vertebra beside the others is?

    A fracture makes a body lower. What is higher by far, in its middle and behind, holds more than
    one body: a part of the sacrum, which narrows to the front, would pass for a wedge.
    """
    if len(bodies) <= _HELD_AGAINST:
        return False
    usual = [_usual(body) for body in bodies]
    own = _own_form(bodies, usual)
    size = _by_neighbours(bodies, usual, own, 0)
    expected = (size * usual[0][2] * own[1], size)
    return all(
        height > (1.0 + _TOO_HIGH) * least
        for height, least in zip(bodies[0].heights_mm[1:], expected, strict=True)
    )


def _hidden(slice_mm: float) -> float:
    """Share of a true loss that is not measured."""
    if not 0.0 < slice_mm <= _HIDDEN[-1][0]:
        return 0.0
    at, shares = zip(*_HIDDEN, strict=True)
    return float(np.interp(slice_mm, at, shares))


def _usual(body: Body) -> tuple[float, float, float]:
    """Posterior height, mm, and the ratios in front and in the middle."""
    level = body.place.level
    if level in USUAL:
        return USUAL[level]
    return (27.0 * _GROWTH ** (-body.place.number), *_ANY[1:])


def _own_form(
    bodies: Sequence[Body], usual: Sequence[tuple[float, float, float]]
) -> tuple[float, float]:
    """This person's form against the usual one, in front and in the middle: medians."""
    if len(bodies) < _ENOUGH:
        return 1.0, 1.0
    found = []
    for part in (0, 1):
        ratios = [
            body.heights_mm[part] / body.heights_mm[2] / each[part + 1]
            for body, each in zip(bodies, usual, strict=True)
        ]
        found.append(float(np.clip(np.median(ratios), 0.95, 1.05)))
    return found[0], found[1]


def _graded(
    bodies: Sequence[Body],
    usual: Sequence[tuple[float, float, float]],
    own: tuple[float, float],
    index: int,
    shown: float,
) -> Grading:
    body = bodies[index]
    heights = body.heights_mm
    form = (usual[index][1] * own[0], usual[index][2] * own[1], 1.0)
    size = _by_neighbours(bodies, usual, own, index)
    by_size = tuple(1 - h / (size * f) for h, f in zip(heights, form, strict=True))
    # A body that is crushed behind as well is no measure of itself.
    base = heights[2] if by_size[2] < _BEHIND else size
    by_form = tuple(1 - h / (base * f) for h, f in zip(heights, form, strict=True))
    alone = max(1 - h / (heights[2] * f) for h, f in zip(heights, form, strict=True))
    losses = tuple((a + b) / 2 for a, b in zip(by_form, by_size, strict=True))
    at = int(np.argmax(losses))
    loss = losses[at]
    noise = body.spread_mm * math.sqrt(2) / max(heights[2], 8.0)
    named = 0.0 if body.place.level else UNNAMED
    usual_spread = math.hypot(FORM, SIZE) / 2
    disagreement = abs(by_form[at] - by_size[at]) / 4
    spread = math.sqrt(noise**2 + usual_spread**2 + named**2 + disagreement**2)
    grade = sum(loss >= limit for limit in LIMITS)
    return Grading(
        losses=_three(losses),
        by_form=_three(by_form),
        by_size=_three(by_size),
        loss=loss,
        deformity=_deformity(losses),
        grade=grade,
        certainty=_above((loss / shown - LIMITS[1]) * shown / spread),
        lost=_above((loss / shown - ANYWAY) * shown / spread),
        is_extrapolated=by_size[2] >= _BEHIND and alone < LIMITS[0],
    )


def _is_near_an_end(bodies: Sequence[Body], index: int, whole: Collection[int]) -> bool:
    """Is it without a level, and may it be transitional, or has it neighbours on one side alone?

    A transitional vertebra is the last one, and the one above it may be as low. A body with two
    whole ones on each side is neither, measured or not; but on each side one must be
    measured, or what its neighbours let expect is no mean between them.
    """
    own = bodies[index].place
    measured = [other.place.number - own.number for other in bodies]
    recognised = {*measured, *(number - own.number for number in whole)}
    for side in (-1, 1):
        if not any(side * away > 0 for away in measured):
            return not own.level
        if sum(side * away > 0 for away in recognised) < 2:
            return not own.level
    return False


def _by_neighbours(
    bodies: Sequence[Body],
    usual: Sequence[tuple[float, float, float]],
    own: tuple[float, float],
    index: int,
) -> float:
    """Posterior height that the neighbours let expect, mm; its own where it has none.

    Of each neighbour the tallest of its three heights counts, brought to the back: a fractured
    one is still tall somewhere.
    """
    values, weights = [], []
    for other, each in zip(bodies, usual, strict=True):
        away = abs(other.place.number - bodies[index].place.number)
        if not 0 < away <= _FAR:
            continue
        tallest = max(
            other.heights_mm[0] / (each[1] * own[0]),
            other.heights_mm[1] / (each[2] * own[1]),
            other.heights_mm[2],
        )
        values.append(tallest * usual[index][0] / each[0])
        weights.append(1.0 / away)
    if not values:
        return bodies[index].heights_mm[2]
    return _weighted_median(values, weights)


def _weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    order = np.argsort(values)
    ranked, heavy = np.array(values)[order], np.array(weights)[order]
    middle = (np.cumsum(heavy) - heavy / 2) / heavy.sum()
    return float(np.interp(0.5, middle, ranked))


def _deformity(losses: Sequence[float]) -> Deformity:
    """Where the loss is, from what bodies differ anyway on."""
    if max(losses) < ANYWAY:
        return Deformity.NONE
    front, middle, behind = losses
    if behind >= LIMITS[0] * 0.85:
        return Deformity.CRUSH
    return Deformity.WEDGE if front >= middle - 0.03 else Deformity.BICONCAVE


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    return values[0], values[1], values[2]


def _above(score: float) -> float:
    return 0.5 * (1.0 + math.erf(score / math.sqrt(2.0)))
