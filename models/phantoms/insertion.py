"""A nodule put into a CT volume, simulated or real, with the scan's own blur and noise.

The nodule's coverage of each voxel is counted on sub-voxels, blurred as the scan is, and mixed
into the voxels: a solid nodule replaces lung, ground glass is added to it so that vessels shine
through. Where the nodule would lie in the chest wall or mediastinum, the wall stays and the
nodule ends there. Noise that mixing took away is put back with the scan's strength and grain.
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (
    binary_erosion,
    gaussian_filter,
    maximum_filter1d,
    minimum_filter1d,
    uniform_filter1d,
)
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import cdist

from models.phantoms.nodules import Density, Nodule

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Sub-voxels are at most so large.
FINE_MM = 0.35
#: A large nodule needs no finer ones than this part of its diameter.
FINE_SHARE = 0.03
#: Tissue that a nodule cannot replace: chest wall, mediastinum, diaphragm.
WALL_HU = -350.0
#: Vessels thinner than this are no wall, mm.
VESSEL_MM = 5.0
#: A nodule of which less lies in lung is not put there.
LEAST_IN_LUNG = 0.35
#: Spicules are thin strands of tissue.
STRAND_HU = 10.0
#: Ground glass is at least so much denser than the lung round it.
LEAST_LIFT_HU = 120.0
_TISSUE_HU = (-20.0, 110.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Physics:
    """How a scan blurs and how noisy it is.

    Attributes:
        blur_mm: standard deviation of its kernel in the plane. slice_mm: thickness.
        noise_hu: standard deviation in tissue. grain_mm: standard deviation of the Gaussian
            that white noise would have been smoothed with.
    """

    blur_mm: float
    slice_mm: float
    noise_hu: float
    grain_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A volume that nodules are put into.

    Attributes:
        hu: (slice, row, column) float32, axes as of `Grid`; changed in place.
        spacing_mm: along the three axes.
    """

    hu: Field
    spacing_mm: tuple[float, float, float]
    physics: Physics


@dataclass(frozen=True, slots=True, kw_only=True)
class Inserted:
    """The truth about one inserted nodule, as a careful reader would measure it.

    Attributes:
        centre: (3,) of the body, (slice, row, column) positions in the volume.
        long_mm, short_mm: in the axial plane of largest area; the short one at right angles.
        volume_mm3: of the body within the lung. solid_mm: mean diameter of the solid part, the
            whole for a solid nodule, 0 for ground glass.
        box: part of the volume that was changed. coverage: (slice, row, column) share of each
            voxel of the box that the body takes, 0..1.
    """

    density: Density
    centre: NDArray[np.float64]
    long_mm: float
    short_mm: float
    volume_mm3: float
    solid_mm: float
    box: tuple[slice, slice, slice]
    coverage: Field

    @property
    def mean_mm(self) -> float:
        """Mean of long and short axis."""
        return (self.long_mm + self.short_mm) / 2


