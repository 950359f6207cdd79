"""Levels of the bodies that were found: counted from what lies beside them, and checked.

The shared anatomy parts the column roughly: in bone as dark as a disc it may part bodies in their
middles, and its count is then one off. The bodies that the outline network finds are surer. So
the anchors are looked for beside these: the sacrum straight below the lowest one, and the lowest
ribs. Where both are seen and the usual number of vertebrae lies between them, that is the count.
Where one is seen, or none, the anatomy's count is taken, and only if what is seen agrees with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.grid import Mask
from models.vertebral_fractures.ends import rooms_of
from models.vertebral_fractures.frames import Own, Vector
from node.domain.anatomy import LEVELS, Anatomy

#: Level of what lies below L5.
SACRAL = "sacral"
#: A body has the level of a vertebra of the anatomy within this distance, mm.
NAMED_MM = 14.0
#: Of the bodies that have one, this share must agree on one way to count where an anchor that is
#: seen beside them agrees too; all of them must where none is.
AGREED = 0.7
#: Two bodies nearer than this share of the usual distance are parts of one.
CROWDED = 0.6
#: Smallest sacrum that counts, ml; it lies within so many usual distances of the middle of the
#: body on it: that is half a body and a disc, and one vertebra more is two.
SACRUM_ML, SACRUM_NEAR = 10.0, 1.1
#: Where the heads of ribs lie in a body's frame: to a side and to the back, mm; and up and down
#: as a part of the usual distance. With so many ml there it has ribs: a rib that leans down
#: beside the next body leaves less there.
RIB_SIDE_MM, RIB_BACK_MM, RIB_HIGH, RIBS_ML = (16.0, 50.0), (-15.0, 45.0), 0.36, 1.0
#: Vertebrae between the sacrum and the lowest ribs.
LUMBAR = LEVELS.index("T12")
_SACRUM, _RIBS = "sacrum", "lowest ribs"
_DISAGREE = "the vertebrae that were found and those that were named do not agree"


@dataclass(frozen=True, slots=True)
class Count:
    """Levels from below, `SACRAL` below L5; all "" with the doubts where they are not certain.

    Attributes:
        anchors: what they rest on; () where they are not certain.
    """

    levels: list[str]
    anchors: tuple[str, ...]
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """What is seen beside the bodies.

    Attributes:
        on_sacrum: the lowest body lies straight on the sacrum.
        ribbed: index of the lowest body with ribs; None where no ribs are seen.
    """

    on_sacrum: bool
    ribbed: int | None

    @property
    def is_whole(self) -> bool:
        """Are both ends of the lumbar spine seen?"""
        return self.on_sacrum and self.ribbed is not None

    def agrees(self, levels: Sequence[str]) -> bool:
        """Do levels from below fit to all that is seen?"""
        fits_ribs = self.ribbed is None or levels[self.ribbed] == LEVELS[LUMBAR]
        return fits_ribs and (not self.on_sacrum or levels[0] in (LEVELS[0], SACRAL))


def count_levels(anatomy: Anatomy, owns: Sequence[Own]) -> Count:
    """The levels of bodies from below, where they are certain."""
    if rooms_of(owns):
        return _none(owns, "a vertebra between two others was not seen")
    if _is_crowded(owns):
        return _none(owns, "two bodies lie nearer to each other than vertebrae do")
    beside = _beside(anatomy, owns)
    named = _named(anatomy, owns, beside)
    if not named.doubts:
        return named if beside.agrees(named.levels) else _none(owns, _DISAGREE)
    # What the anatomy named, and is contradicted by its own bodies, is not counted anew.
    if not beside.is_whole or anatomy.anchors or len(owns) > len(LEVELS):
        return named
    if beside.ribbed != LUMBAR:
        return _none(
            owns,
            f"{beside.ribbed} vertebrae lie between the sacrum and the lowest ribs, where {LUMBAR} "
            "are usual: a transitional vertebra, another number of ribs, or a body that was not "
            "found",
        )
    return Count(list(LEVELS[: len(owns)]), (_SACRUM, _RIBS), ())


def _none(owns: Sequence[Own], *doubts: str) -> Count:
    return Count([""] * len(owns), (), doubts)


def _named(anatomy: Anatomy, owns: Sequence[Own], beside: Beside) -> Count:
    """The levels of the anatomy, for the bodies that were found."""
    if not anatomy.anchors:
        doubts = anatomy.doubts or ("nothing that fixes the levels is in view",)
        return _none(owns, *doubts)
    shifts: Counter[int] = Counter()
    for number, own in enumerate(owns):
        for one in anatomy.vertebrae:
            if one.level in LEVELS and (
                np.linalg.norm(np.array(one.centre_mm) - own.centre) < NAMED_MM
            ):
                shifts[LEVELS.index(one.level) - number] += 1
                break
    if not shifts:
        return _none(owns, "no body lies where the anatomy names one")
    shift, votes = shifts.most_common(1)[0]
    is_anchored = beside.on_sacrum or beside.ribbed is not None
    if votes < (AGREED if is_anchored else 1.0) * sum(shifts.values()) or votes < 2:
        return _none(owns, _DISAGREE)
    if shift + len(owns) > len(LEVELS):
        return _none(owns, "there are more vertebrae above than levels have names")
    levels = [LEVELS[shift + n] if shift + n >= 0 else SACRAL for n in range(len(owns))]
    return Count(levels, anatomy.anchors, ())


def _is_crowded(owns: Sequence[Own]) -> bool:
    steps = _steps(owns)
    return len(steps) >= 3 and bool((steps < CROWDED * np.median(steps)).any())


def _steps(owns: Sequence[Own]) -> Vector:
    centres = np.array([own.centre for own in owns]).reshape(-1, 3)
    return np.asarray(np.linalg.norm(np.diff(centres, axis=0), axis=1), np.float64)


def _beside(anatomy: Anatomy, owns: Sequence[Own]) -> Beside:
    """The anchors that are seen, whatever the anatomy made of its own bodies."""
    if len(owns) < 2:
        return Beside(on_sacrum=False, ribbed=None)
    steps = _steps(owns)
    sacrum = _points(anatomy, anatomy.mask("sacrum"))
    on_sacrum = len(sacrum) * anatomy.voxel_ml >= SACRUM_ML and bool(
        np.linalg.norm(sacrum - owns[0].centre, axis=1).min() < SACRUM_NEAR * steps[0]
    )
    names = [one for one in anatomy.names.values() if one.startswith(("ribs_", "rib_"))]
    ribs = _points(anatomy, anatomy.mask(*names))
    # The distance to the next body above, and of the highest to the one below.
    high = RIB_HIGH * np.r_[steps, steps[-1]]
    for index, own in enumerate(owns):
        if _heads(ribs, own, float(high[index])) * anatomy.voxel_ml >= RIBS_ML:
            return Beside(on_sacrum=on_sacrum, ribbed=index)
    return Beside(on_sacrum=on_sacrum, ribbed=None)


def _heads(ribs: Vector, own: Own, high: float) -> int:
    """How many points of ribs, (n, 3) LPS mm, lie where the heads of a body's ribs lie."""
    away = ribs - own.centre
    side, back, up = np.abs(away @ own.left), away @ own.back, np.abs(away @ own.up)
    inside = (side > RIB_SIDE_MM[0]) & (side < RIB_SIDE_MM[1]) & (up < high)
    return int((inside & (back > RIB_BACK_MM[0]) & (back < RIB_BACK_MM[1])).sum())


def _points(anatomy: Anatomy, mask: Mask) -> Vector:
    """(n, 3) LPS mm of the voxels of a mask."""
    return np.asarray(np.argwhere(mask) @ anatomy.affine[:3, :3].T + anatomy.affine[:3, 3])
