"""A nodule that is told is drawn once more, by a network that does nothing else.

The refiner, which also says whether there is a nodule, draws the solid core of a part-solid one and
leaves out most of a thin veil. The contour network learned from nodules alone, veiled ones above
all; it draws solid ones a little too large. So its drawing counts where it is clearly the larger
one: there is a veil. It begins to count little by little: a nodule that is measured again later
must not jump in size because it has crossed a limit.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from models.grid import Grid
from models.lung_nodules.cubes import axes_round, cube_of, toned
from models.lung_nodules.edge import sharpened
from models.lung_nodules.refining import PATCH, STEPS_MM, Look, in_the_middle
from models.lung_nodules.shape import sampled
from node.domain.imaging import Network

NETWORK = "contour"
#: Its drawing counts from this many times the volume on, and alone from the second.
LARGER, MUCH_LARGER = 1.1, 1.3
#: Looks of this step, mm: in wider ones the other rules of the edge draw well enough.
STEP_MM = STEPS_MM[0]
#: The mean of all eight mirrored patches is the share.
MIRRORED = tuple(product((1, -1), repeat=3))


def with_veil(grid: Grid, look: Look, sharp: Look, network: Network) -> Look:
    """The edge of a nodule with its veil, where there is one; else as it was.

    Args:
        look: as the refiner drew it. sharp: the same with its edge corrected.
    """
    if look.step_mm > STEP_MM:
        return sharp
    anew = sharpened(grid, redrawn(grid, look, network))
    larger = anew.volume_mm3 / max(sharp.volume_mm3, 1e-6)
    weight = float(np.clip((larger - LARGER) / (MUCH_LARGER - LARGER), 0.0, 1.0))
    if weight in (0.0, 1.0):
        return anew if weight else sharp
    old = sampled(sharp, [axis.positions() for axis in anew.axes])
    return replace(anew, share=np.asarray(weight * anew.share + (1 - weight) * old, np.float32))


def redrawn(grid: Grid, look: Look, network: Network) -> Look:
    """The look with its share drawn anew, on a patch of the same step round its own middle.

    As it is where nothing is drawn there.
    """
    axes = axes_round(grid, look.centre, look.step_mm, PATCH)
    image = toned(cube_of(grid, axes))
    turns = [tuple(slice(None, None, step) for step in steps) for steps in MIRRORED]
    answer = network.run({"image": np.stack([image[turn] for turn in turns])[:, None]})["mask"]
    shares = [
        1.0 / (1.0 + np.exp(-mask[0].astype(np.float32)[turn]))
        for mask, turn in zip(answer, turns, strict=True)
    ]
    share = in_the_middle(np.mean(shares, axis=0, dtype=np.float32))
    return replace(look, share=share, axes=axes) if (share > 0.5).any() else look
