"""Another form of a result says what the result says, and that it stands for it."""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ComprehensiveSRStorage, SecondaryCaptureImageStorage

from dicom_sr.fallback import as_captures, as_comprehensive, other_uid
from dicom_sr.fallback_pages import SourceImage, report_pages, segmentation_pages
from dicom_sr.report_rules import walk
from inference.volume import load_plane
from node.domain.errors import ResultError
from tests.dicom_sr.results import Case, case, encoded, report_of, segmentations_of


def read_back(data_set: Dataset) -> Dataset:
    """As it lies on disk."""
    return dcmread(BytesIO(encoded(data_set)))


@pytest.fixture
def made(tmp_path: Path) -> Case:
    return case(tmp_path)


def texts(report: Dataset) -> list[str]:
    return [str(item.TextValue) for item in walk(report) if item.get("ValueType") == "TEXT"]


def test_comprehensive_sr_has_the_whole_content_and_says_what_it_stands_for(made: Case) -> None:
    full = read_back(report_of(made.results()))
    before = encoded(full)
    other = as_comprehensive(full)
    assert encoded(full) == before
    assert other.SOPClassUID == ComprehensiveSRStorage
    assert other.SOPInstanceUID == other_uid(full.SOPInstanceUID, "comprehensive")
    assert other.SeriesInstanceUID == full.SeriesInstanceUID
    extra = set(texts(other)) - set(texts(full))
    assert extra == {t for t in texts(other) if t.startswith("Comprehensive SR in place of")}
    assert full.SOPInstanceUID in extra.pop()
    assert len(list(walk(other))) == len(list(walk(full))) + 1
    assert encoded(as_comprehensive(full)) == encoded(other)


def test_report_with_3d_coordinates_is_not_squeezed_into_comprehensive_sr(made: Case) -> None:
    full = read_back(report_of(made.results()))
    next(item for item in walk(full) if item.get("ValueType") == "SCOORD").ValueType = "SCOORD3D"
    with pytest.raises(ResultError, match="3D coordinates"):
        as_comprehensive(full)
    with pytest.raises(ResultError, match="only a Comprehensive 3D SR"):
        as_comprehensive(as_comprehensive(read_back(report_of(made.results()))))


def test_predecessor_that_is_there_in_another_form_is_named_in_that_form(made: Case) -> None:
    full = read_back(report_of(made.results()))
    reference, series, study = Dataset(), Dataset(), Dataset()
    reference.ReferencedSOPClassUID = full.SOPClassUID
    reference.ReferencedSOPInstanceUID = "1.2.3"
    series.SeriesInstanceUID = full.SeriesInstanceUID
    series.ReferencedSOPSequence = [reference]
    study.StudyInstanceUID = full.StudyInstanceUID
    study.ReferencedSeriesSequence = [series]
    full.PredecessorDocumentsSequence = [study]

    def named(report: Dataset) -> tuple[str, str]:
        item = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
        only = item.ReferencedSOPSequence[0]
        return str(only.ReferencedSOPInstanceUID), str(only.ReferencedSOPClassUID)

    assert named(as_comprehensive(full)) == ("1.2.3", str(full.SOPClassUID))
    assert named(as_comprehensive(full, {"1.2.3": "1.2.4"})) == ("1.2.4", ComprehensiveSRStorage)


@pytest.mark.parametrize("identified", [True, False])
def test_pages_of_a_report_belong_to_the_patient_and_show_the_identity_only_where_allowed(
    made: Case, identified: bool
) -> None:
    full = read_back(report_of(made.results()))
    pages = as_captures(full, report_pages(full, identified=identified), identified=identified)
    assert pages
    for number, page in enumerate(pages, start=1):
        assert page.SOPClassUID == SecondaryCaptureImageStorage
        assert (page.PatientID, page.StudyInstanceUID) == (full.PatientID, full.StudyInstanceUID)
        assert page.AccessionNumber == full.AccessionNumber
        assert page.BurnedInAnnotation == ("YES" if identified else "NO")
        assert page.SeriesDescription.endswith(" as pages RESEARCH")
        assert page.InstanceNumber == number
        assert full.SOPInstanceUID in page.DerivationDescription
        assert page.SeriesInstanceUID != full.SeriesInstanceUID
    again = as_captures(full, report_pages(full, identified=identified), identified=identified)
    assert [encoded(page) for page in pages] == [encoded(page) for page in again]
    other = report_pages(full, identified=not identified)
    assert not np.array_equal(other[0].pixels, report_pages(full, identified=identified)[0].pixels)


def test_pages_of_a_segmentation_show_its_marks_over_the_image(made: Case) -> None:
    (full,) = (read_back(item) for item in segmentations_of(made.results()))
    plane = made.series.planes[12]
    pixels = load_plane(plane, "", is_ct=True)
    images = {(str(plane.sop_instance_uid), None): SourceImage(plane, pixels, True)}
    (over,) = segmentation_pages(full, images, identified=False)
    (bare,) = segmentation_pages(full, {}, identified=False)
    assert "without the image" in bare.title
    red = np.asarray([255, 80, 80])
    for page in (over, bare):
        assert (np.abs(page.pixels.astype(int) - red).sum(axis=2) < 12).any()
    assert over.pixels.mean() > bare.pixels.mean()
    (capture,) = as_captures(full, (over,), identified=False)
    assert capture.SourceImageSequence[0].ReferencedSOPInstanceUID == plane.sop_instance_uid
    assert capture.SeriesNumber == full.SeriesNumber + 5


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="not installed: dciodvfy")
def test_each_form_passes_dciodvfy(made: Case, tmp_path: Path) -> None:
    results = made.results()
    report, (segmentation,) = report_of(results), segmentations_of(results)
    forms = [as_comprehensive(read_back(report))]
    forms += as_captures(report, report_pages(report, identified=True), identified=True)
    drawn = segmentation_pages(segmentation, {}, identified=True)
    forms += as_captures(segmentation, drawn, identified=True)
    for number, form in enumerate(forms):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(encoded(form))
        told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        errors = [line for line in told.stderr.splitlines() if line.startswith("Error")]
        # Type 2C "if a paired body part is examined"; the tool cannot tell.
        assert [line for line in errors if "<Laterality>" not in line] == []
