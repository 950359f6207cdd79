"""Structured reports read in a killable worker: strangers' and our own.

What is returned is small, and holds nothing about the patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom import Dataset

from dicom_sr.assessment import Assessed, assess
from dicom_sr.document import ReportContent, TrackedGroup, read_content
from inference.attributes import UNREADABLE, quiet_pydicom
from node.domain.errors import DocumentError
from node.domain.extent import Extent
from node.domain.feedback import Answer, ReportedFinding
from node.ledger.findings import Report

#: A structured report is text and contours; a larger one is not read.
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a received document refers to.

    Attributes:
        study_uid: Study Instance UID in the data set.
        tracking_uids: of its measurement groups, in their order.
        references: SOP Instance UIDs, its own among them.
    """

    sop_instance_uid: str
    study_uid: str
    tracking_uids: tuple[str, ...]
    references: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessTask:
    """A received document and the reports of ours that it may answer, by key of the job.

    Attributes:
        findings: what the ledger knows of each report, for one that is gone from the disk.
    """

    document: Extent
    reports: Mapping[str, Path]
    findings: Mapping[str, tuple[ReportedFinding, ...]]
    words: Mapping[tuple[str, str], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What a document says about each report.

    Attributes:
        reader: opaque, never for logs. at: seconds since the epoch, None where it is not stated.
        findings: by key of the job.
    """

    reader: str
    at: float | None
    findings: Mapping[str, tuple[Assessed, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnReport:
    """One of our reports; model and version stand in its equipment where it has no finding."""

    path: Path
    model: str


def name_references(document: Extent) -> Named:
    """What a document refers to; raises DocumentError when it cannot be read."""
    content = _content(document)
    return Named(
        sop_instance_uid=content.sop_instance_uid,
        study_uid=content.study_uid,
        tracking_uids=tuple(group.tracking_uid for group in content.groups),
        references=content.references | {content.sop_instance_uid},
    )


def assess_document(task: AssessTask) -> Assessment:
    """What a document says about our reports; raises DocumentError when it cannot be read."""
    document = _content(task.document)
    findings: dict[str, tuple[Assessed, ...]] = {}
    for key, known in task.findings.items():
        ours, is_there = _ours(task.reports.get(key), known)
        findings[key] = assess(document, ours, task.words, outlines_known=is_there)
    return Assessment(
        reader=document.reader,
        at=document.at.timestamp() if document.at is not None else None,
        findings=findings,
    )


def _ours(
    path: Path | None, known: tuple[ReportedFinding, ...]
) -> tuple[tuple[TrackedGroup, ...], bool]:
    """What our report says, and whether it is still there; else what the ledger knows of it."""
    if path is not None:
        try:
            return _content(Extent(path)).groups, True
        except DocumentError:
            pass
    groups = (
        TrackedGroup(tracking_uid=one.tracking_uid, measurements=one.measurements) for one in known
    )
    return tuple(groups), False


def read_own(report: OwnReport) -> Report:
    """The findings that a report of ours states; raises DocumentError when it cannot be read."""
    content = _content(Extent(report.path))
    return Report(
        sop_instance_uid=content.sop_instance_uid,
        study_uid=content.study_uid,
        findings=tuple(group.as_finding(report.model, "") for group in content.groups),
    )


def _content(extent: Extent) -> ReportContent:
    with quiet_pydicom():
        try:
            return read_content(_data_set(extent))
        except DocumentError:
            raise
        except UNREADABLE as error:
            # The message of the error could quote a value.
            raise DocumentError(f"its data set is damaged ({type(error).__name__})") from None


def _data_set(extent: Extent) -> Dataset:
    if extent.size > MAX_BYTES:
        raise DocumentError(f"it is larger than {MAX_BYTES >> 20} MiB")
    with extent.open() as stream:
        return pydicom.dcmread(stream, force=True)
