"""Where a network has to look: a body without its couch, with its lungs and a margin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.steps.image import Image
from inference.steps.interest import coarse, region_of_interest
from inference.steps.verdict import NothingLeft
from models.manifest_region import RegionOfInterest


def body() -> Image:
    """(slice, row, column) HU, 5 x 2 x 2 mm: a trunk with lungs that are cut by both ends."""
    voxels = np.full((1, 10, 60, 60), -1000, np.int16)
    voxels[0, :, 10:40, 10:50] = 30
    voxels[0, :, 15:30, 15:25] = -850
    voxels[0, :, 50:52, 5:55] = 100  # the couch
    return Image(values=voxels, affine=np.diag([0, 0, 0, 1.0]) + _axes())


def _axes() -> np.ndarray:
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = 5.0, -2.0, -2.0
    return affine


def mask_of(image: Image, **keys: object) -> np.ndarray:
    found = region_of_interest(image, RegionOfInterest(above=-500.0, **keys)).region  # type: ignore[arg-type]
    assert found is not None
    return found.mask


def test_the_body_without_the_couch_and_with_what_it_encloses() -> None:
    image = body()
    everything = mask_of(image)
    np.testing.assert_array_equal(everything, image.values[0] > -500)
    largest = mask_of(image, parts="largest")
    assert not largest[:, 45:].any()
    assert not largest[:, 20, 20].any()
    filled = mask_of(image, parts="largest", filled=True)
    expected = np.zeros((10, 60, 60), np.bool_)
    expected[:, 10:40, 10:50] = True
    np.testing.assert_array_equal(filled, expected)


def test_lungs_are_enclosed_in_whatever_order_the_axes_are() -> None:
    image = body()
    turned = Image(
        values=np.ascontiguousarray(image.values.transpose(0, 3, 2, 1)),
        affine=image.affine[:, [2, 1, 0, 3]],
    )
    np.testing.assert_array_equal(
        mask_of(turned, parts="largest", filled=True).transpose(2, 1, 0),
        mask_of(image, parts="largest", filled=True),
    )


def test_a_margin_is_one_of_millimetres_along_every_axis() -> None:
    voxels = np.full((1, 11, 21, 21), -1000, np.int16)
    voxels[0, 5, 10, 10] = 0
    mask = mask_of(Image(values=voxels, affine=_axes() + np.diag([0, 0, 0, 1.0])), margin_mm=6)
    expected = np.zeros((11, 21, 21), np.bool_)
    expected[3:8, 7:14, 7:14] = True
    np.testing.assert_array_equal(mask, expected)


def test_nothing_above_the_limit_is_no_region_and_told() -> None:
    image = body()
    with pytest.raises(NothingLeft, match="above 3000"):
        region_of_interest(image, RegionOfInterest(above=3000.0))


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_cell_touches_the_region_where_one_of_its_voxels_does(data: st.DataObject) -> None:
    stride = tuple(data.draw(st.integers(1, 4)) for _ in range(2))
    cells = tuple(data.draw(st.integers(1, 6)) for _ in range(2))
    more = tuple(data.draw(st.integers(0, step - 1)) for step in stride)
    shape = tuple(n * s + m for n, s, m in zip(cells, stride, more, strict=True))
    mask = np.random.default_rng(data.draw(st.integers(0, 99))).random(shape) < 0.1
    found = coarse(mask, cells, stride)
    for index in np.ndindex(*cells):
        box = tuple(
            slice(at * step, None if at == size - 1 else (at + 1) * step)
            for at, step, size in zip(index, stride, cells, strict=True)
        )
        assert found[index] == mask[box].any()
