"""Segments that share one label map are written as segments with masks of their own are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dicom_sr.fingerprint import findings_digest
from node.domain.finding import Findings
from node.domain.label_map import LabelMap, LabelMask
from tests.dicom_sr.results import Case, case


def with_map(made: Case, values: np.ndarray, number: int) -> Findings:
    segment = replace(made.findings.segments[0], mask=LabelMask(LabelMap(values), number))
    return replace(made.findings, segments=(segment,))


@pytest.mark.parametrize("number", [1, 3])
def test_the_segmentation_holds_the_same_pixels(tmp_path: Path, number: int) -> None:
    made = case(tmp_path)
    mask = np.asarray(made.findings.segments[0].mask)
    # Label 1 is the number of the segment, which is written without a look at each mask.
    shared = replace(made, findings=with_map(made, mask.astype(np.uint8) * number, number))
    (own,) = (item for item in made.results() if item.Modality == "SEG")
    (other,) = (item for item in shared.results() if item.Modality == "SEG")
    np.testing.assert_array_equal(own.pixel_array, other.pixel_array)
    assert own.NumberOfFrames == other.NumberOfFrames


def test_another_label_or_another_map_is_another_result(tmp_path: Path) -> None:
    made = case(tmp_path)
    values = np.asarray(made.findings.segments[0].mask).astype(np.uint8)
    values[0, 0, :3] = 2
    changed = values.copy()
    changed[0, 0, 3] = 2
    digests = {
        findings_digest(with_map(made, values, 1)),
        findings_digest(with_map(made, values, 2)),
        findings_digest(with_map(made, changed, 2)),
    }
    assert len(digests) == 3
    assert findings_digest(with_map(made, values.copy(), 1)) in digests


def test_a_label_mask_answers_as_an_array_does() -> None:
    values = np.random.default_rng(1).integers(0, 4, (5, 6, 7)).astype(np.uint8)
    values[2] = 0
    for number in (1, 3, 9):
        mask, array = LabelMask(LabelMap(values), number), values == number
        assert mask.shape == array.shape
        assert mask.ndim == 3
        assert mask.any() == array.any()
        np.testing.assert_array_equal(mask.any(axis=(1, 2)), array.any(axis=(1, 2)))
        np.testing.assert_array_equal(mask[1:3], array[1:3])
        np.testing.assert_array_equal(np.asarray(mask), array)
    with pytest.raises(ValueError, match="asked for its planes"):
        LabelMask(LabelMap(values), 1).any(axis=(0, 1))
