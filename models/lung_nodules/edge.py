"""The edge of a nodule where its density says it is: half way between nodule and lung.

The refiner finds the dense part of a nodule well, but draws faint ground glass too small, and does
not see all of the veil round a solid core. Here the lung round a nodule is measured, what is denser
than it and joined to the nodule is added, and vessels and walls are taken off again. Rules only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cc3d
import numpy as np
from scipy import ndimage

from models.distance import distance_inside
from models.grid import Axis, Floats, Grid, Mask
from models.lung_nodules.cubes import Axes, cube_of
from models.lung_nodules.refining import Look
from models.lung_nodules.shape import sampled

#: Voxels of the cube in which the edge is looked for, mm; it reaches so far beyond the mask, and
#: a veil a little less far, mm.
FINE_MM, REACH_MM, FARTHEST_MM = 0.7, 11.0, 10.0
#: Wider looks than this are at masses, whose edge is rough anyway, mm.
WIDEST_MM = 1.4
#: Lung lies between these, HU, and begins so far from the mask, mm. What is darker is air: a bulla,
#: a pneumothorax, the outside. Beside it sound lung would look like a veil.
AIR_HU, LUNG_HU, CLEAR_MM = -970.0, -600.0, 3.0
#: Lung voxels that are needed to know how dense it is.
LEAST_LUNG = 300
#: Edge of the cubes whose median stands for a voxel: noise and thin vessels go, edges stay.
MEDIAN, MEDIAN_FINE = 5, 3
#: A veil is at least so much denser than lung, HU, and no denser than this.
LIFT_HU, DENSE_HU = 100.0, -250.0
#: The edge lies at this part of the nodule's lift over lung, but no fainter than this, HU.
HALF, FAINTEST_HU = 0.5, 55.0
#: Radius of the ball that must fit into a veil, mm: sheaths of vessels and pleura are thinner. The
#: second one where the veil goes far.
BALL_MM, WIDE_BALL_MM = 2.2, 3.0
#: A veil goes on farther than this from the mask, mm, over this part of all; else it is blur.
BEYOND_MM, BEYOND_SHARE = 2.0, 0.1
#: Of the shell round the mask, 1 to 2 mm from it, at least so much is veil: a vessel takes less.
ROUND_SHARE = 0.3
#: A veil that fills so much of the last shell that is looked at, so thick, mm, has no edge in view.
OPEN_SHARE, LAST_MM = 0.3, 1.0
#: Voxels that say how dense a veil is, and a nodule; fewer say nothing.
LEAST_VEIL, FEW = 30, 8
#: Closing that fills vessels within a veil, mm.
CLOSE_MM = 2.0
#: A veil that fills less of the ball round it is a streak or a consolidation.
LEAST_COMPACT = 0.15
#: A nodule less dense than this over lung, HU, is ground glass at its edge, which lies at most so
#: far from the mask, mm.
SOLID_LIFT_HU, NEAR_MM = 520.0, 2.0
#: Tissue over lung, HU: what is denser is calcium, and its edge is the tissue's round it.
TISSUE_LIFT_HU = 900.0
#: The edge of a solid nodule lies at most so far from the mask, and lung so near beyond it, mm.
SOLID_REACH_MM, LUNG_BEYOND_MM = 1.0, 2.0


@dataclass(frozen=True, slots=True)
class _Cube:
    """One nodule on cubic voxels.

    Attributes:
        axes: of the voxels among the samples of the grid. share: the network's, 0..1.
        soft: HU, smoothed. excess: of it over lung, HU. fine: the same, less smoothed.
    """

    axes: Axes
    share: Floats
    soft: Floats
    excess: Floats
    fine: Floats

    @property
    def core(self) -> Mask:
        return np.asarray(self.share > 0.5, np.bool_)


def sharpened(grid: Grid, look: Look) -> Look:
    """The look with its share corrected; as it is where the lung round it is not seen."""
    cube = _cube(grid, look)
    if cube is None:
        return look
    share = _corrected(cube, is_wide=look.step_mm > FINE_MM)
    if share is None:
        return look
    return replace(look, share=share, axes=cube.axes, step_mm=FINE_MM)


def _cube(grid: Grid, look: Look) -> _Cube | None:
    if look.step_mm > WIDEST_MM or not (look.share > 0.5).any():
        return None
    axes = _axes(grid, look)
    share = sampled(look, [axis.positions() for axis in axes])
    core = share > 0.5
    if not core.any():
        return None
    hu = cube_of(grid, axes)
    soft = np.asarray(ndimage.median_filter(hu, MEDIAN), np.float32)
    away = distance_inside(~core) * FINE_MM
    # What is held beyond the first and last slice was not seen.
    seen = _inside(axes[0], grid.shape[0])[:, None, None]
    lung = _lung(soft, (away > CLEAR_MM) & (soft > AIR_HU) & (soft < LUNG_HU) & seen)
    if lung is None:
        return None
    fine = np.asarray(ndimage.median_filter(hu, MEDIAN_FINE), np.float32)
    return _Cube(axes, share, soft, soft - lung, fine - lung)


def _axes(grid: Grid, look: Look) -> Axes:
    """Round the mask, `REACH_MM` farther than it on each side."""
    inside = look.share > 0.5
    axes = []
    for number, (own, spacing) in enumerate(zip(look.axes, grid.spacing_mm, strict=True)):
        other = tuple(a for a in range(3) if a != number)
        used = np.flatnonzero(inside.any(axis=other))
        low, high = own.start + own.step * used[0], own.start + own.step * used[-1]
        length = (high - low) * spacing + 2 * REACH_MM
        axes.append(
            Axis.centred((low + high) / 2, FINE_MM / spacing, int(np.ceil(length / FINE_MM)) + 1)
        )
    return axes[0], axes[1], axes[2]


def _inside(axis: Axis, length: int) -> Mask:
    at = axis.positions()
    return np.asarray((at > -0.5) & (at < length - 0.5), np.bool_)


def _lung(soft: Floats, where: Mask) -> Floats | None:
    """Attenuation of lung at every voxel: a plane through that of the voxels of lung, HU."""
    places = np.argwhere(where)
    if len(places) < LEAST_LUNG:
        return None
    values = soft[where].astype(np.float64)
    terms = np.c_[np.ones(len(places)), places - np.array(soft.shape) / 2]
    near = np.abs(values - np.quantile(values, 0.35)) < 90.0
    plane = np.zeros(4)
    for _ in range(4):
        if near.sum() < LEAST_LUNG / 3:
            return None
        plane = np.linalg.lstsq(terms[near], values[near], rcond=None)[0]
        left = values - terms @ plane
        # Vessels and veils are denser than lung; nothing but emphysema is darker.
        near = (left < 50.0) & (left > -80.0)
    lines = [np.arange(size) - size / 2 for size in soft.shape]
    flat = (
        plane[0]
        + plane[1] * lines[0][:, None, None]
        + plane[2] * lines[1][None, :, None]
        + plane[3] * lines[2][None, None, :]
    )
    return np.asarray(flat, np.float32)


def _corrected(cube: _Cube, *, is_wide: bool) -> Floats | None:
    """Share of each voxel within a better edge; None where the network's is good enough."""
    away = np.asarray(distance_inside(~cube.core) * FINE_MM, np.float32)
    region = _with_veil(cube, away)
    if region is None:
        level = _level(cube)
        if level <= SOLID_LIFT_HU:
            region = _grown(cube, max(FAINTEST_HU, HALF * level), (away, NEAR_MM), BALL_MM)
        elif is_wide:
            region = _solid(cube, away)
    if region is None:
        return None
    share = np.maximum(ndimage.gaussian_filter(region.astype(np.float32), 0.6), cube.share)
    return np.asarray(np.where(share > 0.02, share, 0.0), np.float32)


