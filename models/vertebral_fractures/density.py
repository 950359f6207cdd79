"""Attenuation of spongy bone in an oval of each body, and whether contrast medium was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from models.grid import Grid
from models.vertebral_fractures.frames import Own, Vector, values_at
from models.vertebral_fractures.genant import Grading
from models.vertebral_fractures.measuring import Body
from node.domain.anatomy import Anatomy

#: Middle and half axis from front to back, and half axis to the sides, as parts of the depth: the
#: oval ends 3 mm behind the front wall and leaves out the hindmost third, where the vein enters.
_MIDDLE, _HALF_BACK, _HALF_LEFT = 0.37, 0.25, 0.42
#: Half the thickness of the slab, as a part of the middle height.
_HALF_UP = 0.2
#: Blood in the aorta with contrast medium, HU.
ENHANCED_HU = 100.0
_LEAST_AORTA = 60
#: Above these an oval holds something other than spongy bone: mean, standard deviation, HU.
_DENSE_HU, _UNEVEN_HU = 450.0, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Density:
    """Of one body: mean and standard deviation in the oval, HU; half axes of the oval, mm."""

    mean_hu: float
    deviation_hu: float
    half_back_mm: float
    half_left_mm: float
    centre: Own


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """What the blood says. `aorta_hu`: None where no aorta is seen."""

    aorta_hu: float | None
    named: bool

    @property
    def enhanced(self) -> bool:
        """Was contrast medium given, by the header or by the aorta?"""
        return self.named or (self.aorta_hu is not None and self.aorta_hu >= ENHANCED_HU)

    @property
    def words(self) -> str:
        """For the page."""
        if self.aorta_hu is None:
            said = "the headers name a contrast medium" if self.named else "phase not known"
            return f"{said}; no aorta is seen"
        if self.enhanced:
            return (
                f"with contrast medium (aorta {self.aorta_hu:.0f} HU): bone reads some 10 HU or "
                "more too high"
            )
        return f"without contrast medium (aorta {self.aorta_hu:.0f} HU)"


def densities_of(grid: Grid, bodies: Sequence[Body]) -> list[Density]:
    """Of each body, in order."""
    return [_density(grid, body) for body in bodies]


def _density(grid: Grid, body: Body) -> Density:
    outline, depth = body.outline, body.depth_mm
    at = outline.front + _MIDDLE * depth
    near = int(np.abs(outline.columns - at).argmin())
    middle = float(outline.upper[near] + outline.lower[near]) / 2
    half_back, half_left = _HALF_BACK * depth, _HALF_LEFT * depth
    half_up = max(1.5, _HALF_UP * body.heights_mm[1])
    centre = body.own.moved(at, middle)
    left, back, up = np.meshgrid(
        np.arange(-half_left, half_left + 0.5, 1.0),
        np.arange(-half_back, half_back + 0.5, 1.0),
        np.arange(-half_up, half_up + 0.5, 1.0),
        indexing="ij",
    )
    hu, _ = values_at(grid, centre.at(left, back, up))
    inside = hu[(left / half_left) ** 2 + (back / half_back) ** 2 <= 1.0]
    return Density(
        mean_hu=float(inside.mean()),
        deviation_hu=float(inside.std()),
        half_back_mm=half_back,
        half_left_mm=half_left,
        centre=centre,
    )


def is_uneven(density: Density) -> bool:
    """Does the oval hold something other than spongy bone?"""
    return density.mean_hu > _DENSE_HU or density.deviation_hu > _UNEVEN_HU


def contrast_of(grid: Grid, anatomy: Anatomy, *, named: bool) -> Contrast:
    """From the aorta that the anatomy shows.

    Args:
        named: the headers name a contrast medium.
    """
    inner = ndimage.binary_erosion(anatomy.mask("aorta"), iterations=2)
    where = np.argwhere(inner)
    if len(where) < _LEAST_AORTA:
        return Contrast(aorta_hu=None, named=named)
    step = max(1, len(where) // 3000)
    points: Vector = where[::step] @ anatomy.affine[:3, :3].T + anatomy.affine[:3, 3]
    hu, _ = values_at(grid, points)
    return Contrast(aorta_hu=float(np.median(hu)), named=named)


def chosen(
    bodies: Sequence[Body], densities: Sequence[Density], gradings: Sequence[Grading]
) -> int | None:
    """Index of the body whose attenuation is stated for the exam: L1, else T12, else L2.

    One that is deformed, or holds something other than spongy bone, is passed over.
    """
    for index in _in_turn(bodies):
        if not _why_unsound(densities[index], gradings[index]):
            return index
    return None


def passed_over(
    bodies: Sequence[Body], densities: Sequence[Density], gradings: Sequence[Grading]
) -> list[tuple[int, str]]:
    """Bodies that come before the chosen one, each with the reason why it does not count."""
    found = []
    for index in _in_turn(bodies):
        reason = _why_unsound(densities[index], gradings[index])
        if not reason:
            break
        found.append((index, reason))
    return found


def _in_turn(bodies: Sequence[Body]) -> list[int]:
    """Indices of the bodies of which one is stated for the exam, the preferred one first."""
    levels = [body.place.level for body in bodies]
    return [levels.index(level) for level in ("L1", "T12", "L2") if level in levels]


def _why_unsound(density: Density, grading: Grading) -> str:
    if grading.grade > 0:
        return "it lost height"
    if density.mean_hu > _DENSE_HU:
        return f"its bone is too dense ({density.mean_hu:.0f} HU)"
    return f"its bone is uneven (SD {density.deviation_hu:.0f})" if is_uneven(density) else ""
