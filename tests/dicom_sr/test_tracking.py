"""A lesion is known again by its place, its kind and its side; anatomy by its name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dicom_sr.tracking import keep_tracking, located
from node.domain.finding import (
    CodedConcept,
    Contour,
    Finding,
    Findings,
    KeyImage,
    Overlay,
    Segment,
    Status,
    Tracked,
)
from node.domain.study import Series
from tests.dicom_sr.results import L3, MODEL, MUSCLE, TISSUE
from tests.node import words

LESION = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
NODULE = CodedConcept("27925004", "SCT", "Nodule")
LEFT = CodedConcept("7771000", "SCT", "Left")
RIGHT = CodedConcept("24028007", "SCT", "Right")


def series() -> Series:
    """Slices every 5 mm, pixels of 0.8 mm."""
    return words.series(slices=20, frame_of_reference_uid="2.25.5")


def nodule(name: str, column: float, *, plane: int = 3, size: float = 4.0) -> Finding:
    """A square of `size` pixels on each side of its centre."""
    corners = [(-size, -size), (size, -size), (size, size), (-size, size)]
    points = np.array([(column + dx, 100 + dy) for dx, dy in corners], np.float32)
    return Finding(
        tracking_identifier=f"Nodule {name}",
        tracking_uid=f"2.25.{name}",
        finding=NODULE,
        category=LESION,
        site=L3,
        contours=(Contour(series().planes[plane], points),),
        measurements=(),
    )


def result(*findings: Finding) -> Findings:
    return Findings(model=MODEL, status=Status.FINDINGS, findings=findings)


def earlier(*findings: Finding) -> tuple[Tracked, ...]:
    return located(result(*findings), series())


def names(findings: Findings) -> list[tuple[str, str]]:
    return [(item.tracking_uid, item.tracking_identifier) for item in findings.findings]


def test_place_is_told_in_mm_of_the_frame_of_reference() -> None:
    (place,) = earlier(nodule("1", 50.0))
    assert np.allclose(place.centre_mm, ((50 - 0.5) * 0.8, (100 - 0.5) * 0.8, 15.0), atol=1e-4)
    assert abs(place.radius_mm - 4 * 0.8 * 2**0.5) < 1e-3


def test_lesions_counted_in_another_order_keep_their_identifiers() -> None:
    before = earlier(nodule("1", 50.0), nodule("2", 200.0))
    now = result(nodule("1", 201.0), nodule("2", 49.0))
    assert names(keep_tracking(now, series(), before)) == [
        ("2.25.2", "Nodule 2"),
        ("2.25.1", "Nodule 1"),
    ]


def test_new_lesion_does_not_take_the_identifier_of_another_one() -> None:
    before = earlier(nodule("1", 50.0))
    kept = keep_tracking(result(nodule("1", 300.0), nodule("2", 50.0)), series(), before)
    (new_uid, new_name), old = names(kept)
    assert old == ("2.25.1", "Nodule 1")
    assert new_uid not in ("2.25.1", "2.25.2")
    assert new_name == "Nodule 1 (2)"
    again = keep_tracking(result(nodule("1", 300.0), nodule("2", 50.0)), series(), before)
    assert names(again) == names(kept)


def test_lesion_of_another_kind_side_or_frame_is_another_one() -> None:
    before = earlier(nodule("7", 50.0))
    other_kind = replace(nodule("1", 50.0), finding=MUSCLE)
    assert names(keep_tracking(result(other_kind), series(), before))[0][0] == "2.25.1"
    left = earlier(replace(nodule("7", 50.0), laterality=LEFT))
    right = replace(nodule("1", 50.0), laterality=RIGHT)
    assert names(keep_tracking(result(right), series(), left))[0][0] == "2.25.1"
    moved = (replace(before[0], frame_of_reference_uid="2.25.6"),)
    assert names(keep_tracking(result(nodule("1", 50.0)), series(), moved))[0][0] == "2.25.1"


def test_lesion_farther_than_its_own_radius_is_another_one() -> None:
    before = earlier(nodule("7", 50.0))
    near = result(nodule("1", 56.0))
    far = result(nodule("1", 60.0))
    assert names(keep_tracking(near, series(), before))[0][0] == "2.25.7"
    assert names(keep_tracking(far, series(), before))[0][0] == "2.25.1"
    large = earlier(nodule("7", 100.0, size=40))
    assert names(keep_tracking(result(nodule("1", 120.0, size=40)), series(), large))[0][0] == (
        "2.25.7"
    )


def test_tissue_keeps_its_own_identifier_wherever_it_lies() -> None:
    tissue = replace(nodule("1", 50.0), category=TISSUE)
    before = earlier(replace(tissue, tracking_uid="2.25.9", tracking_identifier="other"))
    assert names(keep_tracking(result(tissue), series(), before))[0] == ("2.25.1", "Nodule 1")


def test_segment_of_a_lesion_follows_its_identifiers() -> None:
    before = earlier(nodule("7", 50.0))
    segment = Segment(
        number=1,
        label="nodule",
        category=LESION,
        property_type=NODULE,
        mask=np.ones((1, 2, 2), bool),
        colour=(1, 2, 3),
        tracking_identifier="Nodule 1",
        tracking_uid="2.25.1",
    )
    now = replace(result(nodule("1", 51.0)), segments=(segment,))
    (kept,) = keep_tracking(now, series(), before).segments
    assert (kept.tracking_uid, kept.tracking_identifier) == ("2.25.7", "Nodule 7")


def test_series_without_geometry_keeps_what_the_model_says() -> None:
    before = earlier(nodule("7", 50.0))
    flat = replace(series(), geometry=None)
    now = result(nodule("1", 50.0))
    assert keep_tracking(now, flat, before) == now
    assert located(now, flat) == ()


def test_pictures_and_names_of_a_lesion_follow_its_identifiers() -> None:
    found = result(nodule("1", 201.0), nodule("2", 49.0))
    overlay = Overlay(mask=np.ones((4, 4), np.bool_), colour=(1, 2, 3), label="Nodule 1")
    key = KeyImage(
        pixels=np.zeros((4, 4), np.float32),
        window=(0.0, 1.0),
        pixel_mm=(1.0, 1.0),
        caption="Nodule 1, axial",
        overlays=(overlay,),
        tracking_uid="2.25.1",
    )
    segment = Segment(
        number=1,
        label="Nodule 1 (left)",
        category=LESION,
        property_type=NODULE,
        mask=np.ones((1, 4, 4), np.bool_),
        colour=(1, 2, 3),
        tracking_uid="2.25.1",
    )
    before = earlier(nodule("12", 200.0))
    kept = keep_tracking(replace(found, key_images=(key,), segments=(segment,)), series(), before)
    (picture,) = kept.key_images
    assert (picture.tracking_uid, picture.caption) == ("2.25.12", "Nodule 12, axial")
    assert picture.overlays[0].label == "Nodule 12"
    assert kept.segments[0].label == "Nodule 12 (left)"


def test_what_is_named_by_its_place_keeps_the_uid_and_takes_the_new_name() -> None:
    """A vertebra that late images renumber must not carry its old level."""
    before = earlier(nodule("1", 50.0))
    now = replace(nodule("2", 50.0), is_named_by_place=True, tracking_identifier="Vertebra T12")
    kept = keep_tracking(result(now), series(), before)
    assert names(kept) == [("2.25.1", "Vertebra T12")]
