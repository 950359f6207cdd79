"""Metal and cement in a vertebral body or beside it, told from what a bone kernel makes of bone.

Noise and the overshoot of a bone kernel pass any limit in single pixels, and a mean over a few mm
undoes both. A screw, a rod or cement stays dense in such a mean, and is one piece.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from models.grid import Grid
from models.vertebral_fractures.frames import Own, values_at

#: Denser than any bone is in a mean over some mm, HU; standard deviation of the mean, mm.
METAL_HU, SMOOTH_MM = 1100.0, 1.5
#: Denser than the densest joint or arch behind a body, HU: only metal.
BESIDE_HU = 1500.0
#: In one piece so large it is metal or cement, mm3.
METAL_MM3 = 150.0
DENSE = "metal or cement lies in it"
STREAKS = "metal lies beside it, and streaks of it may cross it"


@dataclass(frozen=True, slots=True)
class _Box:
    """Around a body's middle, in its own frame, mm: how far to each way, and steps."""

    left: float
    front: float
    back: float
    up: float
    step: float


_INSIDE = _Box(left=14.0, front=14.0, back=14.0, up=12.0, step=1.0)
#: Screws, rods and plates of the spine lie here; streaks spread in the slices that hold them.
_BESIDE = _Box(left=50.0, front=35.0, back=75.0, up=14.0, step=2.0)


def metal_near(grid: Grid, own: Own) -> str:
    """Why metal or cement forbids to measure a body; or ""."""
    if _largest(grid, own, _INSIDE, METAL_HU) > METAL_MM3:
        return DENSE
    if _largest(grid, own, _BESIDE, BESIDE_HU) > METAL_MM3:
        return STREAKS
    return ""


def _largest(grid: Grid, own: Own, box: _Box, limit_hu: float) -> float:
    """The largest piece above a limit in a box, mm3."""
    step, margin = box.step, 2 * SMOOTH_MM
    left, back, up = np.meshgrid(
        np.arange(-box.left - margin, box.left + margin + 0.1, step),
        np.arange(-box.front - margin, box.back + margin + 0.1, step),
        np.arange(-box.up - margin, box.up + margin + 0.1, step),
        indexing="ij",
    )
    hu, _ = values_at(grid, own.at(left, back, up))
    if float(hu.max()) < limit_hu:
        return 0.0
    rim = int(margin / step)
    inner = (slice(rim, -rim),) * 3
    smooth = ndimage.gaussian_filter(hu, SMOOTH_MM / step, mode="nearest")[inner]
    pieces, count = ndimage.label(smooth > limit_hu)
    return float(np.bincount(pieces.ravel())[1:].max() * step**3) if count else 0.0
