"""A package is written only when our pipeline computes what the framework computes."""

from __future__ import annotations

import numpy as np
import pytest

from node.domain.errors import ImportRefused
from node.importing.cases import generate_cases, generate_pictures
from node.importing.parity import Difference, Parity, agreement, difference, require_parity


def row(logits: Difference, **more: object) -> Parity:
    return Parity(case="plain", shape=(2, 2), logits=logits, our_seconds=1, their_seconds=1, **more)  # type: ignore[arg-type]


def test_the_largest_and_the_mean_difference_are_found_wherever_they_lie() -> None:
    theirs = np.zeros((2, 5, 5), np.float32)
    ours = theirs.copy()
    ours[1, 4, 4] = -0.5
    theirs[0, 0, 0] = ours[0, 0, 0] = 7
    found = difference(ours, theirs, "x")
    assert (found.largest, found.scale) == (0.5, 7)
    assert found.mean == pytest.approx(0.01)


def test_logits_that_differ_by_more_than_a_thousandth_refuse_the_package() -> None:
    require_parity([row(Difference(largest=9e-4, mean=0, scale=10))])
    with pytest.raises(ImportRefused, match=r"differ by up to 0\.0011"):
        require_parity([row(Difference(largest=1.1e-3, mean=1e-5, scale=10))])


def test_very_large_logits_are_judged_by_what_float32_can_hold() -> None:
    require_parity([row(Difference(largest=5.4e-2, mean=0, scale=7.8e3))])
    with pytest.raises(ImportRefused):
        require_parity([row(Difference(largest=0.5, mean=0, scale=7.8e3))])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers_refuse_the_package(bad: float) -> None:
    with pytest.raises(ImportRefused, match="not finite"):
        difference(np.array([bad, 0.0]), np.zeros(2), "x")
    with pytest.raises(ImportRefused, match="not finite"):
        difference(np.zeros(2), np.array([bad, 0.0]), "x")
    with pytest.raises(ImportRefused):
        require_parity([row(Difference(largest=float("nan"), mean=0, scale=1))])


def test_shapes_that_differ_are_told() -> None:
    with pytest.raises(ImportRefused, match=r"gives \(2,\), the framework \(3,\)"):
        difference(np.zeros(2), np.zeros(3), "x")


def test_dice_counts_each_label_and_labels_that_only_one_side_has() -> None:
    ours = np.array([0, 1, 1, 2, 2, 3])
    theirs = np.array([0, 1, 1, 2, 0, 0])
    found = agreement(ours, theirs, "x")
    assert found.dice == pytest.approx({1: 1.0, 2: 2 / 3, 3: 0.0})
    assert found.lowest_dice == 0.0
    assert found.equal == pytest.approx(4 / 6)
    with pytest.raises(ImportRefused, match="of the labels agree"):
        require_parity([row(Difference(largest=0, mean=0, scale=1), labels=found)])


def test_a_package_that_was_compared_with_nothing_is_refused() -> None:
    with pytest.raises(ImportRefused, match="no generated volume was compared"):
        require_parity([])


def test_generated_volumes_have_the_geometries_that_importers_get_wrong() -> None:
    cases = {case.name: case for case in generate_cases((60.0, 60.0, 50.0))}
    assert set(cases) == {"plain", "lps", "oblique", "sagittal"}
    assert all(size % 2 for size in cases["lps"].voxels.shape)
    assert (np.diag(cases["lps"].affine)[:2] < 0).all()
    turned = cases["oblique"].affine[:3, :3]
    assert np.abs(turned[0, 1]) > 0.05
    assert np.abs(cases["sagittal"].affine[2, 0]) > 1
    for case in cases.values():
        np.testing.assert_array_equal(case.affine, case.affine.astype(np.float32))
        assert case.voxels.std() > 50


def test_many_classes_get_volumes_whose_scores_fit_into_memory() -> None:
    extent = (340.0, 340.0, 400.0)
    few, many = generate_cases(extent), generate_cases(extent, classes=118)
    for fine, coarse in zip(few, many, strict=True):
        assert coarse.voxels.size * 118 < 7e7
        spans = np.array(coarse.voxels.shape) * np.linalg.norm(coarse.affine[:3, :3], axis=0)
        before = np.array(fine.voxels.shape) * np.linalg.norm(fine.affine[:3, :3], axis=0)
        np.testing.assert_allclose(spans, before, atol=15)


def test_generated_images_are_the_same_each_time() -> None:
    one, other = generate_cases((40.0, 40.0, 40.0)), generate_cases((40.0, 40.0, 40.0))
    np.testing.assert_array_equal(one[2].voxels, other[2].voxels)
    picture = generate_pictures((32, 48), 3)[0]
    assert picture.voxels.shape == (32, 48, 3)
    assert picture.voxels.dtype == np.uint8
