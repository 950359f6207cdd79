"""A closer look at each candidate: is it a nodule, and which voxels are it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cc3d
import numpy as np
from scipy import ndimage

from models.distance import distance_inside
from models.grid import Floats, Grid, Mask
from models.lung_nodules.candidates import Candidate
from models.lung_nodules.cubes import Axes, Point, axes_round, cube_of, toned
from node.domain.imaging import Network

NETWORK = "refiner"
PATCH = 48
#: Voxels of the near, the wide and the widest look, mm.
STEPS_MM = (0.7, 1.4, 2.8)
#: From this diameter on the next wider look is taken, mm.
WIDER_FROM_MM = (16.0, 32.0)
#: Patches a call.
BATCH = 8
#: A nodule whose middle is farther from the patch's middle is looked at once more, mm.
OFF_CENTRE_MM = 1.5
#: Part of the patch's border that a mask may touch before a wider look is taken.
AT_BORDER = 0.02
#: What is denser than this, HU, so far beyond a mask, mm, is no lung: there a solid nodule has no
#: border that is seen.
NO_LUNG_HU, BEYOND_MM = -350.0, (1.4, 2.9)
#: From this diameter on the near look does not see enough of the surroundings of a nodule whose
#: border is not seen, mm.
SURROUNDED_FROM_MM = 11.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the refiner says of one candidate.

    Attributes:
        share: (48, 48, 48) probability of each voxel, of the part in the middle only.
        axes: of the patch among the samples of the grid. step_mm: its voxels.
        logit: that it is a nodule.
    """

    candidate: Candidate
    share: Floats
    axes: Axes
    step_mm: float
    logit: float

    @property
    def centre(self) -> Point:
        """Middle of the mask among the samples of the grid; the candidate's where it is empty."""
        weight = self.share
        if weight.sum() < 1e-3:
            return self.candidate.centre
        middle = np.array(ndimage.center_of_mass(weight))
        starts = np.array([axis.start for axis in self.axes])
        steps = np.array([axis.step for axis in self.axes])
        return np.asarray(middle * steps + starts, np.float64)

    @property
    def volume_mm3(self) -> float:
        """Sum of the shares."""
        return float(self.share.sum()) * self.step_mm**3


def looks_of(grid: Grid, candidates: Sequence[Candidate], network: Network) -> list[Look]:
    """A look at each candidate, centred on its mask, as wide as it needs."""
    places = [(c, c.centre, _level(c.diameter_mm)) for c in candidates]
    looks = _run(grid, places, network)
    again = []
    for index, look in enumerate(looks):
        level = STEPS_MM.index(look.step_mm)
        wanted = _wanted(look, level)
        off = float(np.linalg.norm((look.centre - _middle(look)) * np.array(grid.spacing_mm)))
        if wanted != level or off > OFF_CENTRE_MM * look.step_mm / STEPS_MM[0]:
            again.append((index, look.centre, wanted))
    fresh = _run(grid, [(candidates[i], at, level) for i, at, level in again], network)
    for (index, _, _), look in zip(again, fresh, strict=True):
        # A second look that lost the nodule says less than the first.
        if look.share.sum() > 0 and look.logit > looks[index].logit - 3.0:
            looks[index] = look
    return looks


def joined_share(grid: Grid, look: Look) -> float:
    """Part of the surface of a mask, 0..1, beyond which there is no lung but tissue."""
    core = look.share > 0.5
    if not core.any():
        return 0.0
    away = distance_inside(~core) * look.step_mm
    least, most = BEYOND_MM
    shell = (away > least) & (away < most)
    return float((cube_of(grid, look.axes)[shell] > NO_LUNG_HU).mean()) if shell.any() else 0.0


def with_surroundings(grid: Grid, look: Look, network: Network) -> Look:
    """The mask of a near look as a wider one draws it; as it is where that draws none.

    From too near the network sees neither where the wall lies nor how large the nodule is. What it
    says of the nodule's being one stays that of the near look.
    """
    if look.step_mm > STEPS_MM[0] or _diameter_mm(look) < SURROUNDED_FROM_MM:
        return look
    (wide,) = _run(grid, [(look.candidate, look.centre, 1)], network)
    return replace(wide, logit=look.logit) if (wide.share > 0.5).any() else look


def _diameter_mm(look: Look) -> float:
    """Of a ball as large as the mask."""
    return float(2.0 * (3.0 * max(look.volume_mm3, 1e-3) / (4.0 * np.pi)) ** (1 / 3))


def _level(diameter_mm: float) -> int:
    return sum(diameter_mm >= limit for limit in WIDER_FROM_MM)


def _wanted(look: Look, level: int) -> int:
    inside = look.share > 0.5
    rim = inside.copy()
    rim[1:-1, 1:-1, 1:-1] = False
    if inside.any() and rim.sum() > AT_BORDER * 6 * PATCH**2 and level < len(STEPS_MM) - 1:
        return level + 1
    diameter = _diameter_mm(look)
    own = _level(diameter)
    # Only a clear difference is worth another look.
    return own if own > level or (own < level and diameter < 0.8 * WIDER_FROM_MM[own]) else level


def _middle(look: Look) -> Point:
    return np.array([axis.start + axis.step * (axis.count - 1) / 2 for axis in look.axes])


def _run(
    grid: Grid, places: Sequence[tuple[Candidate, Point, int]], network: Network
) -> list[Look]:
    looks: list[Look] = []
    for first in range(0, len(places), BATCH):
        group = places[first : first + BATCH]
        framed = [axes_round(grid, at, STEPS_MM[level], PATCH) for _, at, level in group]
        batch = np.stack([toned(cube_of(grid, axes))[None] for axes in framed])
        answer = network.run({"image": batch})
        for number, ((candidate, _, level), axes) in enumerate(zip(group, framed, strict=True)):
            share = 1.0 / (1.0 + np.exp(-answer["mask"][number, 0].astype(np.float32)))
            looks.append(
                Look(
                    candidate=candidate,
                    share=in_the_middle(np.asarray(share, np.float32)),
                    axes=axes,
                    step_mm=STEPS_MM[level],
                    logit=float(answer["score"][number, 0]),
                )
            )
    return looks


def in_the_middle(share: Floats) -> Floats:
    """Only the part of the mask that holds the middle, or is nearest to it within 4 voxels."""
    parts = cc3d.connected_components(np.ascontiguousarray(share > 0.5), connectivity=6)
    if not parts.any():
        return np.zeros_like(share)
    middle = (PATCH - 1) / 2
    where = np.argwhere(parts > 0)
    distance = np.linalg.norm(where - middle, axis=1)
    nearest = int(distance.argmin())
    if distance[nearest] > 5.0:
        return np.zeros_like(share)
    own: Mask = parts == parts[tuple(where[nearest])]
    near = ndimage.binary_dilation(own, iterations=2)
    others = (parts > 0) & ~own
    return np.where(near & ~others, share, 0.0).astype(np.float32)
