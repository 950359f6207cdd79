"""The segments of a store: who may write to which, and which are empty and used again.

An association takes a segment and gives it back when it ends; it goes on where the last one
stopped. A segment is full when it has reached its capacity (one object may exceed it), and free
when the index holds no instance of it any more.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from scp.record import PAGE
from scp.segment import Segment

log = structlog.get_logger(__name__)

SUFFIX = ".seg"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSettings:
    """Sizes of the store's files.

    Attributes:
        capacity_bytes: no record begins behind this offset.
        spare: segments with room kept ready, their blocks written once, so that synchronising
            a record does not wait for the file system's journal.
    """

    capacity_bytes: int = 128 << 20
    spare: int = 0


class SegmentPool:
    """Every segment of one folder. Thread-safe; a taken segment belongs to its taker."""

    def __init__(
        self,
        folder: Path,
        settings: SegmentSettings,
        *,
        may_grow: Callable[[int], bool] = lambda _size: True,
    ) -> None:
        """Find what is there.

        Args:
            may_grow: may spare segments of so many bytes be written, or is the disk too full?

        Raises:
            OSError: the folder cannot be used.
        """
        self.folder = folder
        self._settings = settings
        self._may_grow = may_grow
        # Re-entrant: whether the disk has room depends on the spare segments.
        self._lock = threading.RLock()
        self._every: dict[str, Segment] = {}
        self._available: list[Segment] = []
        self._taken: set[Segment] = set()
        self._retired: set[str] = set()
        self._last = 0
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            self._find(path)
        _sync(folder)

    def _find(self, path: Path) -> None:
        segment = Segment.find(path)
        self._last = max(self._last, int(path.stem))
        if segment is None:
            # The key page is made durable before anything is appended: nothing is lost here.
            log.warning("segment.unusable", file=path.name, remedy="none: it was never written to")
            return
        self._every[path.name] = segment

    def scanned(self, name: str) -> None:
        """The records of a segment were read; it may be appended to when there is room."""
        with self._lock:
            segment = self._every[name]
            if not self.is_full(segment):
                self._available.append(segment)

    def segments(self) -> tuple[Segment, ...]:
        """All of them, by number."""
        with self._lock:
            return tuple(self._every[name] for name in sorted(self._every))

    def take(self) -> Segment:
        """A segment to append to: the one with most room that is available, else a new one.

        Raises:
            OSError: a new one is needed and the disk does not take it.
        """
        with self._lock:
            self._forget_the_deleted()
            known = min(self._available, key=lambda segment: segment.position, default=None)
            chosen = known or self._create()
            chosen.open()
            if not chosen.is_named:
                chosen.give_name()
            if known is not None:
                self._available.remove(known)
            self._taken.add(chosen)
            return chosen

    def give_back(self, segment: Segment) -> None:
        """The association is over, or the segment is full."""
        with self._lock:
            self._taken.discard(segment)
            segment.close()
            if segment.path.name not in self._retired and not self.is_full(segment):
                self._available.append(segment)

    def is_full(self, segment: Segment) -> bool:
        """Must the next record go to another segment?"""
        return segment.position >= self._settings.capacity_bytes

    def retired(self) -> int:
        """How many segments the disk failed under since the start."""
        with self._lock:
            return len(self._retired)

    def retire(self, segment: Segment) -> None:
        """The disk failed under it: it is read, never written to again while the node runs."""
        with self._lock:
            self._taken.discard(segment)
            segment.close()
            self._retired.add(segment.path.name)
        log.error(
            "segment.retired",
            file=segment.path.name,
            remedy="the disk reported an error while writing; check it (dmesg, smartctl)",
        )

    def lose(self, segment: Segment) -> None:
        """Somebody deleted its file while it was written to: no fault of the disk."""
        with self._lock:
            self._taken.discard(segment)
            segment.close()
            self._is_there(segment)

    def release(self, in_use: Callable[[], frozenset[str]]) -> int:
        """Renew the segments that hold no instance any more; returns how many.

        Args:
            in_use: asked for the names of the segments that the index refers to.
        """
        with self._lock:
            # Nobody can append to one of these while the lock is held, and all that was
            # appended has its row: what the index says of them cannot change.
            settled = [s for s in self._settled() if s.position > PAGE and not s.unindexed]
            if not settled:
                return 0
            names = in_use()
            free = [
                segment
                for segment in settled
                if segment.path.name not in names and self._is_there(segment)
            ]
            for segment in free:
                segment.renew(self._settings.capacity_bytes)
                if segment not in self._available:
                    self._available.append(segment)
            return len(free)

    def prepare(self) -> bool:
        """Blank one released segment, or write one spare; False when there is nothing to do.

        Slow: it writes a whole segment, and only while nobody sends. Call it from a thread of
        its own.

        Raises:
            OSError: the disk did not take it.
        """
        with self._lock:
            self._forget_the_deleted()
            segment = None if self._taken else self._to_blank()
            if segment is None:
                return False
            if segment in self._available:
                self._available.remove(segment)
        try:
            segment.blank_out(self._settings.capacity_bytes)
        finally:
            with self._lock:
                segment.close()
                self._available.append(segment)
        return True

    def spare_bytes(self) -> int:
        """Blocks that are on the disk already and wait for instances."""
        capacity = self._settings.capacity_bytes
        with self._lock:
            return sum(max(0, min(s.size, capacity) - s.position) for s in self._available)

    def close(self) -> None:
        """Close every file."""
        with self._lock:
            for segment in self._every.values():
                segment.discard()
            self._every.clear()
            self._available.clear()

    def _forget_the_deleted(self) -> None:
        self._available = [segment for segment in self._available if self._is_there(segment)]

    def _is_there(self, segment: Segment) -> bool:
        """Has nobody deleted its file? Else it is forgotten, and the node goes on with others."""
        if segment.size:
            return True
        if self._every.pop(segment.path.name, None):
            log.error(
                "segment.missing",
                file=segment.path.name,
                remedy="only Vigie may change files below storage.path; send its studies again",
            )
        return False

    def _settled(self) -> list[Segment]:
        """Segments that nobody writes to, full ones too."""
        capacity = self._settings.capacity_bytes
        full = [s for s in self._every.values() if s.position >= capacity]
        return [
            segment
            for segment in {id(s): s for s in (*self._available, *full)}.values()
            if segment.path.name not in self._retired and segment not in self._taken
        ]

    def _to_blank(self) -> Segment | None:
        for segment in self._available:
            if segment.position == PAGE and not segment.blank:
                return segment
        capacity = self._settings.capacity_bytes
        # A segment that was begun is as good as an empty one while most of it is left.
        ready = [s for s in self._available if s.size >= capacity and s.position <= capacity // 2]
        if len(ready) >= self._settings.spare or not self._may_grow(capacity):
            return None
        empty = (s for s in self._available if s.position == PAGE and s.size < capacity)
        return next(empty, None) or self._create(spare=True)

    def _create(self, *, spare: bool = False) -> Segment:
        self._last += 1
        path = self.folder / f"{self._last:08d}{SUFFIX}"
        segment = None
        if spare:
            with suppress(OSError):
                segment = Segment.create_unnamed(path)
        if segment is None:
            segment = Segment.create(path)
            _sync(self.folder)
        self._every[segment.path.name] = segment
        return segment


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
