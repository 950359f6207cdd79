"""`node:` who this node is, and who answers for it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from config.fields import AETitle, DicomText, PersonName, TimeZone
from config.schema.base import Section


class Identity(Section):
    """Written into every result object, so that a reader knows where it came from."""

    name: DicomText = Field(
        default="vigie",
        title="Name of this node",
        description="Station name in every result (DICOM StationName, 16 characters).",
        min_length=1,
        max_length=16,
        examples=["vigie-ct"],
    )
    ae_title: AETitle = Field(
        default="VIGIE",
        title="AE title of this node",
        description="Called by the scanners, and shown to the PACS when results are sent.",
        examples=["VIGIE"],
    )
    institution: DicomText = Field(
        default="",
        title="Institution",
        description="InstitutionName in every result; empty: repeated from the images.",
        max_length=64,
    )
    device_serial: DicomText = Field(
        default="0",
        title="Serial number of this device",
        description="DeviceSerialNumber in every result.",
        examples=["A-1234"],
        min_length=1,
        max_length=64,
    )
    time_zone: TimeZone | None = Field(
        default=None,
        title="Time zone",
        description="Of the schedules of routes; left out: that of this computer.",
        examples=["Europe/Berlin"],
    )
    label: Literal["research", "cleared"] = Field(
        default="research",
        title="How results are marked",
        description="'research' marks every result RESEARCH. 'cleared' removes that mark and needs "
        "a responsible person.",
    )
    responsible_person: PersonName | None = Field(
        default=None,
        title="Responsible person",
        description="Who answers for clinical use, by first and last name.",
        examples=["Dr. Ada Lovelace"],
    )
