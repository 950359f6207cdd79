"""`logging:` what is written about the work, never about patients."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from config.fields import FilePath
from config.schema.base import Section


class Logs(Section):
    """Structured events with UIDs only."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", title="Level", description="'debug' for a fault hunt only."
    )
    format: Literal["console", "json"] = Field(
        default="json", title="Format", description="'json' for machines, 'console' for people."
    )
    file: FilePath | None = Field(
        default=None,
        title="File",
        description="Left out: standard error. Relative to this file.",
        examples=["./vigie.log"],
    )
