"""`completion:` when a study counts as complete."""

from __future__ import annotations

from pydantic import Field

from config.fields import EntryName
from config.schema.base import Section


class Completion(Section):
    """Waiting times after the last image; a late image reopens the study."""

    quiet_time_s: float = Field(
        default=20,
        title="Quiet time",
        description="Complete when all associations of the study ended and nothing came for this "
        "long. Used until the habits of its sender are known.",
        ge=0.1,
        le=86400,
        examples=[20],
    )
    interrupted_quiet_time_s: float = Field(
        default=120,
        title="Quiet time after an interruption",
        description="The same after an association that broke off: its sender will try again.",
        ge=0.1,
        le=86400,
        examples=[120],
    )
    learn: bool = Field(
        default=True,
        title="Learn from each sender",
        description="After 30 studies the quiet time of a sender follows the pauses that it makes, "
        "within the two bounds below.",
    )
    shortest_quiet_time_s: float = Field(
        default=5,
        title="Shortest quiet time",
        description="Never less than this is waited, however sure it is. Has no effect where "
        "quiet_time_s is shorter.",
        ge=0,
        le=86400,
    )
    longest_quiet_time_s: float = Field(
        default=600,
        title="Longest quiet time",
        description="Never more than this is learnt, or waited for images that were announced "
        "(MPPS, availability notification) or that the PACS counts. Has no effect where "
        "quiet_time_s is longer.",
        ge=0.1,
        le=86400,
    )
    ask: EntryName | None = Field(
        default=None,
        title="PACS to ask for the number of images",
        description="Name of a DICOM destination that answers C-FIND; used where no MPPS and no "
        "notification came. A PACS that does not answer costs nothing but certainty.",
        examples=["pacs"],
    )
