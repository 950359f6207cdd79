"""A destination that speaks DICOMweb: STOW-RS, and QIDO-RS for the proof (PS3.18 10.5, 10.6)."""

from __future__ import annotations

import json
import secrets
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from node.domain.errors import ConfigError, DeliveryError
from node.ledger.outbox import ResultObject
from node.pipeline.answers import Accepted, Answer, Passing, RefusedForGood, judge_status

#: Attributes of the Store Instances Response Module, PS3.18 table I.1-2.
FAILED_SEQUENCE: Final = "00081198"
REFERENCED_SEQUENCE: Final = "00081199"
WARNING_REASON: Final = "00081196"
FAILURE_REASON: Final = "00081197"
INSTANCE: Final = "00081155"
SOP_INSTANCE_UID: Final = "00080018"

DICOM_JSON: Final = "application/dicom+json"
NO_COMMITMENT: Final = "storage commitment is not asked for over DICOMweb"
#: Above this an answer is not read: a web server's page, not a DICOM JSON model.
MAX_ANSWER_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPeer:
    """A DICOMweb origin server and how to reach it; times in seconds.

    Attributes:
        url: up to the part before /studies.
        token: reads the bearer token, so that a renewed one counts; None without one.
        ca_file: PEM file of its certificate authority; None: those of certifi. Verification
            cannot be switched off.
    """

    url: str
    token: Callable[[], str] | None
    ca_file: Path | None
    connect_timeout_s: float
    response_timeout_s: float

    def open(self, items: Sequence[ResultObject]) -> WebLink:
        """A client that keeps its connection; the first request tells whether anybody answers.

        Raises:
            DeliveryError: the certificate authority or the token cannot be read.
        """
        del items
        headers = {"Accept": DICOM_JSON}
        try:
            if self.token is not None:
                headers["Authorization"] = f"Bearer {self.token().strip()}"
            context = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else True
        except (ConfigError, OSError) as error:
            raise DeliveryError(f"{self.url} cannot be asked: {error}") from error
        timeout = httpx.Timeout(self.response_timeout_s, connect=self.connect_timeout_s)
        client = httpx.Client(
            headers=headers, verify=context, timeout=timeout, follow_redirects=False
        )
        return WebLink(self.url, client)


class WebLink:
    """One client of a DICOMweb service (`node.pipeline.answers.Link`)."""

    def __init__(self, url: str, client: httpx.Client) -> None:
        self._url = url
        self._client = client
        self.is_open = True
        self.why_no_commitment = NO_COMMITMENT
        self.why_no_query = ""

    def send(self, path: Path) -> Answer:
        """STOW-RS of one instance (PS3.18 10.5)."""
        try:
            content = path.read_bytes()
        except OSError as error:
            return RefusedForGood(f"the result file cannot be read ({type(error).__name__})", "")
        boundary = secrets.token_hex(16)
        body = (
            f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
            + content
            + f"\r\n--{boundary}--\r\n".encode()
        )
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        try:
            response = self._client.post(
                f"{self._url}/studies", content=body, headers={"Content-Type": kind}
            )
        except (httpx.HTTPError, ssl.SSLError) as error:
            self.is_open = False
            return Passing(f"{self._url}: {_reason(error)}", broke_off=True)
        answer = judge_stow(response.status_code, _json(response))
        if isinstance(answer, Passing) and answer.broke_off:
            self.is_open = False
        return answer

    def find(self, item: ResultObject) -> bool:
        """QIDO-RS for the instance itself (PS3.18 10.6).

        Raises:
            DeliveryError: no answer, or one that does not say.
        """
        address = f"{self._url}/studies/{item.study_uid}/series/{item.series_uid}/instances"
        try:
            response = self._client.get(address, params={"SOPInstanceUID": item.sop_instance_uid})
        except (httpx.HTTPError, ssl.SSLError) as error:
            self.is_open = False
            raise DeliveryError(f"QIDO-RS: {_reason(error)}") from error
        if response.status_code in (204, 404):
            return False
        found = _json(response)
        if response.status_code != 200 or not isinstance(found, list):
            raise DeliveryError(f"QIDO-RS was answered with HTTP {response.status_code}")
        return any(item.sop_instance_uid == _first(entry, SOP_INSTANCE_UID) for entry in found)

    def commit(self, transaction_uid: str, items: Sequence[ResultObject]) -> Answer:
        """Not offered."""
        del transaction_uid, items
        return RefusedForGood(NO_COMMITMENT)

    def listen(self, seconds: float) -> None:
        """Nothing is ever said unasked."""
        del seconds

    def close(self) -> None:
        """End the connection."""
        self._client.close()


