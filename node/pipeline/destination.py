"""A destination as the courier needs to know it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from node.pipeline.answers import Peer
from node.pipeline.breaker import RetryPolicy
from node.pipeline.proof import ProofPolicy

DAY_S: Final = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where results go, and what the site says about it.

    Attributes:
        settings_digest: of its configuration; what was learnt under another one is void.
        remember_s: how long a refusal is remembered.
        attempts: after so many failures an object is set aside, if others were taken meanwhile.
        associations_per_minute: at most; a returning destination is not flooded.
        identified: may a page that is written for it name the patient?
    """

    name: str
    peer: Peer
    retry: RetryPolicy
    proof: ProofPolicy = field(default_factory=ProofPolicy)
    sr_class: Literal["comprehensive 3d", "comprehensive"] = "comprehensive 3d"
    settings_digest: str = ""
    remember_s: float = 7 * DAY_S
    attempts: int = 10
    associations_per_minute: float = 60.0
    identified: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """Seconds since the epoch, as the ledger tells them, and of a clock that nobody sets."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic
