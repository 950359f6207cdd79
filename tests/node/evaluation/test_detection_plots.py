"""Pictures of a card: what they sum up, and that what must be seen is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from node.evaluation.curves import COLOURS, draw_froc
from node.evaluation.detection_plots import (
    MARK_COLOUR,
    TRUTH_COLOUR,
    draw_gallery,
    draw_operated_froc,
    draw_reliability,
    failure_panel,
    keep_in_card,
    reliability_bins,
)
from node.evaluation.froc import Reading, froc


def like(path: Path, colour: tuple[int, int, int]) -> np.ndarray:
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return np.asarray((np.abs(pixels - np.array(colour)) < 12).all(axis=2))


def test_marks_are_summed_up_by_certainty_and_the_surest_is_counted() -> None:
    marks = [(0.2, False), (0.24, True), (0.6, True), (1.0, True), (0.95, False)]
    bins = reliability_bins(marks)
    assert [(one.true.hits, one.true.of) for one in bins] == [(1, 2), (1, 1), (1, 2)]
    assert bins[0].said == pytest.approx(0.22)
    assert sum(one.true.of for one in bins) == len(marks)


def test_a_reliable_model_has_its_dots_on_the_diagonal(tmp_path: Path) -> None:
    marks = [(0.6, number < 6) for number in range(10)]
    draw_reliability(tmp_path / "plot.png", "Test", marks)
    rows, columns = np.nonzero(like(tmp_path / "plot.png", COLOURS[4]))
    assert len(rows) > 200
    # The frame is square but for its margins: right of the middle, and above it.
    assert pytest.approx(float(np.median(columns)), abs=6) == 110 + 0.6 * 750
    assert pytest.approx(float(np.median(rows)), abs=40) == 790 - 0.6 * 700
    with pytest.raises(ValueError, match="one mark"):
        draw_reliability(tmp_path / "plot.png", "Test", [])


def test_the_shipped_threshold_is_a_ring_on_the_curve(tmp_path: Path) -> None:
    curve = froc(
        [
            Reading(patient="a", lesions=2, marks=((0.9, 0), (0.4, None))),
            Reading(patient="b", lesions=1, marks=((0.8, 0), (0.7, None))),
        ]
    )
    assert curve is not None
    named = [("simulated", curve.false_positives, curve.sensitivity)]
    draw_froc(tmp_path / "plain.png", "Test", named)
    draw_operated_froc(tmp_path / "ring.png", "Test", [("simulated", curve)], (0.5, 0.4))
    plain, ring = (np.asarray(Image.open(tmp_path / f"{n}.png")) for n in ("plain", "ring"))
    rows, columns = np.nonzero((plain != ring).any(axis=2))
    # Sensitivity 0.4, and half a false positive a study on the logarithmic axis of 2^-4 to 2^4.
    assert float(rows.mean()) == pytest.approx(1070 - 0.4 * 950, abs=4)
    assert float(columns.mean()) == pytest.approx(130 + 3 / 8 * 1020, abs=4)


def test_a_gallery_outlines_truth_and_mark_and_goes_into_the_card(tmp_path: Path) -> None:
    voxels = np.zeros((5, 60, 60), np.int16)
    truth, mark = np.zeros(voxels.shape, np.bool_), np.zeros(voxels.shape, np.bool_)
    truth[2, 20:26, 20:26] = True
    mark[2, 30:36, 1:6] = True
    panels = [
        failure_panel("both", voxels, (2, 25, 20), (truth, mark)),
        failure_panel("at the corner", voxels, (2, 0, 59), (None, None)),
    ]
    path = tmp_path / "out" / "failures.png"
    path.parent.mkdir()
    draw_gallery(path, "Missed", panels)
    green, orange = like(path, TRUTH_COLOUR), like(path, MARK_COLOUR)
    # Both lie in the first panel, the mark to the left of the truth and below it.
    assert green[84:304, 8:228].sum() > 100
    assert orange[84:304, 8:228].sum() > 100
    first, second = (np.argwhere(seen[84:304]).mean(axis=0) for seen in (green, orange))
    assert second[0] > first[0] + 20
    assert second[1] < first[1] - 20
    assert not green[84:304, 240:].any()
    keep_in_card(tmp_path, path.parent, ("failures.png", "absent.png"))
    assert (tmp_path / "failures.png").read_bytes() == path.read_bytes()
    assert not (tmp_path / "absent.png").exists()
    with pytest.raises(ValueError, match="one panel"):
        draw_gallery(path, "Missed", [])
