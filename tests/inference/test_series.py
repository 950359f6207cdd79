"""Headers in, series out: whole-series facts, and no bad file stops the reading."""

from __future__ import annotations

import logging
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

import inference.header_file
from inference.header import CT_IMAGE_STORAGE
from node.domain.study import ClassUID, Instance
from tests.dicom_factory import ct_series, dx_instance, enhanced_ct, instances, uid, write
from tests.inference.reading import describe, files_under, series_of, stacks_of

CORONAL = [1, 0, 0, 0, 0, -1]


def scout(image_type: list[str]) -> FileDataset:
    (image,) = ct_series(slices=1, rows=80, cosines=CORONAL, image_type=image_type)
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid("scout")
    return image


def test_a_ct_series_is_described_as_a_whole(tmp_path: Path) -> None:
    series = series_of(ct_series(slices=40, reversed=True), tmp_path)
    assert series.modality == "CT"
    assert series.sop_class_uid == CT_IMAGE_STORAGE
    assert not series.class_is_inferred
    assert series.image_type == ("ORIGINAL", "PRIMARY", "AXIAL")
    assert (series.body_part, series.kernel) == ("ABDOMEN", "B30f")
    assert series.has_pixels
    assert series.unreadable == 0
    assert series.geometry_fault == ""
    assert [plane.instance_number for plane in series.planes] == list(range(40, 0, -1))
    geometry = series.geometry
    assert geometry is not None
    assert (geometry.orientation, geometry.rows, geometry.columns) == ("axial", 64, 64)
    assert geometry.spacing_mm == pytest.approx(2.5)
    assert geometry.pixel_spacing_mm == pytest.approx((0.8, 0.8))


def test_patient_and_study_are_repeated_as_received(tmp_path: Path) -> None:
    study = describe(instances(write(ct_series(slices=2), tmp_path)))
    assert study.patient.patient_name == "Test^Person"
    assert study.patient.patient_id == "VIGIE-0001"
    assert study.patient.age_years == pytest.approx(65.5, abs=0.1)
    assert (study.study_date, study.study_id) == ("20260105", "1")
    assert study.specific_faults == ()


def test_images_of_two_patients_in_one_study_are_told_without_their_names(tmp_path: Path) -> None:
    images = ct_series(slices=3)
    images[0].PatientID = "OTHER-9"
    study = describe(instances(write(images, tmp_path)))
    assert study.patient.patient_id == "VIGIE-0001"
    assert study.specific_faults == ("the images of the study carry 2 different patient IDs",)


def test_age_as_written_is_read_in_months_and_weeks(tmp_path: Path) -> None:
    study = describe(
        instances(write(ct_series(slices=1, changes={"PatientAge": "018M"}), tmp_path))
    )
    assert study.patient.age_years == pytest.approx(1.5)


def test_a_value_that_images_disagree_on_is_not_the_first_files(tmp_path: Path) -> None:
    images = ct_series(slices=4)
    images[0].SeriesDescription = "Dose report"
    series = series_of(images, tmp_path)
    assert series.description == ""


def test_a_scout_marked_as_localizer_is_set_aside(tmp_path: Path) -> None:
    images = [scout(["ORIGINAL", "PRIMARY", "LOCALIZER"]), *ct_series(slices=40)]
    series = series_of(images, tmp_path)
    assert series.geometry_fault == ""
    assert (len(series.planes), len(series.instances)) == (40, 41)
    assert series.image_type == ("ORIGINAL", "PRIMARY", "AXIAL")


def test_a_scout_that_is_not_marked_is_a_stack_of_its_own(tmp_path: Path) -> None:
    images = [scout(["ORIGINAL", "PRIMARY", "AXIAL"]), *ct_series(slices=40)]
    stacks = stacks_of(images, tmp_path)
    assert [(s.stack, s.stacks, len(s.instances)) for s in stacks] == [(1, 2, 1), (2, 2, 40)]
    assert [s.geometry.orientation for s in stacks if s.geometry] == ["coronal", "axial"]
    assert [s.stack_id.partition("#")[2] for s in stacks] == ["1", "2"]
    assert len({s.series_uid for s in stacks}) == 1
    assert len({s.digest for s in stacks}) == 2


