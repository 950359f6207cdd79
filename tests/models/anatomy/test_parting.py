"""Discs are found as a row; what is dark in the middle of a body is none."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from models.anatomy.parting import discs_of

#: Middles of discs in mm, from below, as far apart as in a real lumbar and thoracic spine.
MIDDLES = (15, 52, 88, 121, 151, 179, 206)


def profile(marrow_hu: float, noise_hu: float = 0.0) -> np.ndarray:
    """Mean across the spine at 1 mm: marrow, endplates of 2 mm, discs of 6 mm."""
    hu = np.full(220, 200.0)
    for middle in MIDDLES:
        hu[middle - 5 : middle + 6] = 300.0
        hu[middle - 3 : middle + 4] = 110.0
    for low, high in pairwise(MIDDLES):
        at = (low + high) // 2
        hu[at - 3 : at + 4] = marrow_hu
    return hu + noise_hu * np.random.default_rng(4).standard_normal(hu.size)


@pytest.mark.parametrize("marrow_hu", [200.0, 120.0])
@pytest.mark.parametrize("noise_hu", [0.0, 20.0])
def test_the_row_is_found_also_where_marrow_is_nearly_as_dark(
    marrow_hu: float, noise_hu: float
) -> None:
    hu = profile(marrow_hu, noise_hu)
    nothing = np.zeros_like(hu)
    found = discs_of(hu, nothing, nothing, np.arange(220.0))
    assert [disc.middle for disc in found] == pytest.approx(MIDDLES, abs=2)


def test_middles_of_bodies_that_look_a_little_like_discs_do_not_halve_them() -> None:
    middles = tuple(range(15, 205, 37))
    hu, disc = np.full(220, 200.0), np.zeros(220)
    for middle in middles:
        hu[middle - 5 : middle + 6] = 300.0
        hu[middle - 3 : middle + 4] = 110.0
        disc[middle - 4 : middle + 5] = 1.0
    for low, high in pairwise(middles):
        at = (low + high) // 2
        hu[at - 3 : at + 4] = 175.0
        # The network calls a part of it disc, as it may in thick slices.
        disc[at - 4 : at + 5] = 0.4
    found = discs_of(hu, disc, 1 - disc, np.arange(220.0))
    assert [one.middle for one in found] == pytest.approx(middles, abs=2)


def test_a_worn_disc_that_nothing_shows_is_where_its_neighbours_leave_room() -> None:
    hu = profile(200.0)
    hu[111:132] = 200.0
    nothing = np.zeros_like(hu)
    found = [disc.middle for disc in discs_of(hu, nothing, nothing, np.arange(220.0))]
    assert len(found) == len(MIDDLES)
    assert found[3] == pytest.approx(121, abs=5)


def test_a_disc_ends_where_its_endplates_begin() -> None:
    hu = profile(200.0)
    nothing = np.zeros_like(hu)
    disc = discs_of(hu, nothing, nothing, np.arange(220.0))[2]
    assert disc.low == pytest.approx(88 - 3.5, abs=1)
    assert disc.high == pytest.approx(88 + 3.5, abs=1)


def test_a_short_piece_of_spine_has_no_row() -> None:
    hu = np.full(10, 200.0)
    assert discs_of(hu, np.zeros(10), np.zeros(10), np.arange(10.0)) == ()
