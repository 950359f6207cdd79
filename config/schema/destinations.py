"""`destinations:` where results go."""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator

from config.fields import AETitle, Host, Port, ReadableFile, Secret, is_loopback
from config.messages import refusal
from config.schema.base import Section


def _service(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not text.isascii() or re.search(r"\s", text):
        raise refusal(
            "this is not a web address",
            "write it like https://pacs.hospital.example/dicom-web",
        )
    if parts.username or parts.password:
        raise refusal(
            "a password does not belong in this file",
            "remove it from the address, and write 'token: file:/path/to/the/token'",
        )
    if parts.query or parts.fragment:
        raise refusal(
            "the address of a service ends before ? and #", f"write {re.split('[?#]', text)[0]}"
        )
    address = text.rstrip("/")
    if address.endswith("/studies"):
        raise refusal(
            "the address of a service ends before /studies",
            f"write {address.removesuffix('/studies')}",
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise refusal(
            "the results would travel unencrypted",
            "write https://, or send to a proxy on this computer (http://127.0.0.1...)",
        )
    return address


#: http or https, without a slash at the end.
ServiceAddress = Annotated[str, AfterValidator(_service)]


#: In the order in which they are written.
ObjectKind = Literal["report", "segmentation", "pages", "key_images", "contours"]


class _Destination(Section):
    """What all kinds of destination have in common."""

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
        description="Give up waiting for the answer to one message after this long.",
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
    set_aside_after: int = Field(
        default=10,
        title="Attempts with one object",
        description="An object that failed this often while others were taken is set aside, with "
        "an alert; `resend` tries it again. A destination that takes nothing is tried for ever.",
        ge=2,
        le=1000,
    )
    associations_per_minute: float = Field(
        default=60,
        title="Associations per minute",
        description="At most; each carries up to 64 objects. A destination that returns after "
        "days is not flooded.",
        ge=1,
        le=600,
    )
    remember_days: float = Field(
        default=7,
        title="Memory for refusals",
        description="A class or transfer syntax that was refused is offered again after this "
        "long, or when anything changes in this section.",
        ge=0,
        le=365,
    )
    query_wait_s: float = Field(
        default=900,
        title="Time to be found",
        description="An object that was accepted and cannot be read back for this long is sent "
        "again.",
        ge=1,
        le=86400,
    )
    resends: int = Field(
        default=2,
        title="Sent again",
        description="How often an object is sent again that was accepted and then not kept; after "
        "that it is set aside, with an alert.",
        ge=0,
        le=20,
    )
    sr_class: Literal["comprehensive_3d", "comprehensive"] = Field(
        default="comprehensive_3d",
        title="Class of the report",
        description="'comprehensive' for an old PACS that refuses Comprehensive 3D SR.",
    )
    objects: tuple[ObjectKind, ...] = Field(
        default=get_args(ObjectKind),
        title="Kinds of result objects",
        description="What is sent there: 'report' (SR), 'segmentation' (SEG), 'pages' (SC), "
        "'key_images' (Key Object Selection, where a model writes one), 'contours' (RT Structure "
        "Set, where models.NAME.contours asks for one). Report or pages must be "
        "among them: else that nothing was found, or that an analysis failed, would be told "
        "nowhere. A viewer that shows no structured reports needs the pages.",
        examples=["[report, segmentation, pages]"],
        min_length=1,
    )
    rejection_notes: bool = Field(
        default=False,
        title="Rejection notes",
        description="Send a Key Object Selection that rejects what a newer result replaced or "
        "somebody withdrew (IHE IOCM). Only for a PACS that honours it.",
    )

    @field_validator("objects")
    @classmethod
    def _something_is_told(cls, objects: tuple[ObjectKind, ...]) -> tuple[ObjectKind, ...]:
        if not {"report", "pages"} & set(objects):
            raise refusal(
                "neither reports nor pages are sent there, so nobody would learn how an analysis "
                "ended",
                "add report or pages",
            )
        return objects


class DicomDestination(_Destination):
    """A DICOM storage provider, such as the PACS."""

    type: Literal["dicom"] = Field(
        title="Kind of destination",
        description="'dicom': C-STORE; 'dicomweb': STOW-RS.",
        examples=["dicom"],
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
    max_pdu_bytes: int = Field(
        default=131072,
        title="Largest PDU",
        description="Largest protocol data unit this node takes from it.",
        ge=4096,
        le=4194304,
    )
    proof: Literal["automatic", "commitment", "query", "none"] = Field(
        default="automatic",
        title="Proof of delivery",
        description="'commitment': storage commitment. 'query': read back by C-FIND. "
        "'automatic': the first of the two that it accepts, else the result is shown as unproved. "
        "'none': never asked for. A report of commitment that comes on an association of its own "
        "needs the destination under receiver.peers.",
        examples=["automatic"],
    )
    commitment_wait_s: float = Field(
        default=3600,
        title="Time to commit",
        description="How long a storage commitment report is waited for; 'automatic' then reads "
        "back. A report that comes later still counts.",
        ge=1,
        le=604800,
    )


class DicomwebDestination(_Destination):
    """A DICOMweb origin server (PS3.18)."""

    type: Literal["dicomweb"] = Field(
        title="Kind of destination",
        description="'dicom': C-STORE; 'dicomweb': STOW-RS.",
        examples=["dicomweb"],
    )
    url: ServiceAddress = Field(
        title="Address of the service",
        description="Up to the part before /studies.",
        examples=["https://pacs.hospital.example/dicom-web"],
    )
    token: Secret | None = Field(
        default=None,
        title="Access token",
        description="Sent as 'Authorization: Bearer'. Left out: none.",
        examples=["file:secrets/dicomweb-token"],
    )
    ca_file: ReadableFile | None = Field(
        default=None,
        title="Certificate authority",
        description="PEM file of the authority that signed its certificate; left out: those "
        "that certifi carries. The certificate is always verified.",
        examples=["./hospital-ca.pem"],
    )
    proof: Literal["automatic", "query", "none"] = Field(
        default="automatic",
        title="Proof of delivery",
        description="'query': read back by QIDO-RS. 'automatic': the same where the service has "
        "it, else the result is shown as unproved. 'none': never asked for.",
        examples=["automatic"],
    )


AnyDestination = Annotated[DicomDestination | DicomwebDestination, Field(discriminator="type")]
