"""Moved copies keep what was where, and hold nothing that was not of the scan."""

from __future__ import annotations

import numpy as np
import pytest

from node.evaluation.filing import CtArray
from node.evaluation.moved import draw_move, moved, moved_labels

AFFINE = np.array([[0, 0, 1.5, -60.0], [0, 1.5, 0, -80.0], [2.0, 0, 0, 100.0], [0, 0, 0, 1]])
SPOT = np.array([14.0, -9.0, 161.0])


@pytest.fixture(scope="module")
def scan() -> CtArray:
    shape = (60, 90, 80)
    at = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    points = at @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    near = np.linalg.norm(points - SPOT, axis=-1)
    voxels = np.rint(40.0 + 900.0 * np.exp(-0.5 * (near / 6.0) ** 2)).astype(np.int16)
    return CtArray(name="spot", voxels=voxels, affine=AFFINE)


def brightest(copy: CtArray) -> np.ndarray:
    weight = np.clip(copy.voxels.astype(float) - 400.0, 0.0, None)
    at = np.argwhere(weight > 0)
    index = np.average(at, axis=0, weights=weight[tuple(at.T)])
    return np.asarray((copy.affine @ np.r_[index, 1.0])[:3])


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_spot_lies_where_the_move_puts_it(scan: CtArray, seed: int) -> None:
    copy = moved(scan, seed, slices_mm=(2.0, 2.5), pixel_mm=1.2)
    last = np.array(scan.voxels.shape) - 1.0
    middle = (AFFINE @ np.r_[last / 2, 1.0])[:3]
    expected = middle + draw_move(seed).matrix @ (SPOT - middle)
    assert brightest(copy) == pytest.approx(expected, abs=0.7)


@pytest.mark.parametrize("seed", [1, 2])
def test_labels_lie_where_the_scan_has_them(scan: CtArray, seed: int) -> None:
    coarse = AFFINE @ np.diag([2.0, 2.0, 2.0, 1.0])
    marked = CtArray(
        name="labels", voxels=(scan.voxels[::2, ::2, ::2] > 500).astype(np.int16) * 7, affine=coarse
    )
    copy = moved(scan, seed, slices_mm=(2.0,), pixel_mm=1.2)
    labels = moved_labels(marked, scan, seed, copy)
    assert set(np.unique(labels)) == {0, 7}
    middle = (copy.affine @ np.r_[np.argwhere(labels == 7).mean(axis=0), 1.0])[:3]
    assert middle == pytest.approx(brightest(copy), abs=1.5)


def test_the_middle_of_every_slice_is_of_the_scan(scan: CtArray) -> None:
    for seed in range(6):
        copy = moved(scan, seed, slices_mm=(2.0,), pixel_mm=1.5)
        rows, columns = (slice(n // 3, 2 * n // 3) for n in copy.voxels.shape[1:])
        assert copy.voxels[:, rows, columns].min() > -200


def test_the_same_seed_gives_the_same_copy_and_another_one_another(scan: CtArray) -> None:
    first, again, other = (moved(scan, seed, slices_mm=(2.0,), pixel_mm=1.5) for seed in (5, 5, 6))
    assert np.array_equal(first.voxels, again.voxels)
    assert first.name != other.name
    assert first.voxels.shape != other.voxels.shape or not np.array_equal(
        first.voxels, other.voxels
    )
