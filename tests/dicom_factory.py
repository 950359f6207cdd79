"""Small valid DICOM objects for tests, in milliseconds; nothing here is random.

`ct_series()` is a cylinder of water-like tissue in air, with one brighter dot per slice that
makes every slice different. `write()` files data sets as a PACS would send them and
`instances()` turns files into the rows that the index holds.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from node.domain.extent import Extent
from node.domain.study import (
    ClassUID,
    Instance,
    InstanceUID,
    SeriesUID,
    StudyUID,
    TransferSyntaxUID,
)

#: Below 2.25 like every UID made from a UUID (PS3.5 B.2); the rest is a hash of the name.
_AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def uid(*parts: object) -> str:
    """The same UID for the same parts, always."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:15], 'big')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whose images they are."""

    name: str = "Test^Person"
    patient_id: str = "VIGIE-0001"
    birth_date: str = "19600704"
    sex: str = "F"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ct:
    """How a CT series is made.

    Attributes:
        spacing_mm: between slices, along their normal.
        gap_at: index of a slice that is left out.
        tilt: gantry tilt in degrees; the table still moves along the untilted normal.
        reversed: instance numbers run against the normal.
        hu: (slice, row, column) values; None for the cylinder.
        origin: centre of the first pixel of slice 0, LPS mm.
        stored_bits, signed: how values are stored; unsigned needs an intercept of -1024 or so.
        changes: attributes set on every data set at the end; None deletes.
    """

    slices: int = 40
    rows: int = 64
    columns: int = 64
    spacing_mm: float = 2.5
    pixel_mm: tuple[float, float] = (0.8, 0.8)
    gap_at: int | None = None
    tilt: float = 0.0
    reversed: bool = False
    cosines: Sequence[float] = _AXIAL
    origin: tuple[float, float, float] = (-25.6, -25.6, -50.0)
    transfer_syntax: str = ExplicitVRLittleEndian
    patient: Person = field(default_factory=Person)
    study_uid: str | None = None
    series_uid: str | None = None
    series_number: int = 2
    description: str = "Abdomen 2.5 B30f"
    image_type: Sequence[str] = ("ORIGINAL", "PRIMARY", "AXIAL")
    hu: NDArray[Any] | None = None
    slope: float = 1.0
    intercept: float = -1024.0
    stored_bits: int = 12
    signed: bool = False
    changes: dict[str, Any] = field(default_factory=dict)


def ct_series(**options: Any) -> list[FileDataset]:
    """One CT series; `options` are the fields of `Ct`."""
    ct = Ct(**options)
    values = cylinder(ct.slices, ct.rows, ct.columns) if ct.hu is None else ct.hu
    kept = [index for index in range(ct.slices) if index != ct.gap_at]
    return [_ct_slice(ct, index, values[index]) for index in kept]


def padded_series(hu: NDArray[np.int16]) -> list[FileDataset]:
    """A series whose scanner writes -2000, -2024 HU, where nothing was imaged."""
    return ct_series(
        slices=len(hu),
        hu=hu,
        signed=True,
        intercept=-24.0,
        stored_bits=16,
        changes={"PixelPaddingValue": -2000},
    )


def cylinder(slices: int, rows: int, columns: int) -> NDArray[np.int16]:
    """(slice, row, column) HU: 40 in a disc, -1000 around it, one dot of 300 that wanders."""
    row, column = np.mgrid[:rows, :columns]
    middle = np.array([(rows - 1) / 2, (columns - 1) / 2])
    inside = np.hypot(row - middle[0], column - middle[1]) < 0.4 * min(rows, columns)
    values = np.tile(np.where(inside, 40, -1000).astype(np.int16), (slices, 1, 1))
    for index in range(slices):
        values[index, index % rows, (index * 7) % columns] = 300
    return values


