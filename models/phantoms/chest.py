"""A simulated CT of the chest with exact truth: `simulate_chest`, `simulate_block`.

How to use it
-------------
* `build_chest(seed)` gives the anatomy (person, trees, surfaces), the same whatever the scan.
* `simulate_chest(seed, options, lesions=...)` scans the whole chest.
* `simulate_block(seed, block, options, lesions=...)` scans a small block at any spacing, with the
  same anatomy, kernel and noise level: for patch factories. After the first call for a seed a 64 mm
  cube at 0.7 mm takes well under a second.

Frame: mm; z to the head, y to posterior, x to the left; origin in the middle of L3. Everything of
`ChestAnatomy` is (z, y, x) in this frame. A whole scan's volume is in LPS of the gantry;
`ChestPhantom.pose` is the shift between the two: `phantom.to_patient(index)` and
`phantom.to_index(points)` convert.

Lesions: a lesion is a callable that gets the clean `ChestCanvas` (grid, labels, HU, in the patient's
frame) and paints itself with `canvas.blend(name, box, share, hu)`. It runs before motion, blur and
noise, so all of them act on it too. It must place itself in mm of the patient's frame (draw place
and size before, e.g. along `build_chest(seed).arteries`), use `canvas.box` and
`canvas.coordinates`, and do nothing when its box is empty. The exact truth comes back as
`phantom.lesions[name]` (`LesionTruth`: share of each recorded voxel, mask, volume).

Seeds below 1,000,000 train, the others test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.phantoms.acquisition import Grid
from models.phantoms.chest_anatomy import ChestAnatomy, build_chest
from models.phantoms.chest_canvas import ChestCanvas, Lesion, LesionTruth
from models.phantoms.chest_contrast import draw_attenuation
from models.phantoms.chest_exposure import (
    Optics,
    crossing,
    expose,
    move,
    slice_weights,
    streak,
    thick,
    truths,
)
from models.phantoms.chest_findings import Tray, draw_findings
from models.phantoms.chest_render import Scene, render
from models.phantoms.chest_tissue import ChestTissue, Lobe
from models.phantoms.chest_wall import Wall, build_wall
from models.phantoms.shapes import Field
from models.phantoms.tissue import Labels
from models.phantoms.trunk import PADDING_HU, outside_circle, volume_of
from node.domain.imaging import Volume

__all__ = [
    "Block", "ChestAnatomy", "ChestBlock", "ChestCanvas", "ChestOptions", "ChestPhantom",
    "ChestTissue", "ContrastPhase", "Kernel", "Lesion", "LesionTruth", "Lobe", "build_chest", "simulate_block", "simulate_chest",
]  # fmt: skip


class ContrastPhase(Enum):
    """When the contrast agent was imaged."""

    NATIVE = "native"
    PULMONARY = "pulmonary arterial"  # 15-25 s, CT pulmonary angiography
    ROUTINE = "routine"  # 50-75 s, staging scans; veins as bright as arteries


class Kernel(Enum):
    """Reconstruction kernel."""

    SOFT = "soft"
    LUNG = "lung"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChestOptions:
    """How the chest is scanned; None means drawn from the seed.

    Attributes:
        matrix: rows and columns. pixel_mm: in-plane spacing (to fit the patient).
        slice_mm: distance of slices. thickness_mm: of one slice (default: the distance).
        reach_mm: lowest and highest slice in the patient's frame (default: all of the lungs
            with a margin).
        phase, kernel. strength: of the contrast relative to a good scan (0.5 poor).
        noise_hu: standard deviation in soft tissue. arms_up. truncated: the field cuts the patient.
        findings: effusion, emphysema, scars and so on are drawn; False gives clean lungs.
        motion: breathing and beating blur; None drawn, 0.0 none, 1.0 typical.
    """

    matrix: int = 512
    pixel_mm: float | None = None
    slice_mm: float = 1.0
    thickness_mm: float | None = None
    reach_mm: tuple[float, float] | None = None
    phase: ContrastPhase | None = None
    kernel: Kernel | None = None
    strength: float | None = None
    noise_hu: float | None = None
    arms_up: bool | None = None
    truncated: bool = False
    findings: bool = True
    motion: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of the patient: middle, size and spacing, each z, y, x in mm."""

    centre_mm: tuple[float, float, float]
    size_mm: tuple[float, float, float]
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class ChestBlock:
    """A scanned block.

    Attributes:
        hu: (z, y, x) float32. labels: `ChestTissue`. axes: z, y, x of the voxel centres, mm,
            patient's frame. lesions: truth by name. clean: HU before blur and noise.
    """

    anatomy: ChestAnatomy
    hu: Field
    clean: Field
    labels: Labels
    axes: tuple[Field, Field, Field]
    lesions: dict[str, LesionTruth]
    options: ChestOptions


