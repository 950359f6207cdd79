"""Losses and grades from heights alone: usual forms are none, fractures are, doubt stays doubt."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from models.registry import load_manifest
from models.vertebral_fractures import vocabulary as say
from models.vertebral_fractures.genant import USUAL, Deformity, Grading, grade_bodies
from models.vertebral_fractures.measuring import Body, Looked, Unmeasured, is_whole
from models.vertebral_fractures.pipeline import without_sacrum
from models.vertebral_fractures.verdicts import verdict_of

#: What a site gets.
SHIPPED = load_manifest(Path("models") / "vertebral_fractures").thresholds
LEVELS = ("L5", "L4", "L3", "L2", "L1", "T12", "T11", "T10", "T9", "T8")


def usual(level: str, factors: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> tuple[float, ...]:
    behind, front, middle = USUAL[level]
    return (behind * front * factors[0], behind * middle * factors[1], behind * factors[2])


def bodies(
    wrong: dict[str, tuple[float, float, float]], *, named: bool = True, spread: float = 0.6
) -> list[Body]:
    return [
        cast(
            Body,
            SimpleNamespace(
                place=SimpleNamespace(number=number, level=level if named else ""),
                heights_mm=usual(level, wrong.get(level, (1.0, 1.0, 1.0))),
                spread_mm=spread,
            ),
        )
        for number, level in enumerate(LEVELS)
    ]


def graded(
    wrong: dict[str, tuple[float, float, float]], level: str, *, named: bool = True
) -> Grading:
    return grade_bodies(bodies(wrong, named=named))[LEVELS.index(level)]


def test_bodies_of_usual_form_have_no_grade_at_any_level() -> None:
    for grading in grade_bodies(bodies({})):
        assert grading.grade == 0
        assert abs(grading.loss) < 0.02
        assert grading.certainty < 0.001


def test_the_wedged_thoracolumbar_junction_and_the_short_back_of_l5_are_usual() -> None:
    # 8 % lower in front at T12 and L1 than the usual form, as slim people have it.
    for level in ("T12", "L1"):
        assert graded({level: (0.92, 1.0, 1.0)}, level).grade == 0
    heights = usual("L5")
    assert heights[2] < 0.9 * heights[0]
    assert graded({}, "L5").grade == 0


@pytest.mark.parametrize(
    ("factors", "deformity"),
    [
        ((0.7, 0.9, 1.0), Deformity.WEDGE),
        ((0.95, 0.68, 0.98), Deformity.BICONCAVE),
        ((0.68, 0.68, 0.7), Deformity.CRUSH),
    ],
)
def test_a_loss_of_a_third_is_grade_2_of_its_shape(
    factors: tuple[float, float, float], deformity: Deformity
) -> None:
    grading = graded({"L1": factors}, "L1")
    assert grading.grade == 2
    assert grading.deformity is deformity
    assert grading.certainty > 0.8
    verdict = verdict_of(grading, present=SHIPPED["present"], possible=SHIPPED["possible"])
    assert verdict.finding == say.FRACTURE


def test_losses_of_22_and_45_percent_are_grades_1_and_3() -> None:
    assert graded({"T11": (0.775, 0.9, 1.0)}, "T11").grade == 1
    assert graded({"T11": (0.55, 0.75, 0.95)}, "T11").grade == 3


def test_two_neighbouring_fractures_do_not_excuse_each_other() -> None:
    wrong = {"T12": (0.66, 0.85, 1.0), "L1": (0.62, 0.64, 0.66)}
    assert graded(wrong, "T12").grade == 2
    assert graded(wrong, "L1").grade == 2


def test_a_mild_or_unsure_loss_is_possible_and_never_a_fracture() -> None:
    mild = graded({"T12": (0.77, 0.9, 1.0)}, "T12")
    assert (
        verdict_of(mild, present=SHIPPED["present"], possible=SHIPPED["possible"]).finding
        == say.DEFORMITY
    )
    # Low by its neighbours alone: a small body, or one that was cut out wrongly.
    unsure = Grading(
        losses=(0.3, 0.1, 0.1), by_form=(0.05, 0.1, 0.0), by_size=(0.55, 0.1, 0.2),
        loss=0.3, deformity=Deformity.WEDGE, grade=2, certainty=0.84, lost=0.99,
    )  # fmt: skip
    verdict = verdict_of(unsure, present=SHIPPED["present"], possible=SHIPPED["possible"])
    assert verdict.finding == say.DEFORMITY
    assert "do not agree" in verdict.doubt


def test_without_levels_a_severe_loss_is_still_seen_and_usual_forms_are_not() -> None:
    assert graded({"T12": (0.55, 0.8, 1.0)}, "T12", named=False).grade == 3
    for grading in grade_bodies(bodies({}, named=False)):
        assert grading.grade == 0


def test_what_blur_hides_makes_a_loss_surer_and_thick_slices_make_none_surer() -> None:
    wrong = {"L2": (0.95, 0.79, 0.99)}
    sure = [
        grade_bodies(bodies(wrong), slice_mm)[LEVELS.index("L2")] for slice_mm in (0, 1.5, 3, 5)
    ]
    assert [one.grade for one in sure] == [sure[0].grade] * 4
    assert sure[0].certainty < sure[1].certainty < sure[2].certainty
    assert sure[3].certainty == sure[0].certainty
    # A body without loss gains nothing by it.
    for grading in grade_bodies(bodies({}), 3.0):
        assert grading.certainty < 0.001


def test_height_lost_behind_alone_is_no_fracture_and_a_called_one_names_its_shape() -> None:
    behind = Grading(
        losses=(0.2, 0.1, 0.4), by_form=(0.2, 0.1, 0.4), by_size=(0.2, 0.1, 0.4),
        loss=0.4, deformity=Deformity.CRUSH, grade=3, certainty=0.99, lost=1.0,
    )  # fmt: skip
    verdict = verdict_of(behind, present=SHIPPED["present"], possible=SHIPPED["possible"])
    assert verdict.finding == say.DEFORMITY
    assert "behind alone" in verdict.doubt
    (called,) = [
        verdict_of(one, present=SHIPPED["present"], possible=SHIPPED["possible"])
        for one in grade_bodies(bodies({"L2": (0.95, 0.78, 0.99)}), 3.0)[3:4]
    ]
    assert (called.finding, called.shape, called.grade) == (say.FRACTURE, "biconcave", "1 to 2")


@pytest.mark.parametrize("level", [LEVELS[0], LEVELS[1], LEVELS[-2], LEVELS[-1]])
def test_a_body_near_an_end_without_a_level_is_no_fracture_for_its_size_alone(level: str) -> None:
    low = {level: (0.72, 0.72, 0.72)}
    grading = graded(low, level, named=False)
    assert grading.grade >= 1
    verdict = verdict_of(grading, present=0.0, possible=0.0)
    assert verdict.finding == say.DEFORMITY
    assert "a transitional vertebra may be near" in verdict.doubt
    # Its own form, its level, or two neighbours on both sides make it one.
    wedge = graded({level: (0.6, 0.85, 1.0)}, level, named=False)
    assert not wedge.is_extrapolated
    assert not graded(low, level).is_extrapolated
    middle = graded({"L1": (0.72, 0.72, 0.72)}, "L1", named=False)
    assert not middle.is_extrapolated
    assert verdict_of(middle, present=0.0, possible=0.0).finding == say.FRACTURE


@pytest.mark.parametrize("level", ["L4", "T9"])
def test_near_an_end_a_body_lower_than_any_vertebra_is_a_fracture_and_the_last_one_never(
    level: str,
) -> None:
    crushed = (0.58, 0.58, 0.58)
    grading = graded({level: crushed}, level, named=False)
    assert grading.is_extrapolated
    verdict = verdict_of(grading, present=SHIPPED["present"], possible=SHIPPED["possible"])
    assert verdict.finding == say.FRACTURE
    for last in (LEVELS[0], LEVELS[-1]):
        alone = graded({last: crushed}, last, named=False)
        assert alone.grade >= 2
        assert verdict_of(alone, present=0.0, possible=0.0).finding == say.DEFORMITY


def test_two_bodies_at_the_end_that_are_both_low_as_a_whole_call_nobody_without_a_level() -> None:
    both = {"L5": (0.5, 0.5, 0.5), "L4": (0.58, 0.58, 0.58)}
    for level in both:
        grading = graded(both, level, named=False)
        assert grading.grade >= 2
        verdict = verdict_of(grading, present=SHIPPED["present"], possible=SHIPPED["possible"])
        assert verdict.finding == say.DEFORMITY
        named = verdict_of(
            graded(both, level), present=SHIPPED["present"], possible=SHIPPED["possible"]
        )
        assert named.finding == say.FRACTURE


@pytest.mark.parametrize(
    ("named", "at_pelvis", "finding"),
    [(False, True, say.DEFORMITY), (False, False, say.FRACTURE), (True, True, say.FRACTURE)],
)
def test_the_lowest_body_without_a_level_beside_the_pelvis_may_be_sacrum_and_calls_nobody(
    named: bool, at_pelvis: bool, finding: object
) -> None:
    wedged = bodies({"L5": (0.5, 0.8, 0.95)}, named=named)
    lowest = grade_bodies(wedged, at_pelvis=at_pelvis)[0]
    assert lowest.grade == 3
    verdict = verdict_of(lowest, present=SHIPPED["present"], possible=SHIPPED["possible"])
    assert verdict.finding == finding
    assert ("sacrum" in verdict.doubt) == (finding == say.DEFORMITY)


def without(measured: list[Body], *levels: str) -> list[Body]:
    gone = [LEVELS.index(level) for level in levels]
    return [one for one in measured if one.place.number not in gone]


def test_a_whole_neighbour_that_was_not_measured_still_shows_that_no_end_is_near() -> None:
    crushed = bodies({"L3": (0.62, 0.62, 0.62)}, named=False)
    rest = without(crushed, "L4")
    number = LEVELS.index("L4")
    place = [one.place.number for one in rest].index(LEVELS.index("L3"))
    # L5 alone lies below: it may be the last but one of a spine with a transitional vertebra.
    assert grade_bodies(rest)[place].is_extrapolated
    grading = grade_bodies(rest, whole=[number])[place]
    assert not grading.is_extrapolated
    verdict = verdict_of(grading, present=SHIPPED["present"], possible=SHIPPED["possible"])
    assert verdict.finding == say.FRACTURE


def test_heights_of_one_side_alone_are_no_mean_between_neighbours() -> None:
    crushed = without(bodies({"L3": (0.62, 0.62, 0.62)}, named=False), "L5", "L4")
    whole = [LEVELS.index("L5"), LEVELS.index("L4")]
    assert grade_bodies(crushed, whole=whole)[0].is_extrapolated


def whole_bodies(wrong: dict[str, tuple[float, float, float]]) -> list[Looked]:
    nothing = cast(Any, None)
    return [
        Body(
            place=one.place, own=nothing, strip=nothing, outline=nothing,
            heights_mm=one.heights_mm, spread_mm=one.spread_mm, points_mm=np.zeros((3, 2, 3)),
        )
        for one in bodies(wrong)
    ]  # fmt: skip


def test_a_lowest_body_higher_than_any_vertebra_is_taken_for_sacrum_and_not_measured() -> None:
    sacral = whole_bodies({"L5": (0.8, 1.25, 1.28)})
    looked = without_sacrum(sacral)
    assert looked[1:] == sacral[1:]
    lowest = looked[0]
    assert isinstance(lowest, Unmeasured)
    assert "a part of the sacrum" in lowest.reason
    assert not is_whole(lowest)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"L5": (0.6, 1.0, 1.0)},
        {"L5": (1.1, 1.1, 1.1)},
        # Its neighbour is the low one, and those above say so.
        {"L4": (0.5, 0.5, 0.5)},
        # High in its middle alone, as a line that went astray is.
        {"L5": (1.0, 1.4, 1.0)},
    ],
)
def test_usual_broken_and_large_lowest_bodies_stay(
    wrong: dict[str, tuple[float, float, float]],
) -> None:
    some = whole_bodies(wrong)
    assert without_sacrum(some) == some
    # Of three bodies nobody can tell which one is wrong.
    few = whole_bodies({"L5": (0.8, 1.25, 1.28)})[:3]
    assert without_sacrum(few) == few
