"""Verdicts: may this model look at this series, and how did a job or a delivery end.

Three outcomes stay apart everywhere: done, not eligible (reason), failed (cause).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

from node.domain.study import SeriesUID, StudyUID

ModelName = NewType("ModelName", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligible:
    """The model may look at the series. `rank`: lower is the better input; ties by UID."""

    model: ModelName
    series_uid: SeriesUID
    rank: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ineligible:
    """The model must not look at the series; `reason` is shown word for word."""

    model: ModelName
    series_uid: SeriesUID
    reason: str

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError("Ineligible without a reason")


Eligibility = Eligible | Ineligible


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One model on the best series of one completed study.

    Attributes:
        key: deterministic over study, series, model digest, input digest and configuration;
            the same work asked twice is the same job.
        candidates: eligible series by their headers, best first. The first one whose pixels
            the model accepts is analysed; the job is not eligible when none is accepted.
        predecessor: key of the job whose result this one replaces, or "".
    """

    key: str
    study_uid: StudyUID
    candidates: tuple[SeriesUID, ...]
    model: ModelName
    generation: int
    priority: int
    predecessor: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """A job wrote its result objects."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A model looked at the pixels and must not go on (not eligible)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A job could not be carried out."""

    cause: str


Outcome = Done | Refused | Failed
