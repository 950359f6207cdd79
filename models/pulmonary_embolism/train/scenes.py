"""Windows of lung and hilum drawn at random: trees of vessels, airways, nodes, clots, imitators.

No person, only what a window of 60 mm can show, with far more variety than patients have: the
domain randomisation of the `clots` network. Everything lies on a grid of (z, y, x) in mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from models.phantoms.clots import Clot, Course, Form, Level, clot_mask, draw_clot
from models.pulmonary_embolism.train.branches import (
    AXIS,
    HALF,
    SIZE,
    STEP_MM,
    Branch,
    Floats,
    depth_of,
    ellipsoid,
    filled,
    grow,
)

OTHER, VESSEL, AIRWAY, CLOT = range(4)
_FINE = (np.arange(2 * SIZE) - (2 * SIZE - 1) / 2) * STEP_MM / 2


@dataclass(slots=True)
class Scene:
    """What is painted: HU before the scanner, and the labels."""

    hu: Floats
    labels: NDArray[np.uint8]


def smooth(rng: np.random.Generator, cells: int, size: int = SIZE) -> Floats:
    """Smooth noise about N(0, 1), `cells` bumps an axis."""
    small = rng.normal(size=(cells, cells, cells)).astype(np.float32)
    return np.asarray(
        zoom(small, size / cells, order=1, grid_mode=True, mode="nearest"), np.float32
    )


def _blend(hu: Floats, share: Floats, value: Floats | float) -> None:
    hu += share * (value - hu)


def _chain(branches: list[Branch], first: int, rng: np.random.Generator) -> Course:
    """From a branch down one of its children, and perhaps further."""
    points, radii = [branches[first].points], [branches[first].radii]
    now = first
    for _ in range(2):
        children = [k for k, b in enumerate(branches) if b.parent == now]
        if not children or rng.random() < 0.35:
            break
        now = int(rng.choice(children))
        points.append(branches[now].points[1:])
        radii.append(branches[now].radii[1:])
    radius = float(branches[first].radii.mean())
    level = (
        Level.CENTRAL if radius > 6.5 else Level.LOBAR if radius > 4 else
        Level.SEGMENTAL if radius > 2 else Level.SUBSEGMENTAL
    )  # fmt: skip
    return Course(points=np.concatenate(points), radii=np.concatenate(radii), level=level, side="x")


def _clots(arteries: list[list[Branch]], rng: np.random.Generator) -> list[Clot]:
    if rng.random() < 0.3:
        return []
    out = []
    for _ in range(int(rng.choice([1, 2, 3, 4], p=[0.35, 0.35, 0.2, 0.1]))):
        tree = arteries[int(rng.integers(len(arteries)))]
        near = [
            k for k, b in enumerate(tree)
            if np.abs(b.points[len(b.points) // 2]).max() < HALF - 3 and b.radii.mean() > 1.0
        ]  # fmt: skip
        if not near:
            continue
        weights = np.asarray([min(4.0, tree[k].radii.mean()) for k in near])
        first = int(rng.choice(near, p=weights / weights.sum()))
        course = _chain(tree, first, rng)
        form = Form.OCCLUSIVE if rng.random() < 0.25 else None
        clot = draw_clot(course, rng, form)
        at = np.interp(
            (clot.start_mm + clot.stop_mm) / 2,
            np.linspace(0, course.length_mm, len(course.points)),
            np.arange(len(course.points)),
        )
        if np.abs(course.points[round(float(at))]).max() < HALF - 2:
            out.append(clot)
    return out


def _clot_share(clot: Clot) -> Floats:
    """Share of each voxel that the clot takes."""
    fine = np.zeros((2 * SIZE,) * 3, np.bool_)
    box, mask = clot_mask(clot, (_FINE, _FINE, _FINE))
    fine[box] = mask
    n = SIZE
    return fine.reshape(n, 2, n, 2, n, 2).mean((1, 3, 5), dtype=np.float32)


def _outside(rng: np.random.Generator) -> NDArray[np.float64]:
    """A point on a face of the window or a little inside of it."""
    point = rng.uniform(-0.8, 0.8, 3) * HALF
    point[int(rng.integers(3))] = rng.choice([-1, 1]) * HALF * rng.uniform(0.5, 1.1)
    return point


def _inwards(point: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    way = -point + rng.normal(size=3) * 14
    return way / np.linalg.norm(way)


def _big(rng: np.random.Generator) -> float:
    return float(np.clip(rng.lognormal(1.45, 0.5), 1.6, 14))


class Painter:
    """Draws one scene after the other from one generator."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([seed, 77])

    def scene(self) -> Scene:
        """A window, sharp and without noise."""
        rng = self.rng
        lung = float(rng.uniform(-930, -680))
        hu = np.full((SIZE,) * 3, lung, np.float32)
        hu += smooth(rng, 7) * float(rng.uniform(0, 35))
        labels = np.zeros((SIZE,) * 3, np.uint8)
        inner = self._mediastinum(hu)
        self._consolidation(hu)
        blood = float(rng.uniform(150, 560))
        self._great(hu, inner, blood)
        arteries, veins, airways = self._trees(inner)
        self._veins(hu, labels, veins, blood)
        self._airways(hu, labels, airways)
        self._arteries(hu, labels, arteries, blood)
        self._nodes(hu, labels, arteries, blood)
        return Scene(hu, labels)

    def _mediastinum(self, hu: Floats) -> Floats:
        """Fat with strands on one side of a wavy surface, or nothing; its depth in mm."""
        rng = self.rng
        normal = rng.normal(size=3)
        normal /= np.linalg.norm(normal)
        z, y, x = np.meshgrid(AXIS, AXIS, AXIS, indexing="ij", sparse=True)
        plane = (normal[0] * z + normal[1] * y + normal[2] * x).astype(np.float32)
        edge = float(rng.uniform(-20, 45)) if rng.random() < 0.65 else 99.0
        depth = plane - edge + smooth(rng, 4) * 6
        fat = float(rng.uniform(-118, -75)) if rng.random() < 0.75 else float(rng.uniform(-60, 60))
        strands = np.maximum(smooth(rng, 12), 0) * float(rng.uniform(0, 60))
        soft = filled(depth)
        _blend(hu, soft, fat + strands)
        if rng.random() < 0.2:
            wall = filled(-plane - float(rng.uniform(18, 30)) + smooth(rng, 3) * 3)
            _blend(
                hu, wall, np.where(smooth(rng, 5) > 0.8, rng.uniform(150, 700), rng.uniform(0, 60))
            )
        if rng.random() < 0.12:
            _blend(hu, filled(-plane - float(rng.uniform(10, 28))), float(rng.uniform(0, 30)))
        return depth

    def _consolidation(self, hu: Floats) -> None:
        rng = self.rng
        if rng.random() < 0.3:
            where = filled((smooth(rng, 4) - float(rng.uniform(0.2, 1.6))) * 10)
            _blend(hu, where, float(rng.choice([rng.uniform(-650, -200), rng.uniform(10, 110)])))

    def _great(self, hu: Floats, inner: Floats, blood: float) -> None:
        """Heart chambers, aorta: blood with a wall or an old thrombus, and plain soft tissue."""
        rng = self.rng
        for _ in range(int(rng.integers(0, 4))):
            centre = rng.uniform(-1.1, 1.1, 3) * HALF
            at = tuple(np.clip(((centre + HALF) / STEP_MM).astype(int), 0, SIZE - 1))
            if inner[at] < 4:
                continue
            depth = ellipsoid(rng, centre, 8, 34)
            inside = blood * float(rng.uniform(0.15, 1.15)) if rng.random() < 0.7 else 45.0
            wall = float(rng.uniform(0, 12)) if rng.random() < 0.5 else 0.0
            _blend(hu, filled(depth + wall), float(rng.uniform(30, 130)))
            _blend(hu, filled(depth), inside)

    def _trees(self, inner: Floats) -> tuple[list[list[Branch]], list[list[Branch]], list[Branch]]:
        rng = self.rng
        arteries, veins, airways = [], [], []
        for _ in range(int(rng.integers(1, 4))):
            start = _outside(rng)
            tree = grow(start, _inwards(start, rng), _big(rng), rng)
            arteries.append(tree)
            if rng.random() < 0.75:
                airways += self._along(tree)
        for _ in range(int(rng.integers(0, 4))):
            start = _outside(rng)
            veins.append(grow(start, _inwards(start, rng), _big(rng) * 0.9, rng))
        if rng.random() < 0.35:
            start = _outside(rng)
            airways += grow(start, _inwards(start, rng), float(rng.uniform(3, 9)), rng, 1.4)[:12]
        return arteries, veins, airways

    def _along(self, tree: list[Branch]) -> list[Branch]:
        """The bronchi beside an artery tree."""
        rng = self.rng
        out = []
        side = rng.normal(size=3)
        scale, gap = float(rng.uniform(0.6, 1.1)), float(rng.uniform(0.8, 2.0))
        for branch in tree:
            radius = branch.radii * scale
            if radius.mean() < 0.9:
                continue
            along = branch.points[-1] - branch.points[0]
            along /= np.linalg.norm(along) + 1e-9
            away = side - (side @ along) * along
            away /= np.linalg.norm(away) + 1e-9
            shift = (branch.radii + radius + gap)[:, None] * away
            out.append(Branch(branch.points + shift, radius, branch.parent))
        return out

    def _veins(
        self, hu: Floats, labels: NDArray[np.uint8], veins: list[list[Branch]], blood: float
    ) -> None:
        rng = self.rng
        dark = rng.random() < 0.15
        taken = np.zeros((SIZE,) * 3, np.float32)
        for tree in veins:
            value = float(rng.uniform(25, 110)) if dark else blood * float(rng.uniform(0.5, 1.15))
            depth = depth_of(tree)
            mixed = value * (1 + smooth(rng, 4) * float(rng.uniform(0, 0.12)))
            if rng.random() < 0.12:
                # Blood with and without contrast meets: streams that fade into one another.
                mixed *= np.clip(1 + (smooth(rng, 3) - 0.5) * 0.5, 0.35, 1.2)
            share = filled(depth)
            _blend(hu, share * (1 - taken), mixed)
            taken = np.maximum(taken, share)
            labels[depth > 0] = VESSEL

    def _airways(self, hu: Floats, labels: NDArray[np.uint8], airways: list[Branch]) -> None:
        if not airways:
            return
        rng = self.rng
        wall = float(rng.uniform(0.6, 2.0))
        _blend(hu, filled(depth_of(airways, wall)), float(rng.uniform(-40, 60)))
        lumen = depth_of(airways)
        _blend(hu, filled(lumen), float(rng.uniform(-1000, -930)))
        labels[lumen > -wall] = AIRWAY
        if rng.random() < 0.45:
            plugs = [b for b in airways if rng.random() < 0.25]
            if plugs:
                value = float(rng.uniform(-10, 85))
                _blend(hu, filled(depth_of(plugs, float(rng.uniform(-0.3, 0.8)))), value)

    def _arteries(
        self, hu: Floats, labels: NDArray[np.uint8], arteries: list[list[Branch]], blood: float
    ) -> None:
        rng = self.rng
        base = hu.copy()
        stream = blood * (1 + smooth(rng, 4) * float(rng.uniform(0, 0.1)))
        share = np.zeros((SIZE,) * 3, np.float32)
        for tree in arteries:
            share = np.maximum(share, filled(depth_of(tree)))
        _blend(hu, share, stream)
        labels[share > 0.5] = VESSEL
        for clot in _clots(arteries, rng):
            part = np.minimum(_clot_share(clot), 1.0)
            if clot.form is Form.OCCLUSIVE and clot.level is not Level.CENTRAL:
                # An occluded branch is filled to its wall, beyond what blood would have painted.
                share = np.maximum(share, np.minimum(part, 1.0))
            inside = part * np.minimum(share, 1.0)
            value = np.float32(clot.hu + rng.normal(0, 6))
            full = np.clip(inside / np.maximum(share, 1e-3), 0, 1)
            lumen = value * full + stream * (1 - full)
            fresh = base + share * (lumen - base)
            touched = inside > 0.02
            # Where several clots meet, the darker one stays.
            hu[touched] = np.minimum(hu[touched], fresh[touched])
            labels[(inside > 0.45)] = CLOT

    def _nodes(
        self, hu: Floats, labels: NDArray[np.uint8], arteries: list[list[Branch]], blood: float
    ) -> None:
        """Lymph nodes beside vessels, never over them."""
        rng = self.rng
        free = (labels == OTHER).astype(np.float32)
        for _ in range(int(rng.choice([0, 1, 2, 4], p=[0.4, 0.25, 0.2, 0.15]))):
            tree = arteries[int(rng.integers(len(arteries)))]
            branch = tree[int(rng.integers(min(6, len(tree))))]
            at = branch.points[int(rng.integers(len(branch.points)))]
            away = rng.normal(size=3)
            away /= np.linalg.norm(away)
            size = float(rng.uniform(2.5, 9))
            depth = ellipsoid(rng, at + away * (branch.radii.mean() + 0.7 * size), 0.6 * size, size)
            _blend(hu, filled(depth) * free, float(rng.uniform(15, 120)))


