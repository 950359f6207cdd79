"""Clots as they are reported: certainty, level, side, and their mask on the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.grid import Mask
from models.pulmonary_embolism.candidates import Candidate
from models.pulmonary_embolism.space import Space
from models.pulmonary_embolism.vocabulary import Level

#: Radius of the lumen from which on a vessel is called so, mm. Set on the simulated trees of
#: training seeds; calibres of adults overlap, so neighbouring levels are confused.
RADII_MM = ((Level.CENTRAL, 9.0), (Level.LOBAR, 4.2), (Level.SEGMENTAL, 1.9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Clot:
    """One candidate that is reported.

    Attributes:
        certainty: per cent. side: "right", "left", "both".
        planes: canonical slice indices of the series on which its mask lies, rising.
        mask: (plane, row, column) in the order of `planes`, canonical, whole slices.
        key: canonical slice indices of one to three key slices, the largest area first.
    """

    candidate: Candidate
    certainty: float
    level: Level
    side: str
    planes: tuple[int, ...]
    box: tuple[slice, slice]
    mask: Mask
    key: tuple[int, ...]

    @property
    def hu(self) -> float:
        """Mean attenuation of its inside."""
        return self.candidate.hu

    @property
    def ml(self) -> float:
        """Volume."""
        return self.candidate.ml


def level_of(radius_mm: float) -> Level:
    """By the calibre of the vessel."""
    for level, radius in RADII_MM:
        if radius_mm >= radius:
            return level
    return Level.SUBSEGMENTAL


def clot_of(space: Space, found: tuple[Candidate, float], central: Mask, middle: float) -> Clot:
    """A candidate with its certainty, on the images.

    Args:
        central: (slice, row, column) pulmonary trunk and main arteries, fine grid.
        middle: fine column between the lungs.
    """
    candidate, certainty = found
    inside = float(central[candidate.box][candidate.mask].mean())
    planes, box, mask = _on_images(space, candidate)
    areas = mask.sum(axis=(1, 2))
    return Clot(
        candidate=candidate,
        certainty=certainty,
        level=level_of(candidate.radius_mm),
        side=_side(candidate, middle, inside > 0.3),
        planes=planes,
        box=box,
        mask=mask,
        key=_key(planes, areas),
    )


def _side(candidate: Candidate, middle: float, central: bool) -> str:
    columns = np.nonzero(candidate.mask)[2] + candidate.box[2].start
    share = float((columns < middle).mean())
    if central and 0.15 < share < 0.85:
        return "both"
    return "right" if share >= 0.5 else "left"


def _on_images(
    space: Space, candidate: Candidate
) -> tuple[tuple[int, ...], tuple[slice, slice], Mask]:
    """The mask on the slices of the series: their indices, rows and columns, the mask there."""
    grid = space.grid
    at: list[NDArray[np.float64]] = []
    parts: list[slice] = []
    for axis, side in enumerate(candidate.box):
        where = space.index_of(axis, grid.shape[axis])
        inside = np.flatnonzero((where > side.start - 0.5) & (where < side.stop - 0.5))
        if not inside.size:
            inside = np.array([int(np.argmin(np.abs(where - (side.start + side.stop - 1) / 2)))])
        parts.append(slice(int(inside[0]), int(inside[-1]) + 1))
        at.append(where[inside] - side.start)
    soft = candidate.mask.astype(np.float32)
    points = np.meshgrid(*at, indexing="ij")
    mask = ndimage.map_coordinates(soft, points, order=1, mode="nearest") >= 0.5
    if not mask.any():
        # Thinner than the slices lie apart: the slice next to its middle shows it.
        values = ndimage.map_coordinates(soft, points, order=1, mode="nearest")
        mask = values >= max(1e-3, float(values.max()) * 0.7)
    if not mask.any():
        nearest = tuple(
            int(np.argmin(np.abs(line - (centre - side.start))))
            for line, centre, side in zip(at, candidate.centre, candidate.box, strict=True)
        )
        mask[nearest] = True
    used = np.flatnonzero(mask.any(axis=(1, 2)))
    planes = tuple(int(index) + parts[0].start for index in used)
    return planes, (parts[1], parts[2]), np.asarray(mask[used], np.bool_)


#: Key slices lie at least so many planes apart.
_APART = 3


def _key(planes: Sequence[int], areas: NDArray[np.intp]) -> tuple[int, ...]:
    """The slice of the largest area, and one a good way towards either end of a long clot."""
    largest = int(np.argmax(areas))
    chosen = [largest]
    for wanted in (len(planes) // 6, len(planes) - 1 - len(planes) // 6):
        if all(abs(planes[wanted] - planes[other]) >= _APART for other in chosen):
            chosen.append(wanted)
    return tuple(planes[index] for index in chosen)
