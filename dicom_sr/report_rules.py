"""Rules of TID 1500 that a report of ours must keep, beyond attribute tables.

The rule that matters most to readers: every tracking UID owns a SCOORD. A viewer shows a black
viewport instead of a report that breaks it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

from pydicom import Dataset

from dicom_sr import codes
from node.domain.finding import CodedConcept
from node.domain.study import CompletedStudy


def report_faults(report: Dataset, study: CompletedStudy) -> Iterator[str]:
    """Faults of one report, in words; nothing when it is sound."""
    yield from _header_faults(report)
    yield from _root_faults(report)
    yield from _evidence_faults(report)
    yield from _tracking_faults(report)
    sizes = _image_sizes(study)
    for item in walk(report):
        if item.get("ValueType") == "SCOORD":
            yield from _coordinate_faults(item, sizes)
        elif item.get("ValueType") == "NUM":
            yield from _number_faults(item)


def walk(item: Dataset) -> Iterator[Dataset]:
    """The content items below an item, depth first."""
    for child in item.get("ContentSequence", ()):
        yield child
        yield from walk(child)


def named(item: Dataset, concept: CodedConcept) -> bool:
    """True when the concept name of a content item is this one."""
    names = item.get("ConceptNameCodeSequence") or [Dataset()]
    return (
        str(names[0].get("CodeValue", "")) == concept.value
        and str(names[0].get("CodingSchemeDesignator", "")) == concept.scheme
    )


def groups(report: Dataset) -> list[Dataset]:
    """The measurement groups."""
    return [item for item in walk(report) if named(item, codes.MEASUREMENT_GROUP)]


def _header_faults(report: Dataset) -> Iterator[str]:
    if report.get("VerificationFlag") != "UNVERIFIED":
        yield "software must not verify its own report"
    partial = report.get("CompletionFlag") == "PARTIAL"
    if partial != bool(report.get("CompletionFlagDescription")):
        yield "CompletionFlagDescription goes with PARTIAL, and only with it"


def _root_faults(report: Dataset) -> Iterator[str]:
    if not named(report, codes.IMAGING_MEASUREMENT_REPORT):
        yield "the root is not an Imaging Measurement Report"
    template = next(iter(report.get("ContentTemplateSequence") or ()), Dataset())
    if template.get("TemplateIdentifier") != "1500":
        yield "the root does not name template 1500"
    outcomes = (codes.SUMMARY, codes.SUMMARY_OF_DETECTIONS)
    for section in report.get("ContentSequence", ()):
        if named(section, codes.QUALITATIVE_EVALUATIONS):
            answers = section.get("ContentSequence", ())
            if any(named(item, outcome) for item in answers for outcome in outcomes):
                return
    yield "the report does not say how the run ended"


def _evidence_faults(report: Dataset) -> Iterator[str]:
    listed = {
        str(reference.ReferencedSOPInstanceUID)
        for item in report.get("CurrentRequestedProcedureEvidenceSequence", ())
        for series in item.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }
    for item in walk(report):
        for reference in item.get("ReferencedSOPSequence", ()):
            if str(reference.ReferencedSOPInstanceUID) not in listed:
                yield "the content refers to an instance that is not listed as evidence"


def _tracking_faults(report: Dataset) -> Iterator[str]:
    drawn: dict[str, bool] = defaultdict(bool)
    for group in groups(report):
        children = group.get("ContentSequence", ())
        uids = [item.UID for item in children if named(item, codes.TRACKING_UID)]
        names = [item for item in children if named(item, codes.TRACKING_IDENTIFIER)]
        if len(uids) != 1 or len(names) != 1:
            yield "a measurement group lacks its tracking identifier or tracking UID"
            continue
        drawn[str(uids[0])] |= any(item.get("ValueType") == "SCOORD" for item in children)
    for uid, has_region in drawn.items():
        if not has_region:
            yield f"tracking UID {uid} owns no SCOORD, so viewers would show a black report"


def _image_sizes(study: CompletedStudy) -> dict[str, tuple[int, int]]:
    """(rows, columns) by SOP Instance UID, where the series has one size."""
    return {
        str(instance.sop_instance_uid): (series.geometry.rows, series.geometry.columns)
        for series in study.series
        if series.geometry and series.geometry.rows and series.geometry.columns
        for instance in series.instances
    }


def _coordinate_faults(item: Dataset, sizes: dict[str, tuple[int, int]]) -> Iterator[str]:
    data = [float(value) for value in item.get("GraphicData") or ()]
    points = list(zip(data[::2], data[1::2], strict=False))
    is_point = item.get("GraphicType") == "POINT" and len(data) == 2
    if not is_point and (len(data) % 2 or len(points) < 4 or points[0] != points[-1]):
        yield "a contour is not a closed polygon of at least three points"
        return
    images = [child for child in walk(item) if child.get("ValueType") == "IMAGE"]
    if len(images) != 1:
        yield "a contour is not selected from exactly one image"
        return
    uid = str(images[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
    rows, columns = sizes.get(uid, (math.inf, math.inf))
    if not all(0 <= column <= columns and 0 <= row <= rows for column, row in points):
        yield "a contour leaves its image"


def _number_faults(item: Dataset) -> Iterator[str]:
    values = item.get("MeasuredValueSequence") or ()
    if not values:
        yield "a measurement has no value"
        return
    if not math.isfinite(float(values[0].NumericValue)):
        yield "a measurement is not a finite number"
    if not values[0].get("MeasurementUnitsCodeSequence"):
        yield "a measurement has no unit"