def slice_directions(ct: Ct) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Row cosines, column cosines and the step from slice to slice (mm), of a series."""
    row, column = np.array(ct.cosines[:3], float), np.array(ct.cosines[3:], float)
    table = np.cross(row, column)
    angle = math.radians(ct.tilt)
    tilted = math.cos(angle) * column + math.sin(angle) * table
    return row, tilted, table * (ct.spacing_mm / math.cos(angle))


def dx_instance(**changes: Any) -> FileDataset:
    """One chest radiograph (Digital X-Ray Image Storage - For Presentation), 64 x 64."""
    data_set = _base(uid("dx"), DigitalXRayImageStorageForPresentation, Person(), uid("dx study"))
    data_set.SeriesInstanceUID = uid("dx series")
    data_set.Modality = "DX"
    data_set.SeriesNumber = 1
    data_set.InstanceNumber = 1
    data_set.ImageType = ["ORIGINAL", "PRIMARY", ""]
    data_set.BodyPartExamined = "CHEST"
    data_set.ViewPosition = "PA"
    data_set.ImagerPixelSpacing = [0.2, 0.2]
    data_set.PresentationIntentType = "FOR PRESENTATION"
    _set_pixels(data_set, np.arange(64 * 64, dtype=np.uint16).reshape(64, 64), 12)
    _change(data_set, changes)
    return data_set


def enhanced_ct(frames: int = 20, **options: Any) -> FileDataset:
    """One Enhanced CT Image Storage object; geometry and rescale in functional groups."""
    ct = Ct(slices=frames, **options)
    values = cylinder(frames, ct.rows, ct.columns) if ct.hu is None else ct.hu
    study = ct.study_uid or uid("study", ct.patient.patient_id)
    data_set = _base(uid("enhanced", frames), EnhancedCTImageStorage, ct.patient, study)
    _ct_series_level(data_set, ct)
    data_set.InstanceNumber = 1
    data_set.ImageType = [*ct.image_type[:2], "VOLUME", "NONE"]
    row, column, step = slice_directions(ct)
    shared = Dataset()
    shared.PixelMeasuresSequence = Items(
        [_item(PixelSpacing=list(ct.pixel_mm), SliceThickness=2.5)]
    )
    shared.PlaneOrientationSequence = Items([_item(ImageOrientationPatient=[*row, *column])])
    data_set.SharedFunctionalGroupsSequence = Items([shared])
    groups = []
    for index in range(frames):
        group = Dataset()
        place = [float(v) for v in np.array(ct.origin) + index * step]
        group.PlanePositionSequence = Items([_item(ImagePositionPatient=place)])
        group.PixelValueTransformationSequence = Items(
            [_item(RescaleSlope=ct.slope, RescaleIntercept=ct.intercept, RescaleType="HU")]
        )
        groups.append(group)
    data_set.PerFrameFunctionalGroupsSequence = Items(groups)
    data_set.NumberOfFrames = frames
    _set_pixels(data_set, _stored(ct, values), ct.stored_bits)
    _encode(data_set, ct.transfer_syntax)
    _change(data_set, ct.changes)
    return data_set


def write(data_sets: Iterable[FileDataset], folder: Path) -> list[Path]:
    """Write each data set as a Part 10 file, numbered in order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, data_set in enumerate(data_sets):
        paths.append(folder / f"{number:05d}.dcm")
        data_set.save_as(paths[-1], enforce_file_format=True)
    return paths


def instances(paths: Iterable[Path]) -> tuple[Instance, ...]:
    """The rows that the index would hold for these files; their UIDs are read, or made up."""
    return tuple(_instance(path) for path in paths)


def _instance(path: Path) -> Instance:
    content = path.read_bytes()
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    except Exception:  # the file may be anything; a test hands it over on purpose
        header = FileDataset(None, {})
    meta = getattr(header, "file_meta", Dataset())
    return Instance(
        sop_instance_uid=InstanceUID(_uid_of(header, "SOPInstanceUID") or uid(path.name)),
        sop_class_uid=ClassUID(_uid_of(header, "SOPClassUID")),
        study_uid=StudyUID(_uid_of(header, "StudyInstanceUID") or uid("no study")),
        series_uid=SeriesUID(_uid_of(header, "SeriesInstanceUID") or uid("no series")),
        transfer_syntax_uid=TransferSyntaxUID(_uid_of(meta, "TransferSyntaxUID")),
        extent=Extent(path),
        digest=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        calling_ae_title="FACTORY",
        received_at=datetime(2026, 1, 5, 8, 30, tzinfo=UTC),
    )


def _uid_of(data_set: Dataset, keyword: str) -> str:
    try:
        return str(data_set.get(keyword) or "")
    except Exception:  # as above
        return ""


