"""Calcification: calcium on one side of a small nodule does not make it calcified throughout."""

from __future__ import annotations

import numpy as np
import pytest

from models.grid import canonical
from models.lung_nodules.density import Calcification, attenuation_of
from models.lung_nodules.shape import Shape
from tests.models.thorax.chest import Chest, Field, ball, blended, lesion

PLACE, RADIUS = (10.0, 10.0, -80.0), 4.0


def measured(slice_mm: float, radius: float, calcium: float) -> Calcification:
    """Of a ball with calcium beyond `calcium` mm of its middle along x."""

    def calcified(hu: Field, z: Field, y: Field, x: Field) -> None:
        side = np.minimum(ball(z, y, x, PLACE, radius), x - PLACE[2] - calcium)
        blended(hu, np.asarray(side, np.float32), 600.0, 1.6)

    drawn = Chest(
        # The middle lies between two slices, so that a thick-sliced nodule has no inner voxel.
        bottom=PLACE[0] - 10.5 * slice_mm,
        top=40.0,
        slice_mm=slice_mm,
        pixel_mm=0.8,
        paint=(lesion(PLACE, radius), calcified),
    )
    volume = drawn.volume()
    grid = canonical(volume)
    points = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), -1)
    at = points @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    x, y, z = at[..., 0], at[..., 1], at[..., 2]
    inside = (z - PLACE[0]) ** 2 + (y - PLACE[1]) ** 2 + (x - PLACE[2]) ** 2 <= radius**2
    shape = Shape(
        mask=inside,
        box=(slice(0, grid.shape[0]), slice(0, grid.shape[1]), slice(0, grid.shape[2])),
        key=0,
        long_mm=2 * radius,
        short_mm=2 * radius,
        volume_mm3=4 / 3 * np.pi * radius**3,
        diameter_3d_mm=2 * radius,
        centre_mm=(PLACE[2], PLACE[1], PLACE[0]),
    )
    return attenuation_of(grid, shape, enhanced=False).calcification


@pytest.mark.parametrize(("slice_mm", "radius"), [(3.0, 4.0), (3.0, 3.5), (1.0, 6.0)])
def test_calcium_at_one_side_is_part_of_the_nodule(slice_mm: float, radius: float) -> None:
    assert measured(slice_mm, radius, 0.4 * radius) is not Calcification.WHOLLY


def test_calcium_everywhere_is_all_of_it_and_none_is_none() -> None:
    assert measured(1.0, 6.0, -10.0) is Calcification.WHOLLY
    assert measured(1.0, 6.0, 10.0) is Calcification.NONE
