"""Airways, pulmonary arteries and veins of one chest.

From the heart to the lobes the course is drawn (order and relations of the hila as in Gray's
Anatomy, 41st ed., ch. 54); inside the lobes the bronchi grow by `vessel_tree.grow`, each artery
runs beside its bronchus, and the veins grow towards other points, between the segments.

Calibres: lumen of segmental bronchi 4-7 mm and wall about a fifth of the outer diameter (Weibel,
Morphometry of the Human Lung, 1963; Montaudon et al., Thorax 2007, 62:1084); artery as wide as its
bronchus (Matsuoka et al., AJR 2003, 180:513).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.phantoms.chest_core import Core, smooth_path
from models.phantoms.chest_frame import ChestFrame
from models.phantoms.chest_lungs import Lungs, clouds
from models.phantoms.chest_tissue import Lobe
from models.phantoms.clearance import Clearance, outer_mm
from models.phantoms.vessel_tree import (
    Branch,
    Level,
    Points,
    Samples,
    Sprout,
    Tree,
    curved,
    grow,
)

SPACING_MM = 8.5
_THINNEST_ARTERY, _THINNEST_VEIN = 0.31, 0.31
_THINNEST_AIRWAY = 0.75
"""Radius of the last branches that are simulated, mm."""
_LEAST_POINTS = 8
"""A lobe with fewer points to supply, most of which is out of view, gets no branches."""
_TOUCH_MM, _APART_MM = 0.0, 0.7
"""Between bronchi and arteries, which share a sheath; between them and veins, which do not."""
_PASSES = 8

_LOBAR_ARTERY = {
    Lobe.RIGHT_UPPER: 6.3, Lobe.RIGHT_MIDDLE: 4.2, Lobe.RIGHT_LOWER: 6.8,
    Lobe.LEFT_UPPER: 6.5, Lobe.LEFT_LOWER: 6.8,
}  # fmt: skip
_LOBAR_AIRWAY = {
    Lobe.RIGHT_UPPER: 4.4, Lobe.RIGHT_MIDDLE: 3.1, Lobe.RIGHT_LOWER: 4.4,
    Lobe.LEFT_UPPER: 4.6, Lobe.LEFT_LOWER: 4.2,
}  # fmt: skip


@dataclass(frozen=True)
class Trees:
    """The trees of one chest; airway radii are of the lumen, `wall_mm` gives the wall.

    Attributes:
        airways, arteries, veins: arteries start at the pulmonary valve (branch 0 is the trunk),
            airways with the trachea, veins at the left atrium (four roots).
        walls: thickness of the bronchial wall relative to a healthy one.
    """

    airways: Tree
    arteries: Tree
    veins: Tree
    walls: float

    def wall_mm(self, radius: NDArray[np.float64]) -> NDArray[np.float64]:
        """Thickness of the wall round a lumen of this radius, mm."""
        out: NDArray[np.float64] = self.walls * (0.28 + 0.14 * radius)
        return out


@dataclass(frozen=True)
class Stems:
    """The drawn part: branches in tree order and, for each lobe, the branch that enters it."""

    branches: list[Branch]
    into: dict[Lobe, int]

    def add(  # noqa: PLR0913, PLR0917 - one line per branch in the tables below
        self, name: str, points: Points, radii: list[float], level: Level, lobe: Lobe,
        parent: str | None,
    ) -> None:  # fmt: skip
        """A named branch through `points` (z, y, x mm) with radii at its knots."""
        names = [b.name for b in self.branches]
        path = smooth_path(points, 5 * len(points))
        width = np.interp(
            np.linspace(0, 1, len(path)), np.linspace(0, 1, len(radii)), np.array(radii)
        )
        above = None if parent is None else names.index(parent)
        self.branches.append(Branch(path, width, level, lobe, above, name))
        if level is Level.LOBAR and lobe is not Lobe.MEDIASTINUM:
            self.into[lobe] = len(self.branches) - 1


class _Place:
    """Places relative to the carina, in mm of a person of scale 1."""

    def __init__(self, frame: ChestFrame) -> None:
        self.scale = frame.scale
        self.origin = np.array(frame.carina)

    def __call__(self, *points: tuple[float, float, float]) -> Points:
        out: Points = self.origin + np.array(points) * self.scale
        return out


def airway_stems(frame: ChestFrame, rng: np.random.Generator) -> Stems:
    """Trachea to lobar bronchi."""
    s, at, stems = frame.scale, _Place(frame), Stems([], {})
    male = frame.person.sex == "M"
    wide = s * float(rng.normal(1.0 if male else 0.87, 0.06))
    m, c = Lobe.MEDIASTINUM, Level.CENTRAL
    up = [(frame.carina[0] / s + d) * s for d in (60, 110, 160)]
    y, x = frame.spine(np.array(up))
    high = np.array([[h, v - 28 * s, w] for h, v, w in zip(up, y, x, strict=True)])
    trachea = np.vstack([high[::-1], at((25, 0, 0.5), (0, 0, 0))])
    add = stems.add
    add("trachea", trachea, [9.2 * wide, 9.0 * wide], c, m, None)
    add("right main", at((0, 0, 0), (-11, 2, -11), (-19, 4, -20)), [8.2 * wide, 7.2 * wide], c, m,
        "trachea")  # fmt: skip
    add("left main", at((0, 0, 0), (-15, 4, 17), (-27, 8, 36)), [7.6 * wide, 6.2 * wide], c, m,
        "trachea")  # fmt: skip
    add("intermediate", at((-19, 4, -20), (-32, 5, -27), (-43, 6, -31)), [5.9 * wide, 5.2 * wide],
        c, m, "right main")  # fmt: skip

    def lobar(name: str, lobe: Lobe, parent: str, *points: tuple[float, float, float]) -> None:
        r = _LOBAR_AIRWAY[lobe] * wide
        add(name, at(*points), [r, r * 0.94], Level.LOBAR, lobe, parent)

    lobar("right upper", Lobe.RIGHT_UPPER, "right main",
          (-19, 4, -20), (-17, 5, -31), (-15, 4, -41))  # fmt: skip
    lobar("right middle", Lobe.RIGHT_MIDDLE, "intermediate",
          (-43, 6, -31), (-51, -4, -36), (-57, -14, -43))  # fmt: skip
    lobar("right lower", Lobe.RIGHT_LOWER, "intermediate",
          (-43, 6, -31), (-54, 10, -36), (-63, 13, -41))  # fmt: skip
    lobar("left upper", Lobe.LEFT_UPPER, "left main",
          (-27, 8, 36), (-29, 3, 44), (-29, -4, 52))  # fmt: skip
    lobar("left lower", Lobe.LEFT_LOWER, "left main",
          (-27, 8, 36), (-41, 13, 43), (-55, 17, 49))  # fmt: skip
    return stems


def artery_stems(frame: ChestFrame, core: Core, rng: np.random.Generator) -> Stems:
    """Pulmonary trunk to lobar arteries."""
    s, at, stems = frame.scale, _Place(frame), Stems([], {})
    wide = s * float(np.clip(rng.normal(1.0, 0.09), 0.82, 1.3))
    if rng.random() < 0.08:
        wide *= float(rng.uniform(1.1, 1.3))
    m, c = Lobe.MEDIASTINUM, Level.CENTRAL
    add = stems.add
    trunk = np.vstack([core.annulus[None], at((-22, -46, 24), (-14, -30, 22))])
    add("trunk", trunk, [13.2 * wide, 12.6 * wide], c, m, None)
    add("right main", at((-14, -30, 22), (-20, -22, 4), (-25, -19, -16), (-26, -16, -35)),
        [11.0 * wide, 9.9 * wide], c, m, "trunk")  # fmt: skip
    add("left main", at((-14, -30, 22), (-8, -14, 31), (-6, 2, 41), (-9, 14, 49)),
        [10.8 * wide, 9.6 * wide], c, m, "trunk")  # fmt: skip
    add("right interlobar", at((-26, -16, -35), (-36, -9, -45), (-47, -4, -48)),
        [8.6 * wide, 7.6 * wide], Level.LOBAR, m, "right main")  # fmt: skip
    add("left interlobar", at((-9, 14, 49), (-22, 21, 57), (-36, 22, 59)),
        [8.4 * wide, 7.6 * wide], Level.LOBAR, m, "left main")  # fmt: skip

    def lobar(name: str, lobe: Lobe, parent: str, *points: tuple[float, float, float]) -> None:
        r = _LOBAR_ARTERY[lobe] * wide
        add(name, at(*points), [r * 1.04, r], Level.LOBAR, lobe, parent)

    lobar("right upper", Lobe.RIGHT_UPPER, "right main",
          (-26, -16, -35), (-16, -11, -43), (-6, -6, -48))  # fmt: skip
    lobar("right middle", Lobe.RIGHT_MIDDLE, "right interlobar",
          (-47, -4, -48), (-53, -11, -52), (-57, -18, -56))  # fmt: skip
    lobar("right lower", Lobe.RIGHT_LOWER, "right interlobar",
          (-47, -4, -48), (-57, 2, -53), (-66, 8, -57))  # fmt: skip
    lobar("left upper", Lobe.LEFT_UPPER, "left main",
          (-9, 14, 49), (-9, 7, 58), (-12, -2, 64))  # fmt: skip
    lobar("left lower", Lobe.LEFT_LOWER, "left interlobar",
          (-36, 22, 59), (-48, 23, 61), (-58, 22, 63))  # fmt: skip
    return stems


def vein_stems(frame: ChestFrame, rng: np.random.Generator) -> Stems:
    """From the left atrium to the hila."""
    s, at, stems = frame.scale, _Place(frame), Stems([], {})
    wide = s * float(rng.normal(1.0, 0.08))
    m, c = Lobe.MEDIASTINUM, Level.CENTRAL
    add = stems.add
    add("right superior", at((-57, -16, -14), (-52, -24, -34), (-47, -29, -46)),
        [7.4 * wide, 7.0 * wide], c, m, None)  # fmt: skip
    add("right inferior", at((-66, -10, -14), (-71, 0, -32), (-76, 6, -46)),
        [7.4 * wide, 6.9 * wide], c, m, None)  # fmt: skip
    add("left superior", at((-52, -16, 24), (-46, -22, 42), (-38, -25, 54)),
        [7.2 * wide, 6.8 * wide], c, m, None)  # fmt: skip
    add("left inferior", at((-64, -10, 22), (-68, 2, 38), (-72, 8, 50)),
        [7.2 * wide, 6.8 * wide], c, m, None)  # fmt: skip

    def lobar(name: str, lobe: Lobe, parent: str, r: float, *points: tuple[float, float, float]
              ) -> None:  # fmt: skip
        add(name, at(*points), [r * wide, 0.95 * r * wide], Level.LOBAR, lobe, parent)

    lobar("right upper", Lobe.RIGHT_UPPER, "right superior", 6.0,
          (-47, -29, -46), (-38, -32, -54), (-28, -34, -60))  # fmt: skip
    lobar("right middle", Lobe.RIGHT_MIDDLE, "right superior", 4.3,
          (-47, -29, -46), (-56, -36, -54), (-66, -42, -60))  # fmt: skip
    lobar("right lower", Lobe.RIGHT_LOWER, "right inferior", 6.4,
          (-76, 6, -46), (-82, 12, -54), (-90, 16, -60))  # fmt: skip
    lobar("left upper", Lobe.LEFT_UPPER, "left superior", 6.2,
          (-38, -25, 54), (-32, -29, 62), (-26, -31, 68))  # fmt: skip
    lobar("left lower", Lobe.LEFT_LOWER, "left inferior", 6.3,
          (-72, 8, 50), (-80, 15, 58), (-88, 20, 64))  # fmt: skip
    return stems


def central_samples(stems: tuple[Stems, Stems, Stems], scale: float) -> Samples:
    """Balls of everything drawn, with the fat round it, for the outline of the mediastinum."""
    parts = []
    for kind, stem in zip(("airway", "artery", "vein"), stems, strict=True):
        tree = Tree(tuple(stem.branches))
        for k, branch in enumerate(tree):
            hilum = branch.level is Level.LOBAR
            pad = (1.2 if hilum else 4.0) * scale + (1.0 if kind == "airway" else 0.0)
            parts.append(tree.sampled([k], lambda b, p=pad: b.radius_mm + p))  # type: ignore[misc]
    return Samples(
        np.concatenate([p.points for p in parts]),
        np.concatenate([p.radius_mm for p in parts]),
        np.concatenate([p.branch for p in parts]),
    )


def _levels(sprouts: list[Sprout]) -> list[Level]:
    """Lobar while most of the lobe lies beyond, then segmental for one division, then below."""
    total = sprouts[0].supplied
    found: list[Level] = []
    for sprout in sprouts:
        above = Level.LOBAR if sprout.parent is None else found[sprout.parent]
        share = sprout.supplied / total
        if above is Level.LOBAR:
            found.append(Level.LOBAR if share > 0.42 else Level.SEGMENTAL)
        elif above is Level.SEGMENTAL and share > 0.12:
            found.append(Level.SEGMENTAL)
        else:
            found.append(Level.SUBSEGMENTAL)
    return found


def _calibre(sprouts: list[Sprout], root: float, tip: float) -> NDArray[np.float64]:
    count = np.array([sprout.supplied for sprout in sprouts], np.float64)
    power = np.log(root / tip) / np.log(max(count[0], 3.0))
    out: NDArray[np.float64] = root * (count / count[0]) ** power
    return out


def _taper(radius: float, count: int) -> NDArray[np.float64]:
    return radius * np.linspace(1.02, 0.97, count)


def build_trees(
    frame: ChestFrame, lungs: Lungs, stems: tuple[Stems, Stems, Stems], rng: np.random.Generator
) -> Trees:
    """Grow the drawn stems into the lobes: bronchi, arteries clear of them, veins clear of both."""
    airways, arteries, veins = (list(stem.branches) for stem in stems)
    targets = clouds(frame, lungs, SPACING_MM * frame.scale, rng)
    grown = {
        lobe: _bronchi(lobe, cloud, airways, stems[0].into[lobe], rng)
        for lobe, cloud in targets.items()
        if len(cloud) >= _LEAST_POINTS
    }
    airways_tree = Tree(tuple(airways))
    outside = outer_mm(airways_tree.samples)
    beside = Clearance([outside], _TOUCH_MM)
    for lobe, lobar in grown.items():
        _arterial(lobe, lobar, airways, (arteries, stems[1].into[lobe]), beside)
    arteries_tree = Tree(tuple(arteries))
    apart = Clearance([arteries_tree.samples, outside], _APART_MM)
    for lobe, cloud in clouds(frame, lungs, SPACING_MM * frame.scale, rng).items():
        if len(cloud) >= _LEAST_POINTS:
            _venous(lobe, cloud, (veins, stems[2].into[lobe]), apart, rng)
    walls = float(np.clip(rng.lognormal(0, 0.2), 0.75, 1.8))
    return Trees(airways_tree, arteries_tree, Tree(tuple(veins)), walls)


@dataclass(frozen=True)
class _Grown:
    """Bronchi of one lobe: what was grown, its levels, lumens in mm, branch that each hangs on.

    Attributes:
        sprouts, levels, lumen: one each for every division, thin ones that hold no bronchus too.
        stem: index of the lobar bronchus.
    """

    sprouts: list[Sprout]
    levels: list[Level]
    lumen: NDArray[np.float64]
    stem: int


def _bronchi(
    lobe: Lobe, cloud: Points, airways: list[Branch], into: int, rng: np.random.Generator
) -> _Grown:
    stem = airways[into]
    ahead = stem.points[-1] - stem.points[-3]
    sprouts = grow(stem.points[-1], ahead, cloud, rng)
    levels = _levels(sprouts)
    lumen = _calibre(sprouts, float(stem.radius_mm[-1]) * 0.97, 0.24)
    arrivals: list[Points] = []
    numbers: list[int | None] = []
    for k, sprout in enumerate(sprouts):
        up = sprout.parent
        path = curved(sprout.start, sprout.end, _unit(ahead if up is None else arrivals[up]))
        above = into if up is None else numbers[up]
        number = None
        if above is not None and lumen[k] > _THINNEST_AIRWAY:
            airways.append(Branch(path, _taper(lumen[k], len(path)), levels[k], lobe, above))
            number = len(airways) - 1
        arrivals.append(path[-1] - path[-2])
        numbers.append(number)
    return _Grown(sprouts, levels, lumen, into)


def _arterial(
    lobe: Lobe, grown: _Grown, airways: list[Branch], blood: tuple[list[Branch], int],
    beside: Clearance,
) -> None:  # fmt: skip
    """Each artery beside its bronchus, and through no other."""
    arteries, into = blood
    pipe, stem = arteries[into], airways[grown.stem]
    vessel = _calibre(grown.sprouts, float(pipe.radius_mm[-1]) * 0.97, _THINNEST_ARTERY)
    side0 = pipe.points[-1] - stem.points[-1]
    sides: list[Points] = []
    tips: list[Points] = []
    for k, sprout in enumerate(grown.sprouts):
        side = side0 if sprout.parent is None else sides[sprout.parent]
        side = side - (side @ sprout.course) * sprout.course
        norm = math.sqrt(float(side @ side))
        side = side / norm if norm > 1e-3 else np.cross(sprout.course, [0.3, 0.5, 0.8])
        lumen = grown.lumen[k]
        gap = vessel[k] + 1.2 * lumen + (0.9 if lumen > _THINNEST_AIRWAY else 0.2)
        sides.append(side)
        tips.append(sprout.end + side * gap)
    ends = beside.pushed(np.array(tips), vessel, _PASSES)
    paths = _courses(grown.sprouts, pipe, ends, vessel, beside)
    _append(lobe, (grown.sprouts, grown.levels), (paths, vessel), blood)


def _venous(
    lobe: Lobe, cloud: Points, blood: tuple[list[Branch], int], apart: Clearance,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    pipe = blood[0][blood[1]]
    sprouts = grow(pipe.points[-1], pipe.points[-1] - pipe.points[-3], cloud, rng, reach=0.46)
    size = _calibre(sprouts, float(pipe.radius_mm[-1]) * 0.97, _THINNEST_VEIN)
    ends = apart.pushed(np.array([s.end for s in sprouts]), size, _PASSES)
    paths = _courses(sprouts, pipe, ends, size, apart)
    _append(lobe, (sprouts, _levels(sprouts)), (paths, size), blood)


def _courses(
    sprouts: list[Sprout], pipe: Branch, ends: Points, size: NDArray[np.float64], free: Clearance
) -> list[Points]:
    """The way of each branch from the end of its parent to its own, clear of what is there."""
    paths: list[Points] = []
    for k, sprout in enumerate(sprouts):
        up = sprout.parent
        foot = pipe.points[-1] if up is None else ends[up]
        before = pipe.points if up is None else paths[up]
        paths.append(curved(foot, ends[k], _unit(before[-1] - before[-2])))
    inner = np.concatenate([path[1:-1] for path in paths])
    width = np.concatenate([np.full(len(p) - 2, r) for p, r in zip(paths, size, strict=True)])
    moved = free.pushed(inner, width, _PASSES)
    at = 0
    for path in paths:
        path[1:-1] = moved[at : at + len(path) - 2]
        at += len(path) - 2
    return paths


def _append(
    lobe: Lobe,
    grown: tuple[list[Sprout], list[Level]],
    drawn: tuple[list[Points], NDArray[np.float64]],
    blood: tuple[list[Branch], int],
) -> None:
    numbers: list[int] = []
    for sprout, level, path, radius in zip(*grown, *drawn, strict=True):
        above = blood[1] if sprout.parent is None else numbers[sprout.parent]
        blood[0].append(Branch(path, _taper(radius, len(path)), level, lobe, above))
        numbers.append(len(blood[0]) - 1)


def _unit(way: Points) -> Points:
    return way / max(math.sqrt(float(way @ way)), 1e-6)
