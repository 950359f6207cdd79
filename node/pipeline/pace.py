"""How each sender sends, learnt from what it sent: the gaps between instances and associations.

A gap falls into a bucket a third wider than the one below, so a sender costs a few dozen
numbers however much it sends. Where no second association followed, the gap counts as none:
a quantile of all ends says how long waiting is worth it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from node.ledger.paces import Histograms

#: Upper edge of bucket n: FINEST_S x STEP^n. Bucket 0 holds everything shorter, also "none".
FINEST_S: Final = 0.1
STEP: Final = 1.3
#: A sender is known from this many gaps on; a quantile of fewer says nothing.
ENOUGH: Final = 30
#: Beyond this every count is halved: a sender that changes its habits is learnt anew.
MEMORY: Final = 2000
#: Senders are few; titles that somebody makes up must not fill the memory.
MAX_SENDERS: Final = 500


class Gap(StrEnum):
    """What lies on both sides of a gap."""

    #: Two instances of one study on one association.
    INSTANCE = "instance"
    #: The end of the last association of a study, and the next instance of it.
    ASSOCIATION = "association"


class Pace:
    """Histograms of gaps by calling AE title; thread-safe."""

    def __init__(self, known: Histograms | None = None) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], dict[int, int]] = {
            key: dict(buckets) for key, buckets in (known or {}).items()
        }
        self._changed: set[tuple[str, str]] = set()

    def note(self, calling_ae_title: str, gap: Gap, seconds: float) -> None:
        """One more gap; 0 where nothing followed."""
        if not calling_ae_title:
            return
        key = (calling_ae_title, gap.value)
        with self._lock:
            if key not in self._counts and len(self._counts) >= 2 * MAX_SENDERS:
                return
            buckets = self._counts.setdefault(key, {})
            bucket = bucket_of(seconds)
            buckets[bucket] = buckets.get(bucket, 0) + 1
            if sum(buckets.values()) > MEMORY:
                self._counts[key] = {b: n // 2 for b, n in buckets.items() if n // 2}
            self._changed.add(key)

    def samples(self, calling_ae_title: str, gap: Gap) -> int:
        """How many gaps are remembered."""
        with self._lock:
            return sum(self._counts.get((calling_ae_title, gap.value), {}).values())

    def quantile_s(self, calling_ae_title: str, gap: Gap, share: float) -> float | None:
        """The gap in seconds that this share of all does not exceed; None while unknown."""
        with self._lock:
            buckets = self._counts.get((calling_ae_title, gap.value), {})
            total = sum(buckets.values())
            if total < ENOUGH:
                return None
            seen = 0
            for bucket in sorted(buckets):
                seen += buckets[bucket]
                if seen >= share * total:
                    return edge_s(bucket)
            raise AssertionError("the buckets hold all gaps")

    def changes(self) -> Mapping[tuple[str, str], Mapping[int, int]]:
        """The histograms that changed since the last call."""
        with self._lock:
            changed = {key: dict(self._counts[key]) for key in self._changed}
            self._changed.clear()
            return changed


def bucket_of(seconds: float) -> int:
    """The bucket that a gap falls into."""
    if seconds <= FINEST_S:
        return 0
    return math.ceil(math.log(seconds / FINEST_S, STEP))


def edge_s(bucket: int) -> float:
    """The longest gap of a bucket; 0 for the first, which is no pause at all."""
    return FINEST_S * STEP**bucket if bucket else 0.0
