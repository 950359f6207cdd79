"""What the settings of windows promise: rules of placing, weights, regions, mirroring, slabs."""

from __future__ import annotations

import itertools
import tracemalloc
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from inference.labels import arg_max
from inference.window_places import starts
from inference.window_weights import gaussian, gaussian_nnunet, window_weights
from inference.windows import (
    Region,
    Windowing,
    run_labels,
    run_maps,
    run_slabs,
    run_stack,
    run_windows,
)
from models.manifest import Windows

Array = NDArray[np.float32]

RULES = st.sampled_from(["even", "monai", "nnunet"])


class Position:
    """A network whose output depends on where in the window a voxel lies; counts windows."""

    def __init__(self, patch: tuple[int, ...], classes: int = 3) -> None:
        self.windows = 0
        self._field = np.random.default_rng(5).normal(size=(classes, *patch)).astype(np.float32)

    def __call__(self, inputs: Array) -> Array:
        self.windows += len(inputs)
        return inputs[:, :1] * self._field + inputs[:, -1:]


def image_of(*shape: int) -> Array:
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


@given(length=st.integers(1, 300), patch=st.integers(1, 64), overlap=st.floats(0, 0.9), rule=RULES)
def test_every_rule_covers_an_axis_from_its_start_to_its_end(
    length: int, patch: int, overlap: float, rule: Any
) -> None:
    places = starts(length, patch, overlap, rule)
    assert places[0] == 0
    assert places[-1] == max(0, length - patch)
    for one, other in itertools.pairwise(places):
        assert 0 <= other - one <= patch


@pytest.mark.parametrize(
    ("rule", "overlap", "expected"),
    [
        # A fixed step of 48, the last window moved back.
        ("monai", 0.5, (0, 48, 96, 104)),
        # 104 over three steps.
        ("nnunet", 0.5, (0, 35, 69, 104)),
        # nnU-Net's step of 0.3 of 96 = 28.8 needs ceil(104 / 28.8) + 1 = 5 windows.
        ("nnunet", 0.7, (0, 26, 52, 78, 104)),
        ("monai", 0.7, (0, 28, 56, 84, 104)),
    ],
)
def test_windows_start_where_the_framework_lets_them_start(
    rule: Any, overlap: float, expected: tuple[int, ...]
) -> None:
    assert starts(200, 96, overlap, rule) == expected


def test_a_step_of_a_decimal_fraction_is_not_rounded_to_a_window_more() -> None:
    # 1 - 0.7 is 0.30000000000000004: 100 - 40 = 60 is exactly 5 steps of 12 voxels.
    assert len(starts(100, 40, 0.7, "nnunet")) == 6


def test_the_words_of_a_package_say_how_windows_are_cut() -> None:
    windows = Windows(overlap=0.625, batch=3, weights="gaussian_nnunet", mirror_axes=(0, 2))
    windowing = Windowing.of((8, 8, 4), windows)
    assert windowing.patch == (8, 8, 4)
    for each in fields(windows):
        assert getattr(windowing, each.name) == getattr(windows, each.name)


def test_monai_weights_are_raised_to_a_thousandth() -> None:
    weights = gaussian((96, 96, 96), 0.125, 1e-3)
    assert weights.min() == np.float32(1e-3)
    # One axis of 96: the middle lies between two voxels, half a voxel from each, sigma 12.
    assert weights.max() == pytest.approx(np.exp(-0.5 * (0.5 / 12) ** 2) ** 3, rel=1e-6)
    assert weights[0, 47, 47] == pytest.approx(weights[95, 48, 48], rel=1e-6)


