"""Every refusal names its reason in a radiologist's words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.domain.study import ClassUID, Patient, Series
from node.domain.verdict import Eligible, Ineligible
from node.pipeline.eligibility import facts, judge, judge_study
from tests.node import words

ADULT = Patient(age_years=50.0)


def reason(series: Series, patient: Patient = ADULT, **limits: object) -> str:
    verdict = judge(series, patient, words.manifest(**limits))
    assert isinstance(verdict, Ineligible)
    return verdict.reason


def test_sound_axial_ct_is_eligible() -> None:
    assert isinstance(judge(words.series(), ADULT, words.manifest()), Eligible)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"modality": "MR"}, "modality MR; the model reads CT"),
        ({"modality": ""}, "modality not stated; the model reads CT"),
        (
            {"sop_class_uid": ClassUID("1.2.840.10008.5.1.4.1.1.7")},
            "SOP class 1.2.840.10008.5.1.4.1.1.7 is not an image class the model reads",
        ),
        ({"has_pixels": False}, "no image pixels in the series"),
        ({"samples_per_pixel": 3}, "colour images; the model reads grey values in HU"),
        (
            {"unreadable": 2},
            "2 images of the series cannot be read, so slices are missing",
        ),
        (
            {"image_type": ("DERIVED", "SECONDARY", "MPR")},
            "image type MPR; the model reads original axial images",
        ),
        ({"geometry": None}, "the images carry no position in the patient"),
        (
            {"geometry": words.geometry(orientation="sagittal")},
            "sagittal images; the model reads axial images",
        ),
        (
            {"geometry_fault": "slices 4 and 5 lie at the same place"},
            "slices 4 and 5 lie at the same place",
        ),
        (
            {"geometry": words.geometry(spacing_mm=7.5, extent_mm=442.0)},
            "slices lie 7.5 mm apart; the model was validated to 6.0 mm",
        ),
        (
            {"geometry": words.geometry(largest_gap_mm=10.0, largest_gap_after=13)},
            "slice gap 10.0 mm after slice 14 (others 5.0 mm): a slice is missing",
        ),
        (
            {"geometry": words.geometry(extent_mm=50.0)},
            "the series covers 50 mm; the model needs at least 60 mm",
        ),
        (
            {"geometry": words.geometry(tilt_degrees=-12.0)},
            "gantry tilt -12.0 degrees; the model was validated to 5.0 degrees",
        ),
        (
            {"geometry": words.geometry(pixel_spacing_mm=None)},
            "no pixel spacing, so nothing can be measured",
        ),
        (
            {"geometry": words.geometry(pixel_spacing_mm=(2.0, 2.0))},
            "pixel spacing 2.00 mm; the model was validated from 0.40 to 1.60 mm",
        ),
    ],
)
def test_each_unfit_series_is_refused_with_its_reason(
    change: dict[str, object], expected: str
) -> None:
    assert reason(words.series(**change)) == expected


def test_single_slice_is_refused_by_its_number() -> None:
    one = words.series(slices=1)
    assert reason(one) == "only 1 image; the model needs at least 10"


def test_child_is_refused_by_age_and_an_unstated_age_is_not() -> None:
    series = words.series()
    expected = "patient is 8 years old; the model was made for 16 and older"
    assert reason(series, Patient(age_years=8.0)) == expected
    assert isinstance(judge(series, Patient(), words.manifest()), Eligible)


def test_rounding_of_the_scanner_is_not_a_wider_spacing() -> None:
    series = words.series(geometry=words.geometry(spacing_mm=6.04))
    assert isinstance(judge(series, ADULT, words.manifest()), Eligible)


def test_longer_stack_and_stated_body_part_rank_first() -> None:
    manifest = words.manifest()
    long = judge(words.series(), ADULT, manifest)
    short = judge(words.series(geometry=words.geometry(extent_mm=100.0)), ADULT, manifest)
    named = judge(
        words.series(geometry=words.geometry(extent_mm=100.0), body_part="ABDOMEN"),
        ADULT,
        manifest,
    )
    assert isinstance(long, Eligible)
    assert isinstance(short, Eligible)
    assert isinstance(named, Eligible)
    assert named.rank < long.rank < short.rank


def test_study_that_holds_two_patients_is_not_analysed_at_all() -> None:
    fault = "images of 2 patients in one study"
    study = replace(words.study(words.series("1"), words.series("2")), specific_faults=(fault,))
    verdicts = judge_study(study, words.manifest())
    assert [getattr(verdict, "reason", "") for verdict in verdicts] == [fault, fault]
    sound = judge_study(words.study(), words.manifest())
    assert [type(verdict) for verdict in sound] == [Eligible]


def test_series_of_an_unrouted_study_keeps_its_own_reason_or_gets_that_of_the_route() -> None:
    study = words.study(words.series("1"), words.series("2", modality="PT"))
    verdicts = judge_study(study, words.manifest(), unrouted="the study was not sent by CT1")
    assert [getattr(verdict, "reason", "") for verdict in verdicts] == [
        "no routing rule applies: the study was not sent by CT1",
        "modality PT; the model reads CT",
    ]


def test_facts_describe_the_series_without_the_patient() -> None:
    line = facts(replace(words.series(), description="SMITH JOHN special"))
    assert line == "CT, 60 images, axial, every 5.00 mm over 295 mm, 512 x 512, pixel 0.80 mm"
