"""What is joined to the pleura lies outside of the lung's room by its middle, and is looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.grid import Axis
from models.lung_nodules.candidates import (
    COARSE_STEP_MM,
    MASS_BESIDE,
    NODULE_BESIDE,
    STEP_MM,
    Heat,
    candidates_of,
    masses_of,
)
from models.thorax.lungs import Lungs
from tests.models.thorax.masks import lungs_of

#: The lung fills the columns up to this position of the grid, whose samples are 1 mm apart.
EDGE, SIZE = 60.0, 120


def lungs() -> Lungs:
    count = SIZE // 2
    right = np.zeros((count, count, count), np.bool_)
    right[:, :, : int(EDGE / 2)] = True
    return lungs_of(right, np.zeros_like(right), 0.5)


def heat(beyond_mm: float, diameter_mm: float, step_mm: float) -> Heat:
    """One peak of a diameter whose middle lies so far outside of the lung."""
    cells = int(SIZE / step_mm / 2)
    logit = np.full((cells, cells, cells), -9.0, np.float32)
    size = np.zeros_like(logit)
    axis = Axis(start=0.0, step=step_mm, count=2 * cells)
    column = round((EDGE + beyond_mm - step_mm / 2) / (2 * step_mm))
    at = (cells // 2, cells // 2, column)
    logit[at] = 30.0
    size[at] = np.log2(diameter_mm / step_mm)
    return Heat(logit=logit, size=size, axes=(axis, axis, axis), step_mm=step_mm)


@pytest.mark.parametrize(
    ("beyond_mm", "diameter_mm", "is_looked_at"),
    [(6.0, 20.0, True), (6.0, 10.0, False), (0.0, 5.0, True), (18.0, 60.0, False)],
)
def test_a_nodule_whose_border_touches_the_lung_is_looked_at(
    beyond_mm: float, diameter_mm: float, *, is_looked_at: bool
) -> None:
    found = candidates_of(heat(beyond_mm, diameter_mm, STEP_MM), lungs(), 0.0, beside=NODULE_BESIDE)
    assert bool(found) is is_looked_at


@pytest.mark.parametrize(("beyond_mm", "is_looked_at"), [(8.0, True), (18.0, False)])
def test_masses_may_lie_outside_by_less_of_their_size(
    beyond_mm: float, *, is_looked_at: bool
) -> None:
    found = candidates_of(heat(beyond_mm, 60.0, COARSE_STEP_MM), lungs(), 0.0, beside=MASS_BESIDE)
    assert bool(found) is is_looked_at


@pytest.mark.parametrize(("beyond_mm", "far"), [(8.0, [False]), (20.0, [True]), (28.0, [])])
def test_a_mass_far_outside_of_the_lung_is_marked_so(beyond_mm: float, far: list[bool]) -> None:
    found = masses_of(heat(beyond_mm, 60.0, COARSE_STEP_MM), lungs(), 0.0)
    assert [candidate.is_far for candidate in found] == far


def test_a_mass_far_outside_does_not_take_the_place_of_one_that_is_nearer() -> None:
    near, far = (heat(beyond, 60.0, COARSE_STEP_MM) for beyond in (4.0, 20.0))
    both = replace(
        near,
        logit=np.maximum(0.5 * near.logit, far.logit),
        size=np.maximum(near.size, far.size),
    )
    found = masses_of(both, lungs(), 0.0)
    assert [candidate.is_far for candidate in found] == [False, True]
    assert found[0].logit < found[1].logit
