"""Contours in SCOORD coordinates: exact on the pixel edges, bounded in length."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from models.morphology import largest_component
from models.outline import MAX_POINTS, outer_polygon


def shoelace(points: NDArray[np.float32]) -> float:
    x, y = points[:, 0].astype(float), points[:, 1].astype(float)
    return abs(float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())) / 2


def test_one_pixel_is_outlined_on_its_edges() -> None:
    mask = np.zeros((5, 7), np.bool_)
    mask[2, 4] = True
    corners = {tuple(point) for point in outer_polygon(mask).tolist()}
    # PS3.3 C.18.6.1.1: the centre of pixel (column 4, row 2) is (4.5, 2.5).
    assert corners == {(4.0, 2.0), (5.0, 2.0), (5.0, 3.0), (4.0, 3.0)}


def test_the_polygon_encloses_the_area_of_the_filled_largest_part() -> None:
    rng = np.random.default_rng(7)
    for _ in range(40):
        mask = rng.random((20, 20)) < 0.55
        # A hole that reaches the outside over a corner is no hole.
        whole = ndimage.binary_fill_holes(largest_component(mask), np.ones((3, 3), np.bool_))
        assert shoelace(outer_polygon(mask)) == pytest.approx(float(whole.sum()))


def test_a_mask_at_the_border_of_the_image_is_closed_there() -> None:
    assert shoelace(outer_polygon(np.ones((4, 6), np.bool_))) == pytest.approx(24.0)


def test_the_largest_of_several_parts_is_outlined() -> None:
    mask = np.zeros((30, 30), np.bool_)
    mask[2:5, 2:5] = True
    mask[10:20, 10:25] = True
    points = outer_polygon(mask)
    assert points.min(axis=0).tolist() == [10.0, 10.0]
    assert points.max(axis=0).tolist() == [25.0, 20.0]


def test_a_long_ragged_outline_is_simplified_and_keeps_its_area() -> None:
    rng = np.random.default_rng(3)
    row, column = np.ogrid[:512, :512]
    angle = np.arctan2(row - 256.0, column - 256.0)
    radius = 180 + 20 * np.sin(9 * angle)
    distance = np.hypot(row - 256.0, column - 256.0)
    mask = distance < radius + rng.normal(0, 3, (512, 512))
    points = outer_polygon(np.asarray(mask, np.bool_))
    assert len(points) <= MAX_POINTS
    assert shoelace(points) == pytest.approx(float(mask.sum()), rel=0.02)


def test_nothing_has_no_outline() -> None:
    assert outer_polygon(np.zeros((3, 3), np.bool_)).shape == (0, 2)
