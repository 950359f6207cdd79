"""Arrays filed as a CT series of DICOM files, so that the product reads them like any other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from node.domain.extent import Extent
from node.domain.finding import derived_uid
from node.domain.study import (
    ClassUID,
    Instance,
    InstanceUID,
    Patient,
    SeriesUID,
    StudyUID,
    TransferSyntaxUID,
)

#: Stored where nothing was imaged, as GE scanners do it.
PADDING = -2000


@dataclass(frozen=True, slots=True, kw_only=True)
class CtArray:
    """A CT series as an array.

    Attributes:
        name: from which all UIDs derive.
        voxels: (slice, row, column) int16 HU. affine: to LPS mm.
        padding: where nothing was imaged, or None.
    """

    name: str
    voxels: NDArray[np.int16]
    affine: NDArray[np.float64]
    padding: NDArray[np.bool_] | None = None
    patient: Patient = field(default_factory=Patient)


def file_series(array: CtArray, folder: Path) -> list[Path]:
    """Write one CT Image Storage instance per slice."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(len(array.voxels)):
        path = folder / f"{index + 1:04d}.dcm"
        _slice(array, index).save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def instances_of(paths: Iterable[Path]) -> tuple[Instance, ...]:
    """Files as rows of the index; files without a preamble are read too."""
    rows = []
    for path in paths:
        raw = path.read_bytes()
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        meta = getattr(header, "file_meta", Dataset())
        sop_class = header.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or ""
        rows.append(
            Instance(
                sop_instance_uid=InstanceUID(str(header.SOPInstanceUID)),
                sop_class_uid=ClassUID(str(sop_class)),
                study_uid=StudyUID(str(header.StudyInstanceUID)),
                series_uid=SeriesUID(str(header.SeriesInstanceUID)),
                transfer_syntax_uid=TransferSyntaxUID(str(meta.get("TransferSyntaxUID", ""))),
                extent=Extent(path),
                digest=hashlib.sha256(raw).hexdigest(),
                size_bytes=len(raw),
                calling_ae_title="EVALUATION",
                received_at=datetime.now(UTC),
            )
        )
    return tuple(rows)


def _slice(array: CtArray, index: int) -> FileDataset:
    across, down, along = array.affine[:3, 2], array.affine[:3, 1], array.affine[:3, 0]
    columns, rows = np.linalg.norm(across), np.linalg.norm(down)
    data_set = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    _identify(data_set, array, index)
    position = array.affine[:3, 3] + index * along
    data_set.ImagePositionPatient = [_ds(value) for value in position]
    data_set.ImageOrientationPatient = [_ds(v) for v in (*(across / columns), *(down / rows))]
    data_set.PixelSpacing = [_ds(float(rows)), _ds(float(columns))]
    data_set.SliceThickness = _ds(float(np.linalg.norm(along)))
    data_set.Rows, data_set.Columns = array.voxels.shape[1:]
    data_set.SamplesPerPixel = 1
    data_set.PhotometricInterpretation = "MONOCHROME2"
    data_set.BitsAllocated = data_set.BitsStored = 16
    data_set.HighBit = 15
    data_set.PixelRepresentation = 1
    data_set.RescaleIntercept, data_set.RescaleSlope = "0", "1"
    data_set.RescaleType = "HU"
    stored = array.voxels[index].astype(np.int16)
    if array.padding is not None:
        stored = np.where(array.padding[index], PADDING, stored).astype(np.int16)
        data_set.add_new(0x00280120, "SS", PADDING)
    data_set.PixelData = np.ascontiguousarray(stored, "<i2").tobytes()
    return data_set


def _identify(data_set: FileDataset, array: CtArray, index: int) -> None:
    patient = array.patient
    data_set.SOPClassUID = CTImageStorage
    data_set.SOPInstanceUID = derived_uid("evaluation", array.name, str(index))
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    data_set.StudyInstanceUID = derived_uid("evaluation", array.name, "study")
    data_set.SeriesInstanceUID = derived_uid("evaluation", array.name, "series")
    data_set.FrameOfReferenceUID = derived_uid("evaluation", array.name, "frame")
    data_set.Modality = "CT"
    data_set.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data_set.PatientName, data_set.PatientID = "Evaluation^Only", "EVALUATION"
    data_set.PatientSex = patient.sex
    if patient.age_years is not None:
        data_set.PatientAge = f"{int(patient.age_years):03d}Y"
    if patient.size_m is not None:
        data_set.PatientSize = _ds(patient.size_m)
    if patient.weight_kg is not None:
        data_set.PatientWeight = _ds(patient.weight_kg)
    data_set.SeriesNumber, data_set.InstanceNumber = 1, index + 1
    data_set.KVP = "120"


def _ds(value: float) -> str:
    """A decimal string of at most 16 characters (PS3.5 table 6.2-1)."""
    return f"{value:.8g}"
