"""Which of the structures that are looked for were not drawn, and whether they lie in the images.

A structure that is not drawn is not a structure that is not there. Where levels are certain, the
vertebrae in view tell whether the images show where it usually lies; else the other one of a pair
may. What neither tells is called so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from models.anatomy import words
from models.anatomy.names import LEFT, PAIRED, RIGHT, SINGLE, sided
from models.anatomy.structures import Structure as S
from node.domain.anatomy import LEVELS, Anatomy

#: The images end within this distance of the middle of the last vertebra that was recognised, mm:
#: else there may be others beyond it.
END_MM = 60.0


class Where(Enum):
    """Do the images show where a structure usually lies?"""

    INSIDE = "the images show the usual place"
    BEYOND = "the usual place is beyond the images"
    UNKNOWN = "beyond the images, or not recognised"


@dataclass(frozen=True, slots=True)
class Place:
    """Beside which vertebrae a structure lies in adults.

    Attributes:
        usual: the lowest and the highest vertebra of its middle: where these are in view, it is.
        widest: the lowest and the highest beside which any of it lies, a vertebra spared at each
            end; "" goes on beyond the levels that are counted.
    """

    usual: tuple[str, str] | None
    widest: tuple[str, str]


#: Of supine adults; a place tells only whether the images go there, never whose an organ is.
_PLACES = {
    S.LIVER: Place(("T12", "T11"), ("L4", "T7")),
    S.SPLEEN: Place(("T12", "T11"), ("L3", "T8")),
    S.KIDNEY: Place(("L2", "L1"), ("L5", "T10")),
    S.LUNG: Place(("T9", "T8"), ("L2", "")),
    S.HEART: Place(("T8", "T7"), ("T12", "T3")),
    S.AORTA: Place(("L2", "T12"), ("L5", "T3")),
    S.BLADDER: Place(None, ("", "L4")),
    S.SACRUM: Place(None, ("", "L4")),
    S.HIP_BONE: Place(None, ("", "L3")),
    S.FEMUR: Place(None, ("", "L5")),
    S.PSOAS: Place(("L4", "L3"), ("", "T11")),
    S.QUADRATUS: Place(("L3", "L2"), ("", "T11")),
    S.ERECTOR: Place(("L3", "L3"), ("", "")),
    S.ABDOMINAL_WALL: Place(("L3", "L3"), ("", "")),
    S.PELVIC_MUSCLE: Place(None, ("", "L3")),
}


def not_seen(anatomy: Anatomy, drawn: Collection[str]) -> str:
    """The structures that were looked for and not drawn, in words; "" where all were.

    Args:
        drawn: names of the structures in the result.
    """
    found: dict[Where, list[str]] = {where: [] for where in Where}
    for structure, place in _PLACES.items():
        for name, other in _names(structure):
            if name not in drawn:
                found[_where(anatomy, drawn, place, other)].append(words.label(name))
    for side in (RIGHT, LEFT):
        names = [sided(PAIRED[one][1], side) for one in (S.RIB, S.RIB_11, S.RIB_12)]
        if not any(name in drawn for name in names):
            found[Where.UNKNOWN].append(words.label(names[0]))
    if not anatomy.vertebrae:
        found[Where.UNKNOWN].append("Vertebrae")
    return "; ".join(
        f"{', '.join(names)} ({where.value})" for where, names in found.items() if names
    )


def _names(structure: S) -> Sequence[tuple[str, str]]:
    """Each name of a structure, and that of its other side; "" where it has none."""
    if structure in SINGLE:
        return ((SINGLE[structure][1], ""),)
    right, left = (sided(PAIRED[structure][1], side) for side in (RIGHT, LEFT))
    return ((right, left), (left, right))


def _where(anatomy: Anatomy, drawn: Collection[str], place: Place, other: str) -> Where:
    # The other one of a pair, whole in the images, lies beside it.
    if other in drawn and other not in anatomy.cut:
        return Where.INSIDE
    levels = [LEVELS.index(one.level) for one in anatomy.vertebrae if one.level]
    if not levels:
        return Where.UNKNOWN
    low, high = min(levels), max(levels)
    if place.usual is not None:
        lowest, highest = (LEVELS.index(one) for one in place.usual)
        if low <= lowest and high >= highest:
            return Where.INSIDE
    bottom, top = place.widest
    ends_below, ends_above = _ends(anatomy)
    if bottom and high < LEVELS.index(bottom) and ends_above:
        return Where.BEYOND
    if top and low > LEVELS.index(top) and ends_below:
        return Where.BEYOND
    return Where.UNKNOWN


def _ends(anatomy: Anatomy) -> tuple[bool, bool]:
    """Do the images end below the lowest and above the highest vertebra, and have both levels?"""
    lowest, highest = anatomy.vertebrae[0], anatomy.vertebrae[-1]
    step = float(np.linalg.norm(anatomy.affine[:3, 0]))
    back = np.linalg.inv(anatomy.affine)
    low, high = (
        float((back @ np.array([*one.centre_mm, 1.0]))[0]) * step for one in (lowest, highest)
    )
    below = bool(lowest.level) and low < END_MM
    above = bool(highest.level) and (len(anatomy.labels) - 1) * step - high < END_MM
    return below, above
