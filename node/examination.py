"""What a destination accepts, and how proof of delivery will be had: asked, not assumed."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

from pydicom.uid import UID

from config.schema import Appliance, DicomDestination
from node.domain.errors import DeliveryError
from node.pipeline.dicomweb import WebPeer, probe
from node.pipeline.dimse import SENT_CLASSES, Services, services
from node.pipeline.ladder import below
from node.pipeline.proof import choose
from node.settings import destination_of, peer_of

IN_WORDS = {"commitment": "storage commitment", "query": "read back by query"}


def examine_destination(appliance: Appliance, name: str) -> tuple[str, str]:
    """(what is wrong, or ""; what it accepts and how it proves, in words)."""
    peer = peer_of(appliance, name)
    mode = destination_of(appliance, name).proof.mode
    if isinstance(peer, WebPeer):
        fault = probe(peer)
        proof = "unproved (proof: none)" if mode == "none" else IN_WORDS["query"]
        return fault, f"answers; proof: {proof} (QIDO-RS)"
    try:
        found = services(peer)
    except DeliveryError as error:
        return str(error), ""
    how, why = choose(
        mode, why_no_commitment=found.why_no_commitment, why_no_query=found.why_no_query
    )
    told = [
        f"C-ECHO {found.echo or 'good'}",
        "takes " + (", ".join(_taken(found)) or "nothing of ours"),
        f"proof: {IN_WORDS[how]}" if how else f"unproved: {why}",
        *_instead(found),
    ]
    if how == "commitment":
        told += _reports(appliance, name)
    if not found.syntaxes:
        return f"{'; '.join(told)}; allow these storage classes there", ""
    if mode in ("commitment", "query") and not how:
        return f"{'; '.join(told)}; write 'proof: automatic', or allow it there", ""
    return "", "; ".join(told)


def _taken(found: Services) -> Iterator[str]:
    for uid in SENT_CLASSES:
        if uid in found.syntaxes:
            yield f"{UID(uid).name} ({found.syntaxes[uid][0].name})"


def _instead(found: Services) -> Iterator[str]:
    for uid in SENT_CLASSES:
        rung = below(uid)
        if uid in found.syntaxes or rung is None:
            continue
        last = rung
        while last.sop_class_uid not in found.syntaxes:
            following = below(last.sop_class_uid)
            if following is None:
                break
            last = following
        form = "Comprehensive SR" if last.form == "comprehensive" else "pages"
        yield f"instead of {UID(uid).name} it gets {form}"


def _reports(appliance: Appliance, name: str) -> Iterator[str]:
    """May it open the association on which most of them report?"""
    entry = appliance.destinations[name]
    assert isinstance(entry, DicomDestination)
    try:
        found = socket.getaddrinfo(entry.host, entry.port, proto=socket.IPPROTO_TCP)
    except OSError:
        return
    addresses = {ipaddress.ip_address(item[4][0]) for item in found}
    networks = [
        ipaddress.ip_network(str(network))
        for peer in appliance.receiver.peers.values()
        if peer.any_ae_title or entry.ae_title in peer.ae_titles
        for network in peer.addresses
    ]
    if not any(address in network for address in addresses for network in networks):
        yield (
            "reports that come on an association of its own are turned away: list "
            f"{entry.host} with ae_titles: [{entry.ae_title}] under receiver.peers"
        )
