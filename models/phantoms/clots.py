"""Clots in arteries: from a saddle embolus to a web in a subsegmental branch, with exact masks.

A clot lies along a course (the centreline of an artery with its radii) and fills a part of its
lumen. Nothing here knows a tissue or a scanner: the caller has the mask painted, and applies blur
and noise afterwards. Frame: (z, y, x) in mm, as everywhere in the phantoms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from models.phantoms.chest_canvas import ChestCanvas, Lesion
from models.phantoms.chest_tissue import Lobe
from models.phantoms.vessel_tree import Branch, Level, Tree

Points = NDArray[np.float64]
Mask = NDArray[np.bool_]
Box = tuple[slice, slice, slice]


class Form(StrEnum):
    """How a clot lies in the lumen."""

    OCCLUSIVE = "occlusive"
    #: Surrounded by blood: the "polo mint" across, the "railway track" along.
    FLOATING = "floating"
    #: Against one wall, at an acute angle to it.
    ECCENTRIC = "eccentric"
    #: A thin membrane through the lumen: what an old clot leaves.
    WEB = "web"
    #: Astride the bifurcation of the pulmonary trunk.
    SADDLE = "saddle"


#: Blood clots: 30 to 90 HU whether fresh or old (without contrast medium inside).
CLOT_HU = (30.0, 90.0)
#: An occlusive clot is a little wider than the open lumen (Wittram et al., Radiographics
#: 2004;24:1219), so that no rim of blood is left at its edge.
_BULGE = 1.1
#: A web is this thick, mm.
_WEB_MM = (0.9, 1.6)
#: Distance of the points that a course is sampled at, mm.
_STEP_MM = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A stretch of the artery tree from its heart to its lung end.

    Attributes:
        points: (n, 3) centreline z, y, x, mm. radii: (n,) of the lumen, mm.
        side: "right", "left", or "" where it lies astride.
    """

    points: Points
    radii: NDArray[np.float64]
    level: Level
    side: str = ""

    @property
    def length_mm(self) -> float:
        """Along the centreline."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Clot:
    """One clot.

    Attributes:
        course: of which it fills the part from start_mm to stop_mm.
        share: of the radius that it takes; 1 fills the lumen.
        towards: (3,) unit vector to the wall that an eccentric clot lies at, and across which a
            web stands.
        thick_mm: of a web. hu: of the clot itself.
    """

    form: Form
    course: Course
    start_mm: float
    stop_mm: float
    share: float
    towards: NDArray[np.float64]
    thick_mm: float
    hu: float

    @property
    def level(self) -> Level:
        """Of the vessel that it lies in."""
        return self.course.level

    @property
    def side(self) -> str:
        """Of the vessel that it lies in."""
        return self.course.side


def draw_clot(course: Course, rng: np.random.Generator, form: Form | None = None) -> Clot:
    """A clot somewhere in a course, of a drawn form unless one is given."""
    saddle = course.level is Level.CENTRAL and not course.side
    if form is None:
        form = Form.SADDLE if saddle else _drawn_form(course, rng)
    radius = float(np.median(course.radii))
    length = course.length_mm
    wanted = float(np.clip(rng.uniform(2.0, 7.0) * radius, 6.0, 55.0))
    if form is Form.SADDLE:
        wanted = float(rng.uniform(0.5, 0.95)) * length
    wanted = min(wanted, 0.95 * length)
    start = float(rng.uniform(0.0, length - wanted))
    share = {
        Form.OCCLUSIVE: _BULGE,
        Form.FLOATING: float(rng.uniform(0.45, 0.75)),
        Form.ECCENTRIC: float(rng.uniform(0.45, 0.95)),
        Form.WEB: 1.0,
        Form.SADDLE: float(rng.uniform(0.3, 0.6)),
    }[form]
    towards = rng.normal(size=3)
    return Clot(
        form=form,
        course=course,
        start_mm=start,
        stop_mm=start + wanted,
        share=share,
        towards=towards / np.linalg.norm(towards),
        thick_mm=float(rng.uniform(*_WEB_MM)),
        hu=float(rng.uniform(*CLOT_HU)),
    )


def _drawn_form(course: Course, rng: np.random.Generator) -> Form:
    forms = (Form.OCCLUSIVE, Form.FLOATING, Form.ECCENTRIC, Form.WEB)
    chances = {
        Level.CENTRAL: (0.15, 0.4, 0.4, 0.05),
        Level.LOBAR: (0.35, 0.3, 0.28, 0.07),
        Level.SEGMENTAL: (0.5, 0.25, 0.18, 0.07),
        Level.SUBSEGMENTAL: (0.8, 0.1, 0.07, 0.03),
    }[course.level]
    return forms[int(rng.choice(len(forms), p=chances))]


def clot_mask(clot: Clot, axes: Sequence[NDArray[np.floating]]) -> tuple[Box, Mask]:
    """The clot on a grid: the box of voxels that it may touch, and which of them it fills.

    Args:
        axes: z, y, x of the voxel centres, mm, each evenly spaced and rising.

    Returns:
        An empty box where the clot lies outside of the grid. The lumen is a tube round the
        course; the caller cuts the mask to the artery as it was really painted.
    """
    path, radii, at = _sampled(clot)
    reach = radii * _BULGE + 1.0
    box = _box(axes, (path - reach[:, None]).min(axis=0), (path + reach[:, None]).max(axis=0))
    shape = tuple(part.stop - part.start for part in box)
    if 0 in shape:
        return (slice(0, 0), slice(0, 0), slice(0, 0)), np.zeros((0, 0, 0), np.bool_)
    grid = np.stack(
        np.meshgrid(*(a[part] for a, part in zip(axes, box, strict=True)), indexing="ij"), axis=-1
    ).reshape(-1, 3)
    found = cKDTree(path).query(grid, distance_upper_bound=float(reach.max()))
    distance, nearest = np.asarray(found[0], np.float64), np.asarray(found[1], np.intp)
    near = np.flatnonzero(np.isfinite(distance))
    nearest, distance, where = nearest[near], distance[near], grid[near]
    radius = radii[nearest]
    offset = where - path[nearest]
    inside = _across(clot, offset, distance, radius)
    # Rounded ends: a clot tapers over half of its radius.
    end = np.minimum(at[nearest] - clot.start_mm, clot.stop_mm - at[nearest])
    taper = np.clip(end / (0.5 * radius) + 0.35, 0.0, 1.0)
    inside &= distance <= radius * max(clot.share, 0.0) * taper if clot.form in _ROUND else end >= 0
    filled = np.zeros(len(grid), np.bool_)
    filled[near[inside]] = True
    return box, filled.reshape(shape)


#: Forms whose share of the radius is counted from the middle of the lumen.
_ROUND = (Form.OCCLUSIVE, Form.FLOATING, Form.SADDLE)


def _across(
    clot: Clot, offset: Points, distance: NDArray[np.float64], radius: NDArray[np.float64]
) -> Mask:
    """Which voxels the cross-section of the clot holds, before its ends are rounded."""
    lumen = distance <= radius * 1.05
    if clot.form is Form.ECCENTRIC:
        return np.asarray(lumen & (offset @ clot.towards >= radius * (1 - 2 * clot.share)))
    if clot.form is Form.WEB:
        return np.asarray(lumen & (np.abs(offset @ clot.towards) <= clot.thick_mm / 2))
    return np.asarray(lumen)


def _sampled(clot: Clot) -> tuple[Points, NDArray[np.float64], NDArray[np.float64]]:
    """Points, radii and way along the course (mm) of the filled part."""
    steps = np.linalg.norm(np.diff(clot.course.points, axis=0), axis=1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(2, int((clot.stop_mm - clot.start_mm) / _STEP_MM) + 1)
    at = np.linspace(clot.start_mm, clot.stop_mm, count)
    path = np.stack([np.interp(at, way, clot.course.points[:, k]) for k in range(3)], axis=1)
    return path, np.interp(at, way, clot.course.radii), at


def _box(axes: Sequence[NDArray[np.floating]], low: Points, high: Points) -> Box:
    found = []
    for axis, start, stop in zip(axes, low, high, strict=True):
        first, last = np.searchsorted(axis, (start, stop))
        found.append(slice(int(first), int(max(first, last))))
    return found[0], found[1], found[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClotOptions:
    """How many clots, and where their most central ends lie.

    Attributes:
        count: of separate clots. levels: chances of each `Level`, in its order.
        saddle: chance that the first clot rides on the bifurcation of the trunk.
    """

    count: int
    levels: tuple[float, float, float, float] = (0.12, 0.26, 0.42, 0.2)
    saddle: float = 0.08


def draw_clots(tree: Tree, options: ClotOptions, rng: np.random.Generator) -> tuple[Clot, ...]:
    """Clots in an artery tree (branch 0 is the trunk), each in a branch of its own."""
    found: list[Clot] = []
    taken: set[int] = set()
    chances = np.asarray(options.levels) / sum(options.levels)
    for number in range(options.count):
        if number == 0 and rng.random() < options.saddle:
            astride = _astride(tree)
            if astride is not None:
                found.append(draw_clot(astride, rng))
                continue
        level = tuple(Level)[int(rng.choice(len(chances), p=chances))]
        free = [k for k in _usable(tree, level) if k not in taken]
        if not free:
            continue
        first = int(rng.choice(free))
        course, used = _downstream(tree, first, rng)
        taken.update(used)
        found.append(draw_clot(course, rng))
    return tuple(found)


#: Thinner arteries and shorter stretches hold no clot that anybody could see, mm.
_THINNEST_MM, _SHORTEST_MM = 0.9, 4.0


def _usable(tree: Tree, level: Level) -> list[int]:
    return [
        k
        for k in tree.of_level(level)
        if tree.branches[k].name != "trunk"
        and float(np.mean(tree.branches[k].radius_mm)) >= _THINNEST_MM
        and tree.branches[k].length_mm >= _SHORTEST_MM
    ]


def _downstream(tree: Tree, first: int, rng: np.random.Generator) -> tuple[Course, list[int]]:
    """A branch and, by chance, the widest of its children and theirs."""
    used = [first]
    while rng.random() < 0.5:
        children = [
            k
            for k in tree.children[used[-1]]
            if float(np.mean(tree.branches[k].radius_mm)) >= _THINNEST_MM
        ]
        if not children:
            break
        used.append(max(children, key=lambda k: float(tree.branches[k].radius_mm[0])))
    branches = [tree.branches[k] for k in used]
    course = _course(branches, branches[0].level, _side(branches[0]))
    return course, used


def _astride(tree: Tree) -> Course | None:
    """From the left main artery over the bifurcation into the right one."""
    named = {branch.name: branch for branch in tree}
    if "left main" not in named or "right main" not in named:
        return None
    left, right = named["left main"], named["right main"]
    return Course(
        points=np.concatenate([left.points[::-1], right.points[1:]]),
        radii=np.concatenate([left.radius_mm[::-1], right.radius_mm[1:]]),
        level=Level.CENTRAL,
    )


def _course(branches: Sequence[Branch], level: Level, side: str) -> Course:
    return Course(
        points=np.concatenate([branches[0].points, *(b.points[1:] for b in branches[1:])]),
        radii=np.concatenate([branches[0].radius_mm, *(b.radius_mm[1:] for b in branches[1:])]),
        level=level,
        side=side,
    )


def _side(branch: Branch) -> str:
    if branch.lobe is not Lobe.MEDIASTINUM:
        return str(branch.lobe).split(maxsplit=1)[0]
    return branch.name.split(maxsplit=1)[0] if branch.name else ""


#: Each voxel of the canvas is sampled so many times an axis for the share that the clot takes.
_FINER = 2


def lesion_of(clot: Clot, name: str) -> Lesion:
    """A clot as a lesion that `simulate_chest` and `simulate_block` paint."""

    def paint(canvas: ChestCanvas) -> None:
        fine = []
        for axis in canvas.axes:
            step = float(axis[1] - axis[0])
            shift = (np.arange(_FINER) - (_FINER - 1) / 2) * step / _FINER
            fine.append((axis[:, None] + shift[None, :]).reshape(-1))
        box, mask = clot_mask(clot, fine)
        if not mask.any():
            return
        wide = tuple(slice(part.start // _FINER, -(-part.stop // _FINER)) for part in box)
        whole = np.zeros([_FINER * (part.stop - part.start) for part in wide], np.bool_)
        whole[
            tuple(
                slice(part.start - _FINER * out.start, part.stop - _FINER * out.start)
                for part, out in zip(box, wide, strict=True)
            )
        ] = mask
        z, y, x = (size // _FINER for size in whole.shape)
        share = whole.reshape(z, _FINER, y, _FINER, x, _FINER).mean((1, 3, 5), dtype=np.float32)
        canvas.blend(name, (wide[0], wide[1], wide[2]), share, clot.hu)

    return paint
