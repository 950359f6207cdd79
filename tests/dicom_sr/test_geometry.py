"""Marks lie where the pixels are: contours and segments against the mask they came from."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_sr.report_rules import groups, walk
from dicom_sr.validation import validate
from node.domain.errors import ResultError
from node.domain.finding import Segment
from tests.dicom_factory import enhanced_ct
from tests.dicom_sr.results import (
    MUSCLE,
    TISSUE,
    case,
    case_of,
    ellipse,
    encoded,
    report_of,
    segmentations_of,
)


def _inside(points: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.bool_]:
    """(row, column) bool: pixel centres inside a closed polygon of (column, row), even-odd."""
    y, x = np.mgrid[:rows, :columns] + 0.5
    inside = np.zeros((rows, columns), bool)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y0 != y1:
            crosses = (y0 > y) != (y1 > y)
            inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside


def _drawn(item: Dataset, rows: int = 64, columns: int = 64) -> NDArray[np.bool_]:
    points = np.array(item.GraphicData, float).reshape(-1, 2)
    return _inside(points[:-1], rows, columns)


def test_contour_in_the_report_encloses_exactly_the_mask(tmp_path: Path) -> None:
    it = case(tmp_path)
    (region,) = [i for i in walk(report_of(it.results())) if i.ValueType == "SCOORD"]
    assert region.GraphicType == "POLYLINE"
    assert np.array_equal(_drawn(region), ellipse())
    reference = region.ContentSequence[0].ReferencedSOPSequence[0]
    plane = it.findings.findings[0].contours[0].plane
    assert reference.ReferencedSOPInstanceUID == plane.sop_instance_uid


def test_segmentation_holds_the_mask_at_the_place_of_its_source(tmp_path: Path) -> None:
    it = case(tmp_path, tilt=0.0)
    (written,) = segmentations_of(it.results())
    read = highdicom.seg.segread(BytesIO(encoded(written)))
    assert np.array_equal(read.pixel_array.reshape(64, 64).astype(bool), ellipse())
    position = read.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    plane = it.findings.segmented_planes[0]
    assert [float(v) for v in position.ImagePositionPatient] == list(plane.position_mm)
    measures = read.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert [float(v) for v in measures.PixelSpacing] == [0.8, 0.8]
    assert read.FrameOfReferenceUID == it.series.frame_of_reference_uid
    listed = read.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert len(listed) == len(it.series.instances)


def _segment(number: int, mask: NDArray[np.bool_]) -> Segment:
    return Segment(
        number=number,
        label=f"Part {number}",
        category=TISSUE,
        property_type=MUSCLE,
        mask=mask,
        colour=(10 * number, 200, 90),
    )


def test_segments_on_many_slices_come_back_slice_by_slice(tmp_path: Path) -> None:
    it = case(tmp_path)
    first = np.zeros((24, 64, 64), bool)
    first[5] = ellipse()
    first[9, 3:8, 50:60] = True
    second = np.zeros_like(first)
    second[7] = ellipse()[::-1]
    it = it.having(
        segments=(_segment(1, first), _segment(2, second)), segmented_planes=it.series.planes
    )
    results = it.results()
    validate(results, it.study)
    read = highdicom.seg.segread(BytesIO(encoded(segmentations_of(results)[0])))
    uids = [str(plane.sop_instance_uid) for plane in it.series.planes]
    back = read.get_pixels_by_source_instance(
        source_sop_instance_uids=uids, assert_missing_frames_are_empty=True
    )
    assert np.array_equal(back[..., 0].astype(bool), first)
    assert np.array_equal(back[..., 1].astype(bool), second)


def test_segments_that_overlap_keep_every_pixel(tmp_path: Path) -> None:
    it = case(tmp_path)
    first = ellipse()[None]
    second = np.roll(first, 6, axis=2)
    segments = (_segment(1, first), _segment(2, second))
    results = it.having(segments=segments, findings=()).results()
    validate(results, it.study)
    read = highdicom.seg.segread(BytesIO(encoded(segmentations_of(results)[0])))
    uid = str(it.findings.segmented_planes[0].sop_instance_uid)
    back = read.get_pixels_by_source_instance(source_sop_instance_uids=[uid])
    assert read.SegmentsOverlap == "YES"
    assert np.array_equal(back[..., 0].astype(bool), first)
    assert np.array_equal(back[..., 1].astype(bool), second)


def test_segments_on_frames_of_an_enhanced_image_keep_their_frames(tmp_path: Path) -> None:
    it = case_of([enhanced_ct(frames=20)], tmp_path)
    mask = np.zeros((20, 64, 64), bool)
    mask[4] = ellipse()
    mask[6] = ellipse()[:, ::-1]
    it = it.having(segments=(_segment(1, mask),), segmented_planes=it.series.planes, findings=())
    results = it.results()
    validate(results, it.study)
    (written,) = segmentations_of(results)
    frames = {
        int(item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
        for item in written.PerFrameFunctionalGroupsSequence
    }
    assert frames == {it.series.planes[4].frame_number, it.series.planes[6].frame_number}


def test_finding_with_a_segment_has_a_twin_with_the_same_tracking_uid(tmp_path: Path) -> None:
    it = case(tmp_path)
    results = it.results()
    planar, volumetric = groups(report_of(results))
    uids = [
        item.UID
        for group in (planar, volumetric)
        for item in group.ContentSequence
        if item.ValueType == "UIDREF" and item.ConceptNameCodeSequence[0].CodeValue == "112040"
    ]
    assert uids == [it.findings.findings[0].tracking_uid] * 2
    (segmentation,) = segmentations_of(results)
    assert segmentation.SegmentSequence[0].TrackingUID == uids[0]
    (image,) = [i for i in volumetric.ContentSequence if i.ValueType == "IMAGE"]
    assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == segmentation.SOPInstanceUID


def test_finding_whose_segment_is_empty_has_no_twin(tmp_path: Path) -> None:
    it = case(tmp_path)
    it = it.having(segments=(_segment(1, np.zeros((1, 64, 64), bool)),))
    results = it.results()
    validate(results, it.study)
    assert segmentations_of(results) == []
    (group,) = groups(report_of(results))
    numbers = [i for i in group.ContentSequence if i.ValueType == "NUM"]
    assert len(numbers) == 2


def test_mask_of_another_shape_is_refused_by_name(tmp_path: Path) -> None:
    it = case(tmp_path)
    it = it.having(segments=(_segment(1, np.ones((2, 64, 64), bool)),))
    with pytest.raises(ResultError, match=r"mask of segment 1 has shape \(2, 64, 64\)"):
        it.results()


def test_numbers_in_the_report_are_those_of_the_findings_once_each(tmp_path: Path) -> None:
    it = case(tmp_path)
    numbers = [
        (
            i.ConceptNameCodeSequence[0].CodeMeaning,
            float(i.MeasuredValueSequence[0].NumericValue),
            i.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue,
        )
        for i in walk(report_of(it.results()))
        if i.ValueType == "NUM"
    ]
    assert numbers == [("Area", 154.6, "cm2"), ("Volume", 41.2, "cm3"), ("Volume", 1234.5, "cm3")]
