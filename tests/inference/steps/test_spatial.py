"""Grids: every step says truly where its voxels lie, and `invert` brings all of it back."""

from __future__ import annotations

import itertools
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from inference.steps.chain import postprocess, preprocess
from inference.steps.detections import Detections, boxes_back
from inference.steps.image import Image, image_of
from inference.steps.verdict import NothingLeft
from models import manifest_steps as steps
from node.domain.imaging import Volume

AXES = [
    "".join(letters)
    for order in itertools.permutations(("RL", "AP", "SI"))
    for letters in itertools.product(*order)
]
SHAPES = st.tuples(*[st.integers(3, 14)] * 3)


def affine(seed: int, *, tilt: float = 0.0) -> NDArray[np.float64]:
    """A turned grid of uneven spacing, somewhere."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    whole = np.eye(4)
    shear = np.eye(3)
    shear[1, 2] = tilt
    whole[:3, :3] = rotation @ shear @ np.diag(rng.uniform(0.6, 4.0, 3))
    whole[:3, 3] = rng.uniform(-200, 200, 3)
    return whole


def ramp(shape: tuple[int, int, int], place: NDArray[np.float64]) -> Image:
    """A volume whose value is a linear function of the place in the patient, mm."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    world = index @ place[:3, :3].T + place[:3, 3]
    values = world @ np.array([0.3, -0.7, 1.1])
    return Image(values=values[np.newaxis].astype(np.float32), affine=place)


def is_ramp_inside(image: Image, source: Image) -> bool:
    """Do voxels whose place lies inside the source still hold the value of their place?"""
    expected = ramp(image.shape, image.affine).values
    index = np.stack(np.meshgrid(*map(np.arange, image.shape), indexing="ij"), axis=-1)
    back = np.linalg.inv(source.affine) @ image.affine
    at = index @ back[:3, :3].T + back[:3, 3]
    inside = np.all((at >= 0) & (at <= np.array(source.shape) - 1), axis=-1)
    span = float(np.ptp(source.values)) + 1.0
    return bool(np.abs(image.values - expected)[0][inside].max(initial=0) < 1e-4 * span)


MOVES: list[steps.PreStep] = [
    steps.Orient(axes="LPS"),
    steps.Spacing(spacing_mm=(1.7, 0.9, 2.2)),
    steps.Spacing(spacing_mm=(1.7, None, 2.2), grid="nnunet", separate_above=100.0),
    steps.Spacing(spacing_mm=(0.8, 2.0, 1.1), grid="zoom"),
    steps.Resize(size=(9, None, 5)),
    steps.CropCentre(size=(6, 5, None)),
    steps.Pad(size=(16, 15, 18), value=-7),
    steps.Pad(divisible_by=(8, 4, 2), where="end"),
]


@settings(max_examples=80, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 99), step=st.sampled_from(MOVES[:-2]))
def test_values_stay_at_their_place_in_the_patient(
    shape: tuple[int, int, int], seed: int, step: steps.PreStep
) -> None:
    source = ramp(shape, affine(seed))
    assert is_ramp_inside(preprocess(source, (step,)), source)


@settings(max_examples=40, deadline=None)
@given(
    shape=SHAPES,
    seed=st.integers(0, 99),
    chosen=st.lists(st.sampled_from(MOVES), min_size=1, max_size=4),
)
# Three slices become one, and one becomes two.
@example(
    shape=(3, 3, 3),
    seed=0,
    chosen=[
        steps.Spacing(spacing_mm=(1.7, None, 2.2), grid="nnunet", separate_above=100.0),
        steps.Spacing(spacing_mm=(0.8, 2.0, 1.1), grid="zoom"),
    ],
)
def test_invert_comes_back_to_the_grid_of_the_images(
    shape: tuple[int, int, int], seed: int, chosen: list[steps.PreStep]
) -> None:
    source = Image(values=np.full((1, *shape), 3.0, np.float32), affine=affine(seed))
    image = preprocess(source, tuple(chosen))
    for interpolation in ("linear", "nearest"):
        back = postprocess(image, (steps.Invert(interpolation=interpolation),), {})
        assert back.shape == shape
        assert back.trace == ()
        np.testing.assert_array_equal(back.affine, source.affine)