@pytest.mark.parametrize("patch", [(9, 12, 5), (16, 16, 16), (40, 24)])
def test_nnunet_weights_are_a_filtered_impulse_of_ten(patch: tuple[int, ...]) -> None:
    impulse = np.zeros(patch)
    impulse[tuple(size // 2 for size in patch)] = 1
    filtered = ndimage.gaussian_filter(impulse, [size / 8 for size in patch], mode="constant")
    expected = (filtered / (filtered.max() / 10)).astype(np.float16)
    np.testing.assert_array_equal(gaussian_nnunet(patch).astype(np.float16), expected)
    weights = window_weights("gaussian_nnunet", patch, 0.125, 0.0, np.float16)
    assert weights.dtype == np.float16
    assert weights.min() == expected[expected > 0].min() > 0


@settings(max_examples=40, deadline=None)
@given(data=st.data(), axes=st.sampled_from([2, 3]), rule=RULES)
def test_slabs_and_labels_equal_the_whole_image(data: st.DataObject, axes: int, rule: Any) -> None:
    patch = tuple(data.draw(st.lists(st.integers(2, 8), min_size=axes, max_size=axes)))
    spatial = tuple(data.draw(st.lists(st.integers(1, 20), min_size=axes, max_size=axes)))
    windowing = Windowing(
        patch=patch,
        overlap=data.draw(st.sampled_from([0.0, 0.5, 0.75])),
        batch=data.draw(st.integers(1, 4)),
        weights=data.draw(st.sampled_from(["constant", "gaussian", "gaussian_nnunet"])),
        starts=rule,
        accumulate=data.draw(st.sampled_from(["float32", "float16"])),
    )
    image, network = image_of(1, *spatial), Position(patch)
    whole = run_windows(network, image, windowing)
    slabs = [(s.planes, s.scores.copy()) for s in run_slabs(network, image, windowing)]
    assert [plane for planes, _ in slabs for plane in range(planes.start, planes.stop)] == list(
        range(spatial[0])
    )
    np.testing.assert_array_equal(np.concatenate([s for _, s in slabs], axis=1), whole)
    if windowing.accumulate == "float32":
        labels = run_labels(network, image, windowing)
        # Dividing can round two scores to one; the label is of what was summed.
        best = np.take_along_axis(whole, labels[np.newaxis].astype(np.intp), axis=0)[0]
        np.testing.assert_array_equal(best, whole.max(axis=0))


def test_labels_need_no_more_than_a_slab_of_scores() -> None:
    patch, classes = (8, 32, 32), 40
    image = image_of(1, 192, 32, 32)
    windowing = Windowing(patch=patch, overlap=0.5, batch=1)
    network = Position(patch, classes)
    tracemalloc.start()
    run_labels(network, image, windowing)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.25 * classes * image.nbytes


@settings(max_examples=40, deadline=None)
@given(data=st.data(), rule=RULES)
def test_inside_a_region_nothing_changes_and_other_windows_are_not_run(
    data: st.DataObject, rule: Any
) -> None:
    patch, spatial = (6, 5), (31, 23)
    windowing = Windowing(patch=patch, overlap=0.5, batch=3, starts=rule)
    low = [data.draw(st.integers(0, size - 1)) for size in spatial]
    high = [data.draw(st.integers(at + 1, size)) for at, size in zip(low, spatial, strict=True)]
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    image, network = image_of(1, *spatial), Position(patch)
    whole = run_windows(network, image, windowing)
    everything, network.windows = network.windows, 0
    region = Region.box(spatial, box, fill=-9.0)
    part = run_windows(network, image, windowing, region)
    np.testing.assert_array_equal(part[(slice(None), *box)], whole[(slice(None), *box)])
    is_far = ndimage.distance_transform_cdt(~region.mask, "chessboard") >= max(patch)
    assert (part[:, is_far] == -9.0).all()
    assert not is_far.any() or network.windows < everything
    labels = run_labels(network, image, windowing, region)
    np.testing.assert_array_equal(labels[box], whole.argmax(axis=0)[box])
    assert (labels[is_far] == 0).all()


def test_a_region_of_an_image_that_is_padded_lies_where_the_image_lies() -> None:
    windowing = Windowing(patch=(12, 4), overlap=0.5, batch=1)
    image, network = image_of(1, 6, 40), Position((12, 4))
    mask = np.zeros((6, 40), np.bool_)
    mask[5, 20] = True
    part = run_windows(network, image, windowing, Region(mask=mask))
    assert network.windows == 2
    whole = run_windows(network, image, windowing)
    np.testing.assert_array_equal(part[:, 5, 20], whole[:, 5, 20])


def test_an_empty_or_unfitting_region_is_told() -> None:
    windowing = Windowing(patch=(4, 4), overlap=0.5, batch=1)
    with pytest.raises(ValueError, match="empty"):
        run_windows(
            Position((4, 4)), image_of(1, 8, 8), windowing, Region(mask=np.zeros((8, 8), np.bool_))
        )
    with pytest.raises(ValueError, match="does not fit"):
        run_windows(
            Position((4, 4)), image_of(1, 8, 8), windowing, Region(mask=np.ones((8, 9), np.bool_))
        )


@pytest.mark.parametrize("axes", [(0,), (1, 2), (0, 1, 2)])
def test_mirrored_windows_make_the_result_symmetric(axes: tuple[int, ...]) -> None:
    patch = (6, 6, 6)
    windowing = Windowing(patch=patch, overlap=0.0, batch=2, mirror_axes=axes)
    network, image = Position(patch), image_of(1, *patch)
    output = run_windows(network, image, windowing)
    assert network.windows == 2 ** len(axes)
    flipped = run_windows(network, np.flip(image, [a + 1 for a in axes]).copy(), windowing)
    np.testing.assert_allclose(np.flip(flipped, [a + 1 for a in axes]), output, atol=1e-6)
    mean = np.mean(
        [
            np.flip(network(np.flip(image, s)[np.newaxis])[0], s)
            for n in range(len(axes) + 1)
            for s in itertools.combinations([axis + 1 for axis in axes], n)
        ],
        axis=0,
    )
    np.testing.assert_allclose(output, mean, atol=1e-6)


@pytest.mark.parametrize(
    ("padding", "row"),
    [
        ("constant", [-2, 1, 2, 3, 4, -2]),
        ("replicate", [1, 1, 2, 3, 4, 4]),
        ("reflect", [2, 1, 2, 3, 4, 3]),
    ],
)
def test_around_a_small_image_lies_what_was_asked_for(padding: Any, row: list[int]) -> None:
    seen = []

    def infer(inputs: Array) -> Array:
        seen.append(inputs)
        return inputs

    image = np.array([[1, 2, 3, 4]], np.float32)
    windowing = Windowing(patch=(6,), overlap=0.0, batch=1, padding=padding, padding_value=-2.0)
    np.testing.assert_array_equal(run_windows(infer, image, windowing), image)
    np.testing.assert_array_equal(seen[0][0, 0], row)


def test_maps_of_other_resolutions_are_stitched_on_their_own_grid() -> None:
    image = image_of(2, 32, 24)
    windowing = Windowing(patch=(16, 8), overlap=0.5, batch=3, weights="gaussian", starts="monai")

    def infer(inputs: Array) -> list[Array]:
        return [inputs[:, :1], 2 * inputs[:, :, ::4, ::4]]

    full, quarter = run_maps(infer, image, windowing)
    np.testing.assert_allclose(full, image[:1], rtol=1e-5)
    np.testing.assert_allclose(quarter, 2 * image[:, ::4, ::4], rtol=1e-5)
    with pytest.raises(ValueError, match="mirrored"):
        run_maps(infer, image, Windowing(patch=(16, 8), overlap=0.5, batch=3, mirror_axes=(0,)))


def test_a_run_tells_how_far_it_is_and_can_be_ended() -> None:
    seen: list[tuple[int, int]] = []
    windowing = Windowing(patch=(4, 4), overlap=0.0, batch=3)
    run_windows(
        Position((4, 4)), image_of(1, 8, 16), windowing, watch=lambda *far: seen.append(far)
    )
    assert seen == [(3, 8), (6, 8), (8, 8)]

    class TimeIsUp(Exception):
        pass

    def end(done: int, _: int) -> None:
        if done >= 3:
            raise TimeIsUp

    network = Position((4, 4))
    with pytest.raises(TimeIsUp):
        run_windows(network, image_of(1, 8, 16), windowing, watch=end)
    assert network.windows == 3


def test_an_image_of_one_window_is_told_and_comes_back_without_its_padding() -> None:
    seen: list[tuple[int, int]] = []
    windowing = Windowing(patch=(8, 8), overlap=0.5, batch=1)
    image = image_of(1, 5, 8)
    (output,) = run_stack(
        lambda batch: 2 * batch, image[np.newaxis], windowing, watch=lambda *far: seen.append(far)
    )
    assert seen == [(1, 1)]
    np.testing.assert_array_equal(output, 2 * image)


@settings(max_examples=30, deadline=None)
@given(
    classes=st.integers(1, 9),
    shape=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    dtype=st.sampled_from([np.float32, np.float16]),
    ties=st.booleans(),
    moved=st.booleans(),
)
def test_the_best_class_is_the_first_highest(
    classes: int, shape: list[int], dtype: Any, ties: bool, moved: bool
) -> None:
    scores = np.random.default_rng(classes).normal(size=(classes, *shape)).astype(dtype)
    if ties:
        scores = np.round(scores).astype(dtype)
    if moved:
        scores = np.moveaxis(np.ascontiguousarray(np.moveaxis(scores, 0, 1)), 1, 0)
    labels = arg_max(scores)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, scores.argmax(axis=0))


def test_more_classes_than_a_byte_holds_are_told_apart() -> None:
    scores = np.zeros((300, 5), np.float32)
    scores[[0, 255, 256, 299, 17], range(5)] = 1
    assert arg_max(scores).tolist() == [0, 255, 256, 299, 17]


@pytest.mark.parametrize(
    "faulty",
    [{"patch": (0, 4)}, {"overlap": 1.0}, {"batch": 0}, {"mirror_axes": (2,)}, {"overlap": -0.1}],
)
def test_windows_that_cannot_be_are_told(faulty: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="windows of"):
        Windowing(**{"patch": (4, 4), "overlap": 0.5, "batch": 1, **faulty})
