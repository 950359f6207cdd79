"""Resampling gives the values of SciPy, axis by axis and faster."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from inference.resampling import resample, resize, resize_separately, zoom

#: Values go to 4000 HU; float32 holds 7 digits, and three axes are summed.
CLOSE_HU = 2e-3


def image_of(shape: tuple[int, ...], dtype: Any = np.int16, seed: int = 1) -> NDArray[Any]:
    return (np.random.default_rng(seed).normal(size=shape) * 1000).astype(dtype)


def by_scipy(image: NDArray[Any], shape: tuple[int, ...], order: int, **mode: Any) -> NDArray[Any]:
    factors = [new / old for old, new in zip(image.shape, shape, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zoomed: NDArray[Any] = ndimage.zoom(image.astype(np.float64), factors, order=order, **mode)
    return zoomed


def shapes(axes: int, longest: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(1, longest)] * axes)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    axes=st.sampled_from([2, 3]),
    order=st.sampled_from([0, 1, 3]),
    dtype=st.sampled_from([np.int16, np.float32]),
)
def test_zoom_and_resize_equal_scipy(
    data: st.DataObject, axes: int, order: Any, dtype: Any
) -> None:
    image = image_of(data.draw(shapes(axes, 40)), dtype)
    shape = data.draw(shapes(axes, 60))
    corners = by_scipy(image, shape, order)
    edges = by_scipy(image, shape, order, mode="nearest", grid_mode=True)
    if order == 3:
        edges = np.clip(edges, image.min(), image.max())
    for ours, expected in ((zoom, corners), (resize, edges)):
        result = ours(image, shape, order)
        assert result.dtype == (dtype if order == 0 else np.float32)
        np.testing.assert_allclose(result, expected, atol=CLOSE_HU)


def test_a_plane_that_scipy_leaves_empty_is_empty() -> None:
    # 41 * (23 / 41) is more than 23, so SciPy puts the last row outside the image.
    image = image_of((24, 20)) + np.int16(5000)
    for order in (0, 1, 3):
        assert (by_scipy(image, (42, 20), order)[-1] == 0).all()
        assert (zoom(image, (42, 20), order)[-1] == 0).all()
        assert (zoom(image, (42, 20), order)[-2] > 0).all()


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    order=st.sampled_from([1, 3]),
    order_z=st.sampled_from([0, 1]),
    axis=st.sampled_from([0, 1, 2]),
)
def test_thick_slices_are_resized_plane_by_plane(
    data: st.DataObject, order: Any, order_z: Any, axis: int
) -> None:
    image = image_of(data.draw(shapes(3, 20)), np.float32)
    shape: Any = data.draw(shapes(3, 30))
    plane_shape = tuple(size for number, size in enumerate(shape) if number != axis)
    planes = []
    for plane in np.moveaxis(image, axis, 0):
        resized = by_scipy(plane, plane_shape, order, mode="nearest", grid_mode=True)
        planes.append(np.clip(resized, plane.min(), plane.max()))
    between = np.moveaxis(np.stack(planes), 0, axis)
    places = [np.arange(size, dtype=np.float64) for size in shape]
    places[axis] = (places[axis] + 0.5) * image.shape[axis] / shape[axis] - 0.5
    grid = np.stack(np.meshgrid(*places, indexing="ij"))
    expected = ndimage.map_coordinates(between, grid, order=order_z, mode="nearest")
    result = resize_separately(image, shape, axis, order, order_z)
    if order_z == 0:
        # Half way between two planes, rounding of SciPy's own coordinates decides.
        is_tie = np.abs(places[axis] % 1 - 0.5) < 1e-9
        keep = np.flatnonzero(~is_tie)
        result, expected = result.take(keep, axis), expected.take(keep, axis)
    np.testing.assert_allclose(result, expected, atol=CLOSE_HU)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    linear=st.booleans(),
    is_oblique=st.booleans(),
    outside=st.sampled_from(["nearest", 0.0, -1024.0, 0.5]),
)
def test_any_affine_map_equals_scipy(
    data: st.DataObject, linear: bool, is_oblique: bool, outside: Any
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    image = image_of(data.draw(shapes(3, 20)), np.int16 if outside != 0.5 else np.float32)
    shape = data.draw(shapes(3, 25))
    matrix = np.eye(4)
    if is_oblique:
        matrix[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] * rng.uniform(0.5, 2, 3)
    else:
        scale = rng.uniform(0.5, 2, 3) * rng.choice([-1, 1], 3)
        matrix[:3, :3] = np.diag(scale)[:, rng.permutation(3)]
    matrix[:3, 3] = rng.uniform(-2, 20, 3)
    expected = ndimage.affine_transform(
        image,
        matrix[:3, :3],
        matrix[:3, 3],
        shape,
        output=np.float32,
        order=int(linear),
        mode="nearest" if outside == "nearest" else "grid-constant",
        cval=0 if outside == "nearest" else outside,
    )
    result = resample(image, matrix, shape, "linear" if linear else "nearest", outside)
    assert result.dtype == (np.float32 if linear else image.dtype)
    np.testing.assert_allclose(result, expected, atol=CLOSE_HU)


def test_the_nearest_of_two_equally_near_is_the_even_one_as_in_torch() -> None:
    image = np.arange(6)
    shifted = np.array([[1.0, 0.5], [0.0, 1.0]])
    assert resample(image, shifted, (5,), "nearest").tolist() == [0, 2, 2, 4, 4]


def test_turning_axes_moves_voxels_and_changes_none() -> None:
    image = image_of((5, 7, 9))
    matrix = np.array([[0, 0, 1.0, 0], [-1.0, 0, 0, 6], [0, 1.0, 0, 0], [0, 0, 0, 1]])
    turned = resample(image, matrix, (7, 9, 5))
    np.testing.assert_array_equal(turned, image[:, ::-1].transpose(1, 2, 0))


def test_the_image_given_is_not_changed() -> None:
    for dtype in (np.int16, np.float32):
        image = image_of((9, 10, 11), dtype)
        before = image.copy()
        zoom(image, (18, 5, 11), 1)
        zoom(image, (18, 5, 11), 3)
        resize(image, (9, 10, 22), 1)
        resample(image, np.diag([2.0, 1.0, 1.0, 1.0]), (4, 10, 11))
        np.testing.assert_array_equal(image, before)


def test_a_map_or_a_shape_that_does_not_fit_is_told() -> None:
    image = image_of((4, 4, 4))
    with pytest.raises(ValueError, match="does not take"):
        resample(image, np.eye(3), (4, 4, 4))
    with pytest.raises(ValueError, match="cannot get the shape"):
        zoom(image, (4, 4), 1)
