"""Hosts and ports in messages and URLs, and why one cannot be listened on."""

from __future__ import annotations

import errno
import socket

#: Where a server that listens everywhere is reached from its own computer.
OWN = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up, not listened on


def authority(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets (RFC 3986 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def remedy(error: OSError, section: str) -> str:
    """What to do when `host` and `port` of a section cannot be listened on."""
    if isinstance(error, socket.gaierror):
        return f"no such name; write an address of this computer as {section}.host"
    if error.errno == errno.EADDRINUSE:
        return f"another program uses the port; end it, or choose another {section}.port"
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return f"the address is not one of this computer; correct {section}.host ('ip addr')"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"this account may not open ports below 1024; choose another {section}.port"
    return f"correct {section}.host and {section}.port"
