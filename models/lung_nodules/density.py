"""Attenuation of a nodule: solid, part-solid or ground glass; calcified or not. Rules only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cc3d
import numpy as np
from scipy import ndimage

from models.grid import Grid, Mask
from models.lung_nodules.shape import Shape, axes_of

#: Denser than this is solid tissue, HU; lung windows show ground glass below it.
SOLID_HU = -300.0
#: Share of the inner voxels that is solid: above the first it is solid, below the second
#: ground glass.
SOLID_FROM, GROUND_GLASS_TO = 0.75, 0.1
#: A smaller solid part is a vessel that runs through the ground glass, mm.
LEAST_CORE_MM = 2.5
#: Calcium, HU, on scans without and with contrast medium.
CALCIUM_HU, CALCIUM_ENHANCED_HU = 200.0, 300.0
#: Share of the voxels with calcium from which a nodule is called calcified, and wholly so.
CALCIFIED_FROM, WHOLLY_FROM = 0.1, 0.8
#: A nodule with fewer inner voxels is judged by its brightest ones, and never called calcified
#: throughout: calcium at one side would be all that is looked at.
FEW = 12


class Density(StrEnum):
    """Words of RadElement RDE1301 and of Lung-RADS."""

    SOLID = "solid"
    PART_SOLID = "part-solid"
    GROUND_GLASS = "ground glass"


class Calcification(StrEnum):
    """How much calcium there is."""

    NONE = "none seen"
    PARTLY = "partly calcified"
    WHOLLY = "calcified throughout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attenuation:
    """What the voxels of a nodule say.

    Attributes:
        mean_hu: over its inner voxels, without the rim that it shares with lung.
        solid_mm: mean diameter of the solid part; the whole nodule's where it is solid, 0 where
            it is ground glass.
        solid_share: of its inner voxels.
    """

    mean_hu: float
    density: Density
    solid_mm: float
    solid_share: float
    calcification: Calcification


def attenuation_of(grid: Grid, shape: Shape, *, enhanced: bool) -> Attenuation:
    """Measure one nodule.

    Args:
        enhanced: contrast medium is in the vessels, so that calcium must be denser to count.
    """
    hu = np.asarray(grid.hu[shape.box], np.float32)
    smooth = ndimage.gaussian_filter(hu, [0.0 if s > 1.5 else 0.5 / s for s in grid.spacing_mm])
    inner, is_whole = _inner(shape.mask, smooth)
    share = float((smooth[inner] > SOLID_HU).mean())
    solid_mm = 0.0
    density = Density.GROUND_GLASS
    if share >= SOLID_FROM:
        density, solid_mm = Density.SOLID, shape.mean_mm
    elif share > GROUND_GLASS_TO:
        core = _core_mm(grid, shape.mask & (smooth > SOLID_HU))
        if core >= LEAST_CORE_MM:
            density, solid_mm = Density.PART_SOLID, min(core, shape.mean_mm)
    return Attenuation(
        mean_hu=float(hu[inner].mean()),
        density=density,
        solid_mm=solid_mm,
        solid_share=share,
        calcification=_calcification(smooth[inner], enhanced, is_whole=is_whole),
    )


def _inner(mask: Mask, smooth: np.ndarray) -> tuple[Mask, bool]:
    """Voxels that hold nothing but the nodule, and True; of a small one the brightest third."""
    inner = ndimage.binary_erosion(mask)
    if inner.sum() >= FEW:
        return np.asarray(inner, np.bool_), True
    limit = np.quantile(smooth[mask], 0.66)
    return np.asarray(mask & (smooth >= limit), np.bool_), False


def _core_mm(grid: Grid, solid: Mask) -> float:
    """Mean of long and short axis of the largest solid part, in its plane of largest area."""
    parts = cc3d.connected_components(np.ascontiguousarray(solid), connectivity=6)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    if sizes.max() == 0:
        return 0.0
    core = parts == int(sizes.argmax())
    plane = core[int(core.sum(axis=(1, 2)).argmax())]
    return float(np.mean(axes_of(plane, (grid.spacing_mm[1], grid.spacing_mm[2]))))


def _calcification(values: np.ndarray, enhanced: bool, *, is_whole: bool) -> Calcification:
    share = float((values > (CALCIUM_ENHANCED_HU if enhanced else CALCIUM_HU)).mean())
    if share >= WHOLLY_FROM and is_whole:
        return Calcification.WHOLLY
    return Calcification.PARTLY if share >= CALCIFIED_FROM else Calcification.NONE
