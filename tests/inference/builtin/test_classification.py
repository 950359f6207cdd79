"""Classification without code: of a volume, of slices with their neighbours, of views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference.builtin import words
from inference.builtin.scores import combined
from models.manifest_results import Aggregate
from node.domain.errors import ModelError
from node.domain.finding import Findings, Status
from node.domain.imaging import Volume
from tests.inference.builtin.examples import manifest
from tests.inference.builtin.made import analysed, volume


def block(value: int, shape: tuple[int, int, int] = (16, 16, 16)) -> Volume:
    """A volume of one value on the network's own grid."""
    return volume(np.full(shape, value, np.int16), (8.0, 8.0, 8.0))


def percent(findings: Findings) -> float:
    return findings.exam_measurements[0].value


def logistic(mean: float) -> float:
    """What the tiny networks make of a mean in 0..1, per cent; two logits, one minus the other."""
    return float(100 / (1 + np.exp(-40 * (mean - 0.5))))


@pytest.mark.parametrize("value", [-150, 120, 150, 165, 450])
def test_a_volume_gets_the_networks_probability(tmp_path: Path, value: int) -> None:
    findings = analysed(manifest("classification", tmp_path), block(value))
    expected = logistic((value + 150) / 600)
    assert percent(findings) == pytest.approx(expected, abs=0.01)
    there = expected >= 50
    assert findings.status is (Status.FINDINGS if there else Status.NO_FINDINGS)
    assert findings.exam_evaluations[0].value == (words.PRESENT if there else words.ABSENT)
    assert findings.exam_measurements[0].name == words.CERTAINTY


def test_a_volume_of_another_size_is_cut_and_padded_to_the_patch(tmp_path: Path) -> None:
    large = analysed(manifest("classification", tmp_path), block(450, (30, 20, 20)))
    assert percent(large) == pytest.approx(logistic(1.0), abs=0.01)
    small = analysed(manifest("classification", tmp_path / "small"), block(450, (8, 16, 16)))
    assert percent(small) == pytest.approx(logistic(0.5), abs=0.5)


def test_a_volume_that_the_steps_do_not_bring_to_the_patch_is_an_error(tmp_path: Path) -> None:
    def without(text: str) -> str:
        return text.replace("  - {step: pad, size: [16, 16, 16], value: -1024}\n", "")

    with pytest.raises(ModelError, match=r"takes \(16, 16, 16\), the steps before it make"):
        analysed(manifest("classification", tmp_path, without), block(450, (8, 16, 16)))


def test_logits_that_nothing_makes_probabilities_are_an_error_not_a_percentage(
    tmp_path: Path,
) -> None:
    def raw(text: str) -> str:
        return text.replace("postprocess:\n  - {step: softmax}\n", "")

    with pytest.raises(ModelError, match="no probability; add the step softmax or sigmoid"):
        analysed(manifest("classification", tmp_path, raw), block(450))


def test_the_slice_with_the_highest_score_is_shown(tmp_path: Path) -> None:
    voxels = np.full((20, 32, 32), -150, np.int16)
    voxels[12:15] = 450
    findings = analysed(
        manifest(
            "slices", tmp_path, lambda text: text.replace("how: top, top: 3", "how: max, top: 1")
        ),
        volume(voxels),
    )
    assert percent(findings) == pytest.approx(logistic(1.0), abs=0.01)
    (picture,) = findings.key_images
    assert picture.caption == "Image 14 of 20, highest score"


def test_neighbouring_slices_are_seen_with_each_slice(tmp_path: Path) -> None:
    voxels = np.full((9, 32, 32), -150, np.int16)
    voxels[4] = 450
    findings = analysed(
        manifest("slices", tmp_path, lambda text: text.replace("how: top", "how: max")),
        volume(voxels),
    )
    # One of three channels is bright in slices 3, 4 and 5.
    assert percent(findings) == pytest.approx(logistic(1 / 3), abs=0.01)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Aggregate(how="max"), 0.9),
        (Aggregate(how="mean"), 0.5),
        (Aggregate(how="top", top=2), 0.8),
        (Aggregate(how="top", top=99), 0.5),
    ],
)
def test_many_scores_become_one(rule: Aggregate, expected: float) -> None:
    scores = np.array([[0.1], [0.9], [0.3], [0.7]], np.float32)
    assert combined(scores, rule)[0] == pytest.approx(expected)


def view(value: float) -> Volume:
    return volume(np.full((1, 48, 40), value, np.float32), (1.0, 1.0, 1.0), unit="")


def test_a_network_of_two_views_gets_each_by_its_role(tmp_path: Path) -> None:
    stated = manifest("views", tmp_path)
    findings = analysed(stated, view(4095.0), companions={"right": view(0.0)})
    assert percent(findings) == pytest.approx(logistic(0.5), abs=0.01)
    assert [image.caption.split(":")[0] for image in findings.key_images] == ["left", "right"]


def test_a_missing_view_is_not_eligible_by_its_name(tmp_path: Path) -> None:
    findings = analysed(manifest("views", tmp_path), view(4095.0))
    assert findings.status is Status.NOT_ELIGIBLE
    assert findings.reason == "there are no images for the view 'right'"


def test_a_network_of_one_view_looks_at_each_and_the_highest_counts(tmp_path: Path) -> None:
    def single(text: str) -> str:
        for old, new in (
            ("views.onnx", "score_flat.onnx"),
            (
                "{name: left, channels: [DX]}, {name: right, channels: [DX]}",
                "{name: image, channels: 3}",
            ),
            ("postprocess:", "  - {step: repeat_channels, times: 3}\npostprocess:"),
        ):
            assert old in text
            text = text.replace(old, new)
        return text

    stated = manifest("views", tmp_path, single)
    findings = analysed(stated, view(0.0), companions={"right": view(4095.0)})
    assert percent(findings) == pytest.approx(logistic(1.0), abs=0.01)
    said = [evaluation.value for evaluation in findings.exam_evaluations]
    assert said[1:] == ["left: Bright views 0 %", "right: Bright views 100 %"]


def test_a_question_is_answered_by_its_largest_channel(tmp_path: Path) -> None:
    question = (
        "  questions:\n"
        "    - code: [129715009, SCT, Breast composition]\n"
        "      answers:\n"
        "        - {channel: 0, code: [129716005, SCT, Almost entirely fat]}\n"
        "        - {channel: 1, code: [129719003, SCT, Extremely dense]}\n"
    )

    def asked(text: str) -> str:
        return text[: text.index("  classes:")] + question

    stated = manifest("classification", tmp_path, asked)
    for value, answer in ((-150, "Almost entirely fat"), (450, "Extremely dense")):
        findings = analysed(stated, block(value))
        assert findings.status is Status.FINDINGS
        (evaluation,) = findings.exam_evaluations
        assert getattr(evaluation.value, "meaning", "") == answer
