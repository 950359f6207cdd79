"""From channels to labels, and what is done to labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage, special

from inference.steps.chain import postprocess
from inference.steps.image import Image
from models import manifest_steps as steps
from node.domain.errors import ModelError

VOXEL = np.diag([2.0, 5.0, 10.0, 1.0])  # 0.1 ml


def after(values: NDArray[Any], *todo: Any, thresholds: dict[str, float] | None = None) -> Any:
    return postprocess(Image(values=values, affine=VOXEL), todo, thresholds or {}).values


def channels(*numbers: list[float]) -> NDArray[np.float32]:
    return np.array(numbers, np.float32).reshape(len(numbers), 1, 1, -1)


def labels(seed: int, kinds: int = 3) -> NDArray[np.uint8]:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(14, 15, 16)), 1.2)
    return np.digitize(noise, np.linspace(0.05, 0.3, kinds)).astype(np.uint8)[np.newaxis]


def test_probabilities() -> None:
    logits = np.random.default_rng(1).normal(size=(4, 3, 3, 3)).astype(np.float32) * 50
    np.testing.assert_allclose(
        after(logits, steps.Softmax()), special.softmax(logits, axis=0), atol=1e-6
    )
    np.testing.assert_allclose(after(logits, steps.Sigmoid()), special.expit(logits), atol=1e-6)


def test_the_first_of_equal_channels_wins() -> None:
    assert after(channels([1, 2, 0], [1, 3, 0], [0, 3, 5]), steps.Argmax()).ravel().tolist() == [
        0,
        1,
        2,
    ]
    many = np.zeros((300, 1, 1, 1), np.float32)
    many[299] = 1
    assert after(many, steps.Argmax())[0, 0, 0, 0] == 299


def test_a_threshold_is_a_number_or_one_that_the_site_sets() -> None:
    values = channels([0.1, 0.5, 0.9])
    assert after(values, steps.Threshold(at=0.5)).ravel().tolist() == [0, 0, 1]
    step = steps.Threshold(at="certain")
    assert after(values, step, thresholds={"certain": 0.05}).ravel().tolist() == [1, 1, 1]
    with pytest.raises(ModelError, match="channel 2 of 1"):
        after(values, steps.Threshold(channel=2))


def test_later_regions_overwrite() -> None:
    values = channels([0.9, 0.9, 0.1], [0.1, 0.9, 0.9])
    assert after(values, steps.Regions(values=(1, 2))).ravel().tolist() == [1, 2, 2]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), connectivity=st.sampled_from([6, 26]), keep=st.integers(1, 3))
def test_the_largest_parts_stay(seed: int, connectivity: Any, keep: int) -> None:
    given_labels = labels(seed)
    done = after(given_labels, steps.LargestComponent(connectivity=connectivity, keep=keep))
    structure = ndimage.generate_binary_structure(3, 1 if connectivity == 6 else 3)
    for label in (1, 2, 3):
        parts, count = ndimage.label(given_labels[0] == label, structure)
        sizes = sorted(np.bincount(parts.ravel())[1:], reverse=True)
        left, number = ndimage.label(done[0] == label, structure)
        assert number == min(keep, count)
        assert sorted(np.bincount(left.ravel())[1:], reverse=True) == sizes[:keep]
    assert not np.any((done != given_labels) & (done != 0))


def test_labels_together_or_some_of_them() -> None:
    row = np.zeros((1, 1, 1, 9), np.uint8)
    row[0, 0, 0] = [1, 2, 1, 0, 1, 0, 2, 2, 2]
    union = steps.LargestComponent(labels=(1, 2), independent=False)
    assert after(row, union).ravel().tolist() == [1, 2, 1, 0, 0, 0, 0, 0, 0]
    only = steps.LargestComponent(labels=(2,))
    assert after(row, only).ravel().tolist() == [1, 0, 1, 0, 1, 0, 2, 2, 2]


@pytest.mark.parametrize(
    "step", [steps.Dust(least_voxels=3), steps.Dust(least_ml=0.25), steps.Dust(least_ml=0.3)]
)
def test_small_parts_go_by_voxels_or_by_volume(step: steps.Dust) -> None:
    row = np.zeros((1, 1, 1, 12), np.uint8)
    row[0, 0, 0] = [1, 1, 0, 1, 1, 1, 0, 2, 0, 2, 2, 2]
    assert after(row, step).ravel().tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 2, 2, 2]


def test_holes_are_filled_and_other_labels_stay() -> None:
    block = np.ones((1, 5, 5, 5), np.uint8)
    block[0, 2, 2, 2] = 0
    block[0, 3, 3, 3] = 2
    done = after(block, steps.FillHoles(labels=(1,)))
    assert done[0, 2, 2, 2] == 1
    assert done[0, 3, 3, 3] == 2
    tunnel = np.ones((1, 5, 5, 5), np.uint8)
    tunnel[0, :, 2, 2] = 0
    assert after(tunnel, steps.FillHoles())[0, 2, 2, 2] == 0
    assert after(tunnel, steps.FillHoles(planar=True))[0, 2, 2, 2] == 1


def test_labels_by_a_table() -> None:
    row = np.array([0, 1, 2, 3], np.uint8).reshape(1, 1, 1, 4)
    done = after(row, steps.Relabel(table={1: 300, 2: 7}))
    assert done.ravel().tolist() == [0, 300, 7, 0]
    assert done.dtype == np.uint16
