"""The whole package on a drawn chest with a known clot, with doubles of the networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.pulmonary_embolism import vocabulary as say
from models.pulmonary_embolism.pipeline import analyse
from node.domain.acute import AcuteFinding, Severity, observe
from node.domain.errors import ModelError
from node.domain.finding import Findings, Status
from tests.models.pulmonary_embolism.toy import CLOT_MM, Toy, Trunk, request

ACUTE = AcuteFinding(
    name="embolism",
    title="Pulmonary embolism",
    code=("59282003", "SCT"),
    severity=Severity.CRITICAL,
    score=("111012", "DCM"),
    unit="%",
    threshold="present",
    operating_threshold=80.0,
)


@pytest.fixture(scope="module")
def found() -> Findings:
    return analyse(request(Toy()))


@pytest.fixture(scope="module")
def none() -> Findings:
    return analyse(request(Toy(clot=False), Trunk(320.0)))


def evaluation(findings: Findings, name: say.CodedConcept) -> object:
    return next(e.value for e in findings.exam_evaluations if e.name == name)


def test_a_clot_is_reported_with_side_place_and_a_contour_round_it(found: Findings) -> None:
    assert found.status is Status.FINDINGS
    assert evaluation(found, say.EMBOLISM) == say.PRESENT
    (finding,) = found.findings
    assert finding.finding == say.EMBOLUS
    assert finding.laterality == say.LEFT or finding.site == say.LEFT_PULMONARY_ARTERY
    assert 1 <= len(finding.contours) <= 3
    toy = Toy()
    _, y, x = toy.axes()
    centre = np.mean(finding.contours[0].points, axis=0)
    assert (centre[0] - 0.5) * toy.pixel_mm + x[0] == pytest.approx(CLOT_MM[2], abs=3.0)
    assert (centre[1] - 0.5) * toy.pixel_mm + y[0] == pytest.approx(CLOT_MM[1], abs=2.0)
    assert finding.contours[0].plane.position_mm[2] == pytest.approx(500 + CLOT_MM[0], abs=4.0)


def test_segment_shares_the_tracking_uid_and_covers_the_volume_that_is_told(
    found: Findings,
) -> None:
    (finding,), (segment,) = found.findings, found.segments
    assert segment.tracking_uid == finding.tracking_uid
    volume = next(m.value for m in finding.measurements if m.name == say.VOLUME)
    counted = sum(int(np.asarray(segment.mask[k]).sum()) for k in range(segment.mask.shape[0]))
    assert counted * 2.0 * 1.6**2 == pytest.approx(volume, rel=0.35)
    # The double leaves out the half-filled voxels at the wall.
    drawn = np.pi * 3.4**2 * 18.0
    assert 0.25 * drawn < volume < 1.2 * drawn


def test_embolism_calls_somebody_and_its_absence_nobody(found: Findings, none: Findings) -> None:
    (observation,) = observe(found, [ACUTE], {"present": 80.0})
    assert observation.counts
    (observation,) = observe(none, [ACUTE], {"present": 80.0})
    assert not observation.counts


def test_nothing_found_is_told_as_absent_with_the_attenuation_and_pictures(none: Findings) -> None:
    assert none.status is Status.NO_FINDINGS
    assert evaluation(none, say.EMBOLISM) == say.ABSENT
    blood = next(m.value for m in none.exam_measurements if m.name == say.BLOOD)
    assert blood == pytest.approx(320, abs=40)
    assert none.key_images


def test_nothing_found_in_lungs_that_are_cut_is_no_negative_answer() -> None:
    findings = analyse(request(Toy(clot=False, whole=False), Trunk(320.0)))
    assert findings.status is Status.PARTIAL
    assert findings.reason == "the lungs go on beyond the lowest and the highest slice"
    assert evaluation(findings, say.EMBOLISM) == say.INDETERMINATE
    assert any("Not all arteries were in view" in text for text in findings.limits)
    (observation,) = observe(findings, [ACUTE], {"present": 80.0})
    assert not observation.counts


def test_nothing_found_without_the_trunk_is_no_negative_answer() -> None:
    findings = analyse(request(Toy(clot=False)))
    assert findings.status is Status.PARTIAL
    assert "the pulmonary trunk was not recognised" in findings.reason
    assert evaluation(findings, say.EMBOLISM) == say.INDETERMINATE


def test_a_clot_below_the_threshold_is_possible_and_calls_nobody() -> None:
    findings = analyse(request(Toy(), present=100.0))
    assert evaluation(findings, say.EMBOLISM) == say.INDETERMINATE
    assert findings.findings[0].tracking_identifier.startswith("Possible")
    # What is only possible adds nothing to the burden and has no level of "all emboli".
    assert not any(m.name == say.CLOT_BURDEN for m in findings.exam_measurements)
    assert not any(e.name == say.HIGHEST_LEVEL for e in findings.exam_evaluations)


def test_blood_without_contrast_is_refused_with_the_measured_attenuation() -> None:
    findings = analyse(request(Toy(blood_hu=45.0, clot=False)))
    assert findings.status is Status.NOT_ELIGIBLE
    assert "contrast medium" in findings.reason
    assert " 45 HU" in findings.reason or " 44 HU" in findings.reason


def test_a_body_without_lung_is_refused() -> None:
    findings = analyse(request(Toy(lungs=False, vessels=False, clot=False)))
    assert findings.status is Status.NOT_ELIGIBLE
    assert "too little lung" in findings.reason


def test_values_that_are_no_hounsfield_units_are_refused() -> None:
    findings = analyse(request(Toy(offset_hu=1024.0)))
    assert findings.status is Status.NOT_ELIGIBLE
    assert "Hounsfield" in findings.reason


def test_head_and_feet_exchanged_in_the_header_is_refused() -> None:
    findings = analyse(request(Toy(upside_down=True)))
    assert findings.status is Status.NOT_ELIGIBLE
    assert "head and feet" in findings.reason


@pytest.mark.parametrize("axes", [(0,), (2,), (0, 2), (1, 2)])
def test_order_of_slices_and_rows_in_the_file_does_not_change_the_result(
    axes: tuple[int, ...], found: Findings
) -> None:
    asked = request(Toy())
    volume = asked.volume
    turn = tuple(slice(None, None, -1 if axis in axes else 1) for axis in range(3))
    affine = volume.affine.copy()
    for axis in axes:
        affine[:3, 3] += affine[:3, axis] * (volume.voxels.shape[axis] - 1)
        affine[:3, axis] *= -1
    planes = volume.planes[::-1] if 0 in axes else volume.planes
    turned = replace(
        volume,
        voxels=np.ascontiguousarray(volume.voxels[turn]),
        affine=affine,
        planes=planes,
    )
    again = analyse(replace(asked, volume=turned))
    (first,), (second,) = found.findings, again.findings
    assert second.laterality == first.laterality
    assert second.site == first.site
    assert second.contours[0].plane == first.contours[0].plane
    for one, other in zip(first.measurements, second.measurements, strict=True):
        assert other.value == pytest.approx(one.value, rel=0.05)


def test_a_missing_network_is_named() -> None:
    asked = request(Toy())
    with pytest.raises(ModelError, match="clots"):
        analyse(replace(asked, networks={"central": asked.networks["central"]}))
