"""`completion:` when a study counts as complete."""

from __future__ import annotations

from pydantic import Field

from config.schema.base import Section


class Completion(Section):
    """Waiting times after the last image; a late image reopens the study."""

    quiet_time_s: float = Field(
        default=20,
        title="Quiet time",
        description="Complete when all associations of the study ended and nothing came for this "
        "long.",
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