def judge_stow(http_status: int, answer: object) -> Answer:
    """Read the answer to a STOW-RS of one instance, PS3.18 tables 10.5.3-1 and I.1-2.

    Args:
        answer: its DICOM JSON, None where it has none.
    """
    item: Mapping[str, Any] = answer if isinstance(answer, Mapping) else {}
    for failed in _items(item, FAILED_SEQUENCE):
        reason = _first(failed, FAILURE_REASON)
        verdict = judge_status(reason if isinstance(reason, int) else 0xC000)
        if not isinstance(verdict, Accepted):
            return verdict
    if http_status in (200, 202):
        warnings = [_first(ok, WARNING_REASON) for ok in _items(item, REFERENCED_SEQUENCE)]
        told = [f"warning 0x{code:04X}" for code in warnings if isinstance(code, int)]
        return Accepted("; ".join(told))
    return _judge_http(http_status)


def _judge_http(status: int) -> Answer:
    """An answer without a word about the instance."""
    told = f"HTTP {status}"
    if status in (401, 403):
        return Passing(f"{told}: not authorised; check the token and its rights", broke_off=True)
    if status in (404, 405, 501) or 300 <= status < 400:
        return Passing(f"{told}: no STOW-RS at this address; check 'url'", broke_off=True)
    if status in (429, 503, 507):
        return Passing(f"{told}: out of resources", out_of_resources=True)
    if status in (408, 502, 504):
        return Passing(f"{told}: no answer from behind a proxy", broke_off=True)
    if status >= 500:
        return Passing(f"{told}: failure at the destination")
    words = {409: "conflict", 413: "too large", 415: "media type not supported"}
    return RefusedForGood(f"{told}: {words.get(status, 'refused')}")


def probe(peer: WebPeer) -> str:
    """Ask for nothing in particular (QIDO-RS, limit 1); "" when the service answers.

    Nothing is stored: whether STOW-RS takes an object is only known from sending one.
    """
    try:
        link = peer.open(())
    except DeliveryError as error:
        return str(error)
    try:
        response = link._client.get(f"{peer.url}/studies", params={"limit": "1"})
    except (httpx.HTTPError, ssl.SSLError) as error:
        return f"{peer.url}: {_reason(error)}"
    finally:
        link.close()
    if response.status_code in (200, 204):
        return ""
    answer = _judge_http(response.status_code)
    return f"QIDO-RS: {getattr(answer, 'cause', response.status_code)}"


def _json(response: httpx.Response) -> object:
    if len(response.content) > MAX_ANSWER_BYTES:
        return None
    try:
        return json.loads(response.content) if response.content else None
    except (ValueError, RecursionError):
        return None


def _items(item: Mapping[str, Any], tag: str) -> list[Mapping[str, Any]]:
    values = _values(item, tag)
    return [value for value in values if isinstance(value, Mapping)]


def _first(item: object, tag: str) -> object:
    values = _values(item, tag)
    return values[0] if values else None


def _values(item: object, tag: str) -> list[Any]:
    """The Value of an attribute of the DICOM JSON model (PS3.18 F.2.2)."""
    element = item.get(tag) if isinstance(item, Mapping) else None
    values = element.get("Value") if isinstance(element, Mapping) else None
    return values if isinstance(values, list) else []


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    text = str(error)
    if "certificate" in text.lower():
        return f"its certificate is not trusted ({text}); set 'ca_file'"
    return f"cannot be reached ({type(error).__name__}); check url, port and firewall"


__all__ = ["WebLink", "WebPeer", "judge_stow", "probe"]
