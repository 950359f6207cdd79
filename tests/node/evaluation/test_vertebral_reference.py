"""The other program's definition: truncated to half voxels, in the worst plane, edges included."""

from __future__ import annotations

import numpy as np
import pytest

from node.evaluation.vertebral_reference import counted, upright

SPACING = (3.0, 3.0, 3.0)


def bodies(dent: int = 0) -> dict[str, np.ndarray]:
    """Three blocks of 14 x 12 x 9 voxels, 12 apart; the middle one dented in front on one side."""
    found = {}
    for number, name in enumerate(("L1", "L2", "L3")):
        mask = np.zeros((30, 30, 44), np.bool_)
        first = 30 - 12 * number
        mask[8:22, 9:21, first : first + 9] = True
        if name == "L2" and dent:
            mask[16:20, 16:21, first + 9 - dent : first + 9] = False
        found[name] = mask
    return found


def test_a_block_is_short_by_what_lies_beyond_the_last_half_voxel() -> None:
    hu = np.full((30, 30, 44), 100.0)
    found = counted(hu, bodies(), SPACING)
    # 9 voxels of 3 mm: the middles of the last voxels are 24 mm apart, and half a voxel beyond
    # them the share is no longer above one half.
    assert found["L2"].heights_mm == pytest.approx((24.0, 24.0, 24.0))


def test_the_plane_of_the_largest_difference_counts_and_the_order_is_from_the_front() -> None:
    hu = np.full((30, 30, 44), 100.0)
    front, middle, behind = counted(hu, bodies(dent=3), SPACING)["L2"].heights_mm
    assert front == pytest.approx(24.0 - 9.0, abs=1.5)
    assert (middle, behind) == pytest.approx((24.0, 24.0), abs=1.5)


def test_attenuation_is_of_the_whole_body_less_one_layer() -> None:
    hu = np.full((30, 30, 44), -100.0)
    own = bodies()["L2"]
    hu[own] = 120.0
    hu[8:22, 20, 18:27] = 900.0  # the front wall is left out
    hu[8:22, 9:15, 18:27] = 300.0  # what lies behind belongs to it
    found = counted(hu, bodies(), SPACING)["L2"]
    assert 120.0 < found.mean_hu < 300.0
    assert found.median_hu in (120.0, 300.0)


def test_axes_come_to_the_right_the_front_and_the_head() -> None:
    scan = np.zeros((4, 5, 6), np.int16)
    scan[3, 0, 0] = 7  # uppermost slice, first row, first column
    lying = np.array([[0, 0, 3, 0], [0, 3, 0, 0], [3, 0, 0, 0], [0, 0, 0, 1]], np.float64)
    assert np.argwhere(upright(scan, lying)).tolist() == [[5, 4, 3]]
    turned = np.array([[0, 0, -3, 0], [0, -3, 0, 0], [-3, 0, 0, 0], [0, 0, 0, 1]], np.float64)
    assert np.argwhere(upright(scan, turned)).tolist() == [[0, 0, 0]]
