"""RT Structure Set: the volumes of the segmentation, on the right images, for every reader."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import RTStructureSetStorage

from dicom_sr.validation import validate
from node.domain.finding import Segment
from tests.dicom_sr.results import CONTEXT, MUSCLE, TISSUE, Case, case, encoded

WITH_CONTOURS = replace(CONTEXT, contours=True)


def structure_sets(results: Iterable[Dataset]) -> list[Dataset]:
    return [item for item in results if item.SOPClassUID == RTStructureSetStorage]


def organs(folder: Path) -> Case:
    """Two organs over all slices: one of two parts, one with a hole."""
    made = case(folder)
    count = len(made.series.planes)
    row, column = np.mgrid[:64, :64]
    shell = ((row - 30) / 20) ** 2 + ((column - 34) / 26) ** 2 <= 1
    hole = ((row - 33) / 8) ** 2 + ((column - 30) / 6) ** 2 <= 1
    two = ((row - 8) ** 2 + (column - 10) ** 2 <= 20) | ((row - 56) ** 2 + (column - 50) ** 2 <= 30)
    masks = [np.zeros((count, 64, 64), np.bool_) for _ in range(2)]
    masks[0][3:20] = shell & ~hole & ~two
    masks[1][5:12] = two
    segments = tuple(
        Segment(
            number=number,
            label=f"Organ {number}",
            category=TISSUE,
            property_type=MUSCLE,
            mask=mask,
            colour=(200, 40 * number, 10),
        )
        for number, mask in enumerate(masks, start=1)
    )
    return made.having(segments=segments, segmented_planes=made.series.planes)


def slice_masks(structure_set: Dataset, number: int, made: Case) -> dict[str, NDArray[np.bool_]]:
    """A plain reader: pixel centres within each contour, XOR, by image."""
    geometry = made.series.geometry
    assert geometry is not None
    assert geometry.pixel_spacing_mm is not None
    origin = {str(p.sop_instance_uid): np.array(p.position_mm) for p in made.series.planes}
    (item,) = (i for i in structure_set.ROIContourSequence if i.ReferencedROINumber == number)
    out: dict[str, NDArray[np.bool_]] = {}
    for contour in item.ContourSequence:
        uid = contour.ContourImageSequence[0].ReferencedSOPInstanceUID
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        assert len(points) == contour.NumberOfContourPoints
        away = points - origin[uid]
        assert np.abs(away @ np.array(geometry.normal)).max() < 0.01, "off the image's plane"
        x = away @ np.array(geometry.row_cosines) / geometry.pixel_spacing_mm[1]
        y = away @ np.array(geometry.column_cosines) / geometry.pixel_spacing_mm[0]
        mask = out.setdefault(uid, np.zeros((64, 64), np.bool_))
        x2, y2 = np.roll(x, -1), np.roll(y, -1)
        for row in range(64):
            crossed = (y > row) != (y2 > row)
            for at in x[crossed] + (row - y[crossed]) * (x2 - x)[crossed] / (y2 - y)[crossed]:
                mask[row, max(0, int(np.ceil(at))) :] ^= True
    return out


def test_an_independent_reader_finds_the_masks_of_the_segmentation(tmp_path: Path) -> None:
    made = organs(tmp_path)
    (structure_set,) = structure_sets(made.results(WITH_CONTOURS))
    for segment in made.findings.segments:
        read = slice_masks(structure_set, segment.number, made)
        seen = [np.asarray(mask) for mask in segment.mask]
        for plane, mask in zip(made.series.planes, seen, strict=True):
            found = read.get(str(plane.sop_instance_uid), np.zeros((64, 64), np.bool_))
            assert np.array_equal(found, mask)


def test_volume_of_the_contours_is_that_of_the_segment_within_two_percent(tmp_path: Path) -> None:
    made = organs(tmp_path)
    (structure_set,) = structure_sets(made.results(WITH_CONTOURS))
    geometry = made.series.geometry
    assert geometry is not None
    assert geometry.pixel_spacing_mm is not None
    pixel_mm2 = geometry.pixel_spacing_mm[0] * geometry.pixel_spacing_mm[1]
    for segment, item in zip(made.findings.segments, structure_set.ROIContourSequence, strict=True):
        mm2 = 0.0
        for contour in item.ContourSequence:
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            # Area vector of a planar polygon, with channels to its holes.
            mm2 += float(np.linalg.norm(np.cross(points, np.roll(points, -1, 0)).sum(0))) / 2
        assert mm2 == pytest.approx(float(np.asarray(segment.mask).sum()) * pixel_mm2, rel=0.02)


def test_only_where_the_site_asked_for_it(tmp_path: Path) -> None:
    made = organs(tmp_path)
    assert structure_sets(made.results()) == []
    plain = {encoded(item) for item in made.results()}
    more = {encoded(item) for item in made.results(WITH_CONTOURS)}
    assert plain < more, "the other objects are the same bytes"


def test_marks_research_and_names_what_nobody_approved(tmp_path: Path) -> None:
    (structure_set,) = structure_sets(organs(tmp_path).results(WITH_CONTOURS))
    assert structure_set.StructureSetLabel == "RESEARCH"
    assert "RESEARCH" in structure_set.SeriesDescription
    assert structure_set.ApprovalStatus == "UNAPPROVED"
    names = [item.ROIName for item in structure_set.StructureSetROISequence]
    assert names == ["Organ 1", "Organ 2"]
    assert structure_set.ROIContourSequence[1].ROIDisplayColor == [200, 80, 10]


def test_same_job_writes_the_same_bytes_and_passes_our_checks(tmp_path: Path) -> None:
    made = organs(tmp_path)
    first, second = made.results(WITH_CONTOURS), made.results(WITH_CONTOURS)
    assert [encoded(item) for item in first] == [encoded(item) for item in second]
    validate(first, made.study)


def test_without_a_frame_of_reference_the_page_says_why_there_is_none(tmp_path: Path) -> None:
    made = organs(tmp_path)
    bare = replace(made, series=replace(made.series, frame_of_reference_uid=""))
    assert structure_sets(bare.results(WITH_CONTOURS)) == []


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="not installed: dciodvfy")
def test_passes_dciodvfy(tmp_path: Path) -> None:
    (structure_set,) = structure_sets(organs(tmp_path / "in").results(WITH_CONTOURS))
    path = tmp_path / "rtstruct.dcm"
    structure_set.save_as(path, enforce_file_format=True)
    told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    assert "Error" not in told.stderr + told.stdout
    assert "RTStructureSet" in told.stderr + told.stdout
