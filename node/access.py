"""Who may use the API: bearer tokens (RFC 6750), each with the name of its user."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from node.requests import Refusal

SCHEME = "Bearer "
CLOSED_REMEDY = (
    "put a random text into a file (openssl rand -hex 32 > FILE; chmod 600 FILE), name it as "
    "http.api_token: file:/path (or http.api_tokens: {name: file:/path}), and start Vigie again"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Attributes:
    shared: of an application that names its reader in each answer; "" for none.
    named: token of each named user; what it writes is written by that user.
    """

    shared: str = field(default="", repr=False)
    named: Mapping[str, str] = field(default_factory=dict, repr=False)

    def user(self, authorization: str) -> str | None:
        """The user behind a request; None for the shared token, which names none.

        Every token is compared in full, so that the time of an answer tells nothing about them.

        Raises:
            Refusal: 403 where no token is configured, 401 where none or another one is given.
        """
        if not self.shared and not self.named:
            raise Refusal(403, "the API is closed: no token is configured", CLOSED_REMEDY)
        given = authorization.encode("utf-8", "replace")
        found: list[str | None] = [
            name
            for name, token in self.named.items()
            if hmac.compare_digest(given, f"{SCHEME}{token}".encode())
        ]
        is_shared = hmac.compare_digest(given, f"{SCHEME}{self.shared}".encode())
        if self.shared and is_shared:
            found.append(None)
        if not found:
            raise Refusal(
                401,
                "this needs a token of http.api_token or http.api_tokens",
                "send the header 'Authorization: Bearer TOKEN' with the text of the file",
            )
        return found[0]

    def is_named(self, reader: str) -> bool:
        """Has this reader a token of their own, so that nobody else may speak for them?"""
        return reader in self.named