def test_a_series_of_localizers_only_stays_a_localizer_series(tmp_path: Path) -> None:
    series = series_of([scout(["ORIGINAL", "PRIMARY", "LOCALIZER"])], tmp_path)
    assert "LOCALIZER" in series.image_type
    assert len(series.planes) == 1


def test_reformats_among_original_images_are_a_stack_of_their_own(tmp_path: Path) -> None:
    images = ct_series(slices=6)
    for image in images[:5]:
        image.ImageType = ["DERIVED", "PRIMARY", "MPR"]
    stacks = stacks_of(images, tmp_path)
    assert [s.image_type[0] for s in stacks] == ["DERIVED", "ORIGINAL"]


@pytest.mark.parametrize(
    "changes",
    [
        {"SliceThickness": "5"},
        {"ConvolutionKernel": "B70f"},
        {"PixelSpacing": ["0.5", "0.5"]},
        {"FrameOfReferenceUID": "2.25.77"},
    ],
)
def test_images_that_differ_for_good_are_parted(tmp_path: Path, changes: dict[str, Any]) -> None:
    images = [*ct_series(slices=10), *ct_series(slices=10, series_uid="2.25.8", changes=changes)]
    for image in images:
        image.SeriesInstanceUID = "2.25.9"
    stacks = stacks_of(images, tmp_path)
    assert [len(s.planes) for s in stacks] == [10, 10]
    assert all(s.geometry_fault == "" for s in stacks)


def test_phases_at_the_same_places_are_parted_by_what_sets_them_apart(tmp_path: Path) -> None:
    images = []
    for phase in (1, 2, 3):
        changes = {"AcquisitionNumber": phase, "SeriesInstanceUID": "2.25.9"}
        images += ct_series(slices=8, series_uid=f"2.25.9{phase}", changes=changes)
    stacks = stacks_of(images, tmp_path)
    assert [len(s.planes) for s in stacks] == [8, 8, 8]
    assert [s.geometry.duplicates for s in stacks if s.geometry] == [0, 0, 0]


def test_acquisition_numbers_part_no_stack_in_which_nothing_is_double(tmp_path: Path) -> None:
    images = ct_series(slices=8)
    for number, image in enumerate(images):
        image.AcquisitionNumber = number
    assert len(stacks_of(images, tmp_path)) == 1


def test_doubles_that_nothing_sets_apart_stay_together_and_are_counted(tmp_path: Path) -> None:
    images = [*ct_series(slices=8), *ct_series(slices=8, series_uid="2.25.8")]
    for image in images:
        image.SeriesInstanceUID = "2.25.9"
    (series,) = stacks_of(images, tmp_path)
    assert series.geometry is not None
    assert series.geometry.duplicates == 16


def test_an_unreadable_image_may_be_missing_in_each_stack(tmp_path: Path) -> None:
    paths = write([scout(["ORIGINAL", "PRIMARY", "AXIAL"]), *ct_series(slices=9)], tmp_path)
    rows = instances(paths)
    paths[5].write_bytes(b"\0" * 500)
    assert [series.unreadable for series in describe(rows).series] == [1, 1]


def test_mixed_modalities_match_no_single_one(tmp_path: Path) -> None:
    images = ct_series(slices=3)
    images[2].Modality = "PT"
    assert series_of(images, tmp_path).modality == "CT, PT"


def without_class(
    images: list[FileDataset], folder: Path, command_class: str = ""
) -> list[Instance]:
    """Files as an archive leaves them that has lost the SOP class."""
    for image in images:
        image.SOPClassUID = ""
    paths = write(images, folder)
    for path in paths:
        content = path.read_bytes()
        path.write_bytes(content.replace(CT_IMAGE_STORAGE.encode(), b"\0" * 25))
    return [replace(row, sop_class_uid=ClassUID(command_class)) for row in instances(paths)]


