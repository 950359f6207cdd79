"""Which peaks of the detector count: in the lungs, and masses that grew out of the mediastinum."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from models.grid import Axis
from models.lung_nodules.candidates import MASS_BESIDE, Heat, candidates_of
from models.thorax.frame import Coarse
from models.thorax.lungs import Lungs

STEP_MM, SIZE, EDGE = 2.0, 40, 16
AXES = (Axis(start=0.0, step=1.0, count=SIZE),) * 3


def lungs() -> Lungs:
    """Lung in the columns below `EDGE`, tissue beyond."""
    both = np.zeros((SIZE,) * 3, np.bool_)
    both[:, :, :EDGE] = True
    volume = Coarse(hu=np.zeros(both.shape, np.float32), axes=AXES, step_mm=STEP_MM)
    return cast("Lungs", SimpleNamespace(both=both, volume=volume))


def heat(column: int, diameter_mm: float) -> Heat:
    """One peak, in the middle of slices and rows."""
    cells = SIZE // 2
    logit = np.full((cells,) * 3, -12.0, np.float32)
    logit[cells // 2, cells // 2, column // 2] = 40.0
    size = np.full(logit.shape, np.log2(diameter_mm / STEP_MM), np.float32)
    return Heat(logit=logit, size=size, axes=AXES, step_mm=STEP_MM)


@pytest.mark.parametrize(
    ("beyond_mm", "diameter_mm", "beside", "kept"),
    [
        (-6.0, 8.0, 0.0, True),
        (16.0, 60.0, MASS_BESIDE, True),
        (16.0, 60.0, 0.0, False),
        (16.0, 8.0, MASS_BESIDE, False),
        (40.0, 60.0, MASS_BESIDE, False),
    ],
)
def test_the_middle_of_a_mass_may_lie_beyond_the_lung(
    beyond_mm: float, diameter_mm: float, beside: float, *, kept: bool
) -> None:
    column = round(EDGE + beyond_mm / STEP_MM)
    found = candidates_of(heat(column, diameter_mm), lungs(), 0.0, beside)
    assert bool(found) is kept
    if kept:
        assert found[0].diameter_mm == pytest.approx(diameter_mm, rel=0.01)
        assert found[0].centre[2] == pytest.approx(column, abs=1.0)
