"""Writes a phantom as a CT scanner would: CT Image Storage or Enhanced CT, one Part 10 file each.

Identifiers follow from the seed alone; nothing in the files resembles a real person.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from models.phantoms.enhanced import as_enhanced
from models.phantoms.header_words import HeaderWords
from models.phantoms.person import Person
from models.phantoms.trunk import PADDING_HU, phantom_uid
from node.domain.imaging import Volume

_INTERCEPT = -1024


class Scanned(Protocol):
    """What a phantom of any region offers to the writer."""

    @property
    def seed(self) -> int:
        """From which every identifier follows."""
        ...

    @property
    def person(self) -> Person:
        """Who was scanned."""
        ...

    @property
    def phase(self) -> Enum:
        """Of the contrast agent; its value is named in the description, "native" is without."""
        ...

    @property
    def volume(self) -> Volume:
        """HU, slices from feet to head."""
        ...

    @property
    def header(self) -> HeaderWords:
        """What the headers call it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerOptions:
    """How the series is written.

    Attributes:
        transfer_syntax: UID; compressed ones use pydicom's encoders (JPEG 2000 lossless,
            JPEG-LS lossless, RLE lossless).
        descending: instance numbers run from head to feet.
        tilt_degrees: gantry tilt; the planes are really tilted, positions stay on one line.
        feet_first: written with the rows running to the patient's right, position FFS.
        missing: indices of slices that are not written.
        padding_hu: value outside the circle of reconstruction (-1024, -2000, -3024), stored
            with PixelPaddingValue; None leaves air there and writes no attribute.
        localizer: a scout is added as a series of its own.
        enhanced: one multi-frame Enhanced CT object instead of single images.
        height_in_header: PatientSize and PatientWeight are written.
        label: distinguishes several series of one phantom (part of the UIDs).
    """

    transfer_syntax: str = ExplicitVRLittleEndian
    descending: bool = False
    tilt_degrees: float = 0.0
    feet_first: bool = False
    missing: tuple[int, ...] = ()
    padding_hu: int | None = None
    localizer: bool = False
    enhanced: bool = False
    height_in_header: bool = True
    label: str = "axial"


def write_ct_series(
    phantom: Scanned, folder: Path, options: ScannerOptions | None = None
) -> list[Path]:
    """Write every object of the series into `folder` (made if absent); the paths, in file order."""
    asked = options or ScannerOptions()
    folder.mkdir(parents=True, exist_ok=True)
    images = _images(phantom, asked)
    if asked.enhanced:
        written = [_save(as_enhanced(images), folder / "enhanced.dcm", asked)]
    else:
        written = [
            _save(image, folder / f"ct_{number:04d}.dcm", asked)
            for number, image in enumerate(images, 1)
        ]
    if asked.localizer:
        written.append(_save(_localizer(phantom, asked), folder / "localizer.dcm", asked))
    return written


def _common(phantom: Scanned, options: ScannerOptions) -> Dataset:
    """Patient, study, series, frame of reference and equipment (PS3.3 A.3)."""
    person, seed = phantom.person, phantom.seed
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = phantom.header.patient
    ds.PatientID = f"PHANTOM-{seed}"
    ds.PatientBirthDate = f"{2024 - person.age:04d}0101"
    ds.PatientSex = person.sex
    ds.PatientAge = f"{person.age:03d}Y"
    if options.height_in_header:
        ds.PatientSize = f"{person.height_cm / 100:.2f}"
        ds.PatientWeight = f"{person.weight_kg:.1f}"
    ds.StudyInstanceUID = phantom_uid(seed, "study")
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20240615"
    ds.StudyTime = "101500"
    ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "102000"
    ds.StudyID = "1"
    ds.AccessionNumber = f"SIM{seed % 10**9}"
    ds.ReferringPhysicianName = ""
    ds.StudyDescription = phantom.header.study
    ds.Modality = "CT"
    ds.SeriesInstanceUID = phantom_uid(seed, f"series {options.label}")
    ds.SeriesNumber = 2
    ds.SeriesDescription = f"{phantom.header.series} {phantom.phase.value}"
    ds.BodyPartExamined = phantom.header.body_part
    ds.PatientPosition = "FFS" if options.feet_first else "HFS"
    ds.FrameOfReferenceUID = phantom_uid(seed, "frame of reference")
    ds.PositionReferenceIndicator = ""
    ds.Manufacturer = "Vigie phantoms"
    ds.ManufacturerModelName = "Simulated CT"
    ds.DeviceSerialNumber = "0"
    ds.SoftwareVersions = "1"
    ds.KVP = "120"
    ds.XRayTubeCurrent = "220"
    ds.ExposureTime = "500"
    ds.ConvolutionKernel = "B30f"
    ds.ProtocolName = "Simulated"
    ds.RotationDirection = "CW"
    ds.TableHeight = "150"
    ds.GantryDetectorTilt = f"{options.tilt_degrees:g}"
    if phantom.phase.value != "native":
        ds.ContrastBolusAgent = "Simulated iodine"
        ds.ContrastBolusRoute = "IV"
    return ds


