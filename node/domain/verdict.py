"""Verdicts: may this model look at this series, and how did a job or a delivery end.

Three outcomes stay apart everywhere: done, not eligible (reason), failed (cause).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from node.domain.study import StackID, StudyUID

ModelName = NewType("ModelName", str)


class ReasonCode(StrEnum):
    """Why a series is not analysed: the closed set that metrics count by."""

    MODALITY = "modality"
    SOP_CLASS = "sop_class"
    NO_PIXELS = "no_pixels"
    COLOUR = "colour"
    UNREADABLE = "unreadable_images"
    AGE = "age"
    IMAGE_TYPE = "image_type"
    NO_GEOMETRY = "no_geometry"
    ORIENTATION = "orientation"
    TOO_FEW_SLICES = "too_few_slices"
    GEOMETRY = "geometry"
    SLICE_DISTANCE = "slice_distance"
    MISSING_SLICE = "missing_slice"
    COVERAGE = "coverage"
    TILT = "tilt"
    PIXEL_SPACING = "pixel_spacing"
    STUDY = "contradictory_study"
    NOT_ROUTED = "no_rule"
    SCHEDULE = "schedule"
    COMPANION = "companion_missing"
    BETTER_SERIES = "better_series"
    #: The model looked at the pixels and must not go on.
    PIXELS = "pixels"
    #: It could not be carried out; also of a verdict *failed*.
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Companion:
    """A stack that plays a role beside another: the CT of a PET, a prior, the other views.

    Attributes:
        digest: of its instances; "" where it does not matter any more.
    """

    role: str
    study_uid: StudyUID
    stack_id: StackID
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligible:
    """The model may look at the stack. `rank`: lower is the better input; ties by UID.

    Attributes:
        rules: names of the routing rules that send it there.
        companions: by role, the other stacks that are analysed with it.
    """

    model: ModelName
    stack_id: StackID
    rank: tuple[float, ...]
    rules: tuple[str, ...] = ()
    companions: tuple[Companion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ineligible:
    """The model must not look at the stack; `reason` is shown word for word."""

    model: ModelName
    stack_id: StackID
    reason: str
    code: ReasonCode

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError("Ineligible without a reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """The source cannot tell enough: neither eligible nor not. Never of received images.

    Attributes:
        untold: names of the facts that are missing.
    """

    model: ModelName
    stack_id: StackID
    untold: tuple[str, ...]


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
        companions: of each candidate, what is analysed with it.
        not_before: seconds since the epoch; a rule may let an analysis wait.
    """

    key: str
    study_uid: StudyUID
    candidates: tuple[StackID, ...]
    model: ModelName
    generation: int
    priority: int
    predecessor: str = ""
    companions: tuple[tuple[StackID, Companion], ...] = ()
    not_before: float = 0.0


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
