"""One HTTP request and its answer, as the parts of the API see them; errors name a remedy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked. `body`: None where the request has none; `query`: last value of each key."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    authorization: str = field(default="", repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What is answered."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


class Refusal(Exception):
    """A request that is not carried out, with the reason and what to do about it."""

    def __init__(self, status: int, why: str, remedy: str, *, allow: str = "") -> None:
        super().__init__(why)
        self.status = status
        self.why = why
        self.remedy = remedy
        self.allow = allow

    def response(self) -> Response:
        """As JSON: {"error": ..., "remedy": ...}."""
        headers = [("Allow", self.allow)] if self.allow else []
        if self.status == 401:
            headers.append(("WWW-Authenticate", "Bearer"))
        told = {"error": self.why, "remedy": self.remedy}
        return Response(status=self.status, body=encoded(told), headers=tuple(headers))


def encoded(value: object) -> bytes:
    """JSON with a line break at its end."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n"
