"""What the channels share: TLS that verifies, a limit on the whole attempt, faults in words."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from node.pipeline.alerting.message import Message


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver took it. `answer`: what it said; `code`: the same for logs."""

    answer: str
    code: str


@dataclass(frozen=True, slots=True)
class RefusedForGood:
    """The receiver will not take this message, now or later."""

    cause: str
    code: str


@dataclass(frozen=True, slots=True)
class Passing:
    """It could not be handed over now; or somebody has to mend something first."""

    cause: str
    code: str


Outcome = Sent | RefusedForGood | Passing


@dataclass(frozen=True, slots=True)
class Probed:
    """What `doctor` found without calling anybody; `fault` is "" when it is well."""

    fault: str
    told: str = ""


class Channel(Protocol):
    """One way to call somebody. `send` and `probe` never raise for what the other side does."""

    name: str

    def send(self, message: Message) -> Outcome:
        """Hand one message over."""
        ...

    def probe(self) -> Probed:
        """Go as far as possible without a message."""
        ...


#: What a network, a server or TLS can throw; ValueError comes from a socket closed meanwhile.
UNREACHABLE = (OSError, ValueError)


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Verifies certificate and host name, TLS 1.2 or newer (BCP 195)."""
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def connect(host: str, port: int, timeout_s: float, tls: ssl.SSLContext | None) -> socket.socket:
    """A TCP or TLS connection; raises OSError."""
    plain = socket.create_connection((host, port), timeout_s)
    if tls is None:
        return plain
    try:
        return tls.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


@contextmanager
def at_most(seconds: float, connection: socket.socket | None) -> Iterator[None]:
    """End a conversation that drips on: time-outs of sockets count from byte to byte only."""

    def hang_up() -> None:
        if connection is not None:
            with suppress(OSError):
                # Not the method of an SSLSocket, which would first say goodbye.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def in_words(error: Exception) -> str:
    """What went wrong on the way, and what to do; nothing that the other side wrote."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted ({error.verify_message}); set ca_file, or mend the "
            "certificate"
        )
    if isinstance(error, ssl.SSLError):
        return f"no TLS with this port ({error.reason or type(error).__name__}); check the port"
    if isinstance(error, socket.gaierror):
        return "no such host; check the name"
    if isinstance(error, TimeoutError):
        return "no answer in time; check host, port and firewall"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there; check host and port, and that it is running"
    return f"the connection broke off ({type(error).__name__})"
