"""Orientation by the affine alone, and resampling that loses and invents no signal."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.grid import (
    Axis,
    canonical,
    most_probable,
    sample_plane,
    sample_volume,
)
from node.domain.errors import ModelError
from tests.models.body_composition.toy import Toy

SMALL = Toy(bottom=-20, top=20, pixel_mm=10.0)


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1)])
@pytest.mark.parametrize("flips", list(itertools.product([False, True], repeat=3)))
def test_every_way_of_storing_gives_the_same_canonical_volume(
    order: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    want = canonical(SMALL.volume())
    got = canonical(SMALL.volume(order, flips))
    assert np.array_equal(got.hu, want.hu)
    assert np.allclose(got.affine, want.affine)
    assert got.spacing_mm == pytest.approx((5.0, 10.0, 10.0))


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1)])
@pytest.mark.parametrize("flips", list(itertools.product([False, True], repeat=3)))
def test_a_mask_goes_back_to_the_pixels_it_came_from(
    order: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    volume = SMALL.volume(order, flips)
    grid = canonical(volume)
    marked = np.zeros(grid.shape[1:], np.bool_)
    marked[3, 5] = True
    (row, column), source = np.argwhere(grid.plane_to_source(marked))[0], grid.source_slice(2)
    there = volume.affine @ np.array([source, row, column, 1.0])
    assert np.allclose(there, grid.affine @ np.array([2.0, 3.0, 5.0, 1.0]))


def test_sagittal_slices_are_refused() -> None:
    with pytest.raises(ModelError, match="not axial"):
        canonical(SMALL.volume((2, 1, 0)))


@given(st.floats(0.2, 8.0), st.integers(5, 60))
def test_resampling_keeps_a_constant_inside_the_image(step: float, length: int) -> None:
    inside = [p for p in np.arange(0, length, step) if step / 2 < p < length - 1 - step / 2]
    axis = Axis(start=float(inside[0]) if inside else 0.0, step=step, count=max(1, len(inside)))
    sums = axis.weights(length).sum(axis=1)
    if inside:
        assert np.allclose(sums, 1.0, atol=1e-5)


def test_coarser_pixels_average_the_footprint_so_fine_patterns_do_not_alias() -> None:
    stripes = np.tile([0.0, 100.0], 64)[None].repeat(64, axis=0)
    out = sample_plane(
        stripes.astype(np.float32), Axis.centred(31.5, 4.0, 8), Axis.centred(63.5, 4.0, 16)
    )
    assert np.allclose(out, 50.0, atol=1e-3)


def test_outside_the_image_there_is_air() -> None:
    out = sample_plane(
        np.zeros((4, 4), np.float32), Axis.centred(1.5, 1.0, 20), Axis(start=0, step=1.0, count=4)
    )
    assert np.allclose(out[0], -1024.0)
    assert np.allclose(out[10], 0.0)


def test_five_millimetre_slices_are_interpolated_and_thin_ones_averaged() -> None:
    rising = np.arange(10, dtype=np.float32)[:, None, None].repeat(4, 1).repeat(4, 2) * 10
    plane = (Axis(start=0, step=1.0, count=4), Axis(start=0, step=1.0, count=4))
    fine = sample_volume(rising, (Axis(start=1.0, step=0.8, count=5), *plane))
    assert np.allclose(fine[:, 0, 0], [10, 18, 26, 34, 42], atol=1e-2)
    coarse = sample_volume(rising, (Axis(start=2.0, step=4.0, count=2), *plane))
    assert np.allclose(coarse[:, 0, 0], [20, 60], atol=1e-2)


def test_points_are_interpolated_back_where_they_came_from() -> None:
    axis = Axis.centred(49.5, 2.5, 41)
    values = axis.positions()
    back = axis.inverse(100) @ values.astype(np.float32)
    assert np.allclose(back, np.clip(np.arange(100), values[0], values[-1]), atol=1e-3)


@pytest.mark.parametrize(("start", "step", "count"), [(-9.3, 2.56, 60), (3.5, 0.7, 40), (0, 1, 99)])
def test_few_weights_are_all_the_weights(start: float, step: float, count: int) -> None:
    axis = Axis(start=start, step=step, count=count)
    np.testing.assert_array_equal(axis.sampler(100).toarray(), axis.weights(100))


def test_most_probable_is_the_first_of_equal_ones() -> None:
    scores = np.random.default_rng(3).integers(0, 3, (5, 20, 30)).astype(np.float32)
    np.testing.assert_array_equal(most_probable(scores), scores.argmax(axis=0))
