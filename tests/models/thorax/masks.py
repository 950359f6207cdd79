"""Lungs from drawn masks, without a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.grid import Axis
from models.thorax.frame import Coarse
from models.thorax.lungs import Lungs

STEP_MM = 2.0


def lungs_of(right: NDArray[np.bool_], left: NDArray[np.bool_], start: float = 0.0) -> Lungs:
    """Lungs on a grid of 2 mm, uncut, full of air.

    Args:
        start: of each axis among the samples of the series, which lie 1 mm apart.
    """
    z, y, x = (Axis(start=start, step=STEP_MM, count=count) for count in right.shape)
    hu = np.where(right | left, -850.0, 30.0).astype(np.float32)
    return Lungs(
        volume=Coarse(hu=hu, axes=(z, y, x), step_mm=STEP_MM),
        right=right,
        left=left,
        aerated=right | left,
        airways=np.zeros_like(right),
        cut_below=False,
        cut_above=False,
    )
