"""What lies beside the spleen: a flexure of the colon, a full stomach, as dense as an organ."""

from __future__ import annotations

import numpy as np

from models.phantoms.frame import Frame
from models.phantoms.organs import Gut, fill_gut
from models.phantoms.shapes import Canvas
from models.phantoms.tissue import Tissue

_CONTENTS = (Tissue.STOOL, Tissue.BOWEL_FLUID, Tissue.BOWEL_WALL)


def paint_left_flank(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> None:
    """Loops of colon before, beside and below the spleen, and a stomach against it.

    Everything is painted where only fat is so far. A loop whose content is its wall is collapsed.
    """
    s = frame.person.scale
    flank = float(np.interp(60 * s, canvas.z, frame.half_width)) - 24 * s
    for _ in range(int(rng.integers(0, 4))):
        top, bottom = float(rng.uniform(60, 160)), float(rng.uniform(-60, 60))
        count = 6
        z = np.linspace(top, bottom, count) * s
        aside = np.clip(rng.uniform(0.6, 1.0) + rng.normal(0, 0.08, count), 0.45, 1.05) * flank
        y = (float(rng.uniform(-45, 35)) + rng.normal(0, 9, count)) * s
        radii = np.clip(rng.normal(rng.uniform(9, 22), 2.5, count), 6, 30) * s
        content = _CONTENTS[int(rng.integers(3))]
        gas = float(np.clip(rng.normal(0, 0.3), 0, 0.8))
        gut = Gut(gas, content, float(rng.uniform(1.8, 4)))
        fill_gut(canvas, np.stack([z, y, aside], 1), radii, gut)
    if rng.random() < 0.5:
        middle = np.array([rng.uniform(115, 160), rng.uniform(-25, 25), rng.uniform(40, 72)])
        path = (middle + np.array([[18, 8, 4], [0, 0, 0], [-22, -10, -6]])) * s
        radii = np.array([0.8, 1.0, 0.85]) * float(rng.uniform(28, 52)) * s
        content = _CONTENTS[int(rng.integers(2))]
        gas = float(np.clip(rng.normal(0.1, 0.3), 0, 0.7))
        fill_gut(canvas, path, radii, Gut(gas, content, float(rng.uniform(3, 6))))
