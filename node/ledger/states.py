"""The states a study, a job and a delivery can be in; nothing else is ever written."""

from __future__ import annotations

from enum import StrEnum

from node.domain.finding import Status


class StudyState(StrEnum):
    """Life of a study. RECEIVING again whenever a new image reopens it."""

    RECEIVING = "receiving"
    COMPLETED = "completed"  # nothing more is expected; verdicts are due
    ANALYSING = "analysing"  # verdicts are written, jobs may be open
    DELIVERING = "delivering"  # every job ended, objects are on their way
    HELD = "held back"  # nobody knows whose study it is; `rerun` takes the newest images
    ENDED = "ended"  # every job ended, every object proved, unproved, refused or set aside
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


def outcome_in_words(state: str, reason: str) -> str:
    """The state of a job or a verdict, and whether what is done is a part only."""
    # A reason stands behind a result that is done only where a part is missing.
    return Status.PARTIAL.value if state == JobState.DONE and reason else str(state)


class DeliveryState(StrEnum):
    """Life of one object on its way to one destination; causes stand in the row."""

    WAITING = "waiting"
    #: Accepted by the destination; the proof that it keeps the object is awaited.
    SENT = "sent"
    #: Storage commitment, or the object was read back.
    PROVED = "proved"
    #: Accepted, and no proof can be had.
    UNPROVED = "unproved"
    REFUSED = "refused"
    #: Tried often in vain, or accepted and forgotten again; only `resend` tries it again.
    SET_ASIDE = "set aside"
    #: Not sent: a newer result took its place, its destination was removed, or the destination
    #: gets another form of it.
    WITHHELD = "withheld"


#: Something is still to be done or to be waited for.
UNDER_WAY = (DeliveryState.WAITING, DeliveryState.SENT)
#: The destination has said that it stored the object.
ACCEPTED = (DeliveryState.SENT, DeliveryState.PROVED, DeliveryState.UNPROVED)
