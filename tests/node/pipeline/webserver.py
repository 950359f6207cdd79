"""A DICOMweb origin server that stores, answers queries, and can be spoilt."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

from pydicom import Dataset, dcmread


class WebPacs:
    """Keeps what STOW-RS brings it.

    Attributes:
        failure: Failure Reason of an instance, 0 to store it.
        http_status: answered to STOW-RS without a body, when it is not 0.
        forgets: stored instances that it does not keep.
        token: wanted as bearer token, when it is not "".
        qido: False for a service without QIDO-RS.
        authorizations: the header of each request.
    """

    def __init__(self, *, certificate: tuple[str, str] | None = None) -> None:
        self.failure: Callable[[str], int] = lambda _uid: 0
        self.forgets: Callable[[str], bool] = lambda _uid: False
        self.http_status = 0
        self.slow_s = 0.0
        self.token = ""
        self.qido = True
        self.received: list[str] = []
        self.kept: dict[str, Dataset] = {}
        self.authorizations: list[str] = []
        pacs = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(pacs.slow_s)
                if pacs.authorized(self.headers.get("Authorization", "")):
                    self.answer(*pacs.store(self.path, self.headers["Content-Type"], body))
                else:
                    self.answer(401, None)

            def do_GET(self) -> None:
                self.answer(*pacs.find(self.path))

            def answer(self, status: int, body: object) -> None:
                content = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/dicom+json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server.server_address[1]}/rs"

    def start(self) -> WebPacs:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def authorized(self, header: str) -> bool:
        self.authorizations.append(header)
        return not self.token or header == f"Bearer {self.token}"

    def store(self, path: str, kind: str, body: bytes) -> tuple[int, object]:
        assert path == "/rs/studies"
        assert kind.startswith('multipart/related; type="application/dicom"; boundary=')
        if self.http_status:
            return self.http_status, None
        boundary = kind.rsplit("=", 1)[1].encode()
        part = body.removeprefix(b"--" + boundary + b"\r\n").removesuffix(
            b"\r\n--" + boundary + b"--\r\n"
        )
        head, _, content = part.partition(b"\r\n\r\n")
        assert head == b"Content-Type: application/dicom"
        data_set = dcmread(BytesIO(content))
        uid = str(data_set.SOPInstanceUID)
        item = {
            "00081150": {"vr": "UI", "Value": [str(data_set.SOPClassUID)]},
            "00081155": {"vr": "UI", "Value": [uid]},
        }
        reason = self.failure(uid)
        if reason:
            item["00081197"] = {"vr": "US", "Value": [reason]}  # type: ignore[list-item]
            return 409, {"00081198": {"vr": "SQ", "Value": [item]}}
        self.received.append(uid)
        if not self.forgets(uid):
            self.kept[uid] = data_set
        return 200, {"00081199": {"vr": "SQ", "Value": [item]}}

    def find(self, path: str) -> tuple[int, object]:
        if not self.qido:
            return 501, None
        query = parse_qs(urlsplit(path).query)
        wanted = query.get("SOPInstanceUID", [""])[0]
        found = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in self.kept if uid == wanted]
        return (200, found) if found else (204, None)
