"""Bytes as sent onto the disk, durable before anybody is told Success.

Each association appends to a segment of its own (`scp.segment`) straight from the network
buffer; one `fdatasync` makes an instance durable. The index is derived from the segments: it
is written behind (`scp.indexing`), and what it lacks after a kill is read back at start.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import structlog
from xxhash import xxh3_128

from node.domain.errors import CannotUnderstand, OutOfResources, ReceiveError
from node.domain.extent import Extent
from node.domain.study import (
    ClassUID,
    Instance,
    InstanceUID,
    SeriesUID,
    StudyUID,
    TransferSyntaxUID,
)
from scp.arrival import Arrival
from scp.contracts import Received, StoreCommand
from scp.identity import Identity, identify
from scp.pool import SegmentPool, SegmentSettings
from scp.quarantine import Quarantine
from scp.record import PAGE, Description, part10_head
from scp.segment import Segment

log = structlog.get_logger(__name__)

SEGMENTS = "segments"
#: The four UIDs stand in front of the pixels; more is read only where they do not.
_BEGINNING_BYTES = 16 << 10
#: Between two looks at how full the disk is, while one object arrives.
_ROOM_CHECK_BYTES = 64 << 20
#: Between two looks at how full the disk is; the space kept free covers what comes meanwhile.
_LOOK_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """When to refuse instead of running into a full disk."""

    refuse_above_percent: float
    keep_free_bytes: int


class Aftermath(Protocol):
    """What happens behind an acknowledged instance: `scp.indexing.Indexer`."""

    def refusal(self) -> str:
        """Why nothing more should be accepted; "" when all is well."""
        ...

    def stored(self, association_id: str, segment: Segment, at: int, instance: Instance) -> None:
        """An instance is durable; its row may follow. Quick, never raises."""
        ...

    def closed(self, association_id: str, *, clean: bool) -> None:
        """An association is over. Quick, never raises."""
        ...


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
        self._aftermath = aftermath
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
        return self._no_room or self._aftermath.refusal()

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
                instance = _instance(description, extent)
                if verify(instance):
                    found.append(instance)
                    continue
                self.quarantine.keep_extent(extent, "found damaged at start")
                log.error(
                    "instance.damaged",
                    study_uid=instance.study_uid,
                    segment=segment.path.name,
                    offset=at,
                    remedy="send the study again",
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


class SegmentIntake:
    """Where one association's data sets go; used by one thread at a time."""

    def __init__(self, store: InstanceStore, association_id: str) -> None:
        self._store = store
        self._association_id = association_id
        self._segment: Segment | None = None
        self._command: StoreCommand | None = None
        self._arrival = store.arrival()
        self._head_bytes = self._room_checked = 0
        # Of the data set that is arriving, once its beginning came and says where it belongs.
        self._identity: Identity | None = None
        self._is_looked_at = False

    def begin(self, command: StoreCommand) -> None:
        """A data set is announced.

        Raises:
            OutOfResources: above the watermark, or the index or the disk does not keep up.
        """
        refusal = self._store.refusal()
        if refusal:
            raise OutOfResources(refusal)
        try:
            if self._segment is None:
                self._segment = self._store.pool.take()
            head = part10_head(
                sop_class_uid=command.sop_class_uid,
                sop_instance_uid=command.sop_instance_uid,
                transfer_syntax_uid=command.transfer_syntax_uid,
                calling_ae_title=command.calling_ae_title,
            )
        except OSError as error:
            raise _not_taken(error) from error
        self._command = command
        self._arrival.begin(self._segment, head)
        self._head_bytes = len(head)
        self._room_checked = 0
        self._identity, self._is_looked_at = None, False

    def write(self, parts: Sequence[memoryview]) -> None:
        """The next bytes of the data set; the views may be reused afterwards.

        Raises:
            OutOfResources: the disk is full, or failed.
        """
        arrival = self._arrival
        try:
            arrival.write(parts)
        except OSError as error:
            raise self._failed(error) from error
        self._look_at_beginning()
        if arrival.data_set_bytes - self._room_checked > _ROOM_CHECK_BYTES:
            self._room_checked = arrival.data_set_bytes
            refusal = self._store.refusal()
            if refusal:
                self.abort()
                raise OutOfResources(refusal)

    def place(self, size: int) -> memoryview | None:
        """Where the next bytes may be put instead; None for a data set that is large by now."""
        return self._arrival.place(size)

    def placed(self, size: int) -> None:
        """So many bytes were put there."""
        self._arrival.placed(size)
        self._look_at_beginning()

    def commit(self) -> Instance:
        """The data set is whole: file it by its UIDs and make it durable.

        Raises:
            CannotUnderstand, ClassMismatch: as `scp.identity.identify`; the object lies in
                quarantine with its reason.
            OutOfResources: the disk did not take it.
        """
        segment, command = self._segment, self._command
        assert segment is not None
        assert command is not None
        try:
            if not self._arrival.data_set_bytes:
                raise CannotUnderstand("the data set is empty")
            description = self._describe(command)
        except ReceiveError as error:
            self._quarantine(command, str(error))
            raise
        try:
            extent = self._arrival.make_durable(description)
        except OSError as error:
            raise self._failed(error) from error
        instance = _instance(description, extent)
        self._command = None
        self._store._aftermath.stored(self._association_id, segment, segment.position, instance)
        if self._store.pool.is_full(segment):
            self._store.pool.give_back(segment)
            self._segment = None
        return instance

    def abort(self) -> None:
        """The data set broke off, or is refused: the next one takes its place."""
        self._command = None

    def close(self, *, clean: bool) -> None:
        """The association is over."""
        self.abort()
        self._store.arrived(self._arrival)
        if self._segment is not None:
            self._store.pool.give_back(self._segment)
            self._segment = None
        self._store._aftermath.closed(self._association_id, clean=clean)

    def _describe(self, command: StoreCommand) -> Description:
        """What the record says; reads all of a data set whose beginning did not tell its UIDs."""
        identity = self._identity or identify(_received(command, self._arrival.data_set()))
        return Description(
            sop_instance_uid=identity.sop_instance_uid,
            sop_class_uid=identity.sop_class_uid,
            study_uid=identity.study_uid,
            series_uid=identity.series_uid,
            transfer_syntax_uid=command.transfer_syntax_uid,
            calling_ae_title=command.calling_ae_title,
            received_at=datetime.now(UTC),
            digest=self._arrival.digest(command.transfer_syntax_uid),
            head_bytes=self._head_bytes,
            data_set_bytes=self._arrival.data_set_bytes,
        )

    def _look_at_beginning(self) -> None:
        """Read the UIDs while the rest arrives; whatever is wrong with them is said at the end."""
        if self._is_looked_at or self._arrival.data_set_bytes < _BEGINNING_BYTES:
            return
        self._is_looked_at = True
        assert self._command is not None
        with suppress(ReceiveError):
            beginning = self._arrival.data_set()[:_BEGINNING_BYTES]
            self._identity = identify(_received(self._command, beginning))

    def _quarantine(self, command: StoreCommand, reason: str) -> None:
        if self._arrival.data_set_bytes:
            self._store.quarantine.keep(_received(command, self._arrival.data_set()), reason)
        self.abort()

    def _failed(self, error: OSError) -> OutOfResources:
        """After a failed write or synchronisation nobody knows what the disk holds."""
        self.abort()
        segment = self._segment
        assert segment is not None
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or self._arrival.is_sealed:
            self._store.pool.retire(segment)
            self._segment = None
        return _not_taken(error)


def _received(command: StoreCommand, data_set: memoryview) -> Received:
    return Received(
        sop_class_uid=command.sop_class_uid,
        sop_instance_uid=command.sop_instance_uid,
        transfer_syntax_uid=command.transfer_syntax_uid,
        data_set=data_set,
        calling_ae_title=command.calling_ae_title,
    )


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


def _instance(description: Description, extent: Extent) -> Instance:
    return Instance(
        sop_instance_uid=InstanceUID(description.sop_instance_uid),
        sop_class_uid=ClassUID(description.sop_class_uid),
        study_uid=StudyUID(description.study_uid),
        series_uid=SeriesUID(description.series_uid),
        transfer_syntax_uid=TransferSyntaxUID(description.transfer_syntax_uid),
        extent=extent,
        digest=description.digest,
        size_bytes=description.data_set_bytes,
        calling_ae_title=description.calling_ae_title,
        received_at=description.received_at,
    )


def _not_taken(error: OSError) -> OutOfResources:
    return OutOfResources(f"the disk did not take the instance ({error.strerror}); check the store")
