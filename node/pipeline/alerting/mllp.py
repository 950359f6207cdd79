"""Channel `hl7`: ORU^R01 over MLLP (HL7 v2 transport, release 1), which waits for the answer."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from node.domain.errors import DeliveryError
from node.pipeline.alerting.message import Message
from node.pipeline.alerting.oru import Parties, control_id, encode, read_acknowledgement
from node.pipeline.alerting.wire import (
    UNREACHABLE,
    Outcome,
    Passing,
    Probed,
    RefusedForGood,
    Sent,
    at_most,
    connect,
    in_words,
    tls_context,
)

START, END = b"\x0b", b"\x1c\r"
#: An acknowledgement is some hundred bytes.
MAX_ANSWER = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class MllpSettings:
    """Where, between whom."""

    name: str
    host: str
    port: int
    tls: bool
    parties: Parties
    timeout_s: float
    ca_file: Path | None = None


class Mllp:
    """One interface engine."""

    def __init__(self, settings: MllpSettings) -> None:
        self.name = settings.name
        self._settings = settings

    def send(self, message: Message) -> Outcome:
        """Send it and read the acknowledgement (chapter 2, 2.9).

        AA and CA: taken. AE and CE: an error in the message, which will not pass. AR and CR: the
        system could not take it now (down, overloaded), so it is tried again.
        """
        try:
            text = encode(message, self._settings.parties)
        except DeliveryError as error:
            return RefusedForGood(str(error), "not written")
        try:
            answer = read_acknowledgement(self._exchange(text))
        except DeliveryError as error:
            return Passing(str(error), "no acknowledgement")
        except UNREACHABLE as error:
            return Passing(in_words(error), type(error).__name__)
        said = f"{answer.code}: {answer.text}" if answer.text else answer.code
        if answer.control_id != control_id(message):
            return Passing("the answer acknowledges another message", "other message")
        if answer.code in ("AA", "CA"):
            return Sent(said, answer.code)
        if answer.code in ("AE", "CE"):
            return RefusedForGood(said, answer.code)
        return Passing(said or "an acknowledgement without a code", answer.code[:2])

    def probe(self) -> Probed:
        """MLLP knows no question: the connection, and with TLS the certificate, is all."""
        try:
            self._connect().close()
        except UNREACHABLE as error:
            return Probed(in_words(error))
        return Probed("", "TLS good, no message sent" if self._settings.tls else "port is open")

    def _connect(self) -> socket.socket:
        settings = self._settings
        context = tls_context(settings.ca_file) if settings.tls else None
        return connect(settings.host, settings.port, settings.timeout_s, context)

    def _exchange(self, text: str) -> str:
        with self._connect() as connection, at_most(self._settings.timeout_s, connection):
            connection.sendall(START + text.encode() + END)
            answer = b""
            while END not in answer:
                part = connection.recv(4096)
                if not part or len(answer) > MAX_ANSWER:
                    raise DeliveryError("no acknowledgement came back")
                answer += part
        framed = answer.partition(END)[0]
        return framed.lstrip(START).decode("utf-8", "replace")
