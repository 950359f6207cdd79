"""What differs between two data sets under one UID: whose images they are, or the images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydicom.uid import ImplicitVRLittleEndian

from inference.differences import compare_series
from node.domain.discrepancy import Difference, Kind
from tests.dicom_factory import Person, ct_series, instances, write


def compared(folder: Path, **options: Any) -> Difference:
    """A series of three against the same with other options; UIDs are those of the first."""
    first = ct_series(slices=3)
    second = ct_series(slices=3, **options)
    for old, new in zip(first, second, strict=True):
        new.SOPInstanceUID = new.file_meta.MediaStorageSOPInstanceUID = old.SOPInstanceUID
        new.SeriesInstanceUID = old.SeriesInstanceUID
        new.FrameOfReferenceUID = old.FrameOfReferenceUID
        if options.get("study_uid") is None:
            new.StudyInstanceUID = old.StudyInstanceUID
    newer = instances(write(second, folder / "new"))
    earlier = instances(write(first, folder / "old"))
    (difference,) = compare_series(tuple(zip(newer, earlier, strict=True)))
    return difference


def test_corrected_patient_is_identity_and_names_only_attributes(tmp_path: Path) -> None:
    found = compared(tmp_path, patient=Person(patient_id="VIGIE-0002", name="Corrected^Person"))
    assert found.kind is Kind.IDENTITY
    assert found.keywords == ("PatientID", "PatientName")
    assert found.newer_identity["PatientID"] == "VIGIE-0002"
    assert found.earlier_identity["PatientID"] == "VIGIE-0001"
    assert "Corrected" not in repr(found)


def test_corrected_study_is_identity(tmp_path: Path) -> None:
    found = compared(tmp_path, study_uid="2.25.77", changes={"AccessionNumber": "A2"})
    assert found.kind is Kind.IDENTITY
    assert "StudyInstanceUID" in found.keywords


def test_other_pixels_or_another_place_are_content(tmp_path: Path) -> None:
    pixels = compared(tmp_path / "1", intercept=-1000.0)
    assert pixels.kind is Kind.CONTENT
    assert "RescaleIntercept" in pixels.keywords
    place = compared(tmp_path / "2", origin=(0.0, 0.0, 0.0), patient=Person(patient_id="X"))
    assert place.kind is Kind.CONTENT
    assert {"ImagePositionPatient", "PatientID"} <= set(place.keywords)


def test_private_elements_and_another_plain_encoding_are_form(tmp_path: Path) -> None:
    found = compared(tmp_path, transfer_syntax=ImplicitVRLittleEndian)
    assert (found.kind, found.keywords) == (Kind.FORM, ())


def test_data_set_that_cannot_be_read_is_content(tmp_path: Path) -> None:
    (good,) = instances(write(ct_series(slices=1), tmp_path / "good"))
    (damaged,) = instances(write(ct_series(slices=1), tmp_path / "damaged"))
    damaged.extent.path.write_bytes(b"\xff" * 400)
    (found,) = compare_series(((damaged, good),))
    assert found.kind is Kind.CONTENT
