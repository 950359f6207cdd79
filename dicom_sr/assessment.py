"""What a reader's structured report says about findings of ours, and what it leaves open.

Three things are an answer, and nothing else is:

1. An explicit assessment: a CODE in the measurement group of the finding whose value is one of
   `ASSESSMENTS`, or one that the site names (`feedback.assessment_codes`). As said.
2. A change: the group carries other numbers, or another outline on the same image, than our
   report. Corrected, whoever signed it: this is what viewers save after a contour was moved.
3. A VERIFIED document (PS3.3 C.17.2: attested to by an observer who is accountable for its
   content) that repeats a number or an outline of the finding, changes nothing, calls it the
   same and adds no comment. Accepted, by the verifying observer.

A finding that is absent was not rejected, and an unverified copy says nothing.

IHE names this task AI Result Assessment (AIRA) and its three outcomes. PS3.16 as of pydicom 3.0.2
has no code for them: CID 3217 compares with prior studies, CID 7010 is about whole objects, CID
701 about radiotherapy plans. So the codes here are private (PS3.3 8.2: designators that begin
with "99" are).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dicom_sr.document import Region, ReportContent, TrackedGroup
from node.domain.feedback import Answer, MeasuredValue
from node.domain.finding import CodedConcept

SCHEME: Final = "99VIGIE"
#: Name of the CODE item; what counts is its value.
ASSESSMENT: Final = CodedConcept("ASSESSMENT", SCHEME, "Assessment of AI result")
ASSESSMENTS: Final = {
    Answer.ACCEPTED: CodedConcept("ACCEPTED", SCHEME, "Accepted"),
    Answer.REJECTED: CodedConcept("REJECTED", SCHEME, "Rejected"),
    Answer.CORRECTED: CodedConcept("CORRECTED", SCHEME, "Corrected"),
}
#: A viewer that measures an unchanged outline anew comes to a slightly other number.
SAME_WITHIN: Final = 0.02
#: Farthest distance of two outlines that are the same, in pixels of the image.
SAME_OUTLINE_PIXELS: Final = 0.5
#: An open POLYLINE of fewer points is a length or an angle.
FEWEST_OUTLINE_POINTS: Final = 5
#: UCUM code -> (what it measures, factor), so that 1200 mm2 is 12 cm2.
_UNITS: Final[Mapping[str, tuple[str, float]]] = {
    "mm": ("length", 1.0),
    "cm": ("length", 10.0),
    "m": ("length", 1000.0),
    "mm2": ("area", 1.0),
    "cm2": ("area", 100.0),
    "mm3": ("volume", 1.0),
    "cm3": ("volume", 1000.0),
    "ml": ("volume", 1000.0),
    "mL": ("volume", 1000.0),
    "l": ("volume", 1_000_000.0),
    "L": ("volume", 1_000_000.0),
}

#: (code value, scheme) -> what it says.
Vocabulary = Mapping[tuple[str, str], Answer]
STANDARD_VOCABULARY: Final[Vocabulary] = {
    (code.value, code.scheme): answer for answer, code in ASSESSMENTS.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """What a document says about one finding of ours.

    Attributes:
        answer: None where it leaves open what it thinks of it, with `why`.
        measurements: the reader's numbers that differ from ours, or that we have not.
        comment: texts of the group, one a line; never for logs.
    """

    tracking_uid: str
    answer: Answer | None
    why: str
    measurements: tuple[MeasuredValue, ...] = ()
    comment: str = ""


def assess(
    document: ReportContent,
    ours: Sequence[TrackedGroup],
    vocabulary: Vocabulary,
    *,
    outlines_known: bool = True,
) -> tuple[Assessed, ...]:
    """What a document says about each finding of one report of ours that it names.

    Args:
        ours: what our report says of each finding.
        outlines_known: False where our report is gone and `ours` has no regions; then nobody
            can tell whether an outline is unchanged.
    """
    known = {group.tracking_uid: group for group in ours}
    return tuple(
        _assess(
            group,
            known[group.tracking_uid],
            words=vocabulary,
            verified=document.verified,
            comparable=outlines_known or not group.regions,
        )
        for group in document.groups
        if group.tracking_uid in known
    )


def _assess(
    theirs: TrackedGroup,
    ours: TrackedGroup,
    *,
    words: Vocabulary,
    verified: bool,
    comparable: bool,
) -> Assessed:
    changed, added = _numbers(theirs.measurements, ours.measurements)
    moved = _is_moved(theirs.regions, ours.regions)
    said = {
        words[code.value, code.scheme]
        for code in theirs.codes
        if (code.value, code.scheme) in words
    }
    answer: Answer | None = None
    if len(said) > 1:
        why = f"it says both {' and '.join(sorted(said))}"
    elif said:
        (answer,) = said
        why = "explicit assessment"
    elif changed or moved:
        answer = Answer.CORRECTED
        told = [*(["the outline"] if moved else []), *(item.name for item in changed)]
        why = f"changed: {', '.join(told)}"
    elif not verified:
        why = "repeated unchanged in an unverified document, without an assessment"
    elif not comparable:
        why = "our result is no longer on the disk, so its outline cannot be compared"
    else:
        why = _doubt(theirs, ours)
        answer = None if why else Answer.ACCEPTED
        why = why or "repeated unchanged in a verified document"
    comments = [text for text in theirs.comments if text not in ours.comments]
    return Assessed(
        tracking_uid=theirs.tracking_uid,
        answer=answer,
        why=why,
        measurements=(*changed, *added),
        comment="\n".join(comments),
    )


def _doubt(theirs: TrackedGroup, ours: TrackedGroup) -> str:
    """Why a verified group that changes nothing still does not accept the finding; "" for none."""
    numbers = any(
        one.code == mine.code and _is_same(one, mine)
        for one in theirs.measurements
        for mine in ours.measurements
    )
    outlines = any(_same_outline(one, mine) for one in theirs.regions for mine in ours.regions)
    if not numbers and not outlines:
        return "named in a verified document that repeats nothing of it"
    if ours.finding_code and theirs.finding_code not in ("", ours.finding_code):
        return "a verified document calls it something else, without an assessment"
    if set(theirs.comments) - set(ours.comments):
        return "commented on in a verified document, without an assessment"
    return ""


def _numbers(
    theirs: Sequence[MeasuredValue], ours: Sequence[MeasuredValue]
) -> tuple[tuple[MeasuredValue, ...], tuple[MeasuredValue, ...]]:
    """Numbers that have the name of one of ours and another value, and numbers of their own.

    A number in a unit that cannot be converted to ours is one of their own.
    """
    changed, added = [], []
    for number in theirs:
        compared = [
            same
            for mine in ours
            if mine.code == number.code and (same := _is_same(number, mine)) is not None
        ]
        if not compared:
            added.append(number)
        elif not any(compared):
            changed.append(number)
    return tuple(changed), tuple(added)


def _is_same(theirs: MeasuredValue, ours: MeasuredValue) -> bool | None:
    """Are two numbers the same? None where their units cannot be compared."""
    value, mine = theirs.value, ours.value
    if theirs.unit != ours.unit:
        kinds = _UNITS.get(theirs.unit), _UNITS.get(ours.unit)
        if kinds[0] is None or kinds[1] is None or kinds[0][0] != kinds[1][0]:
            return None
        value = value * kinds[0][1] / kinds[1][1]
    return abs(value - mine) <= SAME_WITHIN * max(abs(value), abs(mine))


def _is_moved(theirs: Sequence[Region], ours: Sequence[Region]) -> bool:
    """Is an outline of theirs none of ours on its image?

    Only outlines of a kind that our report has are compared: a diameter or an angle that a reader
    drew across a finding is a measurement of its own. An outline of ours that is missing is no
    change.
    """
    kinds = {one.graphic_type for one in ours}
    return any(
        not any(_same_outline(region, mine) for mine in ours)
        for region in theirs
        if region.graphic_type in kinds and not _is_line(region)
    )


def _is_line(region: Region) -> bool:
    """Is a POLYLINE a length (2 points) or an angle (3 or 4) of a viewer, and no outline?"""
    is_closed = region.points[0] == region.points[-1] and len(region.points) > 2
    return (
        region.graphic_type == "POLYLINE"
        and not is_closed
        and len(region.points) < FEWEST_OUTLINE_POINTS
    )


def _same_outline(first: Region, second: Region) -> bool:
    if (first.graphic_type, first.sop_instance_uid) != (
        second.graphic_type,
        second.sop_instance_uid,
    ):
        return False
    if max(first.frame, 1) != max(second.frame, 1):
        return False
    a, b = np.asarray(first.points), np.asarray(second.points)
    farthest = max(_farthest(a, b), _farthest(b, a))
    return farthest <= SAME_OUTLINE_PIXELS


def _farthest(points: NDArray[np.float64], outline: NDArray[np.float64]) -> float:
    """Largest distance of `points` (n, 2) from the polyline `outline` (m, 2), in pixels."""
    if len(outline) == 1:
        return float(np.linalg.norm(points - outline[0], axis=1).max())
    start, along = outline[:-1], np.diff(outline, axis=0)
    squared = np.maximum((along**2).sum(axis=1), 1e-12)
    worst = 0.0
    for point in points:
        share = np.clip(((point - start) * along).sum(axis=1) / squared, 0.0, 1.0)
        nearest = start + share[:, None] * along
        worst = max(worst, float(np.linalg.norm(nearest - point, axis=1).min()))
    return worst
