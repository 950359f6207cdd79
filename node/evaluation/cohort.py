"""The studies of a cohort with the results that they have, wherever these come from.

Three sources answer in this one form: the ledger (`from_ledger.py`), images that are analysed now
(`from_images.py`), and reports in a folder (`from_reports.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from node.domain.finding import Status
from node.domain.reported import Report
from node.evaluation.places import NO_IMAGES, Images
from node.evaluation.truth import ACCESSION

#: What `--by` may name besides the extra columns of the truth table, with its origin.
HEADER_GROUPS: Final = {
    "site": "InstitutionName",
    "scanner": "Manufacturer, ManufacturerModelName and StationName",
    "protocol": "ProtocolName, else SeriesDescription",
    "kernel": "ConvolutionKernel",
}
NOT_STATED: Final = "not stated"


class Outcome(StrEnum):
    """How one model ended on one study; only `DONE` can be right or wrong about a finding."""

    DONE = "done"
    PARTIAL = "done in part"
    #: Whole, but without the measurement that is asked for.
    WITHOUT = "done, without the number"
    NOT_ELIGIBLE = "not eligible"
    FAILED = "failed"
    UNFINISHED = "unfinished"
    ABSENT = "no result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one model has to say of one study.

    Attributes:
        reason: why there is no result; also of a part.
        report: None where there is none, or none that can be read.
        groups: site, scanner, protocol and kernel of what was looked at.
    """

    outcome: Outcome
    reason: str = ""
    report: Report | None = None
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One study.

    Attributes:
        patient: the same for all studies of a patient; says nothing about who that is.
        results: by model.
        missing, ended: why no model has a say, and how that is to be counted.
        images: to be asked while the case is at hand, not later.
    """

    study_uid: str
    accession_number: str = ""
    patient: str = ""
    results: Mapping[str, Result] = field(default_factory=dict)
    missing: str = ""
    ended: Outcome = Outcome.ABSENT
    images: Images = NO_IMAGES


class Cohort(Protocol):
    """Where cases come from.

    Attributes:
        told: in a few words, where from.
    """

    told: str

    def cases(self, wanted: Wanted | None) -> Iterator[Case]:
        """The wanted studies that are known here, one at a time; None: every study."""
        ...

    def count(self, wanted: Wanted | None) -> int:
        """How many cases there will be."""
        ...

    @property
    def problems(self) -> Sequence[str]:
        """What could not be read, in words; complete when all cases were given."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which studies are asked for.

    Attributes:
        keyed_by: "StudyInstanceUID" or "AccessionNumber".
    """

    keyed_by: str
    keys: frozenset[str]

    def __contains__(self, study: tuple[str, str]) -> bool:
        """Is (Study Instance UID, Accession Number) asked for?"""
        return study[self.keyed_by == ACCESSION] in self.keys


def outcome_of(report: Report) -> tuple[Outcome, str]:
    """How a report says that its run ended, with the reason."""
    match report.status:
        case Status.FINDINGS | Status.NO_FINDINGS:
            return Outcome.DONE, ""
        case Status.PARTIAL:
            return Outcome.PARTIAL, report.reason
        case Status.FAILED:
            return Outcome.FAILED, report.reason
        case Status.NOT_ELIGIBLE:
            return Outcome.NOT_ELIGIBLE, report.reason
        case None:
            # What it does not hold may not have been looked for.
            return Outcome.PARTIAL, "the report does not say whether its analysis succeeded"


def report_groups(report: Report) -> dict[str, str]:
    """What a report repeats of the acquisition: no station, protocol or kernel."""
    return {
        "site": report.institution,
        "scanner": " ".join(filter(None, (report.manufacturer, report.scanner))),
    }


def patient_key(identifiers: tuple[str, ...], study_uid: str) -> str:
    """A name for the patient that does not name them; without an identifier one for the study."""
    known = any(identifiers[1:])
    text = "\x1f".join(identifiers) if known else f"study\x1f{study_uid}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