@settings(max_examples=40, deadline=None)
@given(
    shape=SHAPES,
    seed=st.integers(0, 99),
    chosen=st.lists(st.sampled_from(MOVES), min_size=1, max_size=4),
)
def test_a_point_is_traced_back_to_where_it_was(
    shape: tuple[int, int, int], seed: int, chosen: list[steps.PreStep]
) -> None:
    source = ramp(shape, affine(seed))
    image = preprocess(source, tuple(chosen))
    points = np.random.default_rng(seed).uniform(0, 10, (5, 3))
    back = points
    for move in reversed(image.trace):
        back = move.points_back(back)
    np.testing.assert_allclose(
        back @ source.affine[:3, :3].T + source.affine[:3, 3],
        points @ image.affine[:3, :3].T + image.affine[:3, 3],
        atol=1e-6,
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 500), axes=st.sampled_from(AXES), tilt=st.sampled_from([0.0, 0.1]))
def test_axes_are_named_as_nibabel_names_them(seed: int, axes: str, tilt: float) -> None:
    place = affine(seed, tilt=tilt)
    values = np.random.default_rng(seed).normal(size=(1, 4, 5, 6)).astype(np.float32)
    ours = preprocess(Image(values=values, affine=place), (steps.Orient(axes=axes),))
    ours_to = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(place), nibabel.orientations.axcodes2ornt(tuple(axes))
    )
    theirs = nibabel.Nifti1Image(values[0], place).as_reoriented(ours_to)
    np.testing.assert_array_equal(ours.values[0], np.asarray(theirs.dataobj))
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-9)


def test_a_volume_enters_as_it_lies_and_in_ras() -> None:
    place = np.eye(4)
    place[:3, :3] = [[0, 0, 0.8], [0, 0.8, 0], [2.5, 0, 0]]
    place[:3, 3] = (-20.0, -30.0, 100.0)
    volume: Any = Volume(
        study_uid="1",
        series_uid="2",
        frame_of_reference_uid="3",
        voxels=np.arange(24, dtype=np.int16).reshape(2, 3, 4),
        affine=place,
        unit="HU",
        planes=(),
    )
    image = image_of(volume)
    assert np.shares_memory(image.values, volume.voxels)
    assert nibabel.aff2axcodes(image.affine) == ("S", "P", "L")
    turned = preprocess(image, (steps.Orient(axes="RAS"),))
    assert turned.shape == (4, 3, 2)
    # The voxel that lies most to the right, to the front and to the feet of the patient.
    assert turned.values[0, -1, -1, 0] == volume.voxels[0, 0, 0]
    np.testing.assert_allclose((turned.affine @ [3, 2, 0, 1])[:3], (20.0, 30.0, 100.0))


@pytest.mark.parametrize("shape", [(24, 30, 18), (40, 11, 33)])
def test_cubic_zoom_is_scipys_to_the_last_bit(shape: tuple[int, int, int]) -> None:
    values = np.random.default_rng(2).integers(-1024, 1500, shape).astype(np.int16)
    image = Image(values=values[np.newaxis], affine=np.diag([0.8, 0.8, 2.5, 1.0]))
    step = steps.Spacing(spacing_mm=(1.5, 1.5, 1.5), interpolation="cubic", grid="zoom")
    factors = np.array(image.grid.spacing_mm) / 1.5
    expected = ndimage.zoom(values.astype(np.float64), factors, order=3, mode="nearest")
    zoomed = preprocess(image, (step,))
    np.testing.assert_array_equal(zoomed.values[0], expected)
    # What is cut off is cut off of the exact value, as TotalSegmentator's int32 is.
    cast = preprocess(zoomed, (steps.Cast(to="int32"),))
    np.testing.assert_array_equal(cast.values[0], expected.astype(np.int32))


