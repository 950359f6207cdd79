"""`models:` which installed model packages work here."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from config.schema.base import Section


class Model(Section):
    """One installed package, by its name."""

    enabled: bool = Field(
        default=True, title="In use", description="false takes the model out of service."
    )
    priority: int | None = Field(
        default=None,
        title="Priority",
        description="Smaller runs first; left out: what the package says.",
        ge=0,
        le=1000,
        examples=[50],
    )
    report_not_eligible: bool | None = Field(
        default=None,
        title="Report 'not eligible'",
        description="Send a report also when no series qualifies; left out: what the package says "
        "(acute tasks do).",
    )
    thresholds: Mapping[str, float] = Field(
        default_factory=dict,
        title="Thresholds",
        description="Replaces thresholds of the package, by their names.",
    )
