"""Anchors, decoding and suppression give the boxes that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from inference.steps.boxes import BoxRule, anchors_at, decode, detect, overlaps, suppress

ONE = np.float32(1)


def test_anchors_sit_half_a_stride_from_the_border_and_are_rounded_to_even() -> None:
    shapes = np.array([[6, 8, 4], [5, 7, 3]], np.float32)
    places = np.array([0, 1, 2 * 5, 2 * 5 + 1])
    found = anchors_at(places, (2, 2, 3), (8, 8, 12), shapes)
    # Stride (4, 4, 4); place 5 of (2, 2, 3) is (0, 1, 2).
    assert found[0].tolist() == [2 - 3, 2 - 4, 2 - 2, 2 + 3, 2 + 4, 2 + 2]
    # Half of 5, 7, 3 is 2.5, 3.5, 1.5, to even: 2, 4, 2.
    assert found[1].tolist() == [0, -2, 0, 4, 6, 4]
    assert found[2].tolist() == [2 - 3, 6 - 4, 10 - 2, 2 + 3, 6 + 4, 10 + 2]


def test_a_code_of_zero_is_the_anchor_and_growth_is_bounded() -> None:
    anchor = np.array([[0, 0, 10, 20]], np.float32)
    assert decode(np.zeros((1, 4), np.float32), anchor, ()).tolist() == anchor.tolist()
    wild = decode(np.array([[0, 0, 50, 0]], np.float32), anchor, ())
    assert wild[0, 2] - wild[0, 0] == pytest.approx(10 * 1000 / 16)


def test_weights_of_the_coder_divide_the_code() -> None:
    anchor = np.array([[0, 0, 10, 10]], np.float32)
    code = np.array([[1, 0, 0, 0]], np.float32)
    assert decode(code, anchor, (10, 10, 5, 5))[0].tolist() == [1, 0, 11, 10]


def test_overlap_is_intersection_over_union() -> None:
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]], np.float32)
    assert overlaps(boxes, boxes[0]) == pytest.approx([1, 1 / 3, 0])


def test_suppression_keeps_the_better_box_and_leaves_other_classes_alone() -> None:
    boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 3.9], [0, 0, 4, 3.8], [9, 9, 12, 12]], np.float32)
    scores = np.array([0.6, 0.9, 0.8, 0.1], np.float32)
    labels = np.array([0, 0, 1, 0])
    kept = suppress(boxes, scores, labels, overlap=0.5, at_most=10)
    assert kept.tolist() == [1, 2, 3]
    assert suppress(boxes, scores, labels, overlap=0.5, at_most=2).tolist() == [1, 2]


def _maps(place: tuple[int, int], logit: float) -> tuple[np.ndarray, np.ndarray]:
    classes = np.full((2, 4, 4), -9, np.float32)
    classes[(1, *place)] = logit
    return classes, np.zeros((8, 4, 4), np.float32)


def test_a_peak_of_the_second_anchor_becomes_one_box_at_its_place() -> None:
    rule = BoxRule(anchors=((4, 4), (6, 2)), scales=(1.0,), score_above=0.5, overlap=0.2)
    classes, codes = _maps((2, 1), 2.0)
    found = detect([classes], [codes], rule, padded=(16, 16), size=(16, 16))
    assert found.corners.tolist() == [[10 - 3, 6 - 1, 10 + 3, 6 + 1]]
    assert found.scores == pytest.approx([1 / (1 + np.exp(-2))])


def test_boxes_are_cut_to_the_image_without_its_padding_and_slivers_are_dropped() -> None:
    rule = BoxRule(anchors=((4, 4), (6, 2)), scales=(1.0,), score_above=0.5, overlap=0.2)
    classes, codes = _maps((3, 1), 2.0)
    found = detect([classes], [codes], rule, padded=(16, 16), size=(13, 16))
    assert found.corners.tolist() == [[11, 5, 13, 7]]
    nothing = detect([classes], [codes], rule, padded=(16, 16), size=(11, 16))
    assert len(nothing) == 0
    assert nothing.corners.shape == (0, 4)


def test_maps_that_do_not_fit_the_anchors_are_refused() -> None:
    rule = BoxRule(anchors=((4, 4), (6, 2)), scales=(1.0,))
    with pytest.raises(ValueError, match="do not fit 2 anchors"):
        detect([np.zeros((3, 4, 4), np.float32)], [np.zeros((8, 4, 4), np.float32)], rule,
               padded=(16, 16), size=(16, 16))  # fmt: skip


def test_no_candidate_is_no_box() -> None:
    rule = BoxRule(anchors=((4, 4), (6, 2)), scales=(1.0,), score_above=0.5)
    classes, codes = _maps((0, 0), -5.0)
    assert len(detect([classes], [codes], rule, padded=(16, 16), size=(16, 16))) == 0
