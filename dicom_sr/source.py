"""The source images as the result objects need them: headers without pixels, made safe.

highdicom copies what it is handed, and refuses or repeats every fault of it. So it never sees
a header as received: it sees small data sets with the geometry of the source and with empty
identity, and `dicom_sr/common.py` writes the identity afterwards, verbatim.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Final

import pydicom
import structlog
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    SecondaryCaptureImageStorage,
)

from node.domain.extent import Extent
from node.domain.study import CompletedStudy, Instance, Plane, Series

log = structlog.get_logger(__name__)

#: Storage class of an image that does not say which it is, by modality.
CLASS_BY_MODALITY: Final = {
    "CT": CTImageStorage,
    "MR": MRImageStorage,
    "PT": PositronEmissionTomographyImageStorage,
    "MG": DigitalMammographyXRayImageStorageForPresentation,
}

#: Repeated from the source beyond what `Patient` and `CompletedStudy` carry.
REPEATED: Final = (
    "PatientBirthTime",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "LongitudinalTemporalInformationModified",
)

#: Geometry that a segmentation takes over, exactly as the source wrote it.
GEOMETRY: Final = (
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "SliceThickness",
    "SpacingBetweenSlices",
    "PositionReferenceIndicator",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
    "NumberOfFrames",
    "DimensionOrganizationType",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)


#: Everything that is ever read of a source header.
NEEDED: Final = (
    "SpecificCharacterSet",
    "SOPInstanceUID",
    "Manufacturer",
    "ManufacturerModelName",
    "InstitutionName",
    "TimezoneOffsetFromUTC",
    "RequestAttributesSequence",
    *REPEATED,
    *GEOMETRY,
)
_UNDECODABLE = (ValueError, AttributeError, KeyError, TypeError, NotImplementedError, OSError)


def read_header(extent: Extent, needed: Sequence[str] = NEEDED) -> Dataset | None:
    """What is needed of the data set before its pixels, decoded; None when it is unreadable.

    An element that cannot be decoded is left out: a result is owed whatever the header looks
    like, and faults were told when the series was described.
    """
    header = Dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with extent.open() as stream:
                stored = pydicom.dcmread(
                    stream, stop_before_pixels=True, force=True, specific_tags=list(needed)
                )
        except (*_UNDECODABLE, InvalidDicomError):
            log.warning("source.unreadable")
            return None
        for keyword in needed:
            try:
                if keyword in stored:
                    header[keyword] = stored[keyword]
            except _UNDECODABLE:
                log.warning("source.element_undecodable", keyword=keyword)
    return header


def first_header(series: Series) -> Dataset:
    """Header of the first readable image of a series; empty when none can be read."""
    planes = [plane.extent for plane in series.planes]
    extents = planes or [item.extent for item in series.instances]
    # A series of which three images in a row cannot be read has no header worth waiting for.
    for extent in list(dict.fromkeys(extents))[:3]:
        header = read_header(extent)
        if header is not None and "SOPInstanceUID" in header:
            return header
    return Dataset()


def class_of(series: Series, instance: Instance | None = None) -> str:
    """SOP class to reference an image by: its own, that of its series, or the inferred one."""
    own = instance.sop_class_uid if instance is not None else ""
    return str(
        own
        or series.sop_class_uid
        or CLASS_BY_MODALITY.get(series.modality, SecondaryCaptureImageStorage)
    )


def classes(series: Series) -> dict[str, str]:
    """SOP class by SOP instance UID, for every image of the series."""
    return {str(item.sop_instance_uid): class_of(series, item) for item in series.instances}


def home_of(study: CompletedStudy, first: Series, instance_uid: str) -> Series:
    """The series of the study that holds an image; `first`, that was analysed, where none does."""
    for series in (first, *study.series):
        if any(item.sop_instance_uid == instance_uid for item in series.instances):
            return series
    return first


def study_class(study: CompletedStudy, first: Series, instance_uid: str) -> str:
    """SOP class to reference an image of the study by, of whatever series it is."""
    home = home_of(study, first, instance_uid)
    return classes(home).get(instance_uid, class_of(home))


def bare_reference(study: CompletedStudy, series: Series, instance_uid: str) -> Dataset:
    """A data set that says which image it is and nothing else."""
    class_uid = classes(series).get(instance_uid, class_of(series))
    return _reference(study, series, instance_uid, class_uid)


def _reference(study: CompletedStudy, series: Series, instance_uid: str, class_uid: str) -> Dataset:
    image = Dataset()
    image.SOPClassUID = class_uid
    image.SOPInstanceUID = instance_uid
    image.StudyInstanceUID = str(study.study_uid)
    image.SeriesInstanceUID = str(series.series_uid)
    image.Modality = series.modality or "OT"
    for keyword in (
        "PatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "AccessionNumber",
        "StudyID",
        "StudyDate",
        "StudyTime",
        "ReferringPhysicianName",
    ):
        setattr(image, keyword, "")
    return image


def reference_to(instance_uid: str, class_uid: str) -> Dataset:
    """An item that refers to an instance (PS3.3 table 10-11)."""
    item = Dataset()
    item.ReferencedSOPClassUID = class_uid
    item.ReferencedSOPInstanceUID = instance_uid
    return item


def with_geometry(
    study: CompletedStudy, series: Series, plane: Plane, class_uid: str
) -> Dataset | None:
    """A bare reference plus the geometry of its source; None when that cannot be read."""
    header = read_header(plane.extent, ("SpecificCharacterSet", *GEOMETRY))
    if header is None:
        return None
    image = _reference(study, series, str(plane.sop_instance_uid), class_uid)
    image.FrameOfReferenceUID = series.frame_of_reference_uid
    image.PositionReferenceIndicator = ""
    for keyword in GEOMETRY:
        if keyword in header:
            image[keyword] = header[keyword]
    return image
