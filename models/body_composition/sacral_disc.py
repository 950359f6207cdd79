"""Which of the discs that the image shows lies on the sacrum.

The network tells sacrum from vertebra far better than one vertebra from the next: below the disc
on the sacrum it sees sacrum, above it vertebrae. Names are counted from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: What is compared lies within this part of the distance of vertebrae below and above a disc.
REACH = 0.7
#: The sacrum and the bodies near the midline, mm to each side; its wings rise higher.
HALF_WIDTH_MM = 25.0
#: So much sacrum lies below its disc, ml; a whole first segment holds twice as much.
LEAST_ML = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Midline:
    """What the network saw near the midline, slice by slice.

    Attributes:
        heights_mm: of the slices, counted as the discs.
        sacrum_ml, bodies_ml: volume of the sacrum and of the vertebral bodies on each.
    """

    heights_mm: NDArray[np.float64]
    sacrum_ml: NDArray[np.float64]
    bodies_ml: NDArray[np.float64]


def disc_on_sacrum(seen: Midline, discs_mm: Sequence[float], pitch_mm: float) -> int | None:
    """Index of the one disc with more sacrum than vertebra below it and the reverse above.

    Returns:
        None where no disc is such, or more than one.
    """
    found = []
    for index, disc in enumerate(discs_mm):
        away = seen.heights_mm - disc
        below = (away >= -REACH * pitch_mm) & (away < 0)
        above = (away >= 0) & (away < REACH * pitch_mm)
        stands_on_it = seen.sacrum_ml[below].sum() > max(LEAST_ML, seen.bodies_ml[below].sum())
        if stands_on_it and seen.bodies_ml[above].sum() > seen.sacrum_ml[above].sum():
            found.append(index)
    return found[0] if len(found) == 1 else None
