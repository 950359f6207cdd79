"""`destinations:` where results go."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from config.fields import AETitle, Host, Port
from config.schema.base import Section


class DicomDestination(Section):
    """A DICOM storage provider, such as the PACS."""

    type: Literal["dicom"] = Field(
        title="Kind of destination", description="'dicom': C-STORE.", examples=["dicom"]
    )
    ae_title: AETitle = Field(
        title="AE title of the destination",
        description="As it is set up there.",
        examples=["PACS"],
    )
    host: Host = Field(
        title="Host of the destination",
        description="Name or IP address.",
        examples=["192.168.10.5"],
    )
    port: Port = Field(
        title="Port of the destination", description="Often 104 or 11112.", examples=[104]
    )
    calling_ae_title: AETitle | None = Field(
        default=None,
        title="Own AE title towards it",
        description="Left out: node.ae_title.",
        examples=["VIGIE"],
    )
    connect_timeout_s: float = Field(
        default=10,
        title="Time to connect",
        description="Give up connecting after this long.",
        ge=1,
        le=600,
    )
    response_timeout_s: float = Field(
        default=60,
        title="Time to answer",
        description="Give up waiting for an answer to C-STORE after this long.",
        ge=1,
        le=3600,
    )
    retry_first_s: float = Field(
        default=5,
        title="First pause",
        description="Pause after the first failure; doubles each time.",
        ge=0.1,
        le=3600,
    )
    retry_cap_s: float = Field(
        default=600,
        title="Longest pause",
        description="The pause between attempts never grows beyond this.",
        ge=0.1,
        le=86400,
    )
    max_pdu_bytes: int = Field(
        default=131072,
        title="Largest PDU",
        description="Largest protocol data unit this node takes from it.",
        ge=4096,
        le=4194304,
    )
    sr_class: Literal["comprehensive_3d", "comprehensive"] = Field(
        default="comprehensive_3d",
        title="Class of the report",
        description="'comprehensive' for an old PACS that refuses Comprehensive 3D SR.",
    )
    rejection_notes: bool = Field(
        default=False,
        title="Rejection notes",
        description="Send a Key Object Selection that rejects what a newer result replaced or "
        "somebody withdrew (IHE IOCM). Only for a PACS that honours it.",
    )
