"""Windows of lung and hilum drawn at random: trees of vessels, airways, nodes, clots, imitators.

No person, only what a window of 60 mm can show, with far more variety than patients have: the
domain randomisation of the `clots` network. Everything lies on a grid of (z, y, x) in mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from models.pulmonary_embolism.train.branches import (
    AXIS,
    HALF,
    SIZE,
    STEP_MM,
    Branch,
    Floats,
    Tubes,
    depth_of,
    ellipsoid,
    filled,
    grow,
)
from models.pulmonary_embolism.train.drawn_clots import parts_of
from models.pulmonary_embolism.train.imitators import (
    AIRWAY,
    CLOT,
    IMITATOR,
    OTHER,
    VESSEL,
    sheath,
    tissue,
)
from models.pulmonary_embolism.train.imitators import smooth as smooth_on

#: A voxel is clot from this share on: webs and thin clots at a wall fill few voxels by half.
CLOT_SHARE = 0.35


@dataclass(slots=True)
class Scene:
    """What is painted: HU before the scanner, and the labels."""

    hu: Floats
    labels: NDArray[np.uint8]


def smooth(rng: np.random.Generator, cells: int) -> Floats:
    """Smooth noise about N(0, 1), `cells` bumps an axis."""
    return smooth_on(rng, cells, (SIZE,) * 3)


def _blend(hu: Floats, share: Floats, value: Floats | float) -> None:
    hu += share * (value - hu)


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
        blood = float(rng.uniform(125, 600))
        self._great(hu, inner, blood)
        arteries, veins, airways = self._trees(inner)
        tubes = Tubes.of(arteries, veins, airways, float(rng.uniform(0.6, 2.0)))
        self._sheaths(hu, tubes)
        self._dark(hu, inner, blood)
        self._veins(hu, labels, tubes, blood)
        self._airways(hu, labels, airways, tubes)
        self._arteries(hu, labels, arteries, (tubes.arteries, blood))
        self._nodes(hu, labels, arteries)
        return Scene(hu, labels)

    def _sheaths(self, hu: Floats, tubes: Tubes) -> None:
        """Tissue in the forks and gaps of vessels and bronchi."""
        rng = self.rng
        if rng.random() < 0.3:
            return
        occupied = np.maximum(tubes.arteries, tubes.outer)
        for share in tubes.veins:
            occupied = np.maximum(occupied, share)
        _blend(hu, sheath(occupied, rng), tissue(rng, hu.shape))

    def _dark(self, hu: Floats, inner: Floats, blood: float) -> None:
        """The azygos vein or the gullet: a dark tube, that may open into a bright one."""
        rng = self.rng
        if rng.random() < 0.7 or inner.max() < 4:
            return
        start = _outside(rng)
        tube = grow(start, _inwards(start, rng), float(rng.uniform(2.5, 8)), rng, 2.4)[:3]
        share = filled(depth_of(tube))
        value = np.full(hu.shape, rng.uniform(25, 100), np.float32)
        if rng.random() < 0.5:
            # Contrast medium flows back into it from one end.
            ramp = np.clip((AXIS - rng.uniform(-20, 20)) / rng.uniform(3, 15), 0, 1)
            value += ramp.reshape((-1, 1, 1)).astype(np.float32) * (blood - value)
        _blend(hu, share, value)

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

    def _veins(self, hu: Floats, labels: NDArray[np.uint8], tubes: Tubes, blood: float) -> None:
        rng = self.rng
        dark, apart = rng.random() < 0.12, rng.random() < 0.3
        taken = np.zeros((SIZE,) * 3, np.float32)
        for share in tubes.veins:
            value = blood * float(rng.uniform(0.45, 1.25))
            if apart:
                value = float(rng.uniform(120, 600))
            if dark:
                value = float(rng.uniform(25, 110))
            _blend(hu, share * (1 - taken), value * self._stream(0.12))
            taken = np.maximum(taken, share)
            labels[share > 0.5] = VESSEL

    def _stream(self, most: float) -> Floats:
        """Of 1: how blood with and without contrast medium mixes."""
        rng = self.rng
        mixed = 1 + smooth(rng, 4) * float(rng.uniform(0, most))
        if rng.random() < 0.2:
            # Streams that fade into one another, never as dark or as sharp as a clot.
            mixed *= np.clip(1 + (smooth(rng, 3) - 0.4) * float(rng.uniform(0.2, 0.6)), 0.5, 1.2)
        return mixed

    def _airways(
        self, hu: Floats, labels: NDArray[np.uint8], airways: list[Branch], tubes: Tubes
    ) -> None:
        if not airways:
            return
        rng = self.rng
        _blend(hu, tubes.outer, float(rng.uniform(-40, 60)))
        _blend(hu, filled(tubes.lumen), float(rng.uniform(-1000, -930)))
        labels[tubes.lumen > -tubes.wall] = AIRWAY
        if rng.random() < 0.45:
            plugs = [b for b in airways if rng.random() < 0.25]
            if plugs:
                value = float(rng.uniform(-10, 85))
                _blend(hu, filled(depth_of(plugs, float(rng.uniform(-0.3, 0.8)))), value)

    def _arteries(
        self, hu: Floats, labels: NDArray[np.uint8], arteries: list[list[Branch]],
        filling: tuple[Floats, float],
    ) -> None:  # fmt: skip
        rng = self.rng
        base = hu.copy()
        share, blood = filling
        stream = blood * self._stream(0.1)
        _blend(hu, share, stream)
        labels[share > 0.5] = VESSEL
        for part, value, occludes in parts_of(arteries, rng):
            if occludes:
                # An occluded branch is filled to its wall, beyond what blood would have painted.
                share = np.maximum(share, part)
            inside = part * np.minimum(share, 1.0)
            full = np.clip(inside / np.maximum(share, 1e-3), 0, 1)
            # No clot is darker than the blood by less than a reader could see.
            dark = np.float32(min(value, blood - 45))
            lumen = dark * full + stream * (1 - full)
            fresh = base + share * (lumen - base)
            touched = inside > 0.02
            # Where several clots meet, the darker one stays.
            hu[touched] = np.minimum(hu[touched], fresh[touched])
            labels[inside > CLOT_SHARE] = CLOT

    def _nodes(self, hu: Floats, labels: NDArray[np.uint8], arteries: list[list[Branch]]) -> None:
        """Lymph nodes beside vessels, never over them; old ones hold calcium."""
        rng = self.rng
        free = (labels == OTHER).astype(np.float32)
        for _ in range(int(rng.choice([0, 1, 2, 4, 7], p=[0.3, 0.25, 0.2, 0.15, 0.1]))):
            tree = arteries[int(rng.integers(len(arteries)))]
            branch = tree[int(rng.integers(min(6, len(tree))))]
            at = branch.points[int(rng.integers(len(branch.points)))]
            away = rng.normal(size=3)
            away /= np.linalg.norm(away)
            size = float(rng.uniform(2.0, 11))
            depth = ellipsoid(rng, at + away * (branch.radii.mean() + 0.7 * size), 0.6 * size, size)
            _blend(hu, filled(depth) * free, float(rng.uniform(10, 110)))
            labels[(depth > 0) & (labels == OTHER)] = IMITATOR
            if rng.random() < 0.1:
                _blend(hu, filled(depth - 0.35 * size) * free, float(rng.uniform(200, 900)))


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
    if rng.random() < 0.12:
        # A heart beat moved some slices against the others.
        first = int(rng.integers(SIZE))
        part = slice(first, first + int(rng.integers(2, 14)))
        shift = tuple(int(v) for v in rng.integers(-1, 2, 2))
        hu[part] = np.roll(hu[part], shift, axis=(1, 2))
        labels[part] = np.roll(labels[part], shift, axis=(1, 2))
    if rng.random() < 0.3:
        hu += streaks(rng)
    sharp = float(rng.uniform(0.25, 0.7))
    along = float(rng.uniform(0.2, 1.1))
    hu = gaussian_filter(hu, (along, sharp, sharp), mode="nearest", truncate=3)
    noise = rng.normal(size=hu.shape).astype(np.float32)
    grain = float(rng.uniform(0, 0.7))
    if grain > 0.2:
        noise = gaussian_filter(noise, (0.3 * grain, grain, grain), truncate=3)
        noise /= noise.std()
    hu += noise * float(rng.uniform(4, 42))
    return hu, labels


def streaks(rng: np.random.Generator) -> Floats:
    """Dark and bright rays from dense contrast medium in a vein, the same on all slices nearby."""
    centre = rng.uniform(-1.6, 1.6, 2) * HALF
    y, x = AXIS[:, None] - centre[0], AXIS[None, :] - centre[1]
    angle = np.arctan2(y, x)
    rays = int(rng.integers(16, 120))
    wave = rng.normal(size=rays + 1)
    wave[-1] = wave[0]
    fan = np.interp(angle, np.linspace(-np.pi, np.pi, rays + 1), wave)
    fall = np.exp(-np.hypot(y, x) / rng.uniform(12, 50))
    along = np.clip(1 - np.abs(AXIS - rng.uniform(-40, 40)) / rng.uniform(15, 60), 0, 1)
    plane = (fan * fall * rng.uniform(20, 140)).astype(np.float32)
    return np.asarray(along.astype(np.float32)[:, None, None] * plane[None], np.float32)
