"""Polygons of a mask enclose exactly its pixels, holes and corner contacts included."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.polygons import area, polygons


def filled(parts: tuple[NDArray[np.float32], ...], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels whose centre lies within a polygon, each by itself, by the even-odd rule."""
    out = np.zeros(shape, np.bool_)
    for points in parts:
        x, y = points[:, 0], points[:, 1]
        y2 = np.roll(y, -1)
        for row in range(shape[0]):
            crossed = (y > row + 0.5) != (y2 > row + 0.5)
            # Edges run along pixels, so a crossed one is vertical.
            at = np.sort(x[crossed])
            for first, last in zip(at[::2], at[1::2], strict=True):
                assert not out[row, int(first) : int(last)].any(), "two polygons share a pixel"
                out[row, int(first) : int(last)] = True
    return out


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_any_mask_comes_back_pixel_for_pixel(share: float) -> None:
    rng = np.random.default_rng(int(100 * share))
    for _ in range(150):
        mask = rng.random((int(rng.integers(1, 14)), int(rng.integers(1, 14)))) < share
        parts = polygons(mask)
        assert np.array_equal(filled(parts, mask.shape), mask)
        assert sum(area(points) for points in parts) == pytest.approx(float(mask.sum()))


def test_hole_is_joined_by_a_channel_without_width() -> None:
    mask = np.ones((7, 9), np.bool_)
    mask[2:4, 3:5] = False
    mask[5, 7] = False
    (points,) = polygons(mask)
    assert area(points) == 7 * 9 - 5
    assert np.array_equal(filled((points,), mask.shape), mask)


def test_parts_that_touch_by_a_corner_stay_apart() -> None:
    assert len(polygons(np.eye(3, dtype=np.bool_))) == 3


def test_nothing_has_no_polygon() -> None:
    assert polygons(np.zeros((4, 4), np.bool_)) == ()


def test_a_ragged_part_is_cut_into_polygons_of_few_points() -> None:
    mask = np.ones((40, 60), np.bool_)
    mask[1::2, 1:] = False
    parts = polygons(mask, 40)
    assert len(parts) > 1
    assert all(len(points) <= 40 for points in parts)
    assert np.array_equal(filled(parts, mask.shape), mask)
