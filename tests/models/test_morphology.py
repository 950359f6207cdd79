"""Each fast operation against the slow one of scipy.ndimage that defines it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from models.morphology import (
    Mask,
    box_of,
    dilated,
    eroded,
    holes_filled,
    largest_component,
    long_runs,
    opened,
    within,
)

SHAPES = [(1, 1), (1, 9), (7, 1), (13, 17), (64, 48)]


def _masks() -> list[Mask]:
    rng = np.random.default_rng(20260718)
    masks = [rng.random(shape) < share for shape in SHAPES for share in (0.03, 0.3, 0.6, 0.9)]
    masks += [np.zeros(shape, np.bool_) for shape in SHAPES]
    masks += [np.ones(shape, np.bool_) for shape in SHAPES]
    blobs = ndimage.gaussian_filter(rng.normal(size=(90, 110)), 4)
    masks += [blobs > 0, (blobs > 0).T, (blobs > 0)[::-1, ::-1], blobs > blobs.max() * 0.6]
    return masks


MASKS = _masks()


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_growing_and_shrinking_by_faces(steps: int) -> None:
    for mask in MASKS:
        expected = ndimage.binary_dilation(mask, iterations=steps)
        np.testing.assert_array_equal(dilated(mask, steps), expected)
        for beyond in (False, True):
            expected = ndimage.binary_erosion(mask, iterations=steps, border_value=beyond)
            np.testing.assert_array_equal(eroded(mask, steps, beyond=beyond), expected)


@pytest.mark.parametrize("steps", [1, 3])
def test_growing_and_shrinking_on_three_axes(steps: int) -> None:
    mask = np.random.default_rng(7).random((9, 12, 11)) < 0.2
    grown = ndimage.binary_dilation(mask, iterations=steps)
    np.testing.assert_array_equal(dilated(mask, steps), grown)
    for beyond in (False, True):
        expected = ndimage.binary_erosion(~mask, iterations=steps, border_value=beyond)
        np.testing.assert_array_equal(eroded(~mask, steps, beyond=beyond), expected)


@pytest.mark.parametrize("pixel_mm", [(0.7, 0.7), (0.9765625, 0.9765625), (2.0, 0.5), (0.8, 1.5)])
@pytest.mark.parametrize("distance_mm", [0.4, 2.0, 6.0])
def test_within_a_true_distance(distance_mm: float, pixel_mm: tuple[float, float]) -> None:
    for mask in MASKS:
        if mask.any():
            expected = ndimage.distance_transform_edt(~mask, pixel_mm) <= distance_mm
            np.testing.assert_array_equal(within(mask, distance_mm, pixel_mm), expected)
        else:
            assert not within(mask, distance_mm, pixel_mm).any()


@pytest.mark.parametrize("length", [1, 2, 3, 4, 7])
def test_runs_of_a_length(length: int) -> None:
    for mask in MASKS:
        for axis, line in (
            (0, np.ones((length, 1), np.bool_)),
            (1, np.ones((1, length), np.bool_)),
        ):
            expected = ndimage.binary_opening(mask, line)
            np.testing.assert_array_equal(long_runs(mask, length, axis), expected)


@pytest.mark.parametrize("radius", [1, 2, 4])
@pytest.mark.parametrize("beyond", [False, True])
def test_opening_with_a_disc(radius: int, beyond: bool) -> None:
    row, column = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disc = row**2 + column**2 <= radius**2
    for mask in MASKS:
        smaller = ndimage.binary_erosion(mask, disc, border_value=beyond)
        expected = ndimage.binary_dilation(smaller, disc)
        np.testing.assert_array_equal(opened(mask, disc, beyond=beyond), expected)


def test_holes() -> None:
    for mask in MASKS:
        np.testing.assert_array_equal(holes_filled(mask), ndimage.binary_fill_holes(mask))


def test_the_largest_part_and_the_first_of_equal_ones() -> None:
    ties = np.zeros((9, 9), np.bool_)
    ties[[1, 1, 4, 4, 7, 7], [6, 7, 1, 2, 4, 5]] = True
    volume = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(20, 24, 28)), 1.5) > 0.05
    for mask in [*MASKS, ties, ties.T, ties[::-1], volume, volume.transpose(2, 0, 1)]:
        labels, _ = ndimage.label(mask)
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        expected = mask & (labels == sizes.argmax())
        np.testing.assert_array_equal(largest_component(mask), expected)


def test_the_box_of_a_mask() -> None:
    mask = np.zeros((20, 30), np.bool_)
    assert box_of(mask, 3) is None
    mask[[2, 9], [12, 28]] = True
    box = box_of(mask, 3)
    assert box is not None
    assert mask[box].shape == (13, 21)
    assert mask[box].sum() == 2
