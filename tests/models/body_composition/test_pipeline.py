"""The whole package on a drawn trunk whose areas are known, with doubles of the networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.body_composition.pipeline import analyse
from node.domain.errors import ModelError
from node.domain.finding import Findings, Status
from node.domain.study import Patient
from tests.models.body_composition.toy import LevelsDouble, RegionsDouble, Toy, request


def value(findings: Findings, label: str) -> float:
    told = [m for f in findings.findings for m in f.measurements]
    told += findings.exam_measurements
    return next(m.value for m in told if m.label == label)


def areas(findings: Findings) -> dict[str, float]:
    return {f.tracking_identifier: f.measurements[0].value for f in findings.findings}


@pytest.fixture(scope="module")
def plain() -> Findings:
    return analyse(request(Toy()))


def test_areas_on_l3_agree_with_the_drawing_within_three_per_cent(plain: Findings) -> None:
    assert plain.status is Status.FINDINGS
    found = areas(plain)
    muscle = Toy().area_cm2(lambda c, h: (c == 2) & (h > 0))
    assert found["L3 skeletal muscle"] == pytest.approx(muscle, rel=0.02)
    visceral = Toy().area_cm2(lambda c, h: (c == 4) & (h < 0))
    assert found["L3 visceral fat"] == pytest.approx(visceral, rel=0.02)
    # The outermost pixel, which skin and air share, does not count as fat.
    a, b = Toy.skin
    outline_mm = np.pi * (3 * (a + b) - np.sqrt((3 * a + b) * (a + 3 * b)))
    shared_cm2 = outline_mm * Toy.pixel_mm / 100.0
    subcutaneous = Toy().area_cm2(lambda c, h: c == 1) - shared_cm2
    assert found["L3 subcutaneous fat"] == pytest.approx(subcutaneous, rel=0.03)
    # A thin stripe: its two ends on the fascia are given to the neighbouring fat.
    stripe = Toy().area_cm2(lambda c, h: (c == 2) & (h < 0))
    assert found["L3 intermuscular fat"] == pytest.approx(stripe, abs=1.6)


def test_muscle_attenuation_is_the_mean_over_muscle_voxels_only(plain: Findings) -> None:
    assert value(plain, "Skeletal muscle mean attenuation") == pytest.approx(50.0, abs=0.01)


def test_the_measured_slice_is_the_one_through_the_middle_of_l3(plain: Findings) -> None:
    (plane,) = plain.segmented_planes
    assert plane.position_mm[2] == pytest.approx(0.0, abs=2.5)
    assert all(contour.plane == plane for f in plain.findings for contour in f.contours)
    assert plain.key_images[0].plane == plane


def test_every_tissue_has_a_segment_with_the_same_tracking_uid_and_a_bounded_contour(
    plain: Findings,
) -> None:
    for finding in plain.findings:
        segment = plain.segments[finding.segment_number - 1]
        assert segment.tracking_uid == finding.tracking_uid
        area = segment.mask.sum() * 2.0**2 / 100
        assert area == pytest.approx(finding.measurements[0].value)
        points = finding.contours[0].points
        assert 4 <= len(points) <= 500
        assert points.min() >= 0
        assert (points.max(axis=0) <= segment.mask.shape[:0:-1]).all()


def test_volumes_cover_the_whole_block_and_say_so(plain: Findings) -> None:
    # Six bodies and five discs of a trunk that is the same on every slice.
    length_cm = (5 * 34.0 + 27.0) / 10
    muscle = Toy().area_cm2(lambda c, h: (c == 2) & (h > 0)) * length_cm
    assert value(plain, "Skeletal muscle volume T12-L5") == pytest.approx(muscle, rel=0.06)


def test_thin_slices_give_the_same_areas_and_volumes_as_thick_ones(plain: Findings) -> None:
    thin = analyse(request(Toy(slice_mm=0.6)))
    assert areas(thin) == pytest.approx(areas(plain), rel=1e-6)
    name = "Skeletal muscle volume T12-L5"
    assert value(thin, name) == pytest.approx(value(plain, name), rel=0.06)


@pytest.mark.parametrize(
    ("order", "flips"),
    [
        ((0, 1, 2), (True, False, False)),  # planes stored from head to feet
        ((0, 1, 2), (False, True, True)),  # prone: rows and columns reversed in the patient
        ((0, 2, 1), (False, False, False)),  # lateral decubitus: rows lie along x
        ((0, 2, 1), (True, False, True)),
    ],
)
def test_position_of_the_patient_changes_no_number_and_masks_stay_on_their_pixels(
    plain: Findings, order: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    toy = Toy()
    volume = toy.volume(order, flips)
    turned = analyse(request(toy, volume))
    assert areas(turned) == pytest.approx(areas(plain), rel=1e-6)
    (plane,) = turned.segmented_planes
    assert plane.position_mm[2] == pytest.approx(0.0, abs=2.5)
    source = volume.voxels[volume.planes.index(plane)]
    muscle = turned.segments[0].mask[0]
    assert muscle.shape == source.shape
    assert set(np.unique(source[muscle])) == {50.0}
    # The picture for people is always upright.
    assert np.array_equal(turned.key_images[0].pixels, plain.key_images[0].pixels)


def test_series_that_ends_above_l3_is_refused_naming_the_lowest_vertebra_seen() -> None:
    findings = analyse(request(Toy(bottom=55.0, top=200.0)))
    assert findings.status is Status.NOT_ELIGIBLE
    assert "L3 is not within this series: the lowest vertebra seen is L1" in findings.reason


def test_series_that_begins_below_l3_is_refused_naming_the_highest_vertebra_seen() -> None:
    findings = analyse(request(Toy(bottom=-160.0, top=-18.0)))
    assert findings.status is Status.NOT_ELIGIBLE
    assert "the highest vertebra seen is L4" in findings.reason


def test_l3_cut_by_the_last_slice_is_refused() -> None:
    findings = analyse(request(Toy(top=4.0)))
    assert findings.status is Status.NOT_ELIGIBLE
    assert "L3 lies only partly within this series" in findings.reason


def test_l3_without_sacrum_and_without_ribs_is_never_guessed() -> None:
    findings = analyse(request(Toy(bottom=-55.0, top=60.0)))
    assert findings.status is Status.NOT_ELIGIBLE
    assert "cannot be named with certainty" in findings.reason
    assert "never guessed" in findings.reason


def test_truncated_series_with_the_sacrum_in_view_is_measured_and_says_which_block() -> None:
    findings = analyse(request(Toy(top=25.0)))
    assert findings.status is Status.FINDINGS
    assert any("Volumes cover L3-L5 only" in limit for limit in findings.limits)


def test_exchanged_head_and_feet_are_noticed() -> None:
    findings = analyse(request(Toy(upside_down=True)))
    assert findings.status is Status.NOT_ELIGIBLE
    assert "upside down" in findings.reason


def test_vertebrae_of_a_childs_size_are_refused() -> None:
    toy = Toy(pitch=22.0, bottom=-110.0, top=110.0)
    findings = analyse(request(toy))
    assert findings.status is Status.NOT_ELIGIBLE
    assert "slice distance in the headers is wrong" in findings.reason


def test_a_child_or_a_limb_in_the_field_is_not_measured() -> None:
    small = Toy(skin=(60.0, 75.0), fascia=(52.0, 66.0), cavity=(42.0, 56.0))
    findings = analyse(request(small))
    assert findings.status is Status.NOT_ELIGIBLE
    assert "not an adult's trunk" in findings.reason


def test_patient_wider_than_the_field_of_view_is_refused_with_the_share() -> None:
    findings = analyse(request(Toy(field_mm=(270.0, 300.0))))
    assert findings.status is Status.NOT_ELIGIBLE
    assert "field of view cuts" in findings.reason


def test_values_that_are_not_hounsfield_units_are_refused() -> None:
    stored = Toy(background=24.0)
    findings = analyse(request(stored))
    assert findings.status is Status.NOT_ELIGIBLE
    assert "not Hounsfield units" in findings.reason
    offset = Toy(scale=0.5)
    assert "not Hounsfield units" in analyse(request(offset)).reason


def test_metal_on_the_slice_withholds_the_attenuation_and_says_so() -> None:
    findings = analyse(request(Toy(metal=True)))
    assert findings.status is Status.PARTIAL
    assert "Metal" in findings.reason
    assert [m.label for m in findings.findings[0].measurements] == ["Skeletal muscle area"]


def test_contrast_named_in_the_header_is_told_beside_the_attenuation() -> None:
    told = analyse(request(Toy(), contrast="OMNIPAQUE"))
    silent = analyse(request(Toy()))
    assert any("Contrast medium" in limit for limit in told.limits)
    assert not any("Contrast medium" in limit for limit in silent.limits)


def test_muscle_index_only_with_height_and_cut_offs_only_with_sex() -> None:
    without = analyse(request(Toy()))
    assert not any(m.label == "Skeletal muscle index" for m in without.exam_measurements)
    assert any("states no patient height" in limit for limit in without.limits)
    patient = Patient(sex="F", size_m=1.6)
    with_height = analyse(request(Toy(), patient=patient))
    area = with_height.findings[0].measurements[0].value
    assert value(with_height, "Skeletal muscle index") == pytest.approx(area / 1.6**2)
    texts = [e.value for e in with_height.exam_evaluations if isinstance(e.value, str)]
    assert any("Prado 2008" in text for text in texts)


def test_a_second_look_keeps_the_tracking_uids() -> None:
    first, second = analyse(request(Toy())), analyse(request(Toy()))
    assert [f.tracking_uid for f in first.findings] == [f.tracking_uid for f in second.findings]
    assert len({f.tracking_uid for f in first.findings}) == 4


def test_a_missing_network_is_a_model_error_not_a_refusal() -> None:
    whole = request(Toy())
    alone = {"regions": whole.networks["regions"]}
    with pytest.raises(ModelError, match="levels"):
        analyse(replace(whole, networks=alone))


def test_doubles_are_asked_once_for_the_slice_and_in_batches_for_the_block() -> None:
    whole = request(Toy())
    regions, levels = whole.networks["regions"], whole.networks["levels"]
    assert isinstance(regions, RegionsDouble)
    assert isinstance(levels, LevelsDouble)
    analyse(whole)
    assert regions.calls[0] == 1
    assert max(regions.calls) == 4