def measure_physics(hu: Field, spacing_mm: tuple[float, float, float]) -> Physics:
    """Noise and grain of a scan, from soft tissue; its blur from the grain.

    Args:
        hu: (slice, row, column).
    """
    step = max(1, len(hu) // 12)
    planes = np.asarray(hu[::step], np.float32)
    smooth = gaussian_filter(planes, (0, 3, 3))
    low, high = _TISSUE_HU
    flat = binary_erosion((smooth > low) & (smooth < high), np.ones((1, 7, 7), np.bool_))
    # Differences of neighbours, so that anatomy's slow changes do not count as noise.
    across, apart = planes[:, :, 1:] - planes[:, :, :-1], planes[:, :, 4:] - planes[:, :, :-4]
    near = _spread(across[flat[:, :, 1:]])
    far = _spread(apart[flat[:, :, 4:]])
    if far < 1e-3:
        return Physics(
            blur_mm=0.6 * spacing_mm[2], slice_mm=spacing_mm[0], noise_hu=0.0, grain_mm=0.5
        )
    correlation = float(np.clip(1.0 - (near / far) ** 2, 0.02, 0.95))
    grain = float(np.sqrt(-1.0 / (4.0 * np.log(correlation)))) * spacing_mm[2]
    return Physics(
        blur_mm=float(np.clip(grain, 0.35, 0.9)),
        slice_mm=spacing_mm[0],
        noise_hu=far / float(np.sqrt(2.0)),
        grain_mm=grain,
    )


def _spread(values: Field) -> float:
    if values.size < 100:
        return 0.0
    return float(np.median(np.abs(values))) * 1.4826


def insert_nodule(
    scan: Scan, nodule: Nodule, centre: NDArray[np.float64], rng: np.random.Generator
) -> Inserted | None:
    """Put a nodule into a volume, in place; None where hardly any of it would lie in lung.

    Args:
        centre: (3,) position of the nodule's origin among the voxels.
    """
    spacing, physics, hu = np.asarray(scan.spacing_mm, np.float64), scan.physics, scan.hu
    margin = 4.0 * max(physics.blur_mm, physics.slice_mm / 2) + spacing.max()
    box = _box(centre, (nodule.reach_with_spicules_mm + margin) / spacing, hu.shape)
    if box is None:
        return None
    fine_mm = max(FINE_MM, FINE_SHARE * 2 * float(nodule.radii_mm.mean()))
    parts = np.ceil(spacing / fine_mm).astype(int)
    points = _points(box, centre, spacing, parts)
    patch = hu[box]
    wall = _wall(patch, spacing)
    fine_wall = wall.repeat(parts[0], 0).repeat(parts[1], 1).repeat(parts[2], 2)
    whole = nodule.body(points)
    body = whole & ~fine_wall
    if body.sum() * np.prod(spacing / parts) < LEAST_IN_LUNG * _volume(nodule):
        return None
    body = _largest(body)
    core = whole & nodule.in_core(points)
    strands = nodule.in_spicules(points) & ~whole
    before = patch.copy()
    cover = _blurred(_coverage(whole, parts), spacing, physics)
    _mix(patch, nodule, cover, None)
    for part, part_hu in ((core, nodule.core_hu), (strands, STRAND_HU)):
        if part.any():
            _mix(patch, nodule, _blurred(_coverage(part, parts), spacing, physics), part_hu)
    # What the wall is made of stays; only the thin layer of lung before it is filled.
    np.copyto(patch, np.maximum(patch, before), where=wall)
    if nodule.density is not Density.GROUND_GLASS and physics.noise_hu > 0:
        lost = np.sqrt(np.clip(1.0 - (1.0 - cover * ~wall) ** 2, 0, 1))
        patch += lost * _noise(patch.shape, spacing, physics, rng)
    return _truth(nodule, body, (box, parts, points), spacing)


def _volume(nodule: Nodule) -> float:
    return float(4.0 / 3.0 * np.pi * nodule.radii_mm.prod())


def _box(
    centre: NDArray[np.float64], reach: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[slice, slice, slice] | None:
    low = np.floor(centre - reach).astype(int)
    high = np.ceil(centre + reach).astype(int) + 1
    low, high = np.maximum(low, 0), np.minimum(high, shape)
    if (high <= low).any():
        return None
    first, second, third = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return first, second, third


def _points(
    box: tuple[slice, slice, slice],
    centre: NDArray[np.float64],
    spacing: NDArray[np.float64],
    parts: NDArray[np.int64],
) -> Field:
    """(z, y, x, 3) mm of the sub-voxels' centres from the nodule's origin."""
    lines = []
    for axis, part in enumerate(box):
        count = (part.stop - part.start) * parts[axis]
        index = part.start - 0.5 + (np.arange(count) + 0.5) / parts[axis]
        lines.append((index - centre[axis]) * spacing[axis])
    return np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).astype(np.float32)


def _wall(patch: Field, spacing: NDArray[np.float64]) -> Mask:
    """Chest wall, mediastinum and diaphragm in a patch: tissue wider than a vessel."""
    tissue = gaussian_filter(patch, 0.7) > WALL_HU
    sides = 2 * np.maximum(1, np.round(VESSEL_MM / 2 / spacing)).astype(int) + 1
    kept = tissue.astype(np.uint8)
    for axis, side in enumerate(sides):
        kept = minimum_filter1d(kept, int(side), axis=axis, mode="nearest")
    for axis, side in enumerate(sides):
        kept = maximum_filter1d(kept, int(side), axis=axis, mode="nearest")
    return np.asarray((kept > 0) & tissue, np.bool_)


def _largest(body: Mask) -> Mask:
    parts = cc3d.connected_components(np.ascontiguousarray(body), connectivity=6)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(parts == int(sizes.argmax()), np.bool_)


def _truth(
    nodule: Nodule,
    body: Mask,
    place: tuple[tuple[slice, slice, slice], NDArray[np.int64], Field],
    spacing: NDArray[np.float64],
) -> Inserted:
    box, parts, points = place
    fine = spacing / parts
    areas = body.sum(axis=(1, 2))
    long_mm, short_mm = diameters(body[int(areas.argmax())], fine[1:])
    where = np.argwhere(body).mean(axis=0)
    solid = (long_mm + short_mm) / 2
    if nodule.density is Density.GROUND_GLASS:
        solid = 0.0
    elif nodule.density is Density.PART_SOLID:
        core = body & nodule.in_core(points)
        largest = core[int(core.sum(axis=(1, 2)).argmax())]
        solid = float(np.mean(diameters(largest, fine[1:]))) if largest.any() else 0.0
    return Inserted(
        density=nodule.density,
        centre=np.array([part.start for part in box]) - 0.5 + (where + 0.5) / parts,
        long_mm=long_mm,
        short_mm=short_mm,
        volume_mm3=float(body.sum() * fine.prod()),
        solid_mm=solid,
        box=box,
        coverage=_coverage(body, parts),
    )


def diameters(plane: Mask, pixel_mm: NDArray[np.float64]) -> tuple[float, float]:
    """Long axis and the largest extent at right angles to it, mm, of a (row, column) mask."""
    points = np.argwhere(plane).astype(np.float64)
    # Middles of the pixels' edges: their corners would make every slanted axis too long.
    edges = np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, -0.5], [0.0, 0.5]])
    outline = ((points[:, None] + edges[None]).reshape(-1, 2)) * pixel_mm
    try:
        hull = outline[ConvexHull(outline).vertices]
    except QhullError:
        return 0.0, 0.0
    distances = cdist(hull, hull)
    a, b = np.unravel_index(int(distances.argmax()), distances.shape)
    axis = (hull[b] - hull[a]) / max(distances[a, b], 1e-9)
    across = hull @ np.array([-axis[1], axis[0]])
    return float(distances[a, b]), float(np.ptp(across))


