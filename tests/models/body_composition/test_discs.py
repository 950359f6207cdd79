"""Vertebral middles go to half-way between visible discs, and only where that is clear."""

from __future__ import annotations

import numpy as np
import pytest

from models.body_composition.discs import disc_heights, moved, undecided
from models.trunk.course import Course


def _course(discs: list[float]) -> Course:
    at = np.arange(0.0, 220.0)
    hu = np.full(at.size, 150.0)
    for disc in discs:
        hu += 60 * np.exp(-(((np.abs(at - disc) - 8) / 3) ** 2))
        hu -= 70 * np.exp(-(((at - disc) / 5) ** 2))
    return Course(at, at, at, at, hu)


def test_discs_are_the_dark_bands_between_bright_endplates() -> None:
    discs = [20.0, 56.0, 92.0, 128.0, 164.0]
    assert disc_heights(_course(discs), 34.0) == pytest.approx(discs, abs=1.0)


def test_spongy_bone_as_dark_as_discs_is_no_disc() -> None:
    discs = [20.0, 56.0, 92.0, 128.0, 164.0]
    at = np.arange(0.0, 220.0)
    hu = np.full(at.size, 75.0)
    for disc in discs:
        hu += 60 * np.exp(-(((np.abs(at - disc) - 6) / 2.5) ** 2))
        # The middle of the body above, darker than any disc.
        hu -= 12 * np.exp(-(((at - disc - 18) / 9) ** 2))
    course = Course(at, at, at, at, hu)
    assert disc_heights(course, 36.0) == pytest.approx(discs, abs=1.0)
    given = [38.0, 74.0, 110.0]
    assert moved(given, disc_heights(course, 36.0), 36.0) == pytest.approx(given, abs=1.0)


def test_middles_half_a_body_too_low_move_to_the_bodies() -> None:
    assert moved([30.0, 66.0, 101.0], [20.0, 56.0, 92.0, 128.0], 36.0) == [38.0, 74.0, 110.0]


def test_middles_on_the_discs_stay_because_neither_neighbour_is_nearer() -> None:
    given = [56.0, 92.0, 128.0]
    assert moved(given, [20.0, 56.0, 92.0, 128.0, 164.0], 36.0) == given


def test_middles_on_the_discs_are_told_as_undecided() -> None:
    discs = [20.0, 56.0, 92.0, 128.0, 164.0]
    assert undecided([56.0, 92.0, 128.0], discs, 36.0)
    assert not undecided([38.0, 74.0, 110.0], discs, 36.0)
    assert not undecided([56.0, 92.0, 128.0], [], 36.0)


def test_middle_beyond_the_last_disc_moves_as_far_as_its_neighbour() -> None:
    assert moved([30.0, 66.0, 101.0, 137.0], [20.0, 56.0, 92.0, 128.0], 36.0) == [
        38.0,
        74.0,
        110.0,
        146.0,
    ]


def test_without_discs_nothing_moves() -> None:
    assert disc_heights(_course([]), 34.0) == []
    assert moved([30.0, 66.0], [], 36.0) == [30.0, 66.0]


DISCS = [20.0, 56.0, 92.0, 128.0, 164.0, 200.0]
#: The network's middles slip further with each body away from the sacrum: L5 by 9 mm, L3 by 20.
SLIPPED = [29.0, 59.0, 90.0, 125.0, 160.0]


def test_middles_that_slip_with_every_body_are_counted_from_the_sacrum() -> None:
    assert undecided(SLIPPED, DISCS, 36.0)
    assert moved(SLIPPED, DISCS, 36.0) == SLIPPED
    assert not undecided(SLIPPED, DISCS, 36.0, on_sacrum=0)
    assert moved(SLIPPED, DISCS, 36.0, on_sacrum=0) == [38.0, 74.0, 110.0, 146.0, 182.0]


def test_a_mean_that_contradicts_the_disc_on_the_sacrum_is_undecided_not_believed() -> None:
    further = [27.0, 46.0, 77.0, 112.0, 147.0]
    assert not undecided(further, DISCS, 36.0)
    assert moved(further, DISCS, 36.0)[1:] == [38.0, 74.0, 110.0, 146.0]
    assert undecided(further, DISCS, 36.0, on_sacrum=0)
    assert moved(further, DISCS, 36.0, on_sacrum=0) == further


def test_l5_far_from_the_body_on_the_sacrum_is_not_counted_from_there() -> None:
    given = [56.0, 92.0, 128.0]
    assert undecided(given, DISCS, 36.0, on_sacrum=0)
    assert undecided(given, DISCS, 36.0, on_sacrum=1)
    assert undecided(given, DISCS, 36.0, on_sacrum=5)
