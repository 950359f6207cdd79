"""Where the images show a vertebra, or room for one, that nobody recognised.

A fracture in a vertebra that was not found is a fracture that was missed: so wherever the spine
goes on beyond the first or the last body, or between two, the result says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.grid import Grid
from models.vertebral_fractures.frames import Own, Vector, values_at
from node.domain.anatomy import Anatomy

#: Neighbours further apart than this, of the usual distance, have room for another between them.
ROOM = 1.55
#: From the middle of a body to the far end of the next one, of the usual distance; and the usual
#: distance where fewer than two bodies were found, mm.
WHOLE_NEXT, USUAL_MM = 1.45, 32.0
#: Half the width of the box that is looked at where the next body would lie, mm, and half its
#: height as a part of the usual distance. Denser than this is bone, HU, and a vertebra is there
#: where so much of the box is: half of the share that the least dense vertebra of the real scans
#: shows (0.2); soft tissue shows none.
_HALF_MM, _HALF_HIGH, BONE_HU, BONE_SHARE = 20.0, 0.45, 150.0, 0.10
#: Sacrum within this distance of where the next body would lie ends the spine, mm.
_SACRUM_MM = 28.0
#: Bones of the pelvis, and how near one is to the middle of L5 or of the first piece of the
#: sacrum, mm.
PELVIS, _PELVIS_MM = ("sacrum", "hip_left", "hip_right"), 60.0
#: Levels at which the spine that is looked at ends.
LAST_BELOW, LAST_ABOVE = "L5", "T1"


def rooms_of(owns: Sequence[Own]) -> tuple[int, ...]:
    """Numbers of bodies above which there is room for another one; `owns` from below."""
    steps = _steps(owns)
    if len(steps) < 3:
        return ()
    usual = float(np.median(steps))
    return tuple(int(k) for k in np.flatnonzero(steps > ROOM * usual))


def goes_on(
    grid: Grid, anatomy: Anatomy, owns: Sequence[Own], levels: Sequence[str]
) -> tuple[bool, bool]:
    """Do the images show a whole vertebra below the lowest and above the highest body?

    Args:
        owns: bodies that were found, from below, those that the images cut included.
        levels: of them, "" where a level is not certain.
    """
    if not owns:
        return False, False
    steps = _steps(owns)
    usual = float(np.median(steps)) if len(steps) else USUAL_MM
    below = levels[0] != LAST_BELOW and _shows_bone(grid, owns[0], -usual)
    below = below and not _is_near_sacrum(anatomy, owns[0], -usual)
    above = levels[-1] != LAST_ABOVE and _shows_bone(grid, owns[-1], usual)
    return below, above


def _steps(owns: Sequence[Own]) -> np.ndarray:
    centres = np.array([own.centre for own in owns]).reshape(-1, 3)
    return np.asarray(np.linalg.norm(np.diff(centres, axis=0), axis=1))


def _shows_bone(grid: Grid, own: Own, step: float) -> bool:
    """Is there bone, whole in the images, where the next body would lie?"""
    way = np.linspace(0.0, WHOLE_NEXT * step, 24)
    none = np.zeros_like(way)
    _, seen = values_at(grid, own.at(none, none, way))
    if seen.min() < 1.0:
        return False
    line = np.arange(-_HALF_MM, _HALF_MM + 0.5, 3.0)
    half = _HALF_HIGH * abs(step)
    left, back, up = np.meshgrid(
        line, line, step + np.arange(-half, half + 0.5, 3.0), indexing="ij"
    )
    hu, seen = values_at(grid, own.at(left, back, up))
    return bool((hu[seen > 0] > BONE_HU).mean() > BONE_SHARE)


def is_at_pelvis(anatomy: Anatomy, own: Own) -> bool:
    """Is a bone of the pelvis so near that a body could be a piece of the sacrum?"""
    return _away_mm(anatomy, PELVIS, own.centre) < _PELVIS_MM


def _is_near_sacrum(anatomy: Anatomy, own: Own, step: float) -> bool:
    return _away_mm(anatomy, ("sacrum",), own.centre + step * own.up) < _SACRUM_MM


def _away_mm(anatomy: Anatomy, names: Sequence[str], point: Vector) -> float:
    """From a point, LPS mm, to the nearest voxel of some structures; infinite without any."""
    where = np.argwhere(anatomy.mask(*names))
    if not len(where):
        return float("inf")
    points = where @ anatomy.affine[:3, :3].T + anatomy.affine[:3, 3]
    return float(np.linalg.norm(points - point, axis=1).min())
