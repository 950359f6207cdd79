"""Metal and cement are large and dense; what a bone kernel makes of bone is neither."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from models.grid import Grid, canonical
from models.vertebral_fractures.frames import Own
from models.vertebral_fractures.metal import DENSE, METAL_HU, STREAKS, metal_near
from tests.models.vertebral_fractures.toy import Toy, change

LEVEL = "L2"
UP, BACK = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])


def own(toy: Toy) -> Own:
    return Own(centre=toy.middles[LEVEL], left=np.cross(BACK, UP), back=BACK, up=UP, turned=True)


def sharpened(toy: Toy, noise_hu: float) -> Grid:
    """As a bone kernel gives it: fine noise, and edges that overshoot in each slice."""
    grid = canonical(toy.volume())
    hu = np.asarray(grid.hu, np.float32)
    blurred = ndimage.gaussian_filter(hu, (0.0, 1.2, 1.2))
    rng = np.random.default_rng(7)
    fine = hu + 1.2 * (hu - blurred) + rng.normal(0.0, noise_hu, hu.shape)
    return Grid(
        hu=np.clip(fine, -1024, 3071).astype(np.float32),
        spacing_mm=grid.spacing_mm,
        affine=grid.affine,
        order=grid.order,
        flipped=grid.flipped,
    )


@pytest.mark.parametrize("slice_mm", [1.0, 2.5])
def test_a_bone_kernel_is_no_metal(slice_mm: float) -> None:
    toy = Toy(wrong={}, slice_mm=slice_mm, pixel_mm=0.7)
    grid = sharpened(toy, 500.0)
    centre = np.rint(np.linalg.inv(grid.affine)[:3] @ np.append(toy.middles[LEVEL], 1.0))
    box = tuple(
        slice(int(at - 12 / mm), int(at + 13 / mm))
        for at, mm in zip(centre, grid.spacing_mm, strict=True)
    )
    # Single pixels pass the limit by the hundred.
    assert (grid.hu[box] > METAL_HU).mean() > 0.03
    assert metal_near(grid, own(toy)) == ""


@pytest.mark.parametrize("slice_mm", [1.0, 2.5, 5.0])
@pytest.mark.parametrize("noise_hu", [0.0, 500.0])
def test_a_screw_is_metal_with_any_kernel(slice_mm: float, noise_hu: float) -> None:
    toy = Toy(wrong={}, slice_mm=slice_mm, pixel_mm=0.7, metal=(LEVEL,))
    assert metal_near(sharpened(toy, noise_hu), own(toy)) == DENSE


def test_cement_is_named_as_metal_and_a_dense_metastasis_is_not() -> None:
    cement = Toy(wrong={LEVEL: change(cement=True)}, pixel_mm=0.7)
    dense = Toy(wrong={LEVEL: change()}, pixel_mm=0.7, marrow_hu=900.0)
    grid = canonical(cement.volume())
    hu = np.asarray(grid.hu, np.float32).copy()
    z, y, x = (
        np.arange(length)[tuple(slice(None) if k == axis else None for k in range(3))] * mm
        for axis, (length, mm) in enumerate(zip(hu.shape, grid.spacing_mm, strict=True))
    )
    middle = cement.middles[LEVEL]
    blob = ((x - middle[0] - 3) / 13) ** 2 + ((y - middle[1]) / 9) ** 2
    hu[blob + ((z - middle[2]) / 7) ** 2 < 1] = 1700.0
    filled = Grid(
        hu=hu, spacing_mm=grid.spacing_mm, affine=grid.affine, order=grid.order,
        flipped=grid.flipped,
    )  # fmt: skip
    assert metal_near(filled, own(cement)) == DENSE
    assert metal_near(canonical(dense.volume()), own(dense)) == ""


@pytest.mark.parametrize("slice_mm", [1.5, 3.0])
def test_a_rod_behind_a_body_is_named_for_its_streaks(slice_mm: float) -> None:
    toy = Toy(wrong={}, slice_mm=slice_mm, pixel_mm=0.7)
    grid = canonical(toy.volume())
    hu = np.asarray(grid.hu, np.float32).copy()
    middle = toy.middles[LEVEL]
    rows, columns = np.arange(hu.shape[1]) * 0.7, np.arange(hu.shape[2]) * 0.7
    near = (rows[:, None] - middle[1] - 40) ** 2 + (columns[None, :] - middle[0] - 18) ** 2
    hu[:, near < 2.9**2] = 3000.0
    with_rod = Grid(
        hu=hu, spacing_mm=grid.spacing_mm, affine=grid.affine, order=grid.order,
        flipped=grid.flipped,
    )  # fmt: skip
    assert metal_near(grid, own(toy)) == ""
    assert metal_near(with_rod, own(toy)) == STREAKS
