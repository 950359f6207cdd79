"""What one association sends: announced, received, checked, durable, handed on."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from node.domain.errors import CannotUnderstand, OutOfResources, ReceiveError
from node.domain.study import Instance
from scp.arrival import Arrival
from scp.contracts import Received, StoreCommand
from scp.identity import Identity, identify
from scp.pool import SegmentPool
from scp.quarantine import Quarantine
from scp.record import Description, part10_head
from scp.segment import Segment

#: The four UIDs stand in front of the pixels; more is read only where they do not.
_BEGINNING_BYTES = 16 << 10
#: Between two looks at how full the disk is, while one object arrives.
_ROOM_CHECK_BYTES = 64 << 20


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


class Store(Protocol):
    """What an intake needs of the store."""

    pool: SegmentPool
    quarantine: Quarantine
    aftermath: Aftermath

    def refusal(self) -> str:
        """Why a new instance would be refused now; "" when there is room."""
        ...

    def arrival(self) -> Arrival:
        """Where a data set is collected; to be given back with `arrived`."""
        ...

    def arrived(self, arrival: Arrival) -> None:
        """It is not needed any more."""
        ...


class SegmentIntake:
    """Where one association's data sets go; used by one thread at a time."""

    def __init__(self, store: Store, association_id: str) -> None:
        """Nothing is taken from the disk before the first data set."""
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
        try:
            refusal = self._store.refusal()
            if not refusal and self._segment is None:
                self._segment = self._store.pool.take()
        except OSError as error:
            raise _not_taken(error) from error
        if refusal:
            raise OutOfResources(refusal)
        head = part10_head(
            sop_class_uid=command.sop_class_uid,
            sop_instance_uid=command.sop_instance_uid,
            transfer_syntax_uid=command.transfer_syntax_uid,
            calling_ae_title=command.calling_ae_title,
        )
        assert self._segment is not None
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
        try:
            self._arrival.write(parts)
        except OSError as error:
            raise self._failed(error) from error
        self._look()

    def place(self, size: int) -> memoryview:
        """Where the next bytes may be put instead."""
        return self._arrival.place(size)

    def placed(self, size: int) -> None:
        """So many bytes were put there. Raises OutOfResources as `write`."""
        try:
            self._arrival.placed(size)
        except OSError as error:
            raise self._failed(error) from error
        self._look()

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
            extent = self._arrival.make_durable(description)
        except ReceiveError as error:
            self._quarantine(command, str(error))
            raise
        except OSError as error:
            raise self._failed(error) from error
        instance = description.instance(extent)
        self._command = None
        self._store.aftermath.stored(self._association_id, segment, segment.position, instance)
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
        self._store.aftermath.closed(self._association_id, clean=clean)

    def _look(self) -> None:
        """At the beginning of the data set once, and at the room on the disk now and then."""
        size = self._arrival.data_set_bytes
        if not self._is_looked_at and size >= _BEGINNING_BYTES:
            self._is_looked_at = True
            assert self._command is not None
            # Whatever is wrong with its UIDs is said at its end.
            with suppress(ReceiveError, OSError):
                beginning = self._arrival.data_set()[:_BEGINNING_BYTES]
                self._identity = identify(_received(self._command, beginning))
        if size - self._room_checked > _ROOM_CHECK_BYTES:
            self._room_checked = size
            refusal = self._store.refusal()
            if refusal:
                self.abort()
                raise OutOfResources(refusal)

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

    def _quarantine(self, command: StoreCommand, reason: str) -> None:
        if self._arrival.data_set_bytes:
            # Refused it is in any case; a disk that does not give it back changes nothing.
            with suppress(OSError):
                received = _received(command, self._arrival.data_set())
                self._store.quarantine.keep(received, reason)
        self.abort()

    def _failed(self, error: OSError) -> OutOfResources:
        """After a failed write or synchronisation nobody knows what the disk holds."""
        self.abort()
        segment = self._segment
        assert segment is not None
        if isinstance(error, FileNotFoundError):
            self._store.pool.lose(segment)
            self._segment = None
        elif error.errno not in (errno.ENOSPC, errno.EDQUOT) or self._arrival.is_sealed:
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


def _not_taken(error: OSError) -> OutOfResources:
    return OutOfResources(f"the disk did not take the instance ({error.strerror}); check the store")
