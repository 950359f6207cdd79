"""What readers say about findings of ours, and what of a finding they say it about.

A reader answers about one finding of one result: the same lesion in a corrected result is
another finding with the same Tracking Unique Identifier (PS3.16 TID 1410, 1411).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: Structured reports that a reader can write (PS3.3 A.35): Basic Text, Enhanced, Comprehensive,
#: Comprehensive 3D and Extensible SR. They are documents about images and are never analysed.
READER_DOCUMENTS: Final = frozenset(
    f"1.2.840.10008.5.1.4.1.1.88.{number}" for number in (11, 22, 33, 34, 35)
)


class Answer(StrEnum):
    """What a reader says of one finding."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CORRECTED = "corrected"


class Source(StrEnum):
    """How an answer came."""

    API = "api"
    #: In a structured report that was sent here.
    SR = "sr"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredValue:
    """One number of a finding as a report or a reader states it.

    Attributes:
        name: code meaning ("Area"), with the derivation behind it ("Attenuation, Mean").
        code: "value scheme" of the name and of the derivation, "" where a person typed the name.
        unit: UCUM code ("cm2").
    """

    name: str
    value: float
    unit: str
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedFinding:
    """One finding as the report of a result states it; what a reader answers about.

    Attributes:
        finding, site: code meanings, "" where none is stated.
        model, model_version: Algorithm Name and Version (PS3.16 TID 4019).
    """

    tracking_uid: str
    identifier: str
    finding: str
    site: str
    model: str
    model_version: str
    measurements: tuple[MeasuredValue, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFinding:
    """A reported finding with the result that it belongs to.

    Attributes:
        result: key of the job that made the result.
        report_uid: SOP Instance UID of its report. report_study_uid: Study Instance UID in that
            report; another than `study_uid` where the PACS holds the study under another one.
        at: when the job was queued, s since epoch.
        is_current: no newer result took its place, and nobody took it back.
    """

    study_uid: str
    result: str
    report_uid: str
    report_study_uid: str
    at: float
    is_current: bool
    finding: ReportedFinding


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderAnswer:
    """One answer of one reader about one finding of one result.

    Attributes:
        result, report_uid, tracking_uid: the finding that it is about.
        model, model_version: what made that finding; they stay when a newer result replaces it.
        reader: opaque: the name of an API user, the code of a verifying observer, or the name
            that the document states; never for logs.
        at: when it was given, as far as a document says so and never later than it came;
            received_at: when it came here. Seconds since the epoch.
        measurements: what the reader measured instead. comment: free text; never for logs.
        document_uid: SOP Instance UID of the structured report, "" for the API.
        is_current: the latest word of this reader about this finding.
    """

    study_uid: str
    result: str
    report_uid: str
    tracking_uid: str
    finding: str
    model: str
    model_version: str
    reader: str
    source: Source
    answer: Answer
    at: float
    received_at: float
    measurements: tuple[MeasuredValue, ...] = ()
    comment: str = ""
    document_uid: str = ""
    is_current: bool = True

    def says_the_same_as(self, other: ReaderAnswer) -> bool:
        """Would writing it again add nothing?"""
        return (self.answer, self.measurements, self.comment) == (
            other.answer,
            other.measurements,
            other.comment,
        )
