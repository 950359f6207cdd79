"""Branching trees: bronchi, pulmonary arteries and veins, grown into a volume and painted.

Growth follows Tawhai et al., J Appl Physiol 2004 (97:2310): the points that a branch must supply
are split in two by a plane through their centre, and each half gets a branch that runs part of the
way to the half's centre. Calibre follows the number of points supplied, r = root (n / N)^p, which
is Murray's law (PNAS 1926; p = 1/3) with an exponent that fits both ends of the tree; Huang et al.,
J Appl Physiol 1996 (81:2123) give 1.56-1.6 for the ratio of successive orders of arteries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.phantoms.chest_tissue import Lobe
from models.phantoms.shapes import Field

Points = NDArray[np.float64]
"""(n, 3) z, y, x in mm of the patient's frame."""


class Level(StrEnum):
    """How far from the heart a branch lies, as embolism is reported."""

    CENTRAL = "central"  # trunk, right and left main
    LOBAR = "lobar"  # with the interlobar arteries
    SEGMENTAL = "segmental"
    SUBSEGMENTAL = "subsegmental"


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch from a division to the next.

    Attributes:
        points: (n, 3) z, y, x of the centre line, mm, from the heart (or trachea) outwards.
        radius_mm: (n,) of the lumen. level. lobe: that it supplies.
        parent: index of the branch it leaves; None for a root.
        name: of a named branch ("right main"), else "".
    """

    points: Points
    radius_mm: NDArray[np.float64]
    level: Level
    lobe: Lobe
    parent: int | None
    name: str = ""

    @property
    def length_mm(self) -> float:
        """Along the centre line."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())


@dataclass(frozen=True)
class Samples:
    """Balls along all branches: centre (n, 3) z, y, x, radius (n,) mm, branch (n,) index."""

    points: Points
    radius_mm: NDArray[np.float64]
    branch: NDArray[np.intp]


@dataclass(frozen=True)
class Tree:
    """Branches; a parent always comes before its children."""

    branches: tuple[Branch, ...]

    def __iter__(self) -> Iterator[Branch]:
        return iter(self.branches)

    def __len__(self) -> int:
        return len(self.branches)

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """children[k]: indices of the branches that leave branch k."""
        found: list[list[int]] = [[] for _ in self.branches]
        for k, branch in enumerate(self.branches):
            if branch.parent is not None:
                found[branch.parent].append(k)
        return tuple(tuple(each) for each in found)

    def to_root(self, k: int) -> list[int]:
        """Indices from branch k to its root, both included."""
        way = [k]
        while (parent := self.branches[way[-1]].parent) is not None:
            way.append(parent)
        return way

    def beyond(self, k: int) -> list[int]:
        """Indices of everything downstream of branch k, itself not included."""
        found, open_ends = [], list(self.children[k])
        while open_ends:
            found.append(open_ends.pop())
            open_ends.extend(self.children[found[-1]])
        return sorted(found)

    def of_level(self, *levels: Level) -> list[int]:
        """Indices of the branches of these levels."""
        return [k for k, branch in enumerate(self.branches) if branch.level in levels]

    @cached_property
    def samples(self) -> Samples:
        """Balls that overlap enough to be a smooth tube at 0.5 mm and coarser."""
        return self.sampled(range(len(self.branches)))

    def sampled(
        self,
        chosen: Sequence[int],
        radius: Callable[[Branch], NDArray[np.float64]] = (lambda branch: branch.radius_mm),
    ) -> Samples:
        """Balls along some branches, with another radius if wished (a wall, a clot)."""
        points, sizes, owner = [], [], []
        for k in chosen:
            branch = self.branches[k]
            width = radius(branch)
            at = np.concatenate(
                [[0.0], np.cumsum(np.linalg.norm(np.diff(branch.points, axis=0), axis=1))]
            )
            step = min(max(0.3, 0.14 * float(width.mean())), 1.5)
            fine = np.linspace(0, at[-1], max(2, int(at[-1] / step) + 1))
            points.append(np.stack([np.interp(fine, at, branch.points[:, a]) for a in range(3)], 1))
            sizes.append(np.interp(fine, at, width))
            owner.append(np.full(fine.size, k))
        if not points:
            return Samples(np.zeros((0, 3)), np.zeros(0), np.zeros(0, np.intp))
        return Samples(np.concatenate(points), np.concatenate(sizes), np.concatenate(owner))


_NOTHING = -99.0
_CHUNK = 400_000


