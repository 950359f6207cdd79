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
`ChestPhantom.shift_mm` is the shift between the two: `phantom.to_patient(index)` and
`phantom.to_index(points)` convert.

Lesions: a lesion is a callable that gets the clean `ChestCanvas` (grid, labels, HU, in the
patient's frame) and paints itself with `canvas.blend(name, box, share, hu)`. It runs before
motion, blur and noise, so all of them act on it too. It must place itself in mm of the patient's
frame (draw place and size before, e.g. along `build_chest(seed).arteries`), use `canvas.box` and
`canvas.coordinates`, and do nothing when its box is empty. The exact truth comes back as
`phantom.lesions[name]` (`LesionTruth`: share of each recorded voxel, mask, volume).

Seeds below 1,000,000 train, the others test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.phantoms.acquisition import Grid
from models.phantoms.chest_anatomy import ChestAnatomy, build_chest
from models.phantoms.chest_canvas import ChestCanvas, Lesion, LesionTruth
from models.phantoms.chest_exposure import (
    crossing,
    expose,
    move,
    slice_weights,
    streak,
    thick,
    truths,
)
from models.phantoms.chest_render import Scene, render
from models.phantoms.chest_setup import ChestOptions, ContrastPhase, Kernel, Setup, prepare
from models.phantoms.chest_tissue import ChestTissue, Lobe
from models.phantoms.header_words import HeaderWords
from models.phantoms.person import Person
from models.phantoms.shapes import Field
from models.phantoms.tissue import Labels
from models.phantoms.trunk import PADDING_HU, outside_circle, volume_of
from node.domain.imaging import Volume

__all__ = [
    "Block", "ChestAnatomy", "ChestBlock", "ChestCanvas", "ChestOptions", "ChestPhantom",
    "ChestTissue", "ContrastPhase", "Kernel", "Lesion", "LesionTruth", "Lobe",
    "build_chest", "simulate_block", "simulate_chest",
]  # fmt: skip


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

    @property
    def person(self) -> Person:
        """Who was scanned."""
        return self.anatomy.person

    @property
    def header(self) -> HeaderWords:
        """What the headers call it (for `scanner.write_ct_series`)."""
        return HeaderWords(
            patient="Phantom^Chest", study="Simulated chest", series="Simulated chest",
            body_part="CHEST", kernel=self.options.kernel.name if self.options.kernel else "",
            thickness_mm=self.options.thickness_mm,
        )  # fmt: skip

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
    setup = prepare(seed, options or ChestOptions())
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
    for part in slabs_of(working_z.size):
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


def slabs_of(planes: int) -> list[slice]:
    """Runs of planes that are painted at a time; none of one plane alone, which has no spacing."""
    starts = list(range(0, planes, _SLAB))
    if planes - starts[-1] == 1 and len(starts) > 1:
        starts.pop()
    return [slice(*ends) for ends in pairwise([*starts, planes])]


def _streaks(
    setup: Setup, images: Field, z: NDArray[np.float64], axes: tuple[Field, Field],
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
    setup = prepare(seed, options or ChestOptions())
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
    canvas = render(
        setup.scene,
        (wide[0].astype(np.float32), wide[1].astype(np.float32), wide[2].astype(np.float32)),
    )
    for lesion in lesions:
        lesion(canvas)
    move(canvas, setup.scene.anatomy.frame, _hull(setup.scene, canvas), setup.optics.motion)
    weights = slice_weights(canvas.z, axes[0].astype(np.float64), thickness)
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