@dataclass(frozen=True, kw_only=True)
class ChestPhantom:
    """A simulated series.

    Attributes:
        volume: int16 HU; LPS affine; slices from feet to head.
        labels: `ChestTissue` on the same grid.
        shift_mm: (z, y, x) of the patient's origin in the gantry.
        lesions: truth by name. options: as asked, with everything drawn.
    """

    seed: int
    anatomy: ChestAnatomy
    volume: Volume
    labels: Labels
    phase: ContrastPhase
    shift_mm: tuple[float, float, float]
    lesions: dict[str, LesionTruth]
    options: ChestOptions

    def to_index(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) slice, row, column of (n, 3) z, y, x points of the patient's frame."""
        gantry = (np.atleast_2d(points) + self.shift_mm)[:, ::-1]
        homogeneous = np.c_[gantry, np.ones(len(gantry))]
        out: NDArray[np.float64] = (np.linalg.inv(self.volume.affine) @ homogeneous.T).T[:, :3]
        return out

    def to_patient(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) z, y, x in the patient's frame of (n, 3) slice, row, column."""
        homogeneous = np.c_[np.atleast_2d(index), np.ones(len(np.atleast_2d(index)))]
        xyz = (self.volume.affine @ homogeneous.T).T[:, :3]
        out: NDArray[np.float64] = xyz[:, ::-1] - self.shift_mm
        return out


@lru_cache(maxsize=3)
def _wall(seed: int, arms_up: bool) -> Wall:
    return build_wall(build_chest(seed).frame, arms_up, np.random.default_rng([seed, 210]))


@dataclass(frozen=True)
class _Setup:
    """A scene with everything drawn that the options left open."""

    scene: Scene
    options: ChestOptions
    optics: Optics
    shift: tuple[float, float, float]


def _setup(seed: int, asked: ChestOptions) -> _Setup:
    anatomy = build_chest(seed)
    rng = np.random.default_rng([seed, 300])
    draw = rng.random(12)
    phase = asked.phase or list(ContrastPhase)[int(np.searchsorted([0.35, 0.65], draw[0]))]
    kernel = asked.kernel or (Kernel.LUNG if draw[1] < 0.4 else Kernel.SOFT)
    arms_up = asked.arms_up if asked.arms_up is not None else bool(draw[2] < 0.85)
    strength = asked.strength
    if strength is None:
        strength = float(0.35 + 0.4 * draw[4]) if draw[3] < 0.15 else float(0.85 + 0.35 * draw[4])
    sharp = kernel is Kernel.LUNG
    noise = asked.noise_hu
    if noise is None:
        noise = float((7 + 15 * draw[5] ** 1.3) * (1.7 + 1.6 * draw[6] if sharp else 1.0))
        noise *= float(np.clip(np.sqrt(1.5 / (asked.thickness_mm or asked.slice_mm)), 0.6, 1.4))
    motion = asked.motion if asked.motion is not None else float(draw[7] ** 1.5 * 1.6)
    wall = _wall(seed, arms_up)
    tray = _tray(wall, rng)
    findings = draw_findings(anatomy, arms_up, tray, asked.findings)
    attenuation = draw_attenuation(
        anatomy.frame, phase.value, strength, np.random.default_rng([seed, 301])
    )
    optics = Optics(
        half_per_mm=float(0.60 + 0.35 * draw[8] if sharp else 0.32 + 0.12 * draw[8]),
        boost=float(0.1 + 0.3 * draw[9] if sharp else 0.06 * draw[9]),
        noise_hu=noise,
        grain=float(0.15 + 0.4 * draw[10]),
        motion=motion,
        streak=attenuation.streak,
    )
    s = anatomy.frame.scale
    low = max(anatomy.frame.low + 6, (90 - 4 - 22 * draw[11]) * s)
    pixel = asked.pixel_mm or _pixel(wall, anatomy, asked, rng)
    done = replace(
        asked, pixel_mm=pixel, thickness_mm=asked.thickness_mm or asked.slice_mm,
        reach_mm=asked.reach_mm or (low, (406 + 6 + 18 * draw[10]) * s), phase=phase,
        kernel=kernel, strength=strength, noise_hu=noise, arms_up=arms_up, motion=motion,
    )  # fmt: skip
    rows = np.nonzero((wall.skin.values > 0).any((0, 2)))[0]
    middle = wall.skin.origin[1] + wall.skin.step * float(rows[[0, -1]].mean())
    shift = (
        round(float(rng.uniform(-900, 200)), 1),
        -middle + float(rng.normal(0, 7)),
        float(rng.normal(0, 6)),
    )
    scene = Scene(anatomy, wall, attenuation, findings)
    return _Setup(scene, done, optics, shift)


