"""Single CT images of one series as one Enhanced CT object (PS3.3 A.38)."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage

_COPIED = (
    "SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "PatientAge", "PatientSize", "PatientWeight", "StudyInstanceUID", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription", "Modality",
    "SeriesInstanceUID", "SeriesNumber", "SeriesDate", "SeriesTime", "SeriesDescription",
    "BodyPartExamined", "PatientPosition", "FrameOfReferenceUID", "PositionReferenceIndicator",
    "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions",
    "ContentDate", "ContentTime", "SamplesPerPixel", "PhotometricInterpretation", "Rows",
    "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PixelPaddingValue",
)  # fmt: skip

_REGIONS = {
    "ABDOMEN": ("818981001", "SCT", "Abdomen"),
    "CHEST": ("51185008", "SCT", "Chest"),
}
"""Body Part Examined -> code of the region (PS3.16 Annex L)."""


def _item(**values: object) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    return _item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def as_enhanced(images: list[Dataset]) -> Dataset:
    """One multi-frame object with the same frames, positions and rescale values."""
    first = images[0]
    ds = Dataset()
    for keyword in _COPIED:
        if keyword in first:
            ds[keyword] = first[keyword]
    ds.SOPClassUID = EnhancedCTImageStorage
    ds.SOPInstanceUID = f"{first.SOPInstanceUID}.1"
    kind = ["DERIVED", "PRIMARY", "VOLUME", "NONE"]
    ds.ImageType = kind
    ds.InstanceNumber = 1
    ds.AcquisitionDateTime = "20240615102000"
    ds.PixelPresentation = "MONOCHROME"
    ds.VolumetricProperties = "VOLUME"
    ds.VolumeBasedCalculationTechnique = "NONE"
    ds.ContentQualification = "RESEARCH"
    ds.BurnedInAnnotation = "NO"
    ds.LossyImageCompression = "00"
    ds.PresentationLUTShape = "IDENTITY"
    ds.AcquisitionContextSequence = Sequence([])
    ds.NumberOfFrames = len(images)
    organization = f"{first.SOPInstanceUID}.2"
    ds.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=organization)]
    ds.DimensionIndexSequence = [
        _item(
            DimensionOrganizationUID=organization,
            DimensionIndexPointer=0x00200032,
            FunctionalGroupPointer=0x00209113,
        )
    ]
    ds.SharedFunctionalGroupsSequence = [_shared(first, kind)]
    ds.PerFrameFunctionalGroupsSequence = [
        _item(
            FrameContentSequence=[
                _item(DimensionIndexValues=k, StackID="1", InStackPositionNumber=k)
            ],
            PlanePositionSequence=[_item(ImagePositionPatient=image.ImagePositionPatient)],
        )
        for k, image in enumerate(images, 1)
    ]
    ds.PixelData = b"".join(image.PixelData for image in images)
    ds["PixelData"].VR = "OW"
    assert len(ds.PixelData) == 2 * int(np.prod([len(images), first.Rows, first.Columns]))
    return ds


def _shared(first: Dataset, kind: list[str]) -> Dataset:
    shared = Dataset()
    shared.PixelMeasuresSequence = [
        _item(PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness)
    ]
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=first.ImageOrientationPatient)]
    shared.IrradiationEventIdentificationSequence = [
        _item(IrradiationEventUID=f"{first.SOPInstanceUID}.3")
    ]
    shared.FrameAnatomySequence = [
        _item(
            FrameLaterality="U",
            AnatomicRegionSequence=[_code(*_REGIONS[first.BodyPartExamined])],
        )
    ]
    shared.CTImageFrameTypeSequence = [
        _item(
            FrameType=kind,
            PixelPresentation="MONOCHROME",
            VolumetricProperties="VOLUME",
            VolumeBasedCalculationTechnique="NONE",
        )
    ]
    shared.PixelValueTransformationSequence = [
        _item(
            RescaleIntercept=first.RescaleIntercept,
            RescaleSlope=first.RescaleSlope,
            RescaleType="HU",
        )
    ]
    shared.FrameVOILUTSequence = [_item(WindowCenter="40", WindowWidth="400")]
    return shared
