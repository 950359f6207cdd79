"""The height of a nodule in its lung is told; where the lung is cut off it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.lung_nodules.place import said, third_of
from models.thorax.lungs import Lungs
from tests.models.thorax.masks import lungs_of


@pytest.fixture(scope="module")
def lungs() -> Lungs:
    """The right lung fills slices 20 to 80 of the grid, the left one 40 to 100."""
    right, left = np.zeros((2, 60, 60, 60), np.bool_)
    right[10:40, 20:40, 5:25] = True
    left[20:50, 20:40, 35:55] = True
    return lungs_of(right, left, 0.5)


@pytest.mark.parametrize(
    ("side", "height", "third"),
    [
        ("right", 22.0, "lower"), ("right", 50.0, "middle"), ("right", 75.0, "upper"),
        ("left", 50.0, "lower"), ("left", 75.0, "middle"), ("left", 99.0, "upper"),
        ("right", 15.0, "lower"), ("", 50.0, ""),
    ],
)  # fmt: skip
def test_third_of_the_own_lung(lungs: Lungs, side: str, height: float, third: str) -> None:
    assert third_of(lungs, np.array([height, 60.0, 60.0]), side) == third


@pytest.mark.parametrize("cut", ["cut_below", "cut_above"])
def test_a_lung_that_is_cut_off_has_no_thirds(lungs: Lungs, cut: str) -> None:
    cut_off = replace(lungs, **{cut: True})  # type: ignore[arg-type]
    assert third_of(cut_off, np.array([50.0, 60.0, 60.0]), "right") == ""


def test_a_height_is_no_lobe() -> None:
    assert said("", "right") == "not determined"
    assert said("upper", "left") == "not determined; in the upper third of the left lung's height"
