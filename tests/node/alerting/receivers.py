"""Small real servers that alerts are sent to: HTTP, SMTP and MLLP, each with TLS where asked."""

from __future__ import annotations

import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from node.pipeline.alerting.message import Identity


@dataclass(slots=True)
class Http:
    """What came; `answers` are the next statuses, then 200."""

    port: int = 0
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    delay_s: float = 0.0
    drip_s: float = 0.0

    @property
    def posts(self) -> list[tuple[str, dict[str, str], bytes]]:
        return [item for item in self.requests if item[0] == "POST"]


@contextmanager
def http_server(tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[Http]:
    kept = Http()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            kept.requests.append((self.command, dict(self.headers), body))
            time.sleep(kept.delay_s)
            status = kept.answers.pop(0) if kept.answers else 200
            if kept.drip_s:
                self.drip()
                return
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"http://127.0.0.1:{kept.port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def drip(self) -> None:
            for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000:
                try:
                    self.wfile.write(bytes([byte]))
                except OSError:
                    return
                time.sleep(kept.drip_s)

        do_POST = do_OPTIONS = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    kept.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(slots=True)
class Smtp:
    """What came: (sender, recipients, mail). `refusals`: recipient -> answer."""

    port: int = 0
    mails: list[tuple[str, list[str], Message]] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    answer: str = "250 OK"


@contextmanager
def smtp_server(
    *, starttls: ssl.SSLContext | None = None, login: tuple[str, str] | None = None
) -> Iterator[Smtp]:
    kept = Smtp()

    class Handler:
        async def handle_RCPT(
            self, server: Any, session: Session, envelope: Envelope, address: str, options: Any
        ) -> str:
            if address in kept.refusals:
                return kept.refusals[address]
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
            if kept.answer.startswith("250"):
                mail = message_from_bytes(envelope.content or b"", policy=default)  # type: ignore[arg-type]
                kept.mails.append((str(envelope.mail_from), list(envelope.rcpt_tos), mail))
            return kept.answer

    def authenticate(
        server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == login, handled=False)

    controller = Controller(
        Handler(),
        hostname="127.0.0.1",
        port=_free_port(),
        tls_context=starttls,
        require_starttls=starttls is not None,
        authenticator=authenticate if login else None,
        auth_required=login is not None,
        auth_require_tls=starttls is not None,
    )
    controller.start()
    kept.port = controller.port
    try:
        yield kept
    finally:
        controller.stop()


@dataclass(slots=True)
class Engine:
    """An HL7 interface engine. `answer` makes the acknowledgement from the message."""

    port: int = 0
    messages: list[str] = field(default_factory=list)
    answer: Callable[[str], str | None] = lambda text: acknowledgement(text, "AA")


def acknowledgement(text: str, code: str, told: str = "") -> str:
    control = text.split("|", 10)[9]
    return f"MSH|^~\\&|RIS||VIGIE||20260101||ACK^R01^ACK|1|P|2.5.1\rMSA|{code}|{control}|{told}\r"


@contextmanager
def engine(tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[Engine]:
    kept = Engine()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connection = self.request
            try:
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
            except OSError:
                return
            try:
                with suppress(OSError):
                    self.talk(connection)
            finally:
                connection.close()

        def talk(self, connection: socket.socket) -> None:
            raw = b""
            while not raw.endswith(b"\x1c\r"):
                part = connection.recv(4096)
                if not part:
                    return
                raw += part
            text = raw.removeprefix(b"\x0b").removesuffix(b"\x1c\r").decode()
            kept.messages.append(text)
            answer = kept.answer(text)
            if answer is not None:
                connection.sendall(b"\x0b" + answer.encode() + b"\x1c\r")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    kept.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate of localhost and 127.0.0.1; `ca_file` makes it trusted."""

    ca_file: Path
    key: Path

    @property
    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca_file, self.key)
        return context


def certificate(folder: Path) -> Certificate:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    subprocess.run(
        [
            *(program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", str(made.key), "-out", str(made.ca_file), "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return made


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


FACTS = {
    "title": "Pulmonary embolism",
    "severity": "critical",
    "score": "91 %",
    "threshold": "82 %",
    "model_version": "1.0.0",
    "code": "59282003",
    "scheme": "SCT",
    "score_value": "91",
    "score_unit": "%",
    "score_code": "111012",
    "score_scheme": "DCM",
}
PERSON = Identity(
    accession_number="ACC|7",
    patient_id="4711^A",
    name=("Müller|x", "Ann", "", "Dr.", "II"),
    birth_date="19600704",
)
