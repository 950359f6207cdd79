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
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from models.phantoms.chest_anatomy import ChestAnatomy, build_chest
from models.phantoms.chest_canvas import ChestCanvas, Lesion, LesionTruth
from models.phantoms.chest_tissue import ChestTissue, Lobe
from models.phantoms.shapes import Field
from models.phantoms.tissue import Labels
from node.domain.imaging import Volume

__all__ = [
    "Block", "ChestAnatomy", "ChestBlock", "ChestCanvas", "ChestOptions", "ChestPhantom",
    "ChestTissue", "ContrastPhase", "Kernel", "Lesion", "LesionTruth", "Lobe", "build_chest",
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


def simulate_chest(
    seed: int, options: ChestOptions | None = None, *, lesions: Sequence[Lesion] = ()
) -> ChestPhantom:
    """Scan the chest of `seed`; the same arguments give the same bytes."""
    raise NotImplementedError


def simulate_block(
    seed: int, block: Block, options: ChestOptions | None = None, *, lesions: Sequence[Lesion] = ()
) -> ChestBlock:
    """Scan a block of the chest of `seed`; the same arguments give the same bytes."""
    raise NotImplementedError
