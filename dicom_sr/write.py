"""Findings in, result objects out: the one function that the pipeline calls."""

from __future__ import annotations

from dataclasses import replace

from pydicom import Dataset

from dicom_sr.common import ResultInput
from dicom_sr.context import Predecessor, ResultContext
from dicom_sr.key_objects import write_key_objects
from dicom_sr.report import write_report
from dicom_sr.rtstruct import why_no_structure_set, write_structure_set
from dicom_sr.secondary_capture import write_captures
from dicom_sr.segmentation import why_no_segmentation, write_segmentation
from node.domain.finding import Findings
from node.domain.study import CompletedStudy, Series

__all__ = ["Predecessor", "ResultContext", "write_results"]


def write_results(
    findings: Findings, study: CompletedStudy, series: Series, context: ResultContext
) -> tuple[Dataset, ...]:
    """Every result object of one task on one study; never empty.

    The capture pages come first, then the segmentation and the structure set (each where there is
    one, and the site asked for the set), the key object selection, and the report last. The same
    arguments give the same bytes.

    Args:
        findings: of any status; "not eligible" and "failed" are reported too.
        study: supplies patient and study identity.
        series: the series that was looked at; its headers must still be on disk.
        context: labels, identity of the node, content time, and the reports replaced.

    Raises:
        ResultError: the findings cannot be expressed as valid objects.
    """
    work = ResultInput(findings=findings, study=study, series=series, context=context)
    missing = [text for why in (why_no_segmentation, why_no_structure_set) if (text := why(work))]
    if missing:
        told = replace(findings, limits=(*findings.limits, *missing))
        work = ResultInput(findings=told, study=study, series=series, context=context)
    captures = write_captures(work)
    segmentation = write_segmentation(work)
    report = write_report(work, segmentation, captures)
    structure_set = write_structure_set(work)
    selection = write_key_objects(work, captures)
    middle = tuple(item for item in (segmentation, structure_set, selection) if item is not None)
    return (*captures, *middle, report)
