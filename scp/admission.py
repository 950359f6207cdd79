"""Who may open an association: deny by default, on AE titles and address."""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Senders that are allowed. `ae_titles` is empty when any calling AE title is."""

    name: str
    networks: tuple[Network, ...]
    ae_titles: frozenset[str]

    def includes(self, address: Address) -> bool:
        """Is this one of the peer's addresses?"""
        return any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The rules. `ae_titles` is empty when any called AE title is answered."""

    ae_titles: frozenset[str]
    peers: tuple[Peer, ...]
    max_associations: int
    max_associations_per_peer: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """Result, source, diagnostic of an A-ASSOCIATE-RJ (PS3.8 9.3.4), and why, for the log."""

    result: int
    source: int
    diagnostic: int
    reason: str


CALLING_NOT_RECOGNISED = (0x01, 0x01, 0x03)
CALLED_NOT_RECOGNISED = (0x01, 0x01, 0x07)
LOCAL_LIMIT_EXCEEDED = (0x02, 0x03, 0x02)


def is_listed(admission: Admission, address: str) -> bool:
    """May anybody at this address send?"""
    host = _address(address)
    return any(peer.includes(host) for peer in admission.peers)


def judge(
    admission: Admission, *, calling: str, called: str, address: str, open_now: Counter[str]
) -> Rejection | None:
    """May this association be opened? None when it may.

    Args:
        open_now: number of open associations by address, this one not counted.
    """
    host = _address(address)
    peers = [peer for peer in admission.peers if peer.includes(host)]
    if not peers:
        return Rejection(*CALLING_NOT_RECOGNISED, "address is not listed under receiver.peers")
    if not any(not peer.ae_titles or calling in peer.ae_titles for peer in peers):
        names = ", ".join(peer.name for peer in peers)
        return Rejection(
            *CALLING_NOT_RECOGNISED, f"calling AE title is not listed for its address ({names})"
        )
    if admission.ae_titles and called not in admission.ae_titles:
        return Rejection(*CALLED_NOT_RECOGNISED, "called AE title is not one of this node")
    if open_now.total() >= admission.max_associations:
        return Rejection(*LOCAL_LIMIT_EXCEEDED, "receiver.limits.max_associations reached")
    if open_now[address] >= admission.max_associations_per_peer:
        return Rejection(*LOCAL_LIMIT_EXCEEDED, "receiver.limits.max_associations_per_peer reached")
    return None


def _address(text: str) -> Address:
    """The address, IPv4 also when it arrives mapped into IPv6."""
    address = ipaddress.ip_address(text.split("%", 1)[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