def _images(phantom: Scanned, options: ScannerOptions) -> list[Dataset]:
    volume = phantom.volume
    hu = np.asarray(volume.voxels, np.int16)
    step, dy, dx = volume.spacing_mm
    tilt = np.deg2rad(options.tilt_degrees)
    if tilt:
        hu = _tilted(hu, step, dy, float(tilt))
    padded = volume.padding
    if options.padding_hu is not None and padded is not None:
        hu = np.where(padded, np.int16(options.padding_hu), hu).astype(np.int16)
    x0, y0, z0 = (float(v) for v in volume.affine[:3, 3])
    column = (0.0, float(np.cos(tilt)), float(np.sin(tilt)))
    row = (1.0, 0.0, 0.0)
    if options.feet_first:
        hu = hu[:, :, ::-1]
        row, x0 = (-1.0, 0.0, 0.0), x0 + dx * (hu.shape[2] - 1)
    kept = [k for k in range(len(hu)) if k not in options.missing]
    if options.descending:
        kept.reverse()
    images = []
    for number, k in enumerate(kept, 1):
        ds = _common(phantom, options)
        ds.SOPClassUID = CTImageStorage
        ds.SOPInstanceUID = phantom_uid(phantom.seed, f"{options.label} instance {k}")
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.AcquisitionNumber = 1
        ds.InstanceNumber = number
        position = (x0, y0 * column[1], z0 + step * k + y0 * column[2])
        ds.ImagePositionPatient = [f"{v:.4f}" for v in position]
        ds.ImageOrientationPatient = [f"{v:.6g}" for v in (*row, *column)]
        ds.SliceLocation = f"{z0 + step * k:.3f}"
        ds.SliceThickness = f"{phantom.header.thickness_mm or step:g}"
        if phantom.header.kernel:
            ds.ConvolutionKernel = phantom.header.kernel
        ds.PixelSpacing = [f"{dy:.6g}", f"{dx:.6g}"]
        ds.ReconstructionDiameter = f"{dx * hu.shape[2]:.3f}"
        _pixels(ds, hu[k], options.padding_hu)
        images.append(ds)
    return images


def _pixels(ds: Dataset, hu: NDArray[np.int16], padding_hu: int | None) -> None:
    """Image pixel, CT image and VOI attributes, stored as HU + 1024 in 16 signed bits."""
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = hu.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    if padding_hu is not None:
        ds.PixelPaddingValue = padding_hu - _INTERCEPT
    ds.RescaleIntercept = f"{_INTERCEPT}"
    ds.RescaleSlope = "1"
    ds.RescaleType = "HU"
    ds.WindowCenter, ds.WindowWidth = "40", "400"
    stored = hu.astype(np.int32) - _INTERCEPT
    ds.PixelData = np.ascontiguousarray(stored.astype("<i2")).tobytes()
    ds["PixelData"].VR = "OW"


def _tilted(hu: NDArray[np.int16], step: float, dy: float, tilt: float) -> NDArray[np.int16]:
    """Sample planes that lean by `tilt` (radians) about the row axis through their centre."""
    rows = hu.shape[1]
    v = (np.arange(rows) - (rows - 1) / 2) * dy
    y = np.clip(v * np.cos(tilt) / dy + (rows - 1) / 2, 0, rows - 1.001)
    low = np.floor(y).astype(np.intp)
    part = (y - low)[None, :, None].astype(np.float32)
    flat = hu[:, low] * (1 - part) + hu[:, low + 1] * part
    shift = v * np.sin(tilt) / step
    out = np.full(hu.shape, PADDING_HU, np.float32)
    for r in range(rows):
        z = np.arange(len(hu)) + shift[r]
        inside = (z >= 0) & (z <= len(hu) - 1)
        below = np.clip(np.floor(z).astype(np.intp), 0, len(hu) - 2)
        w = (z - below)[:, None].astype(np.float32)
        lane = flat[below, r] * (1 - w) + flat[below + 1, r] * w
        out[inside, r] = lane[inside]
    tilted: NDArray[np.int16] = np.rint(out).astype(np.int16)
    return tilted


def _localizer(phantom: Scanned, options: ScannerOptions) -> Dataset:
    """A frontal scout: mean attenuation along y (PS3.3 C.8.2.1.1.1, ImageType LOCALIZER)."""
    hu = np.asarray(phantom.volume.voxels, np.float32).mean(axis=1)[::-1]
    step, _, dx = phantom.volume.spacing_mm
    ds = _common(phantom, options)
    ds.SeriesInstanceUID = phantom_uid(phantom.seed, f"localizer {options.label}")
    ds.SeriesNumber = 1
    ds.SeriesDescription = "Simulated scout"
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = phantom_uid(phantom.seed, f"localizer image {options.label}")
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    ds.AcquisitionNumber = ds.InstanceNumber = 1
    top = float(phantom.volume.affine[2, 3]) + step * (len(hu) - 1)
    left = float(phantom.volume.affine[0, 3])
    ds.ImagePositionPatient = [f"{left:.4f}", "0", f"{top:.4f}"]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "0", "-1"]
    ds.SliceThickness = "300"
    ds.PixelSpacing = [f"{step:.6g}", f"{dx:.6g}"]
    _pixels(ds, np.rint(hu).astype(np.int16), None)
    return ds


def _save(ds: Dataset, path: Path, options: ScannerOptions) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    implicit = options.transfer_syntax == ImplicitVRLittleEndian
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    ds.file_meta = meta
    if options.transfer_syntax not in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
        ds.compress(options.transfer_syntax, generate_instance_uid=False)
    ds.save_as(path, enforce_file_format=True)
    return path
