"""Segmentation (BINARY), on the grid of the source images."""

from __future__ import annotations

import highdicom
import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import SegmentDescription
from highdicom.sr import CodedConcept as HighdicomConcept
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_sr.codes import ARTIFICIAL_INTELLIGENCE, as_code
from dicom_sr.common import Kind, ResultInput, clipped, finish, person_name
from dicom_sr.source import class_of, classes, reference_to, with_geometry
from node.domain.errors import ResultError
from node.domain.finding import Segment
from node.domain.label_map import LabelMask
from node.domain.study import Plane


def why_no_segmentation(work: ResultInput) -> str:
    """Why segments that were found cannot be stored; "" when they can, or there are none."""
    if not covered_segments(work):
        return ""
    if not work.series.frame_of_reference_uid:
        return (
            "The images have no frame of reference, so no segmentation is stored; "
            "the contours on the source images and the measurements stand."
        )
    return ""


def covered_segments(work: ResultInput) -> frozenset[int]:
    """Numbers of the segments that mark at least one pixel."""
    return frozenset(item.number for item in work.findings.segments if bool(item.mask.any()))


def write_segmentation(work: ResultInput) -> Dataset | None:
    """One BINARY segmentation with every segment of the findings.

    Frames are written for planes with at least one marked pixel; every image of the series is
    listed as a source.

    Returns:
        None when there is nothing to segment, or `why_no_segmentation` says why not.

    Raises:
        ResultError: masks and planes do not fit together, or a source image is unreadable.
    """
    if not covered_segments(work) or why_no_segmentation(work):
        return None
    segments = tuple(sorted(work.findings.segments, key=lambda item: item.number))
    _check_shapes(work, segments)
    planes, masks = _occupied(work.findings.segmented_planes, segments)
    if planes[0].frame_number is None:
        sources = _single_frame_sources(work, planes)
    else:
        sources, masks = _multi_frame_source(work, planes, masks)
    try:
        data_set = highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=masks,
            segmentation_type="BINARY",
            segment_descriptions=[_describe(item, work) for item in segments],
            series_instance_uid=work.series_uid(Kind.SEGMENTATION),
            series_number=work.series_number(Kind.SEGMENTATION),
            sop_instance_uid=work.object_uid(Kind.SEGMENTATION),
            instance_number=work.context.instance_number,
            manufacturer=clipped(work.context.manufacturer),
            manufacturer_model_name=clipped(work.context.model_name),
            software_versions=clipped(work.context.software_version),
            device_serial_number=clipped(work.context.serial_number),
            content_label="SEGMENTATION",
            content_description=clipped(work.findings.model.title),
            content_creator_name=_creator(work),
            specific_character_set="ISO_IR 192",
        )
    except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        raise ResultError(
            f"the segmentation cannot be written on the source grid: {error}",
            study_uid=work.study.study_uid,
            series_uid=work.series.series_uid,
        ) from error
    _list_whole_series(data_set, work)
    finish(data_set, work, Kind.SEGMENTATION)
    return data_set


def _list_whole_series(data_set: Dataset, work: ResultInput) -> None:
    """Name every image of the source series, also those without a mark (PS3.3 C.12.2)."""
    item = Dataset()
    item.ReferencedInstanceSequence = [reference_to(*one) for one in classes(work.series).items()]
    item.SeriesInstanceUID = str(work.series.series_uid)
    data_set.ReferencedSeriesSequence = [item]


def _creator(work: ResultInput) -> str:
    # Type 2 in the IOD; a name of one word draws a warning from validators.
    return person_name(work.context.responsible_person or f"{work.context.manufacturer} Node")


def _check_shapes(work: ResultInput, segments: tuple[Segment, ...]) -> None:
    count = len(work.findings.segmented_planes)
    if [item.number for item in segments] != list(range(1, len(segments) + 1)):
        raise ResultError("segment numbers must run from 1 without a gap")
    for item in segments:
        if item.mask.ndim != 3 or item.mask.shape[0] != count:
            raise ResultError(
                f"the mask of segment {item.number} has shape {item.mask.shape}; "
                f"it needs one plane for each of the {count} segmented planes",
                series_uid=work.series.series_uid,
            )


