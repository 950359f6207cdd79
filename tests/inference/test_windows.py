"""A windowed image equals the whole image, for every shape."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from inference.window_places import starts
from inference.window_weights import gaussian
from inference.windows import Windowing, run_stack, run_windows

Array = NDArray[np.float32]


def twice_and_square(batch: Array) -> Array:
    """Two classes, each voxel on its own: windows cannot be seen in the result."""
    return np.concatenate([2 * batch[:, :1] - 1, np.square(batch[:, :1])], axis=1)


def image_of(*shape: int) -> Array:
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


def test_smooth_field_of_view_equals_a_convolution_of_the_whole_image() -> None:
    kernel = np.random.default_rng(3).normal(size=(3, 3, 3)).astype(np.float32)
    image = image_of(1, 21, 30, 18)

    def convolve(batch: Array) -> Array:
        outputs = [ndimage.correlate(item[0], kernel, mode="constant") for item in batch]
        return np.stack(outputs)[:, np.newaxis]

    windowed = run_windows(convolve, image, Windowing(patch=(12, 12, 12), overlap=0.75, batch=5))
    whole = ndimage.correlate(image[0], kernel, mode="constant")
    # A window sees zeros beyond its own border. The weight there is small, not zero.
    error = np.abs(windowed[0] - whole)
    assert error.max() < 0.01 * np.abs(whole).max()
    assert np.median(error) < 1e-3 * np.abs(whole).max()


def test_constant_weights_see_only_the_border_of_a_window() -> None:
    kernel = np.ones((3, 3), np.float32)
    image = image_of(1, 8, 16)

    def convolve(batch: Array) -> Array:
        return np.stack([ndimage.correlate(i[0], kernel, mode="constant") for i in batch])[:, None]

    windowed = run_windows(convolve, image, Windowing(patch=(8, 8), overlap=0.0, batch=2))[0]
    whole = ndimage.correlate(image[0], kernel, mode="constant")
    columns = [column for column in range(16) if column not in (7, 8)]
    np.testing.assert_allclose(windowed[:, columns], whole[:, columns], atol=1e-5)
    assert not np.allclose(windowed[:, 7:9], whole[:, 7:9])


@settings(max_examples=60, deadline=None)
@given(data=st.data(), axes=st.sampled_from([2, 3]))
def test_every_voxel_of_every_shape_comes_back_in_its_place(data: st.DataObject, axes: int) -> None:
    patch = tuple(data.draw(st.lists(st.integers(1, 9), min_size=axes, max_size=axes)))
    spatial = tuple(data.draw(st.lists(st.integers(1, 20), min_size=axes, max_size=axes)))
    overlap = data.draw(st.sampled_from([0.0, 0.25, 0.5, 0.8]))
    batch = data.draw(st.integers(1, 5))
    channels = data.draw(st.integers(1, 2))
    sizes = []

    def infer(inputs: Array) -> Array:
        assert inputs.shape[1:] == (channels, *patch)
        assert inputs.dtype == np.float32
        sizes.append(len(inputs))
        return twice_and_square(inputs)

    image = image_of(channels, *spatial)
    windowing = Windowing(patch=patch, overlap=overlap, batch=batch)
    output = run_windows(infer, image, windowing)
    assert output.dtype == np.float32
    assert output.flags.c_contiguous
    np.testing.assert_allclose(output, twice_and_square(image[None])[0], rtol=1e-4, atol=1e-5)
    assert all(size == batch for size in sizes[:-1])
    assert sizes[-1] <= batch


@given(
    length=st.integers(1, 300),
    patch=st.integers(1, 64),
    overlap=st.floats(0, 0.9),
)
def test_windows_cover_an_axis_and_overlap_as_much_as_asked(
    length: int, patch: int, overlap: float
) -> None:
    places = starts(length, patch, overlap)
    assert places[0] == 0
    assert places[-1] == max(0, length - patch)
    for one, other in itertools.pairwise(places):
        assert 0 < other - one <= max(1, int(patch * (1 - overlap)))


def test_an_image_smaller_than_the_patch_is_padded_with_the_low_end_of_the_range() -> None:
    seen = []

    def infer(inputs: Array) -> Array:
        seen.append(inputs)
        return inputs

    image = np.ones((1, 3, 10), np.float32)
    output = run_windows(infer, image, Windowing(patch=(8, 8), overlap=0.0, batch=8))
    assert output.shape == (1, 3, 10)
    assert np.all(output == 1)
    padded = seen[0][0, 0]
    assert np.all(padded[2:5] == 1)
    assert np.all(padded[:2] == 0)
    assert np.all(padded[5:] == 0)


def test_slices_of_a_stack_do_not_mix_and_share_calls() -> None:
    sizes = []

    def mean_of_each(inputs: Array) -> Array:
        sizes.append(len(inputs))
        return np.broadcast_to(inputs.mean(axis=(2, 3), keepdims=True), inputs.shape)

    levels = np.arange(7, dtype=np.float32)
    images = np.broadcast_to(levels[:, None, None, None], (7, 1, 8, 8)).copy()
    output = run_stack(mean_of_each, images, Windowing(patch=(8, 8), overlap=0.5, batch=4))
    assert np.array_equal(output, images)
    assert sizes == [4, 3]


def test_the_middle_of_a_window_weighs_most_and_no_voxel_is_without_weight() -> None:
    weights = gaussian((9, 15, 5))
    assert weights.shape == (9, 15, 5)
    assert weights[4, 7, 2] == weights.max() == 1
    assert np.count_nonzero(weights == 1) == 1
    assert weights.min() > 0
    np.testing.assert_array_equal(weights, weights[::-1, ::-1, ::-1])


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 1, 0, 8), (1, 1, 8, 8, 8)])
def test_an_image_of_the_wrong_kind_is_told(shape: tuple[int, ...]) -> None:
    images: Any = np.zeros(shape, np.float32)
    with pytest.raises(ValueError, match="do not fit"):
        run_stack(twice_and_square, images, Windowing(patch=(8, 8), overlap=0.5, batch=1))
