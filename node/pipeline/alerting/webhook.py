"""Channel `webhook`: JSON by HTTP POST, signed with HMAC-SHA-256, TLS verified."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from node.domain.addresses import authority
from node.pipeline.alerting.message import Message
from node.pipeline.alerting.wire import (
    UNREACHABLE,
    Outcome,
    Passing,
    Probed,
    RefusedForGood,
    Sent,
    at_most,
    in_words,
    tls_context,
)

SIGNATURE = "X-Vigie-Signature"
#: The message itself cannot be used, whoever sends it and whenever (RFC 9110 15.5).
USELESS = frozenset((400, 413, 415, 422))
#: Faults of the protocol come as HTTPException beside those of the network.
FAULTS = (*UNREACHABLE, http.client.HTTPException)
ANSWER_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """Where, and signed with what; `secret` is read at each attempt, so that it can be renewed."""

    name: str
    url: str
    secret: Callable[[], str]
    timeout_s: float
    ca_file: Path | None = None


class Webhook:
    """One receiver of JSON."""

    def __init__(
        self, settings: WebhookSettings, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.name = settings.name
        self._settings = settings
        self._clock = clock

    def send(self, message: Message) -> Outcome:
        """POST it; redirections are not followed, since they would carry it elsewhere."""
        body = body_of(message)
        now = int(self._clock())
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Vigie",
            "Idempotency-Key": message.key,
            SIGNATURE: sign(body, self._settings.secret(), now),
        }
        try:
            status = self._request("POST", body, headers)
        except FAULTS as error:
            return Passing(in_words(error), type(error).__name__)
        code = f"HTTP {status}"
        if 200 <= status < 300:
            return Sent(code, code)
        if status in USELESS:
            return RefusedForGood(f"{code}: the receiver cannot use the message", code)
        if 300 <= status < 400:
            return Passing(f"{code}: a redirection, which is not followed; correct the url", code)
        return Passing(f"{code}: the receiver did not take it", code)

    def probe(self) -> Probed:
        """OPTIONS: whatever it answers, it is there and its certificate is good."""
        try:
            status = self._request("OPTIONS", b"", {"User-Agent": "Vigie"})
        except FAULTS as error:
            return Probed(in_words(error))
        tls = "TLS good, " if self._settings.url.startswith("https") else ""
        return Probed("", f"{tls}answers OPTIONS with HTTP {status}")

    def _request(self, method: str, body: bytes, headers: dict[str, str]) -> int:
        parts = urlsplit(self._settings.url)
        timeout_s, host = self._settings.timeout_s, parts.hostname or ""
        connection = (
            http.client.HTTPSConnection(
                host, parts.port, timeout=timeout_s, context=tls_context(self._settings.ca_file)
            )
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, parts.port, timeout=timeout_s)
        )
        try:
            connection.connect()
            with at_most(timeout_s, connection.sock):
                target = parts.path or "/"
                target += f"?{parts.query}" if parts.query else ""
                host_header = authority(host, parts.port) if parts.port else host
                connection.request(method, target, body, headers | {"Host": host_header})
                response = connection.getresponse()
                response.read(ANSWER_BYTES)
                return response.status
        finally:
            connection.close()


def sign(body: bytes, secret: str, now: int) -> str:
    """`t=SECONDS,v1=HEX`: HMAC-SHA-256 over `SECONDS.BODY`, so that nobody can play it again."""
    signed = f"{now}.".encode() + body
    return f"t={now},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def body_of(message: Message) -> bytes:
    """UTF-8 JSON; keys that say nothing here are left out."""
    identity = message.identity
    finding_keys = ("title", "severity", "score", "threshold", "code", "scheme", "model_version")
    event_keys = ("name", "event", "about", "detail")
    document = {
        "version": 1,
        "alert": message.key,
        "kind": message.kind.value,
        "corrects": message.corrects,
        "rule": message.rule,
        "node": message.node,
        "label": message.label,
        "created_at": message.created_at.isoformat(),
        "subject": message.subject,
        "text": message.text,
        "study_uid": message.study_uid,
        "finding": {key: message.facts[key] for key in finding_keys if key in message.facts},
        "trouble": {key: message.facts[key] for key in event_keys if key in message.facts},
        "reason": message.facts.get("reason", ""),
        "accession_number": identity.accession_number,
        "patient": {
            key: value
            for key, value in (
                ("id", identity.patient_id),
                ("name", identity.name_in_words),
                ("birth_date", identity.birth_date),
            )
            if value
        },
    }
    told = {key: value for key, value in document.items() if value}
    return json.dumps(told, ensure_ascii=False).encode()
