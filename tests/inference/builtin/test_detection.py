"""Detection without code: boxes lie where the thing is, in whatever way the patient was scanned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.builtin import words
from node.domain.acute import observe
from node.domain.finding import Status
from node.domain.imaging import Volume
from tests.inference.builtin.examples import manifest
from tests.inference.builtin.made import AIR, analysed, volume

CUBE = (slice(8, 12), slice(16, 20), slice(24, 28))


def scan(*cubes: tuple[slice, slice, slice], value: int = 450) -> Volume:
    """Cubes of four voxels that lie on the network's raster, in air."""
    voxels = np.full((32, 48, 40), AIR, np.int16)
    for cube in cubes:
        voxels[cube] = value
    return volume(voxels)


def test_a_box_lies_around_the_voxels_that_it_is_about(tmp_path: Path) -> None:
    images = scan(CUBE)
    findings = analysed(manifest("detection", tmp_path), images)
    assert findings.status is Status.FINDINGS
    (finding,) = findings.findings
    (contour,) = finding.contours
    assert images.planes.index(contour.plane) in (9, 10)
    assert contour.points.tolist() == [[24, 16], [28, 16], [28, 20], [24, 20]]
    certainty, side = finding.measurements
    assert certainty.name == words.CERTAINTY
    assert certainty.value == pytest.approx(100, abs=0.1)
    assert side.value == pytest.approx(16.0)
    assert findings.exam_evaluations[0].value == words.PRESENT


def test_a_box_is_found_where_it_is_in_a_patient_scanned_feet_first(tmp_path: Path) -> None:
    images = scan(CUBE)
    turned = images.affine.copy()
    turned[:3, 3] += turned[:3, 0] * 31
    turned[:3, 0] *= -1
    turned[:3, 3] += turned[:3, 2] * 39
    turned[:3, 2] *= -1
    flipped = replace(
        images, voxels=np.ascontiguousarray(images.voxels[::-1, :, ::-1]), affine=turned
    )
    (finding,) = analysed(manifest("detection", tmp_path), flipped).findings
    (contour,) = finding.contours
    assert flipped.planes.index(contour.plane) in (21, 22)
    # Columns run to the patient's right now.
    assert contour.points[:, 0].min() == 12
    assert contour.points[:, 0].max() == 16
    assert contour.points[:, 1].min() == 16


def test_zero_at_the_centre_moves_the_box_by_half_a_voxel(tmp_path: Path) -> None:
    stated = manifest(
        "detection", tmp_path, lambda text: text.replace("zero: edge", "zero: centre")
    )
    (finding,) = analysed(stated, scan(CUBE)).findings
    # The network's axes point to the right and to the front; columns run to the left.
    assert finding.contours[0].points[:, 0].min() == 23.5


def test_the_best_are_listed_first_and_the_rest_is_told(tmp_path: Path) -> None:
    cubes = [
        tuple(slice(at, at + 4) for at in (4 * z, 4 * y, 4 * x))
        for z, y, x in ((1, 1, 1), (3, 5, 2), (5, 3, 7), (1, 8, 4))
    ]
    images = scan(*cubes)  # type: ignore[arg-type]
    images.voxels[cubes[2]] = 300
    stated = manifest("detection", tmp_path, lambda text: text.replace("at_most: 5", "at_most: 3"))
    findings = analysed(stated, images)
    scores = [finding.measurements[0].value for finding in findings.findings]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert "1 more are not listed." in findings.limits


def test_a_site_that_raises_the_threshold_reports_less_and_nothing_is_a_result(
    tmp_path: Path,
) -> None:
    stated = manifest("detection", tmp_path)
    images = scan(CUBE, value=260)
    assert analysed(stated, images).status is Status.FINDINGS
    findings = analysed(stated, images, thresholds={"certain": 99.9})
    assert findings.status is Status.NO_FINDINGS
    assert findings.exam_evaluations[0].value == words.ABSENT
    assert "Bright spot below 99.9 % certainty is not reported." in findings.limits


def test_a_certain_box_is_the_acute_finding_of_the_package(tmp_path: Path) -> None:
    stated = manifest("detection", tmp_path)
    findings = analysed(stated, scan(CUBE))
    (observation,) = observe(findings, stated.acute, stated.thresholds)
    assert observation.counts
    (nothing,) = observe(analysed(stated, scan()), stated.acute, stated.thresholds)
    assert nothing.why_not == "not found"


def test_an_image_smaller_than_the_patch_and_of_odd_size(tmp_path: Path) -> None:
    voxels = np.full((10, 13, 18), AIR, np.int16)
    voxels[4:8, 5:9, 10:14] = 450
    stated = manifest(
        "detection", tmp_path, lambda text: text.replace("certain: 90", "certain: 51")
    )
    findings = analysed(stated, volume(voxels))
    assert findings.findings
    for finding in findings.findings:
        points = finding.contours[0].points
        assert points.min() >= 0
        assert points[:, 0].max() <= 18
        assert points[:, 1].max() <= 13
