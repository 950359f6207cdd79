"""A result as its report states it, read back: what evaluation and agreement compare.

Results of every model, of this node or another one, come in this one form, so that they are
compared in the same way. What a report does not say is None or empty, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from node.domain.acute import PRESENT
from node.domain.finding import CodedConcept, Evaluation, Measurement, Status

#: (code value, coding scheme) of a concept; an empty scheme stands for any.
Code = tuple[str, str]
#: Certainty of Finding, per cent: the score where a package names no other.
CERTAINTY: Code = ("111012", "DCM")
#: Statuses after which a finding that is not in the report was looked for and not found.
WHOLE = (Status.FINDINGS, Status.NO_FINDINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A contour or a point on one image (SCOORD, PS3.3 C.18.6).

    Attributes:
        frame_number: 1-based, or None for a single-frame image.
        points: (n, 2) float64, (column, row); 0.5 is the centre of the first pixel.
    """

    sop_instance_uid: str
    frame_number: int | None
    points: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedFinding:
    """One tracked thing of a report: all measurement groups that share its tracking UID.

    Attributes:
        outlines: where it lies on images.
        points_mm: (n, 3) float64 LPS mm of its spatial coordinates (SCOORD3D); empty without.
    """

    tracking_uid: str
    identifier: str
    finding: CodedConcept
    category: CodedConcept | None = None
    laterality: CodedConcept | None = None
    outlines: tuple[Outline, ...] = ()
    points_mm: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    measurements: tuple[Measurement, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report.

    Attributes:
        model, version: of the model, by its name in `models/` where the report is ours.
        status: None where the report does not say how the run ended: nothing that is not in it
            counts as absent then.
        reason: why it is partial, failed or not eligible.
        written_at: ContentDate and ContentTime, as they stand.
        predecessors: SOP Instance UIDs of the reports that it replaces.
        institution, manufacturer, scanner: of the acquisition, as far as the report repeats it.
        patient: identifies the patient; never shown or logged.
    """

    sop_instance_uid: str
    study_uid: str
    accession_number: str
    model: str
    version: str
    status: Status | None
    reason: str = ""
    findings: tuple[ReportedFinding, ...] = ()
    exam_measurements: tuple[Measurement, ...] = ()
    exam_evaluations: tuple[Evaluation, ...] = ()
    instance_number: int = 1
    written_at: str = ""
    predecessors: tuple[str, ...] = ()
    institution: str = ""
    manufacturer: str = ""
    scanner: str = ""
    patient: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_whole(self) -> bool:
        """Was everything looked at that the model looks at?"""
        return self.status in WHOLE


def is_code(concept: CodedConcept | None, code: Code) -> bool:
    """Is this the concept? An empty scheme in `code` matches any."""
    return concept is not None and concept.value == code[0] and code[1] in ("", concept.scheme)


def named_findings(report: Report, code: Code | None) -> Iterator[ReportedFinding]:
    """The findings of one code; all of them for None."""
    for item in report.findings:
        if code is None or is_code(item.finding, code):
            yield item


def is_present(report: Report, code: Code | None) -> bool:
    """Does the report hold the finding, as a place or as the answer "present"?

    Without a code: did the run find anything, by what it says of itself?
    """
    if code is None:
        return report.status is Status.FINDINGS or (
            report.status is not Status.NO_FINDINGS and bool(report.findings)
        )
    return any(True for _ in named_findings(report, code)) or any(_answers(report, code))


def score_of(report: Report, code: Code | None, score: Code) -> float | None:
    """The highest score of the finding in the report; None where it carries none."""
    found = [
        value
        for item in named_findings(report, code)
        if (value := finding_score(item, score)) is not None
    ]
    exam = [item.value for item in report.exam_measurements if is_code(item.name, score)]
    return max(found + exam, default=None)


def finding_score(item: ReportedFinding, score: Code) -> float | None:
    """The score of one finding."""
    values = [one.value for one in item.measurements if is_code(one.name, score)]
    return max(values, default=None)


def numbers(report: Report) -> dict[str, Measurement]:
    """Every measurement by its name: "L3 skeletal muscle: Area", "Skeletal muscle index at L3".

    Measurements of a finding are named by its tracking identifier; those of the whole exam stand
    alone. Where a name is there twice, the first counts.
    """
    found: dict[str, Measurement] = {}
    for item in report.findings:
        for one in item.measurements:
            found.setdefault(f"{item.identifier}: {one.label}", one)
    for one in report.exam_measurements:
        found.setdefault(one.label, one)
    return found


def _answers(report: Report, code: Code) -> Iterator[bool]:
    for item in report.exam_evaluations:
        if is_code(item.name, code):
            value = item.value
            yield isinstance(value, CodedConcept) and (value.value, value.scheme) in PRESENT
