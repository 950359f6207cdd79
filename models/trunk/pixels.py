"""Do the pixels look like an adult's trunk in Hounsfield units? Asked before any network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from models.grid import Grid, Mask
from models.hounsfield import BODY_HU, tissue_shares
from models.morphology import holes_filled, largest_component, opened
from models.refusal import Refusal
from models.side_by_side import each
from node.domain.imaging import Voxels

#: Slices looked at, spread over the series.
SAMPLES = 9
#: Air around the patient; the tolerance covers offsets of a few tens of HU and table foam.
WARMEST_AIR_HU = -850.0
#: Widths of adults' trunks, arms included, start well above the first and end below the second.
NARROWEST_MM, WIDEST_MM = 190.0, 700.0
#: Share of the body's voxels that is soft tissue or fat in any trunk, and soft tissue alone.
LEAST_TISSUE, LEAST_SOFT = 0.7, 0.15
#: Aerated lung in HU. Slices of the body that hold at least this share of it are of the chest.
LUNG_HU = (-950.0, -500.0)
LEAST_LUNG = 0.08
_OPENING_MM = 5.0


@dataclass(frozen=True, slots=True)
class Look:
    """One slice: median outside the body, width of the body, HU inside it."""

    outside_hu: float | None
    width_mm: float
    inside: Voxels


def body_mask(plane: Voxels, pixel_mm: tuple[float, float]) -> Mask:
    """The body on a (row, column) slice in HU: largest part without the table, holes filled."""
    tissue = plane > BODY_HU
    radius = max(1, round(_OPENING_MM / min(pixel_mm) / 2))
    row, column = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disc = np.asarray(row**2 + column**2 <= radius**2, np.bool_)
    # The border is not air: a body that is cut there must not be eroded from that side.
    return holes_filled(largest_component(opened(tissue, disc, beyond=True) & tissue))


def refuse_wrong_pixels(grid: Grid) -> Refusal | None:
    """A reason why this is no adult's trunk in HU, whatever part of it, or None."""
    looks = looks_of(grid)
    return refuse_units(looks) or refuse_size(looks) or refuse_content(looks)


def looks_of(grid: Grid) -> list[Look]:
    """A few slices, from below."""
    count = grid.shape[0]
    indices = np.unique(np.linspace(0, count - 1, min(SAMPLES, count)).round().astype(int))
    return each(partial(_look, grid), [int(index) for index in indices])


def _look(grid: Grid, index: int) -> Look:
    plane = grid.hu[index]
    mask = body_mask(plane, grid.spacing_mm[1:])
    outside = plane[~mask]
    columns = np.flatnonzero(mask.any(axis=0))
    width = (columns[-1] - columns[0] + 1) * grid.spacing_mm[2] if columns.size else 0.0
    has_outside = outside.size > 0.03 * plane.size
    return Look(float(np.median(outside)) if has_outside else None, float(width), plane[mask])


def refuse_units(looks: list[Look]) -> Refusal | None:
    """Is the air about the patient air?"""
    outside = [look.outside_hu for look in looks if look.outside_hu is not None]
    if not outside:
        return Refusal(
            "no air is seen around the patient: the values are not Hounsfield units, or the "
            "field of view lies within the body"
        )
    if float(np.median(outside)) > WARMEST_AIR_HU:
        return Refusal(
            f"the pixel values are not Hounsfield units: the air around the patient has "
            f"{float(np.median(outside)):.0f} instead of about -1000"
        )
    return None


def refuse_size(looks: list[Look]) -> Refusal | None:
    """Is the body as wide as an adult's trunk?"""
    width = float(np.median([look.width_mm for look in looks]))
    if not NARROWEST_MM <= width <= WIDEST_MM:
        return Refusal(
            f"the imaged body is {width:.0f} mm wide, which is not an adult's trunk "
            f"({NARROWEST_MM:.0f} to {WIDEST_MM:.0f} mm)"
        )
    return None


def refuse_content(looks: list[Look]) -> Refusal | None:
    """Is it made of fat and soft tissue?"""
    inside = np.concatenate([look.inside.ravel()[::7] for look in looks])
    tissue, soft = tissue_shares(inside)
    if tissue < LEAST_TISSUE or soft < LEAST_SOFT:
        return Refusal(
            f"the pixel values do not look like a body in Hounsfield units: {tissue:.0%} of it "
            f"is fat or soft tissue and {soft:.0%} soft tissue"
        )
    return None