def _coverage(fine: Mask, parts: NDArray[np.int64]) -> Field:
    """Share of each voxel, from its sub-voxels."""
    shape = [n for size, part in zip(fine.shape, parts, strict=True) for n in (size // part, part)]
    return np.asarray(fine.reshape(shape).mean(axis=(1, 3, 5), dtype=np.float32), np.float32)


def _blurred(coverage: Field, spacing: NDArray[np.float64], physics: Physics) -> Field:
    """Coverage as the scan would show it: kernel in the plane, profile along z."""
    sigma = physics.blur_mm / spacing
    blurred = gaussian_filter(coverage, (0.0, sigma[1], sigma[2]), mode="nearest")
    extra = physics.slice_mm / spacing[0] - 1.0
    if extra > 0.05:
        # Thicker slices than their distance: a box over more than the voxel itself.
        width = int(np.ceil(extra)) | 1
        mixed = uniform_filter1d(blurred, width + 2, axis=0, mode="nearest")
        part = min(1.0, extra / (width + 1))
        blurred = (1 - part) * blurred + part * mixed
    return np.asarray(blurred, np.float32)


def _mix(patch: Field, nodule: Nodule, cover: Field, hu: float | None) -> None:
    """Mix into the patch, in place; `hu` None stands for the body's own attenuation."""
    veiled = nodule.density in (Density.GROUND_GLASS, Density.PART_SOLID) and hu is None
    value = nodule.hu if hu is None else hu
    if veiled:
        # Added, not replaced: what is denser than the veil stays as it is.
        lung = float(np.median(patch[cover > 0.05])) if (cover > 0.05).any() else -850.0
        lift = np.clip(value - max(lung, -950.0), LEAST_LIFT_HU, None) * cover
        patch[...] = np.where(patch < value + 40, np.minimum(patch + lift, 60.0), patch)
        return
    patch += cover * (np.float32(value) - patch)


def _noise(
    shape: tuple[int, ...],
    spacing: NDArray[np.float64],
    physics: Physics,
    rng: np.random.Generator,
) -> Field:
    sigma = physics.grain_mm / spacing[1:]
    white = rng.standard_normal(shape).astype(np.float32)
    grain = gaussian_filter(white, (0, sigma[0], sigma[1]))
    return np.asarray(grain * (physics.noise_hu / max(float(grain.std()), 1e-6)), np.float32)
