"""Every refusal names its reason in a radiologist's words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.domain.verdict import Eligible, Ineligible, ReasonCode, Undecided
from node.pipeline.eligibility import judge
from node.pipeline.wording import facts_line
from tests.node import words


def refusal(change: dict[str, object], **limits: object) -> tuple[str, ReasonCode]:
    verdict = judge(words.facts(**change), words.manifest(**limits))
    assert isinstance(verdict, Ineligible)
    return verdict.reason, verdict.code


def test_sound_axial_ct_is_eligible() -> None:
    assert isinstance(judge(words.facts(), words.manifest()), Eligible)


@pytest.mark.parametrize(
    ("change", "expected", "code"),
    [
        ({"modality": "MR"}, "modality MR; the model reads CT", "modality"),
        ({"modality": None}, "modality not stated; the model reads CT", "modality"),
        (
            {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.7"},
            "Secondary Capture Image Storage; the model reads CT Image Storage",
            "sop_class",
        ),
        (
            {"sop_class_uid": ""},
            "images whose class is not stated; the model reads CT Image Storage",
            "sop_class",
        ),
        ({"has_pixels": False}, "no image pixels in the series", "no_pixels"),
        ({"samples_per_pixel": 3}, "colour images; the model reads grey values", "colour"),
        (
            {"unreadable": 2},
            "2 images of the series cannot be read, so slices are missing",
            "unreadable_images",
        ),
        (
            {"image_type": ("DERIVED", "SECONDARY", "MPR")},
            "image type MPR; the model reads original images",
            "image_type",
        ),
        ({"orientation": None}, "the images carry no position in the patient", "no_geometry"),
        (
            {"orientation": "sagittal"},
            "sagittal images; the model reads axial images",
            "orientation",
        ),
        ({"slices": 1}, "only 1 image; the model needs at least 10", "too_few_slices"),
        (
            {"geometry_fault": "slices 4 and 5 lie at the same place"},
            "slices 4 and 5 lie at the same place",
            "geometry",
        ),
        (
            {"slice_spacing_mm": 7.5, "coverage_mm": 442.0},
            "slices lie 7.5 mm apart; the model was validated to 6.0 mm",
            "slice_distance",
        ),
        (
            {"slice_spacing_mm": None},
            "the distance between the slices cannot be determined",
            "slice_distance",
        ),
        (
            {"largest_gap_mm": 10.0, "gap_after": 14},
            "slice gap 10.0 mm after slice 14 (others 5.0 mm): a slice is missing",
            "missing_slice",
        ),
        (
            {"coverage_mm": 50.0},
            "the series covers 50 mm; the model needs at least 60 mm",
            "coverage",
        ),
        (
            {"tilt_degrees": -12.0},
            "gantry tilt -12.0 degrees; the model was validated to 5.0 degrees",
            "tilt",
        ),
        (
            {"pixel_spacing_mm": None},
            "no pixel spacing, so nothing can be measured",
            "pixel_spacing",
        ),
        (
            {"pixel_spacing_mm": 2.0, "smallest_pixel_mm": 2.0},
            "pixel spacing 2.00 mm; the model was validated from 0.40 to 1.60 mm",
            "pixel_spacing",
        ),
        (
            {"patient_age_years": 8.0},
            "patient is 8 years old; the model was made for 16 and older",
            "age",
        ),
    ],
)
def test_each_unfit_series_is_refused_with_its_reason_and_its_code(
    change: dict[str, object], expected: str, code: str
) -> None:
    assert refusal(change) == (expected, ReasonCode(code))


def test_a_slice_that_is_missing_may_be_among_the_other_images_of_its_series() -> None:
    told, _ = refusal({"largest_gap_mm": 10.0, "gap_after": 14, "stack": 1, "stacks": 2})
    assert told.endswith(
        "a slice is missing, or is one of the other images of this series, which differ in "
        "orientation, matrix, spacing or kind"
    )


def test_an_unstated_age_is_not_refused() -> None:
    facts = words.facts(patient_age_years=None)
    assert isinstance(judge(facts, words.manifest()), Eligible)


def test_rounding_of_the_scanner_is_not_a_wider_spacing() -> None:
    facts = words.facts(slice_spacing_mm=6.04)
    assert isinstance(judge(facts, words.manifest()), Eligible)


def test_longer_stack_and_stated_body_part_rank_first() -> None:
    manifest = words.manifest()
    long = judge(words.facts(), manifest)
    short = judge(words.facts(coverage_mm=100.0), manifest)
    named = judge(words.facts(coverage_mm=100.0, body_part="ABDOMEN"), manifest)
    assert isinstance(long, Eligible)
    assert isinstance(short, Eligible)
    assert isinstance(named, Eligible)
    assert named.rank < long.rank < short.rank


def test_single_images_without_position_suit_a_model_that_asks_for_no_stack() -> None:
    radiograph = words.facts(
        modality="MG", orientation=None, slices=1, slice_spacing_mm=None, pixel_spacing_mm=None
    )
    manifest = words.manifest(modalities=("MG",), orientations=(), min_planes=1)
    assert isinstance(judge(radiograph, manifest), Eligible)


def test_what_the_source_cannot_tell_decides_nothing() -> None:
    unknown = frozenset({"slice_spacing_mm", "tilt_degrees"})
    facts = words.facts(slice_spacing_mm=None, tilt_degrees=None, untold=unknown)
    verdict = judge(facts, words.manifest())
    assert isinstance(verdict, Undecided)
    assert verdict.untold == ("slice_spacing_mm", "tilt_degrees")


def test_what_is_told_still_refuses_where_something_else_is_not_told() -> None:
    facts = words.facts(modality="MR", untold=frozenset({"tilt_degrees"}))
    assert isinstance(judge(facts, words.manifest()), Ineligible)


def test_facts_describe_the_series_without_its_free_texts() -> None:
    line = facts_line(replace(words.facts(), series_description="SMITH JOHN special"))
    assert line == (
        "CT, 60 images, axial, every 5.00 mm over 295 mm, 512 x 512, pixel 0.80 mm, slice 5 mm"
    )


def test_disagreement_of_header_and_pixels_is_told() -> None:
    line = facts_line(
        words.facts(
            body_region=("head",),
            pixel_region=("chest",),
            region_disagrees=True,
            contrast=False,
            contrast_disagrees=True,
        )
    )
    assert "head (the pixels show chest)" in line
    assert "no contrast (the pixels show otherwise)" in line