def _tray(wall: Wall, rng: np.random.Generator) -> Tray:
    rows = np.nonzero((wall.skin.values > 0).any((0, 2)))[0]
    lowest = wall.skin.origin[1] + wall.skin.step * float(rows[-1])
    return Tray(
        top=lowest + float(rng.uniform(3, 16)),
        curve=float(rng.choice([0.0, rng.uniform(0.0004, 0.0014)])),
        thick=float(rng.uniform(14, 60)),
        half=float(rng.uniform(190, 265)),
        cloth=bool(rng.random() < 0.6),
    )


def _pixel(
    wall: Wall, anatomy: ChestAnatomy, asked: ChestOptions, rng: np.random.Generator
) -> float:
    share = float(rng.uniform(1.02, 1.2))
    below = int((330 * anatomy.frame.scale - wall.skin.origin[0]) / wall.skin.step)
    columns = np.nonzero((wall.skin.values[:below] > 0).any((0, 1)))[0]
    width = float(columns[-1] - columns[0]) * wall.skin.step * share
    if asked.truncated:
        width = 2 * 140 * anatomy.frame.scale * anatomy.frame.wide * float(rng.uniform(1.02, 1.1))
    return round(float(np.clip(width, 250, 500)) / asked.matrix, 4)


def _hull(scene: Scene, canvas: ChestCanvas) -> Field | None:
    """mm inside the heart's hull on a canvas near it."""
    hull = scene.anatomy.core.pericardium
    z, y, x = canvas.coordinates((slice(None),) * 3)
    far = float(hull[0].half.max()) + 40
    if np.abs(canvas.z - hull[0].centre[0]).min() > far:
        return None
    return np.maximum(hull[0].depth(z, y, x), hull[1].depth(z, y, x))


def simulate_chest(
    seed: int, options: ChestOptions | None = None, *, lesions: Sequence[Lesion] = ()
) -> ChestPhantom:
    """Scan the chest of `seed`; the same arguments give the same bytes."""
    setup = _setup(seed, options or ChestOptions())
    done, scene = setup.options, setup.scene
    pixel, thickness, reach = done.pixel_mm, done.thickness_mm, done.reach_mm
    assert pixel is not None
    assert thickness is not None
    assert reach is not None
    z = np.arange(reach[0], reach[1], done.slice_mm)
    fine = done.slice_mm / max(1, round(done.slice_mm / 1.2))
    margin = int(np.ceil(max(thickness / 2, 3) / fine))
    count = round((z[-1] - z[0]) / fine) + 1
    working_z = (z[0] + fine * np.arange(-margin, count + margin)).astype(np.float32)
    half = (np.arange(done.matrix) - (done.matrix - 1) / 2) * pixel
    y, x = ((half - setup.shift[k]).astype(np.float32) for k in (1, 2))
    canvas = ChestCanvas.blank((working_z, y, x))
    for first in range(0, working_z.size, _SLAB):
        part = slice(first, min(first + _SLAB, working_z.size))
        slab = render(scene, (working_z[part], y, x))
        canvas.hu[part] = slab.hu
        canvas.labels[part] = slab.labels
    for lesion in lesions:
        lesion(canvas)
    move(canvas, scene.anatomy.frame, _hull(scene, canvas), setup.optics.motion)
    weights = slice_weights(working_z, z, thickness)
    images = thick(canvas.hu, weights)
    truth = truths(canvas, weights)
    rng = np.random.default_rng([seed, 302])
    expose(images, pixel, setup.optics, rng, whole=True)
    _streaks(setup, images, z, (y, x), rng)
    middle = [int(np.clip(np.argmin(np.abs(working_z - h)), 0, working_z.size - 1)) for h in z]
    grid = Grid(z + setup.shift[0], done.matrix, pixel, done.slice_mm)
    circle = outside_circle(grid)
    labels = canvas.labels[middle]
    voxels = np.clip(np.rint(images), -1024, 3071).astype(np.int16)
    voxels[:, circle] = PADDING_HU
    labels[:, circle] = ChestTissue.AIR
    assert done.phase is not None
    return ChestPhantom(
        seed=seed, anatomy=scene.anatomy, volume=volume_of(seed, voxels, grid, circle),
        labels=labels, phase=done.phase, shift_mm=setup.shift, lesions=truth, options=done,
    )  # fmt: skip


