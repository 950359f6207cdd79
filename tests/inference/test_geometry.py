"""Planes in, a stack or the reason why they are none out."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.geometry import PlaneFacts, orientation_of, stack_planes

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def plane(
    position: tuple[float, float, float] | None, number: int = 1, **changes: Any
) -> PlaneFacts:
    facts = {
        "position": None if position is None else tuple(float(v) for v in position),
        "cosines": AXIAL,
        "pixel_spacing_mm": (0.8, 0.8),
        "rows": 512,
        "columns": 512,
        "frame_of_reference_uid": "1.2",
        "label": f"image {number}",
        "order": (number, 0, ""),
    }
    return PlaneFacts(**(facts | changes))


def table(count: int, step: float = 5.0, **changes: Any) -> list[PlaneFacts]:
    return [plane((0, 0, index * step), index + 1, **changes) for index in range(count)]


def test_slices_sent_head_first_come_out_from_feet_to_head() -> None:
    stack = stack_planes(table(5, -5.0))
    assert stack.order == (4, 3, 2, 1, 0)
    assert stack.fault == ""


def test_mirrored_axial_images_still_run_from_feet_to_head() -> None:
    stack = stack_planes(table(3, cosines=(-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)))
    assert stack.order == (0, 1, 2)
    assert stack.geometry is not None
    assert stack.geometry.normal == pytest.approx((0, 0, 1))


def test_missing_slice_is_seen_as_the_largest_gap_and_named() -> None:
    planes = table(10)
    del planes[4]
    geometry = stack_planes(planes).geometry
    assert geometry is not None
    assert geometry.spacing_mm == pytest.approx(5.0)
    assert geometry.largest_gap_mm == pytest.approx(10.0)
    assert geometry.largest_gap_after == 3
    assert geometry.extent_mm == pytest.approx(45.0)


def test_two_images_at_one_position_are_both_counted() -> None:
    geometry = stack_planes([*table(4), plane((0, 0, 10.004), 9)]).geometry
    assert geometry is not None
    assert geometry.duplicates == 2
    assert geometry.spacing_mm == pytest.approx(5.0, abs=0.01)


def test_one_image_has_no_distance_and_no_gap() -> None:
    geometry = stack_planes(table(1)).geometry
    assert geometry is not None
    assert (geometry.spacing_mm, geometry.largest_gap_mm, geometry.extent_mm) == (None, None, 0.0)


def test_tilted_gantry_is_measured_from_the_positions() -> None:
    angle = math.radians(18)
    tilted = (1.0, 0.0, 0.0, 0.0, math.cos(angle), math.sin(angle))
    geometry = stack_planes(table(10, cosines=tilted)).geometry
    assert geometry is not None
    assert geometry.tilt_degrees == pytest.approx(18.0, abs=1e-6)
    assert geometry.spacing_mm == pytest.approx(5.0 * math.cos(angle))
    assert geometry.orientation == "axial"


@pytest.mark.parametrize(
    ("cosines", "name"),
    [(AXIAL, "axial"), (CORONAL, "coronal"), (SAGITTAL, "sagittal")],
)
def test_orientation_is_named_by_the_nearest_axis(cosines: tuple[float, ...], name: str) -> None:
    assert orientation_of(np.cross(cosines[:3], cosines[3:])) == name


def test_planes_beyond_twenty_degrees_from_every_axis_are_oblique() -> None:
    angle = math.radians(21)
    assert orientation_of(np.array([0.0, math.sin(angle), math.cos(angle)])) == "oblique"


@pytest.mark.parametrize(
    ("planes", "words"),
    [
        ([], "holds no images"),
        ([plane(None)], "carry no position"),
        ([*table(3), plane(None, 4)], "1 of 4 images carry no position"),
        (table(3, cosines=None), "carry no position and orientation"),
        (table(3, cosines=(1.0, 0.0, 0.0, 1.0, 0.0, 0.0)), "carry no position and orientation"),
        ([*table(9), plane((0, 0, 50), 10, cosines=CORONAL)], "9 axial, 1 coronal"),
        ([*table(9), plane((0, 0, 50), 10, rows=256)], "different matrices"),
        (
            [*table(9), plane((0, 0, 50), 10, pixel_spacing_mm=(0.9, 0.9))],
            "different pixel spacings (0.800 to 0.900 mm)",
        ),
        (
            [*table(9), plane((0, 0, 50), 10, frame_of_reference_uid="1.3")],
            "2 frames of reference",
        ),
        ([*table(4), plane((12, 0, 20), 5), plane((0, 0, 25), 6)], "slice 5 of 6 is shifted"),
        ([plane((x, 0, 0), x + 1) for x in range(3)], "side by side in one plane"),
    ],
)
def test_what_is_no_stack_is_said_in_words(planes: list[PlaneFacts], words: str) -> None:
    stack = stack_planes(planes)
    assert words in stack.fault
    assert sorted(stack.order) == list(range(len(planes)))


@settings(max_examples=60, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-math.pi, math.pi)] * 3),
    count=st.integers(2, 30),
    step=st.floats(0.3, 12.0),
    seed=st.integers(0, 10_000),
)
def test_any_order_of_any_stack_is_sorted_along_its_normal(
    angles: tuple[float, float, float], count: int, step: float, seed: int
) -> None:
    a, b, c = angles
    turn = (
        np.array([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]])
        @ np.array([[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]])
        @ np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    )
    cosines = (*turn[:, 0], *turn[:, 1])
    planes = [
        plane(turn[:, 2] * step * i + np.array([11.0, -7.0, 3.0]), i + 1, cosines=cosines)
        for i in range(count)
    ]
    random.Random(seed).shuffle(planes)
    stack = stack_planes(planes)
    geometry = stack.geometry
    assert stack.fault == ""
    assert geometry is not None
    along = [np.dot(planes[index].position, geometry.normal) for index in stack.order]
    assert np.all(np.diff(along) > 0)
    assert geometry.spacing_mm == pytest.approx(step, abs=1e-6)
    assert geometry.tilt_degrees == pytest.approx(0.0, abs=1e-3)
    assert geometry.orientation != "axial" or geometry.normal[2] > 0
