"""`alerts.channels:` the ways to call somebody."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field

from config.fields import Host, Port, ReadableFile, Secret, is_loopback
from config.messages import refusal
from config.schema.base import Section


def _url(text: str) -> str:
    parts = _split(text)
    if parts.username or parts.password:
        raise refusal(
            "a password does not belong in this file",
            "remove it from the address; the receiver knows us by the signature made with 'secret'",
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise refusal(
            "the alert would travel unencrypted",
            "write https://, or send to a forwarder on this computer (http://127.0.0.1...)",
        )
    return text


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not text.isascii() or re.search(r"\s", text) or parts.fragment:
        raise refusal(
            "this is not a web address", "write it like https://pager.hospital.example/vigie"
        )
    return parts


def _mail_address(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}", text):
        raise refusal("this is not a mail address", "write it like radiology-duty@hospital.example")
    return text


def _hl7_name(text: str) -> str:
    if not text.isprintable() or any(sign in text for sign in "|^~\\&"):
        raise refusal(
            "a name in HL7 holds none of | ^ ~ \\ & and no line break",
            "write the name as the receiving system knows it",
        )
    return text


WebAddress = Annotated[str, AfterValidator(_url)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
Hl7Name = Annotated[str, AfterValidator(_hl7_name), Field(max_length=180)]


class Channel(Section):
    """What every channel has."""

    timeout_s: float = Field(
        default=10,
        title="Time for one attempt",
        description="Give up an attempt after this long; it is tried again.",
        ge=1,
        le=120,
    )
    retry_first_s: float = Field(
        default=10,
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
    give_up_after_hours: float = Field(
        default=24,
        title="Give up after",
        description="Hours after which an alert is too old to be sent; it then counts as given up.",
        ge=0.01,
        le=720,
    )
    ca_file: ReadableFile | None = Field(
        default=None,
        title="Certificate authority",
        description="PEM file of the hospital's own authority; left out: those that the computer "
        "trusts.",
        examples=["/etc/vigie/hospital-ca.pem"],
    )


class WebhookChannel(Channel):
    """JSON to a web address, signed."""

    type: Literal["webhook"] = Field(
        title="Kind of channel", description="'webhook': JSON by HTTP POST.", examples=["webhook"]
    )
    url: WebAddress = Field(
        title="Web address",
        description="https; http only to this computer itself. Redirections are not followed.",
        examples=["https://pager.hospital.example/vigie"],
    )
    secret: Secret = Field(
        title="Shared secret",
        description="Reference to a file; signs each message (HMAC-SHA-256), so that the receiver "
        "knows it is ours.",
        examples=["file:/etc/vigie/webhook-secret"],
    )


class EmailChannel(Channel):
    """A mail by SMTP."""

    type: Literal["email"] = Field(
        title="Kind of channel", description="'email': SMTP.", examples=["email"]
    )
    host: Host = Field(
        title="Mail server", description="Name or address.", examples=["mail.hospital.example"]
    )
    port: Port = Field(
        default=587,
        title="Port",
        description="587 with 'starttls', 465 with 'tls', 25 for a relay without either.",
    )
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        title="Encryption",
        description="'starttls' begins in the clear and must switch; 'tls' from the first byte; "
        "'none' only without password and without patient data.",
    )
    username: str | None = Field(
        default=None,
        title="User name",
        description="Left out: the server asks for none.",
        min_length=1,
    )
    password: Secret | None = Field(
        default=None,
        title="Password",
        description="Reference to a file.",
        examples=["file:/etc/vigie/mail-password"],
    )
    sender: MailAddress = Field(
        title="Sender", description="From.", examples=["vigie@hospital.example"]
    )
    recipients: tuple[MailAddress, ...] = Field(
        title="Recipients",
        description="To.",
        min_length=1,
        examples=["[radiology-duty@hospital.example]"],
    )


class Hl7Channel(Channel):
    """ORU^R01 (HL7 v2.5.1) by MLLP; findings only, since it is a result of a patient."""

    type: Literal["hl7"] = Field(
        title="Kind of channel", description="'hl7': ORU^R01 by MLLP.", examples=["hl7"]
    )
    host: Host = Field(
        title="Host of the interface engine",
        description="Name or address.",
        examples=["192.168.10.8"],
    )
    port: Port = Field(title="Port", description="Often 2575 or 6661.", examples=[2575])
    tls: bool = Field(default=False, title="TLS", description="Encrypt, and verify the server.")
    sending_application: Hl7Name = Field(
        default="VIGIE", title="Sending application", description="MSH-3.", min_length=1
    )
    sending_facility: Hl7Name = Field(default="", title="Sending facility", description="MSH-4.")
    receiving_application: Hl7Name = Field(
        default="", title="Receiving application", description="MSH-5."
    )
    receiving_facility: Hl7Name = Field(
        default="", title="Receiving facility", description="MSH-6."
    )


AnyChannel = Annotated[WebhookChannel | EmailChannel | Hl7Channel, Field(discriminator="type")]