def depth(samples: Samples, axes: tuple[Field, Field, Field]) -> Field:
    """Depth inside the union of the balls, mm; negative outside, -99 far from any of them.

    Args:
        axes: z, y, x of the voxel centres, mm, evenly spaced.

    A tube thinner than a voxel gets the depth at which `share` gives the part of the voxel that
    it fills.
    """
    shape = tuple(axis.size for axis in axes)
    out = np.full(shape, _NOTHING, np.float32)
    steps = np.array([float(axis[-1] - axis[0]) / max(axis.size - 1, 1) for axis in axes])
    voxel = float(np.prod(steps) ** (1 / 3))
    origin = np.array([float(axis[0]) for axis in axes])
    reach = samples.radius_mm + voxel
    last = origin + steps * (np.array(shape) - 1)
    near = np.all(
        (samples.points > origin - reach[:, None]) & (samples.points < last + reach[:, None]), 1
    )
    at: Field = ((samples.points[near] - origin) / steps).astype(np.float32)
    size = samples.radius_mm[near]
    area = np.pi * size**2 / voxel**2
    wide: Field = np.where(area < 1.0, np.minimum(size, voxel * (area - 0.5)), size).astype(
        np.float32
    )
    half = np.ceil(reach[near] / steps.min() / 2).astype(np.intp) * 2
    flat = out.reshape(-1)
    for width in np.unique(half):
        chosen = np.nonzero(half == width)[0]
        span = [np.arange(-k, k + 1) for k in np.ceil(width * steps.min() / steps).astype(int)]
        offset = np.stack(np.meshgrid(*span, indexing="ij"), -1).reshape(-1, 3)
        limit = (width * steps.min() + voxel) ** 2
        offset = offset[((offset * steps) ** 2).sum(1) <= limit]
        room = max(1, _CHUNK // len(offset))
        for first in range(0, chosen.size, room):
            _stamp(flat, shape, steps, (at, wide, chosen[first : first + room]), offset)
    return out


def _stamp(
    flat: Field,
    shape: tuple[int, ...],
    steps: NDArray[np.float64],
    balls: tuple[Field, Field, NDArray[np.intp]],
    offset: NDArray[np.intp],
) -> None:
    at, size, chosen = balls[0][balls[2]], balls[1][balls[2]], balls[2]
    middle = np.rint(at).astype(np.intp)
    inside = np.ones((chosen.size, len(offset)), np.bool_)
    distance = np.zeros((chosen.size, len(offset)), np.float32)
    index = np.zeros((chosen.size, len(offset)), np.intp)
    for a in range(3):
        place = middle[:, a, None] + offset[None, :, a]
        inside &= (place >= 0) & (place < shape[a])
        distance += ((place - at[:, a, None]) * np.float32(steps[a])) ** 2
        index = index * shape[a] + place
    depth_here = size[:, None] - np.sqrt(distance)
    inside &= depth_here > -2.5 * np.float32(steps.max())
    np.maximum.at(flat, index[inside], depth_here[inside])


def share(depth_mm: Field, voxel_mm: float) -> Field:
    """Part of each voxel inside a surface, from the depth of its centre; 0 to 1."""
    out: Field = np.clip(depth_mm / np.float32(voxel_mm) + np.float32(0.5), 0, 1)
    return out


@dataclass(frozen=True, slots=True)
class Sprout:
    """A grown branch: start, end, direction of arrival, points supplied, index of the parent."""

    start: Points
    end: Points
    course: Points
    supplied: int
    parent: int | None


def grow(
    start: Points,
    course: Points,
    cloud: Points,
    rng: np.random.Generator,
    *,
    reach: float = 0.42,
) -> list[Sprout]:
    """A tree from `start` that supplies every point of `cloud`.

    Args:
        start: (3,). course: (3,) direction in which the stem arrives.
        cloud: (n, 3) points to supply. reach: part of the way to the centre that a branch runs.
    """
    found: list[Sprout] = []
    tasks: list[tuple[Points, Points, Points, int | None]] = [(start, course, cloud, None)]
    while tasks:
        here, ahead, points, parent = tasks.pop()
        alone = len(points) == 1
        way = (points[0] if alone else points.mean(0)) - here
        length = math.sqrt(float(way @ way))
        if length < 1e-3:
            continue
        way = way / length
        ahead = ahead / max(math.sqrt(float(ahead @ ahead)), 1e-6)
        cosine = float(way @ ahead)
        if cosine < 0.5:
            # No branch turns back sharply on its parent.
            side = way - cosine * ahead
            norm = math.sqrt(float(side @ side))
            if norm > 1e-6:
                way = 0.5 * ahead + 0.87 * side / norm
        elif not alone:
            # The straighter way costs less and reaches the same points.
            way = way + 0.35 * ahead
            way = way / math.sqrt(float(way @ way))
        part = 0.92 if alone else reach * (0.8 + 0.4 * float(rng.random()))
        end = here + way * length * part
        found.append(Sprout(here, end, way, len(points), parent))
        if alone:
            continue
        me = len(found) - 1
        for half in _split(points, way, rng):
            tasks.append((end, way, half, me))
    return found


_PARTS = (0.3, 0.42, 0.58, 0.7)
"""Shares of the points that the first of two daughters supplies, before some jitter."""


def _split(points: Points, way: Points, rng: np.random.Generator) -> tuple[Points, Points]:
    """Two parts (25 to 75 %) across the widest direction that is not the branch's own."""
    if len(points) == 2:
        return points[:1], points[1:]
    middle = points - points.mean(0)
    flat = middle - np.outer(middle @ way, way) * 0.7
    if len(points) > 4:
        normal = np.linalg.eigh(flat.T @ flat)[1][:, -1] + rng.normal(0, 0.18, 3)
    else:
        normal = flat[int(np.argmax((flat**2).sum(1)))]
    order = np.argsort(middle @ normal, kind="stable")
    draw = float(rng.random()) * len(_PARTS)
    part = _PARTS[int(draw)] + 0.1 * (draw % 1 - 0.5)
    cut = min(max(round(len(points) * part), 1), len(points) - 1)
    return points[order[:cut]], points[order[cut:]]


_STEPS = {count: np.linspace(0, 1, count)[:, None] for count in (4, 7)}


def curved(start: Points, end: Points, arriving: Points, bend: float = 0.22) -> Points:
    """Points of a smooth way that leaves `start` partly in the direction `arriving`."""
    way = end - start
    length = math.sqrt(float(way @ way))
    knee = start + arriving * (length * bend) + way * (0.5 - bend / 2)
    t = _STEPS[4 if length < 8 else 7]
    out: Points = (1 - t) ** 2 * start + 2 * t * (1 - t) * knee + t**2 * end
    return out