def _occupied(
    planes: tuple[Plane, ...], segments: tuple[Segment, ...]
) -> tuple[tuple[Plane, ...], NDArray[np.uint8]]:
    """The planes from the first to the last marked one, and the masks on them.

    Planes in between are kept, so that the spacing of the frames is that of the source. The
    masks are (plane, row, column) segment numbers where no pixel is in two segments, which
    takes a fraction of the memory, else (plane, row, column, segment) 0 or 1.
    """
    marked = np.zeros(len(planes), bool)
    for item in segments:
        marked |= item.mask.any(axis=(1, 2))
    where = np.flatnonzero(marked)
    kept = slice(int(where[0]), int(where[-1]) + 1)
    shared = _shared_numbers(segments, kept)
    if shared is not None:
        return planes[kept], shared
    numbers = np.zeros(segments[0].mask[kept].shape, np.uint8)
    for item in segments:
        mask = item.mask[kept]
        if item.number > 255 or (numbers[mask] != 0).any():
            stacked = np.stack([each.mask[kept] for each in segments], axis=-1)
            return planes[kept], stacked.astype(np.uint8)
        numbers[mask] = item.number
    return planes[kept], numbers


def _shared_numbers(segments: tuple[Segment, ...], kept: slice) -> NDArray[np.uint8] | None:
    """The label map of all segments, where they share one in which their numbers are labels."""
    masks = [item.mask for item in segments]
    first = masks[0]
    if not isinstance(first, LabelMask) or segments[-1].number > 255:
        return None
    for item in segments:
        mask = item.mask
        if not isinstance(mask, LabelMask) or mask.map is not first.map:
            return None
        if mask.value != item.number:
            return None
    numbers = first.map.values[kept]
    if int(numbers.max()) > segments[-1].number:
        return None
    return np.asarray(numbers, np.uint8)


def _single_frame_sources(work: ResultInput, planes: tuple[Plane, ...]) -> list[Dataset]:
    sources: list[Dataset] = []
    known, other = classes(work.series), class_of(work.series)
    for plane in planes:
        class_uid = known.get(str(plane.sop_instance_uid), other)
        image = with_geometry(work.study, work.series, plane, class_uid)
        if image is None:
            raise ResultError(
                "the header of a source image can no longer be read",
                series_uid=work.series.series_uid,
                instance_uid=plane.sop_instance_uid,
            )
        if sources:
            # The loader accepted the stack as parallel; digits in the last place may differ.
            image.ImageOrientationPatient = sources[0].ImageOrientationPatient
        sources.append(image)
    return sources


def _multi_frame_source(
    work: ResultInput, planes: tuple[Plane, ...], masks: NDArray[np.uint8]
) -> tuple[list[Dataset], NDArray[np.uint8]]:
    """The one multi-frame image, and the masks spread over all of its frames, in its order."""
    if len({plane.sop_instance_uid for plane in planes}) > 1:
        raise ResultError(
            "segments on frames of more than one multi-frame image are not supported",
            series_uid=work.series.series_uid,
        )
    own_class = classes(work.series).get(str(planes[0].sop_instance_uid))
    class_uid = own_class or class_of(work.series)
    image = with_geometry(work.study, work.series, planes[0], class_uid)
    if image is None:
        raise ResultError(
            "the header of the multi-frame source can no longer be read",
            series_uid=work.series.series_uid,
            instance_uid=planes[0].sop_instance_uid,
        )
    spread = np.zeros((int(image.NumberOfFrames), *masks.shape[1:]), np.uint8)
    for plane, mask in zip(planes, masks, strict=True):
        assert plane.frame_number is not None
        spread[plane.frame_number - 1] = mask
    return [image], spread


def _describe(segment: Segment, work: ResultInput) -> SegmentDescription:
    model = work.findings.model
    return SegmentDescription(
        segment_number=segment.number,
        segment_label=clipped(segment.label),
        segmented_property_category=as_code(segment.category),
        segmented_property_type=as_code(segment.property_type),
        algorithm_type="AUTOMATIC",
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=clipped(model.name),
            version=clipped(model.version),
            source=clipped(model.manufacturer),
            family=HighdicomConcept.from_code(as_code(ARTIFICIAL_INTELLIGENCE)),
        ),
        tracking_uid=segment.tracking_uid or None,
        tracking_id=segment.tracking_identifier or segment.label if segment.tracking_uid else None,
        display_color=CIELabColor.from_rgb(*segment.colour),
    )
