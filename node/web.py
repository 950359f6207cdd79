"""`/metrics`, `/healthz`, `/readyz` and the API on a port of their own; nothing about patients."""

from __future__ import annotations

import hmac
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import structlog

from node.domain.addresses import authority, remedy
from node.domain.errors import ConfigError
from node.requests import Refusal, Request, Response

log = structlog.get_logger(__name__)

#: Largest body of a request to the API, and how much of a larger one is read before the refusal.
MAX_BODY_BYTES = 64 * 1024
DRAINED_BYTES = 1024 * 1024
API = "/api/"
#: A connection gets so long for all of its bytes, and no more than so many are open at once:
#: slow clients may not take the threads and files that images are received with.
CONNECTION_S = 30.0
CONNECTIONS = 64
EXPOSITION_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Where to listen.

    Attributes:
        metrics_token: /metrics asks for `Authorization: Bearer` with it.
        metrics_open: /metrics asks for nothing; without token and without this it is closed.
    """

    host: str
    port: int
    metrics_token: str = ""
    metrics_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """Asked at each request.

    Attributes:
        metrics: the exposition text.
        faults: what keeps the node from being healthy, by part; empty when all is well.
        unready: what keeps it from being ready to receive, by part.
        models: state of each model, with the cause when it is out of service.
    """

    metrics: Callable[[], bytes]
    faults: Callable[[], Mapping[str, str]]
    unready: Callable[[], Mapping[str, str]]
    models: Callable[[], Mapping[str, str]] = dict


def _is_number(text: str) -> bool:
    """Digits and nothing else, and not so many that they are a number of their own."""
    return text.isascii() and text.isdigit() and len(text) < 20


def no_api(_request: Request) -> Response:
    """For a server without an API."""
    return Refusal(404, "there is no API here", "use /healthz or /readyz").response()


class Web:
    """The HTTP server, in a thread."""

    def __init__(
        self,
        settings: WebSettings,
        probes: Probes,
        api: Callable[[Request], Response] = no_api,
    ) -> None:
        """Nothing listens yet; `api` answers what is asked below /api/."""
        self._settings = settings
        self._probes = probes
        self._api = api
        self._server: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.server_address[1] if self._server else self._settings.port

    def start(self) -> None:
        """Listen; raises ConfigError when the port is taken."""
        settings, probes = self._settings, self._probes

        class Handler(_Handler):
            pass

        Handler.probes = probes
        Handler.settings = settings
        Handler.api = staticmethod(self._api)
        try:
            self._server = _server(settings, Handler)
        except OSError as error:
            raise ConfigError(
                f"http: cannot listen on {authority(settings.host, settings.port)} "
                f"({error.strerror}) - {remedy(error, 'http')}"
            ) from error
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="web", daemon=True).start()

    def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def _server(settings: WebSettings, handler: type[_Handler]) -> ThreadingHTTPServer:
    """IPv4 or IPv6, as the host is written or as its name resolves."""
    where = (settings.host, settings.port)
    (family, *_), *_ = socket.getaddrinfo(*where, type=socket.SOCK_STREAM)

    class Server(_Server):
        address_family = family

    return Server(where, handler)


class _Server(ThreadingHTTPServer):
    """A thread a connection, with an end to both their number and their time."""

    request_queue_size = CONNECTIONS

    def __init__(self, where: tuple[str, int], handler: type[_Handler]) -> None:
        self._lock = threading.Lock()
        #: When each open connection began, on the monotonic clock.
        self._open: dict[socket.socket, float] = {}
        super().__init__(where, handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - base
        """Take a connection, or close it unanswered where there are too many."""
        with self._lock:
            is_full = len(self._open) >= CONNECTIONS
            if not is_full:
                self._open[request] = time.monotonic()
        if is_full:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Twice a second: break off what takes too long; its thread then ends by itself."""
        now = time.monotonic()
        with self._lock:
            for request, began in self._open.items():
                if now - began > CONNECTION_S:
                    with suppress(OSError):
                        request.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as in the base class
        """It is over."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - base
        """Without a trace on stderr: the message of an error could quote what was asked."""
        error = sys.exception()
        if not isinstance(error, OSError):
            log.error("web.failed", cause=type(error).__name__)


class _Handler(BaseHTTPRequestHandler):
    probes: Probes
    settings: WebSettings
    api: Callable[[Request], Response]
    server_version = "Vigie"
    sys_version = ""
    timeout = 10

    def do_GET(self) -> None:
        """Answer one request."""
        path = self.path.split("?", 1)[0]
        if path == "/healthz":
            self._report(self.probes.faults())
        elif path == "/readyz":
            self._report(self.probes.unready(), models=dict(self.probes.models()))
        elif path == "/metrics":
            self._metrics()
        elif path.startswith(API):
            self._call(None)
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"not found\n", "text/plain")

    def do_POST(self) -> None:
        """Answer one request that brings something; only the API takes any."""
        try:
            self._call(self._body())
        except Refusal as refusal:
            self._respond(refusal.response())

    def do_HEAD(self) -> None:
        """As GET without its body: load balancers ask so whether the node lives."""
        self.do_GET()

    # Refused with a list of what is allowed, not with the page of the standard library.
    do_PUT = do_PATCH = do_DELETE = do_POST

    def _body(self) -> bytes:
        stated = self.headers.get_all("Content-Length", [])
        # RFC 9110, 8.6: digits, once. A chunked body (RFC 9112, 6.1) is not read.
        if "Transfer-Encoding" in self.headers or len(stated) != 1 or not _is_number(stated[0]):
            raise Refusal(411, "the length of the body is not stated", "send Content-Length")
        length = int(stated[0])
        if length > MAX_BODY_BYTES:
            self.rfile.read(min(length, DRAINED_BYTES))
            raise Refusal(
                413, f"the body has {length} bytes", f"send at most {MAX_BODY_BYTES} bytes"
            )
        return self.rfile.read(length)

    def _call(self, body: bytes | None) -> None:
        path, _, query = self.path.partition("?")
        if not path.startswith(API):
            self._respond(Refusal(404, "there is no such page", f"use {API}").response())
            return
        request = Request(
            method=self.command,
            path=path,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            authorization=self.headers.get("Authorization", ""),
            body=body,
        )
        self._respond(self.api(request))

    def _respond(self, response: Response) -> None:
        self._answer(response.status, response.body, response.content_type, response.headers)

    def _metrics(self) -> None:
        if not self._may_read_metrics():
            remedy = b"needs the bearer token of http.metrics_token, or http.open_metrics: true\n"
            self._answer(HTTPStatus.UNAUTHORIZED, remedy, "text/plain")
            return
        self._answer(HTTPStatus.OK, self.probes.metrics(), EXPOSITION_FORMAT)

    def _may_read_metrics(self) -> bool:
        token = self.settings.metrics_token
        given = self.headers.get("Authorization", "").encode()
        has_token = bool(token) and hmac.compare_digest(given, f"Bearer {token}".encode())
        return self.settings.metrics_open or has_token

    def _report(self, faults: Mapping[str, str], **besides: Mapping[str, str]) -> None:
        status = HTTPStatus.SERVICE_UNAVAILABLE if faults else HTTPStatus.OK
        body = {"status": "unavailable" if faults else "ok", "faults": dict(faults)} | besides
        self._answer(status, json.dumps(body).encode() + b"\n", "application/json")

    def _answer(
        self,
        status: int,
        body: bytes,
        content_type: str,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: probes come every few seconds."""
