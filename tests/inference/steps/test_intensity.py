"""Values: known numbers for every step that leaves the grid as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference.steps.chain import preprocess
from inference.steps.image import Image
from models import manifest_steps as steps
from node.domain.errors import ModelError


def image(*channels: Any) -> Image:
    values = np.array(channels, np.float32).reshape(len(channels), 1, 1, -1)
    return Image(values=values, affine=np.eye(4))


def after(step: Any, *channels: Any) -> list[Any]:
    return preprocess(image(*channels), (step,)).values.reshape(-1, len(channels[0])).tolist()


def test_a_range_is_mapped_and_cut_off() -> None:
    step = steps.ScaleRange(source=(-100, 100), to=(0, 1), clip=True)
    assert after(step, [-500, -100, 0, 100, 500]) == [[0, 0, 0.5, 1, 1]]
    assert after(steps.ScaleRange(source=(-100, 100)), [300]) == [[2.0]]
    assert after(steps.ScaleRange(source=(0, 10), to=None), [5, 20]) == [[0.5, 2.0]]


def test_the_images_own_range_is_mapped() -> None:
    assert after(steps.ScaleUnit(to=(-1, 1)), [2, 4, 6]) == [[-1, 0, 1]]
    assert after(steps.ScaleUnit(per_channel=True), [0, 10], [5, 6]) == [[0, 1], [0, 1]]
    assert after(steps.ScaleUnit(), [7, 7]) == [[0, 0]]


def test_mean_and_deviation() -> None:
    assert after(steps.Normalize(), [2, 4, 4, 4, 5, 5, 7, 9]) == [
        [-1.5, -0.5, -0.5, -0.5, 0.0, 0.0, 1.0, 2.0]
    ]
    assert after(steps.Normalize(mean=(1.0, 2.0), std=(2.0, 4.0)), [3], [10]) == [[1.0], [2.0]]
    assert after(steps.Normalize(region="nonzero"), [0, 4, 8]) == [[0, -1, 1]]
    assert after(steps.Normalize(), [3, 3]) == [[0, 0]]
    assert after(steps.Normalize(least_std=4.0), [1, 3]) == [[-0.25, 0.25]]
    with pytest.raises(ModelError, match="2 numbers for 3 channels"):
        after(steps.Normalize(mean=(1.0, 2.0)), [1], [2], [3])


def test_the_filled_region_holds_enclosed_zeros() -> None:
    ring = np.ones((1, 5, 5, 5), np.float32)
    ring[0, 0] = ring[0, -1] = 0
    ring[0, 2, 2, 2] = 0
    ring[0, 1:4, :, 0] = ring[0, 1:4, :, -1] = ring[0, 1:4, 0] = ring[0, 1:4, -1] = 0
    step = steps.Normalize(mean=(0.5,), std=(0.5,), region="filled")
    done = preprocess(Image(values=ring, affine=np.eye(4)), (step,)).values[0]
    assert done[2, 2, 2] == -1.0
    assert done[0, 0, 0] == 0.0
    assert done[2, 2, 1] == 1.0


def test_ct_is_clipped_to_the_training_sets_percentiles_first() -> None:
    step = steps.CtNormalize(lower=(-100.0,), upper=(200.0,), mean=(50.0,), std=(50.0,))
    assert after(step, [-1000, 50, 150, 3000]) == [[-3.0, 0.0, 2.0, 3.0]]


def test_clipping() -> None:
    assert after(steps.Clip(low=0), [-1, 5]) == [[0, 5]]
    assert after(steps.Clip(low=0, high=3), [-1, 5]) == [[0, 3]]
    assert after(steps.ClipPercentiles(lower=0, upper=50), [0, 10, 20]) == [[0, 10, 10]]


def test_a_cast_to_integers_cuts_off_towards_zero() -> None:
    assert after(steps.Cast(to="int32"), [-1.9, -0.5, 0.5, 1.9]) == [[-1, 0, 0, 1]]
    assert after(steps.Cast(to="uint8"), [-7.0, 300.0]) == [[0, 255]]
    assert after(steps.Cast(to="float16"), [1.0001]) == [[1.0]]


def test_channels() -> None:
    assert after(steps.SelectChannels(channels=(2, 0)), [1], [2], [3]) == [[3], [1]]
    assert after(steps.RepeatChannels(times=3), [1, 2]) == [[1, 2]] * 3
    with pytest.raises(ModelError, match="channel 5 of 2"):
        after(steps.SelectChannels(channels=(5,)), [1], [2])


def test_windows_are_channels() -> None:
    step = steps.Windows(windows=((40, 80), (600, 2800)))
    assert after(step, [-10, 40, 80, 600]) == [
        [0, 0.5, 1, 1],
        pytest.approx([(790) / 2800, 840 / 2800, 880 / 2800, 0.5]),
    ]


def test_neighbouring_slices_are_channels_and_the_ends_repeat() -> None:
    values = np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1)
    step = steps.Neighbours(offsets=(-1, 0, 2))
    done = preprocess(Image(values=values, affine=np.eye(4)), (step,)).values
    assert done[:, :, 0, 0].tolist() == [[0, 0, 1, 2], [0, 1, 2, 3], [2, 3, 3, 3]]


def test_no_step_changes_the_volume_that_other_models_still_read() -> None:
    source = np.arange(-10, 17, dtype=np.int16).reshape(1, 3, 3, 3)
    kept = source.copy()
    for step in (
        steps.ScaleRange(source=(0, 1)),
        steps.ScaleUnit(),
        steps.Normalize(),
        steps.Normalize(region="nonzero"),
        steps.CtNormalize(lower=(0.0,), upper=(1.0,), mean=(0.0,), std=(1.0,)),
        steps.Clip(low=0),
        steps.ClipPercentiles(lower=10, upper=90),
        steps.Cast(to="uint8"),
        steps.Windows(windows=((0, 5),)),
    ):
        preprocess(Image(values=source, affine=np.eye(4)), (step,))
        np.testing.assert_array_equal(source, kept, err_msg=str(step))
