"""Bytes as sent onto the disk, durable before anybody is told Success.

Each association appends to a segment of its own (`scp.segment`) straight from the network
buffer; one `fdatasync` makes an instance durable. The index is derived from the segments: it
is written behind (`scp.indexing`), and what it lacks after a kill is read back at start.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from xxhash import xxh3_128

from node.domain.study import (
    Instance,
)
from scp.arrival import Arrival
from scp.intake import Aftermath, SegmentIntake
from scp.pool import SegmentPool, SegmentSettings
from scp.quarantine import Quarantine
from scp.record import PAGE

log = structlog.get_logger(__name__)

SEGMENTS = "segments"
#: Between two looks at how full the disk is; the space kept free covers what comes meanwhile.
_LOOK_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """When to refuse instead of running into a full disk."""

    refuse_above_percent: float
    keep_free_bytes: int


class InstanceStore:
    """The received instances. Thread-safe: every association has an intake of its own."""

    def __init__(
        self,
        root: Path,
        aftermath: Aftermath,
        watermark: Watermark,
        *,
        segments: SegmentSettings | None = None,
        quarantine_bytes: int = 1 << 30,
    ) -> None:
        """Open the segments below `root`; `scan` must run before the first association.

        Raises:
            OSError: the folder cannot be used.
        """
        self._root = root
        self.aftermath = aftermath
        self._watermark = watermark
        self.quarantine = Quarantine(root / "quarantine", limit_bytes=quarantine_bytes)
        self.pool = SegmentPool(
            root / SEGMENTS,
            segments or SegmentSettings(),
            may_grow=lambda size: not self._room_for(size),
        )
        self._scanned = False
        self._arrivals: list[Arrival] = []
        # How full the disk was at the last look.
        self._no_room, self._looked_at = "", -_LOOK_S

    def open(self, association_id: str) -> SegmentIntake:
        """Where the data sets of one association go."""
        if not self._scanned:
            # Appending needs to know where each segment ends.
            for _ in self.scan({}):
                pass
        return SegmentIntake(self, association_id)

    def arrival(self) -> Arrival:
        """Where a data set is collected; to be given back with `arrived`."""
        with suppress(IndexError):
            return self._arrivals.pop()
        return Arrival()

    def arrived(self, arrival: Arrival) -> None:
        """An association is over; the next one uses the same memory."""
        self._arrivals.append(arrival)

    def refusal(self) -> str:
        """Why a new instance would be refused now; "" when there is room."""
        now = time.monotonic()
        if now - self._looked_at > _LOOK_S:
            self._no_room, self._looked_at = self._room_for(0), now
        return self._no_room or self.aftermath.refusal()

    def scan(self, indexed: Mapping[str, int]) -> Iterator[Instance]:
        """Every durable instance that the index may lack, in the order of their arrival.

        A record whose bytes are not those that were acknowledged goes to quarantine.

        Args:
            indexed: use of a segment -> offset up to which all of it has been indexed.
        """
        found = []
        for segment in self.pool.segments():
            for at, description in segment.records(indexed.get(segment.use, PAGE)):
                extent = segment.extent(at, description)
                instance = description.instance(extent)
                if verify(instance):
                    found.append(instance)
                    continue
                self.quarantine.keep_extent(extent, "found damaged at start")
                log.error(
                    "instance.damaged",
                    study_uid=instance.study_uid,
                    segment=segment.path.name,
                    offset=at,
                    cause="a crash cut it off before it was acknowledged, or the disk is damaged",
                    remedy="send the study again; if it happens without a crash, check the disk",
                )
            self.pool.scanned(segment.path.name)
        self._scanned = True
        yield from sorted(found, key=lambda instance: instance.received_at)

    def close(self) -> None:
        """Close the segments."""
        self.pool.close()

    def _room_for(self, size: int) -> str:
        usage = shutil.disk_usage(self._root)
        free = usage.free + self.pool.spare_bytes() - size
        # As `df` counts: blocks that the file system keeps for itself are neither used nor free.
        used_percent = 100.0 * (1.0 - free / (usage.used + usage.free))
        if used_percent > self._watermark.refuse_above_percent:
            return (
                f"the disk of the store is {used_percent:.0f} % full, the watermark is "
                f"{self._watermark.refuse_above_percent:.0f} %; free space, or raise "
                "storage.refuse_above_percent"
            )
        if free < self._watermark.keep_free_bytes:
            return (
                f"{free / 1e9:.1f} GB are free on the disk of the store, "
                f"{self._watermark.keep_free_bytes / 1e9:.1f} GB are to stay free; "
                "free space, or lower storage.keep_free_gb"
            )
        return ""


def verify(instance: Instance) -> bool:
    """Are the bytes on disk still those that were acknowledged?"""
    digest, left = xxh3_128(), instance.size_bytes
    try:
        with instance.extent.open() as stream:
            stream.seek(instance.extent.size - left)
            while left:
                block = stream.read(min(left, 1 << 20))
                if not block:
                    return False
                digest.update(block)
                left -= len(block)
    except (OSError, ValueError):
        return False
    digest.update(instance.transfer_syntax_uid.encode("ascii", "replace"))
    return bool(digest.hexdigest() == instance.digest)