def _with_veil(cube: _Cube, away: Floats) -> Mask | None:
    """The nodule with a wide veil that the network left out; None where there is none.

    Args:
        away: distance of each voxel from the network's mask, mm.
    """
    region = _grown(cube, LIFT_HU, (away, FARTHEST_MM), BALL_MM)
    shell = (away > 1.0) & (away < 2.0)
    beyond = region & (away > BEYOND_MM)
    if beyond.sum() < BEYOND_SHARE * region.sum() or region[shell].mean() < ROUND_SHARE:
        return None
    # What of the veil is neither its own edge nor the dense part's.
    inner = _eroded(region, 1.4) & (away > 1.0) & (cube.soft < DENSE_HU)
    if inner.sum() < LEAST_VEIL:
        return None
    lift = max(FAINTEST_HU, HALF * float(np.median(cube.excess[inner])))
    region = _grown(cube, lift, (away, FARTHEST_MM), WIDE_BALL_MM)
    region |= _closed(region, CLOSE_MM) & (away < FARTHEST_MM)
    if region[(away > FARTHEST_MM - LAST_MM) & (away < FARTHEST_MM)].mean() > OPEN_SHARE:
        return None
    points = np.argwhere(region) * FINE_MM
    radius = float(np.linalg.norm(points - points.mean(axis=0), axis=1).max())
    if len(points) * FINE_MM**3 < LEAST_COMPACT * 4 / 3 * np.pi * radius**3:
        return None
    return region