_SLAB = 24
"""Planes rendered together: bounds the memory of intermediate fields."""


def _streaks(
    setup: _Setup, images: Field, z: NDArray[np.float64], axes: tuple[Field, Field],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    if setup.optics.streak <= 5:
        return
    cava = next(
        d for d in setup.scene.anatomy.core.ducts if d.tissue is ChestTissue.SUPERIOR_VENA_CAVA
    )
    y, x = axes
    for image, height in zip(images, z, strict=True):
        place = crossing(cava, float(height))
        if place is not None:
            at = ((place[0] - float(y[0])) / float(y[1] - y[0]),
                  (place[1] - float(x[0])) / float(x[1] - x[0]))  # fmt: skip
            streak(image, at, 0.5 * setup.optics.streak, rng)


def simulate_block(
    seed: int, block: Block, options: ChestOptions | None = None, *, lesions: Sequence[Lesion] = ()
) -> ChestBlock:
    """Scan a block of the chest of `seed`; the same arguments give the same bytes."""
    setup = _setup(seed, options or ChestOptions())
    thickness = (options or ChestOptions()).thickness_mm or block.spacing_mm[0]
    count = [max(2, round(a / b)) for a, b in zip(block.size_mm, block.spacing_mm, strict=True)]
    axes = [
        c + (np.arange(n) - (n - 1) / 2) * d
        for c, n, d in zip(block.centre_mm, count, block.spacing_mm, strict=True)
    ]
    fine = block.spacing_mm[0] / max(1, round(block.spacing_mm[0] / 1.2))
    edge = [int(np.ceil(4.0 / d)) for d in (fine, *block.spacing_mm[1:])]
    edge[0] = max(edge[0], int(np.ceil(thickness / 2 / fine)))
    planes = round((axes[0][-1] - axes[0][0]) / fine) + 1
    wide = (
        axes[0][0] + fine * np.arange(-edge[0], planes + edge[0]),
        *(a[0] + d * np.arange(-e, a.size + e)
          for a, d, e in zip(axes[1:], block.spacing_mm[1:], edge[1:], strict=True)),
    )  # fmt: skip
    canvas = render(setup.scene, tuple(a.astype(np.float32) for a in wide))  # type: ignore[arg-type]
    for lesion in lesions:
        lesion(canvas)
    move(canvas, setup.scene.anatomy.frame, _hull(setup.scene, canvas), setup.optics.motion)
    weights = slice_weights(canvas.z, axes[0], thickness)
    images = thick(canvas.hu, weights)
    clean = images.copy()
    optics = replace(setup.optics, noise_hu=setup.options.noise_hu or 0.0)
    place = [int(v * 100) & 0xFFFFFFFF for v in block.centre_mm]
    expose(images, block.spacing_mm[1], optics, np.random.default_rng([seed, 303, *place]), False)
    inner = (slice(None), slice(edge[1], -edge[1]), slice(edge[2], -edge[2]))
    middle = [int(np.argmin(np.abs(canvas.z - h))) for h in axes[0]]
    truth = {}
    for name, lesion_truth in truths(canvas, weights).items():
        mask = np.zeros(images.shape, np.float32)
        mask[lesion_truth.box] = lesion_truth.share
        cut = mask[inner]
        if cut.any():
            truth[name] = LesionTruth((slice(0, cut.shape[0]), slice(0, cut.shape[1]),
                                       slice(0, cut.shape[2])), cut)  # fmt: skip
    return ChestBlock(
        anatomy=setup.scene.anatomy,
        hu=np.ascontiguousarray(images[inner]),
        clean=np.ascontiguousarray(clean[inner]),
        labels=np.ascontiguousarray(canvas.labels[middle][inner]),
        axes=(axes[0].astype(np.float32), axes[1].astype(np.float32), axes[2].astype(np.float32)),
        lesions=truth,
        options=setup.options,
    )
