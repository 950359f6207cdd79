"""Segmentation without code: sizes in millilitres and millimetres, and honest answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.builtin import segmentation, words
from inference.builtin.shape import axes_mm
from models.manifest import ModelManifest
from node.domain.acute import observe
from node.domain.errors import ModelError
from node.domain.finding import CodedConcept, Findings, Measurement, Status
from tests.inference.builtin.examples import manifest
from tests.inference.builtin.made import AIR, BRIGHT, TISSUE, analysed, ball, trunk, volume

MEASURES = "[volume, attenuation, area, long_axis, short_axis, diameter]"


def package(tmp_path: Path, *changes: tuple[str, str]) -> ModelManifest:
    def change(text: str) -> str:
        for old, new in (("[volume, attenuation, area]", MEASURES), *changes):
            assert old in text, old
            text = text.replace(old, new)
        return text

    return manifest("segmentation", tmp_path, change)


def as_lesion(tmp_path: Path, *changes: tuple[str, str]) -> ModelManifest:
    return package(
        tmp_path,
        ("kind: structure", "kind: lesion\n      site: [39607008, SCT, Lung]"),
        *changes,
    )


def number(findings: Findings, index: int, name: object) -> Measurement:
    (found,) = (m for m in findings.findings[index].measurements if m.name == name)
    return found


def test_a_ball_is_measured_in_true_units(tmp_path: Path) -> None:
    voxels = trunk()
    truth = ball(voxels, (20, 24, 22), 9)
    images = volume(voxels, (4.0, 4.0, 4.0))
    findings = analysed(package(tmp_path), images)
    assert findings.status is Status.FINDINGS
    volume_ml = number(findings, 0, words.VOLUME).value
    # The network averages 27 voxels before it decides, which rounds edges off.
    assert volume_ml == pytest.approx(truth.sum() * 0.064, rel=0.06)
    segment = findings.segments[0]
    assert volume_ml == pytest.approx(float(np.asarray(segment.mask).sum()) * 0.064)
    assert number(findings, 0, words.LONG_AXIS).value == pytest.approx(72, abs=5)
    assert number(findings, 0, words.SHORT_AXIS).value == pytest.approx(72, abs=5)
    assert number(findings, 0, words.ATTENUATION).value == pytest.approx(255, abs=10)
    area = number(findings, 0, words.AREA).value
    assert area == pytest.approx(np.pi * 3.6**2, rel=0.06)
    assert number(findings, 0, words.DIAMETER).derivation == words.MEAN


def test_the_contour_lies_on_the_slice_and_around_the_pixels_that_it_says(tmp_path: Path) -> None:
    voxels = trunk()
    ball(voxels, (20, 30, 15), 6)
    images = volume(voxels)
    findings = analysed(package(tmp_path), images)
    (contour,) = findings.findings[0].contours
    index = images.planes.index(contour.plane)
    assert index in (19, 20, 21)
    mask = np.asarray(findings.segments[0].mask)[index]
    rows, columns = np.nonzero(mask)
    assert contour.points[:, 0].min() == columns.min()
    assert contour.points[:, 0].max() == columns.max() + 1
    assert contour.points[:, 1].min() == rows.min()
    assert contour.points[:, 1].max() == rows.max() + 1
    assert findings.segmented_planes == images.planes


def test_the_labels_come_back_to_any_grid(tmp_path: Path) -> None:
    spacing = (5.0, 1.7, 1.7)
    voxels = trunk((30, 90, 96))
    index = np.stack(np.meshgrid(*map(np.arange, voxels.shape), indexing="ij"), axis=-1)
    inside = np.linalg.norm((index - np.array((14.0, 44.0, 50.0))) * spacing, axis=-1) <= 36
    voxels[inside] = BRIGHT
    findings = analysed(package(tmp_path), volume(voxels, spacing))
    found = np.asarray(findings.segments[0].mask)
    assert found.shape == voxels.shape
    dice = 2 * (found & inside).sum() / (found.sum() + inside.sum())
    assert dice > 0.93


def test_each_lesion_is_a_finding_the_largest_first(tmp_path: Path) -> None:
    voxels = trunk()
    ball(voxels, (10, 15, 15), 5)
    ball(voxels, (28, 32, 32), 8)
    findings = analysed(as_lesion(tmp_path), volume(voxels))
    assert [item.tracking_identifier for item in findings.findings] == [
        "Dense tissue 1",
        "Dense tissue 2",
    ]
    sizes = [number(findings, index, words.VOLUME).value for index in (0, 1)]
    assert sizes[0] > sizes[1] > 5
    assert [segment.number for segment in findings.segments] == [1, 2]
    assert findings.exam_evaluations[0].value == words.PRESENT
    assert findings.exam_measurements[0].value == 2
    assert len({item.tracking_uid for item in findings.findings}) == 2


def test_no_lesion_is_a_result_and_says_absent(tmp_path: Path) -> None:
    findings = analysed(as_lesion(tmp_path), volume(trunk()))
    assert findings.status is Status.NO_FINDINGS
    assert findings.exam_evaluations[0].value == words.ABSENT
    assert findings.segments == ()
    assert len(findings.key_images) == 1


@pytest.mark.parametrize("order", ["invert first", "argmax first"])
def test_a_lesion_says_how_sure_it_is_and_may_call_somebody(tmp_path: Path, order: str) -> None:
    voxels = trunk()
    ball(voxels, (10, 15, 15), 5, 250)
    ball(voxels, (28, 32, 32), 8, 450)
    changes = [
        ("diameter]", "diameter, certainty]"),
        (
            "results:\n",
            "thresholds: {sure: 98}\nacute_findings:\n  dense: {title: Dense tissue, "
            'code: ["272673000", SCT], severity: urgent, threshold: sure}\nresults:\n',
        ),
    ]
    if order == "argmax first":
        changes.append(
            (
                "  - {step: invert, interpolation: linear}\n  - {step: argmax}\n",
                "  - {step: argmax}\n  - {step: invert, interpolation: nearest}\n",
            )
        )
    stated = as_lesion(tmp_path, *changes)
    findings = analysed(stated, volume(voxels))
    sure, less = (number(findings, index, words.CERTAINTY).value for index in (0, 1))
    assert 50 < less < 98 < sure <= 100
    (observation,) = observe(findings, stated.acute, stated.thresholds)
    assert observation.counts
    assert observation.score == pytest.approx(sure)


def test_small_and_many_lesions_are_told_in_the_limits(tmp_path: Path) -> None:
    voxels = trunk()
    ball(voxels, (10, 15, 15), 5)
    ball(voxels, (28, 32, 32), 8)
    least = as_lesion(
        tmp_path, ("colour: [240", "least_ml: 60\n      at_most: 1\n      colour: [240")
    )
    findings = analysed(least, volume(voxels))
    assert len(findings.findings) == 1
    assert "Parts below 60 ml are not reported: Dense tissue." in findings.limits
    assert "Only the 1 largest are listed: Dense tissue." in findings.limits


def test_a_structure_that_is_expected_and_absent_refuses(tmp_path: Path) -> None:
    findings = analysed(package(tmp_path), volume(trunk()))
    assert findings.status is Status.NOT_ELIGIBLE
    assert findings.reason == (
        "nothing of what the model measures is in these images (Dense tissue)"
    )


def test_pixels_that_hold_nothing_refuse_with_the_reason_of_the_step(tmp_path: Path) -> None:
    cropped = package(
        tmp_path,
        (
            "  - {step: scale_range",
            "  - {step: crop_foreground, above: -500}\n  - {step: scale_range",
        ),
    )
    findings = analysed(cropped, volume(np.full((20, 20, 20), AIR, np.int16)))
    assert findings.status is Status.NOT_ELIGIBLE
    assert findings.reason == "the images hold no value above -500"


def test_a_structure_that_is_cut_by_the_stack_is_told(tmp_path: Path) -> None:
    voxels = trunk()
    ball(voxels, (1, 24, 24), 10)
    findings = analysed(package(tmp_path), volume(voxels))
    assert any("Reaches the first or last image" in limit for limit in findings.limits)


def test_no_attenuation_where_the_values_are_not_hounsfield_units(tmp_path: Path) -> None:
    voxels = trunk()
    ball(voxels, (20, 24, 22), 9)
    findings = analysed(package(tmp_path), volume(voxels, unit="BQML"))
    assert words.ATTENUATION not in [m.name for m in findings.findings[0].measurements]
    assert words.VOLUME in [m.name for m in findings.findings[0].measurements]


def test_labels_that_do_not_come_back_are_an_error_never_a_result(tmp_path: Path) -> None:
    stated = package(tmp_path)
    lost = replace(stated, postprocess=stated.postprocess[2:3])
    with pytest.raises(ModelError, match="did not come back to the images"):
        analysed(lost, volume(trunk()))


def test_steps_that_do_not_fit_the_network_are_named(tmp_path: Path) -> None:
    doubled = package(
        tmp_path,
        ("  - {step: scale_range", "  - {step: repeat_channels, times: 2}\n  - {step: scale_range"),
    )
    with pytest.raises(ModelError, match="takes 1 channels, the steps before it make 2"):
        analysed(doubled, volume(trunk()))


def test_networks_of_an_ensemble_are_averaged(tmp_path: Path) -> None:
    voxels = trunk()
    ball(voxels, (20, 24, 22), 9)

    def twice(text: str) -> str:
        first, rest = text.split("  - name: bright\n")
        network, rest = rest.split("preprocess:", maxsplit=1)
        return f"{first}  - name: bright\n{network}  - name: again\n{network}preprocess:{rest}"

    alone = analysed(manifest("segmentation", tmp_path / "one"), volume(voxels))
    both = analysed(manifest("segmentation", tmp_path / "two", twice), volume(voxels))
    assert both.findings[0].measurements == alone.findings[0].measurements


def test_a_planar_network_looks_at_every_slice(tmp_path: Path) -> None:
    def flat(text: str) -> str:
        for old, new in (
            ("bright.onnx", "bright_flat.onnx"),
            ("patch: [16, 16, 16]", "patch: [32, 32]"),
            ("    spacing_mm: [4.0, 4.0, 4.0]\n    value", "    spacing_mm: [4.0, 4.0]\n    value"),
            ("axes: RAS", "axes: SPL"),
            ("spacing_mm: [4.0, 4.0, 4.0], inter", "spacing_mm: [null, 4.0, 4.0], inter"),
        ):
            assert old in text, old
            text = text.replace(old, new)
        return text

    voxels = trunk((24, 48, 48))
    truth = ball(voxels, (12, 24, 22), 9)
    findings = analysed(manifest("segmentation", tmp_path, flat), volume(voxels, (6.0, 4.0, 4.0)))
    found = np.asarray(findings.segments[0].mask)
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9


def test_pictures_show_what_was_found_and_where_the_patients_sides_are(tmp_path: Path) -> None:
    voxels = trunk()
    ball(voxels, (20, 24, 12), 8)
    findings = analysed(package(tmp_path), volume(voxels))
    axial, coronal = findings.key_images
    assert axial.edges == ("R", "L", "A", "P")
    assert axial.overlays[0].mask.any()
    assert axial.window == (40, 400)
    assert coronal.edges == ("R", "L", "H", "F")
    assert coronal.plane is None
    rows, columns = np.nonzero(coronal.overlays[0].mask)
    # To the patient's right is to the left of the picture; slice 20 of 40 is in the middle.
    assert columns.mean() == pytest.approx(12, abs=1)
    assert rows.mean() == pytest.approx(19, abs=1)
    assert axial.pixels[24, 24] == TISSUE


def test_more_lesions_than_an_object_holds_hide_no_kind_of_lesion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = as_lesion(tmp_path)
    assert made.results is not None
    codes = [CodedConcept(str(number), "99TEST", f"Kind {number}") for number in (1, 2, 3, 4)]
    kinds = tuple(
        replace(made.results.labels[0], value=value, code=code, name=code.meaning, at_most=200)
        for value, code in enumerate(codes, start=1)
    )
    made = replace(made, results=replace(made.results, labels=kinds))
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[0:40:3, 0:40:3, 0:18:3] = 1
    labels[0:40:3, 0:40:3, 18:36:3] = 2
    labels[39, 39, 39] = 3
    monkeypatch.setattr(segmentation, "label", lambda *_: (labels, None))

    findings = analysed(made, volume(trunk((40, 40, 40))))

    answers = [item.value for item in findings.exam_evaluations]
    assert answers == [words.PRESENT, words.PRESENT, words.PRESENT, words.ABSENT]
    assert len(findings.findings) == segmentation.MOST_SEGMENTS
    assert {item.finding for item in findings.findings} == set(codes[:3])
    assert findings.exam_measurements[0].value == 401
    assert "146 more parts are not listed." in findings.limits


@settings(max_examples=30, deadline=None)
@given(
    radii=st.tuples(st.floats(6, 20), st.floats(6, 20)),
    degrees=st.integers(0, 179),
    pixel=st.floats(0.4, 1.2),
)
def test_axes_of_an_ellipse(radii: tuple[float, float], degrees: int, pixel: float) -> None:
    row, column = np.mgrid[:61, :61] - 30.0
    angle = np.deg2rad(degrees)
    along = np.cos(angle) * column + np.sin(angle) * row
    across = -np.sin(angle) * column + np.cos(angle) * row
    mask = (along / radii[0]) ** 2 + (across / radii[1]) ** 2 <= 1
    long_axis, short_axis = axes_mm(mask, (pixel, pixel))
    assert long_axis == pytest.approx(2 * max(radii) * pixel, abs=1.5 * pixel)
    assert short_axis == pytest.approx(2 * min(radii) * pixel, abs=2.0 * pixel)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda mask: mask[5:6, 2:9], (7.0711, 1.0)),
        (lambda mask: mask[5:6, 5:6], (1.0, 1.0)),
        (lambda mask: mask[0:0, 0:0], (0.0, 0.0)),
    ],
)
def test_axes_of_a_row_a_pixel_and_nothing(
    made: Callable[[np.ndarray], np.ndarray], expected: tuple[float, float]
) -> None:
    mask = np.zeros((12, 12), np.bool_)
    made(mask)[...] = True
    assert axes_mm(mask, (1.0, 1.0)) == pytest.approx(expected, abs=0.1)
