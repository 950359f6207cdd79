"""RT Structure Set: the segments of the findings as closed contours on the source images.

PS3.3 A.19.3. highdicom writes no structure sets, so this is written with pydicom. Contours run
along the edges of the pixels and enclose exactly those of the segment; a hole is joined to its
surroundings by a channel without width (keyhole, PS3.3 C.8.8.6.3), because treatment planning
systems differ in what they make of a contour inside another one. So areas and volumes are those
of the segmentation, in every reader that fills polygons.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import RTStructureSetStorage

from dicom_sr.common import Kind, ResultInput, clipped, code_item, finish
from dicom_sr.segmentation import covered_segments
from dicom_sr.source import classes, study_class
from dicom_sr.tracking import points_mm
from models.polygons import polygons
from node.domain.errors import ResultError
from node.domain.finding import Contour, Segment
from node.domain.study import Plane

#: Of a study as a thing that is referenced (Detached Study Management, retired, but what
#: structure sets name: PS3.3 C.8.8.5).
STUDY_CLASS: Final = "1.2.840.10008.3.1.2.3.1"
#: PS3.5 6.2: a value of explicit VR DS has at most 65534 bytes; a point takes up to 33.
MOST_POINTS: Final = 1980
_DECIMALS: Final = 3


def why_no_structure_set(work: ResultInput) -> str:
    """Why contours that the site asked for cannot be stored; "" when they can, or are not asked."""
    if not work.context.contours or not covered_segments(work):
        return ""
    if not work.series.frame_of_reference_uid:
        return "The images have no frame of reference, so no RT structure set is stored."
    geometry = work.series.geometry
    if geometry is None or geometry.pixel_spacing_mm is None:
        return "The images have no place in the patient, so no RT structure set is stored."
    return ""


def write_structure_set(work: ResultInput) -> Dataset | None:
    """One structure set with a region of interest for each segment of the findings.

    Returns:
        None where the site did not ask for it, there is nothing to draw, or
        `why_no_structure_set` says why not.

    Raises:
        ResultError: masks and planes do not fit together.
    """
    covered = covered_segments(work)
    if not work.context.contours or not covered or why_no_structure_set(work):
        return None
    segments = [item for item in work.findings.segments if item.number in covered]
    data_set = Dataset()
    data_set.SOPClassUID = RTStructureSetStorage
    data_set.Modality = "RTSTRUCT"
    data_set.InstanceNumber = work.context.instance_number
    data_set.OperatorsName = ""
    mark = "RESEARCH" if work.context.is_research else "AI"
    data_set.StructureSetLabel = mark
    data_set.StructureSetName = clipped(f"{mark} {work.findings.model.title}")
    data_set.StructureSetDescription = clipped(_description(work), 1024)
    data_set.StructureSetDate = work.local_time.strftime("%Y%m%d")
    data_set.StructureSetTime = work.local_time.strftime("%H%M%S")
    data_set.FrameOfReferenceUID = work.series.frame_of_reference_uid
    data_set.PositionReferenceIndicator = ""
    data_set.ReferencedFrameOfReferenceSequence = [_frame_of_reference(work)]
    data_set.StructureSetROISequence = [_region(work, item) for item in segments]
    data_set.ROIContourSequence = [_contours(work, item) for item in segments]
    data_set.RTROIObservationsSequence = [_observation(item) for item in segments]
    data_set.ApprovalStatus = "UNAPPROVED"
    finish(data_set, work, Kind.STRUCTURE_SET)
    # Not of this IOD; the structure set has a date and a time of its own.
    for keyword in ("ContentDate", "ContentTime"):
        del data_set[keyword]
    return data_set


def _description(work: ResultInput) -> str:
    model = work.findings.model
    told = f"Drawn by {model.name} v{model.version}, checked by nobody."
    return f"RESEARCH USE ONLY. {told}" if work.context.is_research else told


def _frame_of_reference(work: ResultInput) -> Dataset:
    known = classes(work.series)
    series = Dataset()
    series.SeriesInstanceUID = str(work.series.series_uid)
    series.ContourImageSequence = [
        _image(class_uid, instance_uid) for instance_uid, class_uid in known.items()
    ]
    study = Dataset()
    study.ReferencedSOPClassUID = STUDY_CLASS
    study.ReferencedSOPInstanceUID = str(work.study.study_uid)
    study.RTReferencedSeriesSequence = [series]
    frame = Dataset()
    frame.FrameOfReferenceUID = work.series.frame_of_reference_uid
    frame.RTReferencedStudySequence = [study]
    return frame


def _image(class_uid: str, instance_uid: str, frame_number: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = class_uid
    item.ReferencedSOPInstanceUID = instance_uid
    if frame_number is not None:
        item.ReferencedFrameNumber = frame_number
    return item


def _region(work: ResultInput, segment: Segment) -> Dataset:
    item = Dataset()
    item.ROINumber = segment.number
    item.ReferencedFrameOfReferenceUID = work.series.frame_of_reference_uid
    item.ROIName = clipped(segment.label)
    item.ROIGenerationAlgorithm = "AUTOMATIC"
    return item


def _observation(segment: Segment) -> Dataset:
    item = Dataset()
    item.ObservationNumber = segment.number
    item.ReferencedROINumber = segment.number
    item.RTROIIdentificationCodeSequence = [code_item(segment.property_type)]
    item.RTROIInterpretedType = "ORGAN"
    item.ROIInterpreter = ""
    return item


def _contours(work: ResultInput, segment: Segment) -> Dataset:
    item = Dataset()
    item.ROIDisplayColor = list(segment.colour)
    item.ReferencedROINumber = segment.number
    drawn = []
    for plane, points in _drawn(work, segment):
        contour = Dataset()
        uid = str(plane.sop_instance_uid)
        class_uid = study_class(work.study, work.series, uid)
        contour.ContourImageSequence = [_image(class_uid, uid, plane.frame_number)]
        contour.ContourGeometricType = "CLOSED_PLANAR"
        contour.NumberOfContourPoints = len(points)
        contour.ContourData = [_decimal(value) for value in points.ravel()]
        drawn.append(contour)
    item.ContourSequence = drawn
    return item


def _drawn(work: ResultInput, segment: Segment) -> Iterator[tuple[Plane, NDArray[np.float64]]]:
    """(image, (n, 3) LPS mm) of each contour, from the first plane to the last."""
    planes, geometry = work.findings.segmented_planes, work.series.geometry
    assert geometry is not None  # as `why_no_structure_set` says
    if segment.mask.shape[0] != len(planes):
        raise ResultError(
            f"the mask of segment {segment.number} has {segment.mask.shape[0]} planes; it needs "
            f"one for each of the {len(planes)} segmented planes",
            series_uid=work.series.series_uid,
        )
    there = np.asarray(segment.mask.any(axis=(1, 2)))
    for index in np.flatnonzero(there):
        plane = planes[int(index)]
        for part in polygons(np.asarray(segment.mask[int(index)], np.bool_), MOST_POINTS):
            yield plane, points_mm(Contour(plane=plane, points=part), geometry)


def _decimal(value: float) -> str:
    """Millimetres as DS (at most 16 bytes), without a trailing zero or a negative nought."""
    text = f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
