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
    unsigned: bool = Field(
        default=False,
        title="Runs without a signature",
        description="true lets the package run although nobody of 'signatures.keys' signed it. A "
        "signature of a known key must still fit.",
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
        description="Send a report and a page 'Not analysed: why' also when no series of a routed "
        "study qualifies; left out: as the package's 'triage' says. Models of acute findings do, "
        "since silence could be read as 'nothing found'; for the others it would be a page in "
        "every study they were not made for, and `explain STUDY` has the reason. A result that "
        "replaces an earlier one is always sent.",
    )
    contours: bool = Field(
        default=False,
        title="RT structure set",
        description="true adds an RT Structure Set with the contours of every segment to each "
        "result, for treatment planning. Made by a network and approved by nobody.",
    )
    key_objects: bool | None = Field(
        default=None,
        title="Key Object Selection",
        description="Write a Key Object Selection, titled 'Of Interest', of the images with "
        "findings and of the pages, for a PACS or a viewer that lists key images; left out: as the "
        "package says. A destination can do without: destinations.NAME.objects.",
    )
    thresholds: Mapping[str, float] = Field(
        default_factory=dict,
        title="Thresholds",
        description="Replaces thresholds of the package, by their names.",
    )