def _level(cube: _Cube) -> float:
    """How much denser than lung the nodule's fainter part is, HU."""
    inner = _eroded(cube.core, 1.0)
    return float(np.quantile(cube.excess[inner if inner.sum() >= FEW else cube.core], 0.3))


def _solid(cube: _Cube, away: Floats) -> Mask:
    """A solid nodule to half its height over lung; not on into vessels, pleura and wall."""
    inner = _eroded(cube.core, 1.0)
    if inner.sum() < FEW:
        return cube.core
    height = min(float(np.median(cube.excess[inner])), TISSUE_LIFT_HU)
    dense = (cube.fine > HALF * height) | cube.core
    # Lung lies near on the other side, which it does not where the chest wall begins.
    outer = distance_inside(dense) * FINE_MM < LUNG_BEYOND_MM
    region = cube.core | (dense & outer & (away < SOLID_REACH_MM))
    return np.asarray(_opened(region, WIDE_BALL_MM) | cube.core, np.bool_)


def _grown(cube: _Cube, lift: float, reach: tuple[Floats, float], ball_mm: float) -> Mask:
    """The mask with what is a veil of at least a lift and joined to it.

    Args:
        reach: distance of each voxel from the mask, and how far the veil may go, mm.
        ball_mm: radius of the ball that must fit into it.
    """
    core, (away, most) = cube.core, reach
    veil = (cube.excess > lift) & (cube.soft < DENSE_HU) & (away < most)
    region = _opened(veil | core, ball_mm) | core
    parts = cc3d.connected_components(np.ascontiguousarray(region), connectivity=6)
    own = np.unique(parts[core])
    return np.asarray(np.isin(parts, own[own > 0]), np.bool_)


def _eroded(mask: Mask, radius_mm: float) -> Mask:
    return np.asarray(distance_inside(mask) * FINE_MM > radius_mm, np.bool_)


def _opened(mask: Mask, radius_mm: float) -> Mask:
    inner = _eroded(mask, radius_mm)
    if not inner.any():
        return inner
    return np.asarray(distance_inside(~inner) * FINE_MM <= radius_mm, np.bool_)


def _closed(mask: Mask, radius_mm: float) -> Mask:
    wide = distance_inside(~mask) * FINE_MM <= radius_mm
    return np.asarray(distance_inside(wide) * FINE_MM > radius_mm, np.bool_)
