"""Which pulmonary arteries a series does not show: without them nothing found is no answer."""

from __future__ import annotations

from models.grid import Mask
from models.pulmonary_embolism.anatomy import Anatomy
from models.pulmonary_embolism.region import Region
from models.pulmonary_embolism.space import COARSE_MM

#: Lung of so much on an end slice, or along a side of the image, goes on beyond it, cm2.
CUT_CM2 = 10.0
_CM2 = COARSE_MM**2 / 100.0


def unseen(region: Region, anatomy: Anatomy) -> str:
    """What was not in view, in words, or "" where lungs and trunk are whole."""
    air = region.air
    found = []
    if anatomy.trunk_hu is None:
        found.append(
            "the pulmonary trunk was not recognised, so the central arteries were not searched"
        )
    ends = [
        name
        for name, plane in (("lowest", air[0]), ("highest", air[-1]))
        if _area(plane) >= CUT_CM2
    ]
    if ends:
        found.append(f"the lungs go on beyond the {' and the '.join(ends)} slice")
    sides = (air[:, 0], air[:, -1], air[:, :, 0], air[:, :, -1])
    if max(_area(side) for side in sides) >= CUT_CM2:
        found.append("the field of view cuts the lungs at the side")
    return "; ".join(found)


def _area(plane: Mask) -> float:
    return float(plane.sum()) * _CM2