def test_thick_slices_are_read_on_their_own_by_nearest() -> None:
    values = np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1) * np.ones((1, 4, 12, 12))
    image = Image(values=values.astype(np.float32), affine=np.diag([6.0, 1.0, 1.0, 1.0]))
    step = steps.Spacing(spacing_mm=(3.0, 1.5, 1.5), interpolation="cubic", grid="nnunet")
    thin = preprocess(image, (step,)).values
    assert thin.shape == (1, 8, 8, 8)
    assert set(np.unique(thin.round(4))) <= {0.0, 1.0, 2.0, 3.0}


@pytest.mark.parametrize("interpolation", ["nearest", "per_class_linear"])
def test_labels_come_back_as_labels(interpolation: Any) -> None:
    image = Image(values=np.zeros((1, 30, 30, 30), np.float32), affine=np.diag([1.0, 1, 1, 1]))
    small = preprocess(image, (steps.Spacing(spacing_mm=(3, 3, 3), grid="zoom"),))
    labels = np.zeros((1, *small.shape), np.uint8)
    labels[0, 2:6, 2:6, 2:6] = 7
    labels[0, 6:9, 2:6, 2:6] = 3
    back = postprocess(small.with_values(labels), (steps.Invert(interpolation=interpolation),), {})
    assert back.values.dtype == np.uint8
    assert set(np.unique(back.values)) == {0, 3, 7}
    assert back.values[0, 10, 10, 10] == 7
    assert back.values[0, 22, 10, 10] == 3


def test_undoing_stops_at_a_step_that_is_not_named() -> None:
    image = Image(values=np.ones((1, 12, 12, 12), np.float32), affine=np.eye(4))
    prepared = preprocess(
        image, (steps.CropCentre(size=(8, 8, 8)), steps.Spacing(spacing_mm=(2, 2, 2)))
    )
    partly = postprocess(prepared, (steps.Invert(only=("spacing",)),), {})
    assert partly.shape == (8, 8, 8)
    assert [move.step for move in partly.trace] == ["crop_centre"]
    whole = postprocess(partly, (steps.Invert(interpolation="nearest"),), {})
    assert whole.shape == (12, 12, 12)
    assert whole.values.sum() == 8**3


def test_argmax_behind_invert_is_the_same_done_channel_by_channel() -> None:
    rng = np.random.default_rng(3)
    image = Image(values=np.zeros((1, 20, 22, 18), np.float32), affine=affine(4))
    prepared = preprocess(image, (steps.Orient(axes="RAS"), steps.Spacing(spacing_mm=(2, 2, 2))))
    logits = prepared.with_values(rng.normal(size=(5, *prepared.shape)).astype(np.float32))
    together = postprocess(logits, (steps.Invert(), steps.Argmax()), {})
    inverted = postprocess(logits, (steps.Invert(),), {})
    np.testing.assert_array_equal(together.values[0], inverted.values.argmax(axis=0))
    assert together.values.dtype == np.uint8


@pytest.mark.parametrize("step", [steps.CropForeground(above=5.0), steps.CropNonzero()])
def test_an_image_that_holds_nothing_is_refused_with_the_reason(step: Any) -> None:
    empty = Image(values=np.zeros((1, 5, 5, 5), np.float32), affine=np.eye(4))
    with pytest.raises(NothingLeft, match="the images hold no value"):
        preprocess(empty, (step,))


def test_boxes_come_back_through_flips_and_cuts() -> None:
    image = Image(values=np.zeros((1, 20, 20, 20), np.float32), affine=np.diag([-1.0, -1, 2, 1]))
    moved = preprocess(image, (steps.Orient(axes="RAS"), steps.CropCentre(size=(10, 10, 10))))
    found = Detections(
        boxes=np.array([[0, 1, 2, 3, 4, 5]], np.float32),
        scores=np.ones(1, np.float32),
        classes=np.zeros(1, np.int64),
    )
    back = boxes_back(found, moved.trace[::-1])
    # i = 19 - (5 + x): the lower corner becomes the upper one.
    np.testing.assert_allclose(back.boxes, [[11, 10, 7, 14, 13, 10]])
