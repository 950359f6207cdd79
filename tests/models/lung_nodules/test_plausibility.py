"""Head and feet as the space between the lungs tells them."""

from __future__ import annotations

import numpy as np
import pytest

from models.lung_nodules.plausibility import exchanged_ends
from models.thorax.lungs import Lungs
from tests.models.thorax.masks import lungs_of

SLICES, WIDTH = 120, 80


def lungs(gaps: np.ndarray, first: int = 0) -> Lungs:
    """Two lungs with so many columns between them, slice by slice, from a slice on."""
    right = np.zeros((SLICES, 20, WIDTH), np.bool_)
    left = np.zeros_like(right)
    for at, gap in enumerate(gaps, start=first):
        right[at, :, : WIDTH // 2 - int(gap) // 2] = True
        left[at, :, WIDTH // 2 + int(gap) // 2 :] = True
    return lungs_of(right, left)


HEART = np.repeat([40, 24, 16], 40)


def test_a_heart_below_is_no_doubt_and_a_heart_above_is_one() -> None:
    assert exchanged_ends(lungs(HEART)) == ""
    assert "head and feet may be exchanged" in exchanged_ends(lungs(HEART[::-1]))


@pytest.mark.parametrize("gaps", [np.repeat([20, 24, 26], 40), HEART[::-1][60:]])
def test_little_difference_and_a_part_of_the_lungs_tell_nothing(gaps: np.ndarray) -> None:
    assert exchanged_ends(lungs(gaps)) == ""


def test_lungs_that_are_not_seen_together_in_between_tell_nothing() -> None:
    gaps = HEART[::-1].copy()
    one = lungs(gaps)
    one.left[50:70] = False
    assert exchanged_ends(one) == ""


def test_few_rows_with_both_lungs_behind_the_diaphragm_are_no_narrow_place() -> None:
    one = lungs(HEART)
    # The sulci behind the liver: a few rows, far apart.
    one.right[:45, 3:], one.left[:45, 3:] = False, False
    assert exchanged_ends(one) == ""
