"""The states a study, a job and a delivery can be in; nothing else is ever written."""

from __future__ import annotations

from enum import StrEnum


class StudyState(StrEnum):
    """Life of a study. RECEIVING again whenever a new image reopens it."""

    RECEIVING = "receiving"
    COMPLETED = "completed"  # nothing more is expected; verdicts are due
    ANALYSING = "analysing"  # verdicts are written, jobs may be open
    DELIVERING = "delivering"  # every job ended, objects are on their way
    HELD = "held back"  # nobody knows whose study it is; `rerun` takes the newest images
    ENDED = "ended"  # every job ended, every object accepted or refused for good
    FAILED = "failed"  # headers not described, or every analysis failed; the cause is in the row


class JobState(StrEnum):
    """Life of a job. WAITING and RUNNING are open, the rest is final."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    NOT_ELIGIBLE = "not eligible"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"  # its result was taken back by hand


class DeliveryState(StrEnum):
    """Life of one object on its way to one destination."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    #: Not sent: a newer result took its place, or its destination was removed; cause in the row.
    WITHHELD = "withheld"
