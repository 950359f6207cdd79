"""`receiver:` the DICOM storage provider that studies are sent to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from config.fields import AETitle, EntryName, Host, Network, Port, Uid
from config.schema.base import Section


class Peer(Section):
    """One sender, or a group of senders, that may open an association."""

    addresses: tuple[Network, ...] = Field(
        title="IP addresses",
        description="Addresses or networks the peer sends from.",
        min_length=1,
        examples=["[192.168.10.20]"],
    )
    ae_titles: tuple[AETitle, ...] = Field(
        default=(),
        title="Calling AE titles",
        description="AE titles the peer calls itself.",
        examples=["[CT1]"],
    )
    any_ae_title: bool = Field(
        default=False,
        title="Any calling AE title",
        description="Accept every calling AE title from these addresses.",
    )


class Limits(Section):
    """What one sender may ask of this node."""

    max_associations: int = Field(
        default=24,
        title="Associations at the same time",
        description="More are rejected as 'temporary congestion'; senders try again.",
        ge=1,
        le=1000,
    )
    max_associations_per_peer: int = Field(
        default=12,
        title="Associations at the same time from one address",
        description="Keeps one busy sender from shutting out the others.",
        ge=1,
        le=1000,
    )
    max_pdu_bytes: int = Field(
        default=1048576,
        title="Largest PDU",
        description="Largest protocol data unit this node takes.",
        ge=4096,
        le=4194304,
    )
    association_timeout_s: float = Field(
        default=30,
        title="Time to negotiate",
        description="An association that is not negotiated by then is aborted.",
        ge=1,
        le=600,
    )
    idle_timeout_s: float = Field(
        default=120,
        title="Silence on an open association",
        description="An association on which nothing comes for so long is aborted.",
        ge=1,
        le=86400,
    )
    max_object_gb: float = Field(
        default=64,
        title="Largest object",
        description="A larger instance is refused; slides need several gigabytes.",
        ge=0.001,
        le=1000,
    )


class Receiver(Section):
    """Who may send what to this node, and where it listens."""

    host: Host = Field(
        default="0.0.0.0",  # noqa: S104 - scanners are elsewhere; peers are denied by default
        title="Listen on address",
        description="0.0.0.0 listens on every network card, 127.0.0.1 only inside this computer.",
        examples=["192.168.10.30"],
    )
    port: Port = Field(
        default=11112,
        title="Port",
        description="TCP port for DICOM; the registered one is 11112.",
        examples=[11112],
    )
    ae_titles: tuple[AETitle, ...] = Field(
        default=(),
        title="Called AE titles",
        description="AE titles this node answers to; empty: node.ae_title.",
        examples=["[VIGIE]"],
    )
    any_called_ae_title: bool = Field(
        default=False,
        title="Any called AE title",
        description="Answer whatever AE title a sender calls.",
    )
    peers: Mapping[EntryName, Peer] = Field(
        title="Peers",
        description="Who may send; everybody else is rejected.",
        min_length=1,
        examples=["{ct1: {addresses: [192.168.10.20], ae_titles: [CT1]}}"],
    )
    private_sop_classes: tuple[Uid, ...] = Field(
        default=(),
        title="Private SOP classes",
        description="UIDs of private storage classes to take besides the standard ones.",
    )
    data_path: Literal["fast", "pynetdicom"] = Field(
        default="fast",
        title="Data path",
        description="Who reads the images from the network: Vigie itself, straight onto the disk, "
        "or the pynetdicom library, slower and with each object in memory.",
    )
    limits: Limits = Field(
        default_factory=Limits, title="Limits", description="What one sender may ask."
    )