def test_images_without_a_sop_class_are_ct_when_everything_says_so(tmp_path: Path) -> None:
    (series,) = describe(without_class(ct_series(slices=3), tmp_path)).series
    assert series.sop_class_uid == CT_IMAGE_STORAGE
    assert series.class_is_inferred
    assert "3 of 3 images carry no SOP Class UID" in series.class_inference
    assert "modality is CT" in series.class_inference


@pytest.mark.parametrize(
    "keyword", ["RescaleSlope", "PixelSpacing", "ImagePositionPatient", "Rows"]
)
def test_images_without_a_sop_class_and_without_ct_attributes_stay_unknown(
    tmp_path: Path, keyword: str
) -> None:
    images = ct_series(slices=2, changes={keyword: None})
    (series,) = describe(without_class(images, tmp_path)).series
    assert series.sop_class_uid == ""
    assert not series.class_is_inferred


def test_the_class_of_the_c_store_command_counts_where_the_images_are_silent(
    tmp_path: Path,
) -> None:
    rows = without_class(ct_series(slices=2), tmp_path, command_class=CT_IMAGE_STORAGE)
    (series,) = describe(rows).series
    assert series.sop_class_uid == CT_IMAGE_STORAGE
    assert "C-STORE command" in series.class_inference


def test_a_command_of_another_class_contradicts_the_inference(tmp_path: Path) -> None:
    mr = "1.2.840.10008.5.1.4.1.1.4"
    rows = without_class(ct_series(slices=2), tmp_path, command_class=mr)
    (series,) = describe(rows).series
    assert series.sop_class_uid == mr


def test_a_file_meta_of_another_class_is_kept_beside_the_stated_one(tmp_path: Path) -> None:
    paths = write(ct_series(slices=2), tmp_path)
    content = paths[0].read_bytes()
    mr = b"1.2.840.10008.5.1.4.1.1.4"
    paths[0].write_bytes(content.replace(CT_IMAGE_STORAGE.encode(), mr, 1))
    (series,) = describe(instances(paths)).series
    assert series.sop_class_uid == f"{CT_IMAGE_STORAGE}, {mr.decode()}"


def test_an_enhanced_ct_is_one_stack_of_frames(tmp_path: Path) -> None:
    series = series_of([enhanced_ct(20)], tmp_path)
    assert [plane.frame_number for plane in series.planes] == list(range(1, 21))
    assert series.geometry is not None
    assert series.geometry.spacing_mm == pytest.approx(2.5)
    assert series.slice_thickness_mm == pytest.approx(2.5)


def test_frames_without_functional_groups_have_no_position(tmp_path: Path) -> None:
    (image,) = ct_series(slices=1, changes={"NumberOfFrames": 3})
    series = series_of([image], tmp_path)
    assert len(series.planes) == 3
    assert series.geometry is None


def test_a_radiograph_is_a_series_without_geometry(tmp_path: Path) -> None:
    series = series_of([dx_instance()], tmp_path)
    assert (series.modality, series.geometry) == ("DX", None)
    assert "no position" in series.geometry_fault


def test_unreadable_images_are_counted_and_the_others_described(tmp_path: Path) -> None:
    paths = write(ct_series(slices=5), tmp_path)
    rows = instances(paths)
    paths[1].write_bytes(b"\0" * 500)
    paths[3].unlink()
    (series,) = describe(rows).series
    assert series.unreadable == 2
    assert len(series.planes) == 3


def test_a_series_of_which_nothing_is_readable_is_still_a_series(tmp_path: Path) -> None:
    rows = instances(write(ct_series(slices=2), tmp_path))
    for row in rows:
        row.extent.path.write_bytes(b"this was never DICOM")
    (series,) = describe(rows).series
    assert (series.modality, series.geometry, series.unreadable) == ("", None, 2)
    assert "no image of the series can be read" in series.geometry_fault


def test_images_without_pixel_data_are_told_without_reading_pixels(tmp_path: Path) -> None:
    assert not series_of(ct_series(slices=2, changes={"PixelData": None}), tmp_path).has_pixels
    empty = ct_series(slices=2, series_number=3, changes={"PixelData": b""})
    assert not series_of(empty, tmp_path / "empty").has_pixels


