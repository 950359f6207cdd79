"""Which slices of a nodule get a contour."""

from __future__ import annotations

import numpy as np

from models.lung_nodules.contours import drawn


def _stack(*areas: int) -> np.ndarray:
    stack = np.zeros((len(areas), 4, 4), np.bool_)
    for row, area in zip(stack, areas, strict=True):
        row.flat[:area] = True
    return stack


def test_the_key_slice_comes_first_and_the_larger_one_beside_it_second() -> None:
    assert drawn(_stack(3, 9, 5, 1), key=1) == [1, 2]
    assert drawn(_stack(0, 6, 9, 5), key=2) == [2, 1]


def test_a_nodule_of_one_slice_has_one_contour() -> None:
    assert drawn(_stack(0, 9, 0), key=1) == [1]
    assert drawn(_stack(9), key=0) == [0]
