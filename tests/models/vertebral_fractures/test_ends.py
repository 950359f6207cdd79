"""Ends of the spine and gaps in it that nobody recognised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.grid import canonical
from models.vertebral_fractures.counting import SACRAL, count_levels
from models.vertebral_fractures.ends import goes_on, is_at_pelvis, rooms_of
from models.vertebral_fractures.frames import Own
from node.domain.anatomy import LEVELS as FROM_L5
from node.domain.anatomy import Anatomy
from tests.models.vertebral_fractures.toy import LEVELS, Toy

TOY = Toy(wrong={}, lean=0.0)
SACRUM = 40


def owns(*levels: str) -> list[Own]:
    return [at(*TOY.middles[level]) for level in levels]


def at(x: float, y: float, z: float) -> Own:
    left, back, up = np.eye(3)
    return Own(centre=np.array([x, y, z]), left=left, back=back, up=up, turned=True)


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return TOY.anatomy()


def test_a_step_that_holds_two_vertebrae_is_a_room() -> None:
    found = [at(0, 0, z) for z in (0.0, 33.0, 97.0, 130.0)]
    assert rooms_of(found) == (1,)
    assert rooms_of([at(0, 0, 33.0 * k) for k in range(5)]) == ()


@pytest.mark.parametrize(
    ("levels", "below", "above"),
    [
        (("L4", "L3", "L2", "L1", "T12", "T11", "T10"), False, False),
        (("L3", "L2", "L1", "T12", "T11", "T10"), True, False),
        (("L4", "L3", "L2", "L1", "T12"), False, True),
    ],
)
def test_bone_where_the_next_vertebra_would_lie_is_a_vertebra_that_was_not_recognised(
    levels: tuple[str, ...], below: bool, above: bool, anatomy: Anatomy
) -> None:
    found = goes_on(canonical(TOY.volume()), anatomy, owns(*levels), [""] * len(levels))
    assert found == (below, above)


def test_below_l5_and_above_t1_and_at_the_sacrum_the_spine_ends(anatomy: Anatomy) -> None:
    grid = canonical(TOY.volume())
    some = owns("L3", "L2", "L1", "T12")
    assert goes_on(grid, anatomy, some, ["L5", "L4", "L3", "T1"]) == (False, False)
    labels = anatomy.labels.copy()
    labels[:25, 20:34, 20:34] = SACRUM
    with_sacrum = replace(anatomy, labels=labels, names={**anatomy.names, SACRUM: "sacrum"})
    assert goes_on(grid, with_sacrum, some, [""] * 4) == (False, True)


def test_a_vertebra_that_the_images_cut_is_not_missed(anatomy: Anatomy) -> None:
    low = Toy(wrong={}, lean=0.0, bottom=TOY.middles["L4"][2] - 2.0)
    below, _ = goes_on(canonical(low.volume()), anatomy, owns("L3", "L2", "L1"), [""] * 3)
    assert not below


def test_the_pelvis_is_near_where_one_of_its_bones_is(anatomy: Anatomy) -> None:
    labels = anatomy.labels.copy()
    labels[:25, 20:34, 20:34] = SACRUM
    low, high = owns("L4", "T10")
    assert not is_at_pelvis(anatomy, low)
    for bone in ("sacrum", "hip_left"):
        with_bone = replace(anatomy, labels=labels, names={**anatomy.names, SACRUM: bone})
        assert is_at_pelvis(with_bone, low)
        assert not is_at_pelvis(with_bone, high)


def test_what_lies_below_the_body_that_is_l5_is_no_vertebra(anatomy: Anatomy) -> None:
    named = {one.level: np.array(one.centre_mm) for one in anatomy.vertebrae}
    assert set(LEVELS) <= set(named)
    places = [at(*named[level]) for level in LEVELS]
    renamed = replace(
        anatomy,
        vertebrae=tuple(
            replace(one, level=FROM_L5[LEVELS.index(one.level) - 1])
            for one in anatomy.vertebrae
            if one.level != LEVELS[0]
        ),
    )
    count = count_levels(renamed, places)
    assert not count.doubts
    assert count.levels == [SACRAL, *FROM_L5[: len(places) - 1]]