def scanned(scene: Scene, rng: np.random.Generator) -> tuple[Floats, NDArray[np.uint8]]:
    """Turned at random, then as a scanner would record it: motion, streaks, blur, noise."""
    order = rng.permutation(3)
    flips = tuple(slice(None, None, int(rng.choice([1, -1]))) for _ in range(3))
    hu = scene.hu.transpose(order)[flips].copy()
    labels = scene.labels.transpose(order)[flips].copy()
    if rng.random() < 0.2:
        shift = rng.integers(-2, 3, 2)
        ghost = np.roll(hu, shift, axis=(1, 2))
        when = np.clip(smooth(rng, 3)[:, :1, :1] + 0.3, 0, 0.55)
        hu += when * (ghost - hu)
    if rng.random() < 0.2:
        centre = rng.uniform(-1.6, 1.6, 2) * HALF
        y, x = AXIS[:, None] - centre[0], AXIS[None, :] - centre[1]
        wave = np.sin(np.arctan2(y, x) * rng.uniform(8, 40) + rng.uniform(0, 6))
        fall = np.exp(-np.hypot(y, x) / rng.uniform(15, 50))
        hu += (wave * fall * rng.uniform(20, 160)).astype(np.float32)[None]
    sharp = float(rng.uniform(0.25, 0.7))
    along = float(rng.uniform(0.2, 0.9))
    hu = gaussian_filter(hu, (along, sharp, sharp), mode="nearest", truncate=3)
    noise = rng.normal(size=hu.shape).astype(np.float32)
    grain = float(rng.uniform(0, 0.7))
    if grain > 0.2:
        noise = gaussian_filter(noise, (0.3 * grain, grain, grain), truncate=3)
        noise /= noise.std()
    hu += noise * float(rng.uniform(4, 42))
    return hu, labels
