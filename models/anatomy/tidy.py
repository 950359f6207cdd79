"""From classes of the network to clean structures with sides and label values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.anatomy.names import LEFT, PAIRED, RIGHT, SINGLE, sided
from models.anatomy.sampling import FINE_MM, Sight
from models.anatomy.structures import Structure
from models.grid import Mask

#: A part of a structure counts from this share of its largest part on.
_SHARE: Mapping[Structure, float] = {
    Structure.LIVER: 0.2,
    Structure.SPLEEN: 0.5,
    Structure.KIDNEY: 0.2,
    Structure.BLADDER: 1.0,
    Structure.HEART: 1.0,
    Structure.SACRUM: 1.0,
    Structure.AORTA: 0.1,
    Structure.LUNG: 0.02,
}
_OTHER_SHARE = 0.03
#: Smaller parts are noise, ml.
LEAST_ML: Mapping[Structure, float] = {
    Structure.LIVER: 20.0,
    Structure.SPLEEN: 8.0,
    Structure.KIDNEY: 8.0,
    Structure.BLADDER: 8.0,
    Structure.HEART: 20.0,
    Structure.LUNG: 10.0,
    Structure.AORTA: 2.0,
    # Gluteals and rotators fill a slice of the pelvis; less lies in the loin, and is none of them.
    Structure.PELVIC_MUSCLE: 10.0,
}
_OTHER_ML = 0.5


@dataclass(frozen=True, slots=True)
class Tidy:
    """Labels on the fine grid and the names of those that occur."""

    labels: NDArray[np.uint8]
    names: Mapping[int, str]


def tidy(sight: Sight, middle: NDArray[np.float64]) -> Tidy:
    """Give every structure but the vertebrae its label value.

    Args:
        middle: (slice,) column of the patient's midline on the fine grid.
    """
    labels: NDArray[np.uint8] = np.zeros_like(sight.labels)
    labels[sight.labels != Structure.OUTSIDE] = SINGLE[Structure.BODY][0]
    names = {SINGLE[Structure.BODY][0]: SINGLE[Structure.BODY][1]}
    columns = np.arange(sight.labels.shape[2])
    is_left = columns[None, :] > middle[:, None]
    boxes = ndimage.find_objects(sight.labels, max(Structure))
    for structure in Structure:
        box = boxes[structure - 1] if structure > Structure.BODY else None
        if box is None or not (structure in SINGLE or structure in PAIRED):
            continue
        whole = sight.labels[box] == structure
        if structure in SINGLE:
            parts = [(SINGLE[structure], whole)]
        else:
            values, name = PAIRED[structure]
            left = is_left[box[0], None, box[2]]
            parts = [
                ((values[0], sided(name, RIGHT)), whole & ~left),
                ((values[1], sided(name, LEFT)), whole & left),
            ]
        for (value, called), part in parts:
            kept = kept_parts(part, structure)
            if kept.any():
                labels[box][kept] = value
                names[value] = called
    return Tidy(labels, names)


def kept_parts(mask: Mask, structure: Structure) -> Mask:
    """The parts of a structure that are large enough."""
    if not mask.any():
        return mask
    parts, count = cc3d.connected_components(
        np.ascontiguousarray(mask), connectivity=6, binary_image=True, return_N=True
    )
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    ml = sizes * FINE_MM**3 / 1000.0
    share = _SHARE.get(structure, _OTHER_SHARE)
    good = (sizes >= share * sizes.max()) & (ml >= LEAST_ML.get(structure, _OTHER_ML))
    return np.asarray(good[parts], np.bool_)
