"""Levels are counted from what lies beside the bodies that were found, and never against it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models.vertebral_fractures.counting import Count, count_levels
from models.vertebral_fractures.frames import Own
from node.domain.anatomy import LEVELS, Anatomy, Vertebra

#: Between two bodies, mm; height of the lowest one's middle, mm; where the spine runs, voxels.
STEP, LOW, MIDDLE = 34.0, 60.0, 50
SACRUM, RIBS = 3, 28
DOUBT = "two ways to count the vertebrae are equally good"


def owns(count: int, heights: Sequence[float] = ()) -> list[Own]:
    """Bodies that the outline network found, from below."""
    left, back, up = np.eye(3)
    line = heights or [LOW + STEP * k for k in range(count)]
    return [
        Own(centre=np.array([100.0, 100.0, z]), left=left, back=back, up=up, turned=True)
        for z in line
    ]


def anatomy(
    *,
    sacrum: bool = True,
    ribs_at: tuple[int, ...] = (5, 6),
    ribs_high: int = 10,
    named: Sequence[tuple[str, float]] = (),
    anchors: tuple[str, ...] = (),
) -> Anatomy:
    """Voxels of 2 mm. `named`: levels and heights of the anatomy's own bodies, mm."""
    labels = np.zeros((200, 100, 100), np.uint8)
    if sacrum:
        labels[2:20, 40:60, 40:60] = SACRUM
    for index in ribs_at:
        at = round((LOW + STEP * index) / 2)
        for side in (MIDDLE - 14, MIDDLE + 9):
            labels[at : at + ribs_high, MIDDLE + 3 : MIDDLE + 8, side : side + 5] = RIBS
    affine = np.array([[0.0, 0, 2, 0], [0, 2.0, 0, 0], [2.0, 0, 0, 0], [0, 0, 0, 1]])
    return Anatomy(
        labels=labels,
        affine=affine,
        names={SACRUM: "sacrum", RIBS: "ribs_left"},
        vertebrae=tuple(
            Vertebra(level=level, value=50 + k, centre_mm=(100.0, 100.0, z))
            for k, (level, z) in enumerate(named)
        ),
        anchors=anchors,
        doubts=() if anchors else (DOUBT,),
        model_digest="",
    )


def told(count: Count) -> tuple[str, ...]:
    return tuple(count.levels)


def right(count: int, shift: int = 0) -> list[tuple[str, float]]:
    return [(LEVELS[k + shift], LOW + STEP * k) for k in range(count)]


BOTH = ("sacrum", "lowest ribs")


def test_five_bodies_between_sacrum_and_ribs_are_counted_where_the_anatomy_could_not() -> None:
    count = count_levels(anatomy(), owns(8))
    assert told(count) == LEVELS[:8]
    assert count.anchors == BOTH
    assert count.doubts == ()


@pytest.mark.parametrize("at", [4, 6])
def test_another_number_of_bodies_between_them_has_no_levels(at: int) -> None:
    count = count_levels(anatomy(ribs_at=(at, at + 1)), owns(8))
    assert not any(count.levels)
    assert count.anchors == ()
    assert count.doubts[0].startswith(f"{at} vertebrae lie between")


@pytest.mark.parametrize("given", [{"sacrum": False}, {"ribs_at": ()}])
def test_one_end_alone_is_not_counted_anew(given: dict[str, object]) -> None:
    count = count_levels(anatomy(**given), owns(8))  # type: ignore[arg-type]
    assert not any(count.levels)
    assert count.doubts == (DOUBT,)


def test_a_count_of_the_anatomy_that_what_is_seen_contradicts_is_not_stated() -> None:
    # One body below L3 was parted in two: every level from there up is one too low.
    wrong = [("L5", LOW), *[(LEVELS[k + 1], LOW + STEP * k) for k in range(1, 8)]]
    count = count_levels(anatomy(named=wrong, anchors=BOTH), owns(8))
    assert not any(count.levels)
    assert "do not agree" in count.doubts[0]


def test_a_count_of_the_anatomy_that_agrees_keeps_its_anchors() -> None:
    with_one = anatomy(ribs_at=(), named=right(8), anchors=("sacrum",))
    assert count_levels(with_one, owns(8)) == Count(list(LEVELS[:8]), ("sacrum",), ())


def test_names_that_change_along_the_spine_need_an_anchor_beside_the_bodies() -> None:
    # The two highest bodies of the anatomy lie askew of those that were found.
    named = [*right(6), *right(8, shift=1)[6:]]
    seen = count_levels(anatomy(named=named, anchors=BOTH), owns(8))
    assert told(seen) == LEVELS[:8]
    alone = anatomy(sacrum=False, ribs_at=(), named=named, anchors=("sacrum",))
    assert not any(count_levels(alone, owns(8)).levels)


def test_a_rib_that_leans_down_beside_the_body_below_its_own_is_not_that_ones() -> None:
    # 0.4 ml of it lie there.
    with_tip = anatomy()
    labels = with_tip.labels.copy()
    at = round((LOW + STEP * 4) / 2)
    labels[at : at + 2, MIDDLE + 3 : MIDDLE + 8, MIDDLE + 9 : MIDDLE + 14] = RIBS
    assert told(count_levels(Anatomy(
        labels=labels, affine=with_tip.affine, names=with_tip.names, vertebrae=(), anchors=(),
        doubts=(DOUBT,), model_digest="",
    ), owns(8))) == LEVELS[:8]  # fmt: skip


def test_without_the_lowest_body_nothing_lies_on_the_sacrum() -> None:
    count = count_levels(anatomy(ribs_at=(5, 6)), owns(8)[1:])
    assert count.doubts == (DOUBT,)


def test_a_gap_or_two_parts_of_one_body_leave_no_levels() -> None:
    line = [LOW + STEP * k for k in range(8)]
    assert "not seen" in count_levels(anatomy(), owns(0, [*line[:2], *line[3:]])).doubts[0]
    parted = [*line[:2], line[2] - 8, line[2] + 8, *line[3:]]
    assert "nearer" in count_levels(anatomy(), owns(0, parted)).doubts[0]