@pytest.mark.parametrize(
    "changes",
    [
        {"ImagePositionPatient": ["1e300", "0", "0"]},
        {"ImageOrientationPatient": ["1e300", "0", "0", "0", "1", "0"]},
        {"ImagePositionPatient": ["0", "0"]},
    ],
)
def test_impossible_coordinates_count_as_none(tmp_path: Path, changes: dict[str, Any]) -> None:
    series = series_of(ct_series(slices=2, changes=changes), tmp_path)
    assert series.geometry is None
    assert "no position" in series.geometry_fault


def test_values_that_are_no_numbers_count_as_missing(tmp_path: Path) -> None:
    paths = write(ct_series(slices=2, pixel_mm=(0.7777, 0.7777)), tmp_path)
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"0.7777\\0.7777", b"0,7777\\abc777"))
    (series,) = describe(instances(paths)).series
    assert series.geometry is not None
    assert series.geometry.pixel_spacing_mm is None


def test_a_small_file_that_inflates_to_gigabytes_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference.header_file, "MAX_INFLATED_BYTES", 40_000)
    options = {"slices": 1, "transfer_syntax": DeflatedExplicitVRLittleEndian}
    assert series_of(ct_series(rows=64, **options), tmp_path / "fits").unreadable == 0
    assert series_of(ct_series(rows=512, columns=512, **options), tmp_path / "bomb").unreadable == 1


def test_damaged_deflated_data_are_unreadable_not_an_error(tmp_path: Path) -> None:
    (path,) = write(ct_series(slices=1, transfer_syntax=DeflatedExplicitVRLittleEndian), tmp_path)
    rows = instances([path])
    content = path.read_bytes()
    path.write_bytes(content[:-200])
    with pytest.raises(zlib.error):
        pydicom.dcmread(path)
    (series,) = describe(rows).series
    assert series.unreadable == 1


@pytest.mark.shared
def test_every_odd_file_is_described_without_raising_or_logging(
    shared_images: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [p for p in (shared_images / "odd_dicom").rglob("*") if p.is_file()]
    readable = 0
    with inference.attributes.quiet_pydicom():
        rows = [instances([path]) for path in sorted(paths)]
    with caplog.at_level(logging.DEBUG):
        for row in rows:
            study = describe(row)
            (series,) = study.series
            readable += not series.unreadable
            assert series.geometry is not None or series.geometry_fault
    assert len(rows) > 200
    assert readable > 150
    assert [record for record in caplog.records if record.name.startswith("pydicom")] == []


@pytest.mark.shared
def test_archive_series_with_empty_sop_class_is_ct(shared_images: Path) -> None:
    rows = instances(files_under(shared_images / "abdomen_ct_totalseg" / "example_ct_dicom"))
    (series,) = describe(rows).series
    assert series.sop_class_uid == CT_IMAGE_STORAGE
    assert series.class_is_inferred
    assert series.geometry is not None
    assert series.geometry.spacing_mm == pytest.approx(2.0)


@pytest.mark.shared
def test_reformats_and_single_slices_are_told_apart(shared_images: Path) -> None:
    study = describe(instances(files_under(shared_images / "routing")))
    found = {
        (s.modality, s.geometry.orientation, "MPR" in s.image_type)
        for s in study.series
        if s.geometry is not None
    }
    assert {
        ("CT", "axial", False),
        ("CT", "coronal", True),
        ("CT", "sagittal", True),
        ("MR", "axial", False),
        ("", "axial", False),
    } <= found


@pytest.mark.shared
def test_pet_slices_of_uneven_rounding_are_one_stack(shared_images: Path) -> None:
    study = describe(instances(files_under(shared_images / "pet_sts_001")))
    (series,) = [s for s in study.series if s.modality == "PT"]
    geometry = series.geometry
    assert geometry is not None
    assert series.geometry_fault == ""
    assert len(series.planes) == 267
    assert geometry.spacing_mm == pytest.approx(3.27, abs=0.01)
    assert geometry.largest_gap_mm == pytest.approx(3.29, abs=0.01)