def _ct_slice(ct: Ct, index: int, hu: NDArray[Any]) -> FileDataset:
    study = ct.study_uid or uid("study", ct.patient.patient_id)
    series = ct.series_uid or uid("series", study, ct.series_number)
    data_set = _base(uid(series, index), CTImageStorage, ct.patient, study)
    _ct_series_level(data_set, ct)
    data_set.SeriesInstanceUID = series
    row, column, step = slice_directions(ct)
    position = np.array(ct.origin) + index * step
    data_set.InstanceNumber = ct.slices - index if ct.reversed else index + 1
    data_set.ImageType = list(ct.image_type)
    data_set.ImagePositionPatient = [_ds(value) for value in position]
    data_set.ImageOrientationPatient = [_ds(value) for value in (*row, *column)]
    data_set.PixelSpacing = [_ds(value) for value in ct.pixel_mm]
    data_set.SliceThickness = _ds(ct.spacing_mm)
    data_set.RescaleSlope = _ds(ct.slope)
    data_set.RescaleIntercept = _ds(ct.intercept)
    data_set.RescaleType = "HU"
    data_set.KVP = "120"
    data_set.AcquisitionNumber = 1
    data_set.GantryDetectorTilt = _ds(ct.tilt)
    _set_pixels(data_set, _stored(ct, hu), ct.stored_bits)
    _encode(data_set, ct.transfer_syntax)
    _change(data_set, ct.changes)
    return data_set


def _ct_series_level(data_set: FileDataset, ct: Ct) -> None:
    study = data_set.StudyInstanceUID
    data_set.Modality = "CT"
    data_set.SeriesInstanceUID = ct.series_uid or uid("series", study, ct.series_number)
    data_set.SeriesNumber = ct.series_number
    data_set.SeriesDescription = ct.description
    data_set.ProtocolName = "Abdomen"
    data_set.BodyPartExamined = "ABDOMEN"
    data_set.ConvolutionKernel = "B30f"
    data_set.PatientPosition = "HFS"
    data_set.FrameOfReferenceUID = uid("frame", study)
    data_set.PositionReferenceIndicator = ""
    data_set.BurnedInAnnotation = "NO"


def _base(instance: str, sop_class: str, person: Person, study: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = uid("factory")
    data_set = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    data_set.SpecificCharacterSet = "ISO_IR 192"
    data_set.SOPClassUID = sop_class
    data_set.SOPInstanceUID = instance
    data_set.StudyInstanceUID = study
    data_set.StudyDate = data_set.ContentDate = data_set.AcquisitionDate = "20260105"
    data_set.StudyTime = data_set.ContentTime = data_set.AcquisitionTime = "083000"
    data_set.StudyID = "1"
    data_set.StudyDescription = "CT Abdomen"
    data_set.AccessionNumber = "A0001"
    data_set.ReferringPhysicianName = "Referrer^A"
    data_set.Manufacturer = "Vigie tests"
    data_set.ManufacturerModelName = "Factory"
    data_set.PatientName = person.name
    data_set.PatientID = person.patient_id
    data_set.PatientBirthDate = person.birth_date
    data_set.PatientSex = person.sex
    return data_set


def _stored(ct: Ct, hu: NDArray[Any]) -> NDArray[Any]:
    stored = np.rint((hu.astype(np.float64) - ct.intercept) / ct.slope)
    low, high = (-(1 << ct.stored_bits - 1), (1 << ct.stored_bits - 1) - 1)
    if not ct.signed:
        low, high = 0, (1 << ct.stored_bits) - 1
    clipped: NDArray[Any] = np.clip(stored, low, high)
    return clipped.astype("<i2" if ct.signed else "<u2")


def _set_pixels(data_set: Dataset, stored: NDArray[Any], bits: int) -> None:
    data_set.SamplesPerPixel = 1
    data_set.PhotometricInterpretation = "MONOCHROME2"
    data_set.Rows, data_set.Columns = stored.shape[-2:]
    data_set.BitsAllocated = 16
    data_set.BitsStored = bits
    data_set.HighBit = bits - 1
    data_set.PixelRepresentation = int(stored.dtype.kind == "i")
    data_set.PixelData = stored.tobytes()
    data_set["PixelData"].VR = "OW"


def _encode(data_set: FileDataset, transfer_syntax: str) -> None:
    if transfer_syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
        data_set.compress(transfer_syntax, generate_instance_uid=False)
    else:
        data_set.file_meta.TransferSyntaxUID = pydicom.uid.UID(transfer_syntax)


def _change(data_set: Dataset, changes: dict[str, Any]) -> None:
    for keyword, value in changes.items():
        if value is None:
            del data_set[keyword]
        else:
            setattr(data_set, keyword, value)


def _item(**values: Any) -> Dataset:
    item = Dataset()
    _change(item, values)
    return item


def _ds(value: float) -> str:
    """A decimal string of at most 16 characters, as exact as they allow."""
    return str(pydicom.valuerep.DSfloat(float(value), auto_format=True))
