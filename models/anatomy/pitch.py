"""Do the vertebrae lie as far apart as an adult's? The slice distance of the header makes it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from node.domain.anatomy import LEVELS, Anatomy

#: Mean distance of L1 to L5 along the body, from one middle to the next, mm. It is 30 or more in
#: all scans at hand, and some less in a small person with a bent spine.
LEAST_MM = 26.0
#: So many distances make a mean.
LEAST_STEPS = 2


def pitch_doubt(anatomy: Anatomy) -> str:
    """What is to be told where lumbar vertebrae lie too near to each other; "" where they do not.

    A slice distance of 3 mm written as 2 makes every height and every volume two thirds of it.
    """
    heights = {one.level: one.centre_mm[2] for one in anatomy.vertebrae if one.level[:1] == "L"}
    steps = [
        heights[upper] - heights[lower]
        for lower, upper in pairwise(LEVELS[:5])
        if lower in heights and upper in heights
    ]
    if len(steps) < LEAST_STEPS or float(np.mean(steps)) >= LEAST_MM:
        return ""
    return (
        f"the lumbar vertebrae lie {float(np.mean(steps)):.0f} mm apart along the body, which no "
        "adult's do: the slice distance in the headers may be wrong, and every volume with it"
    )
