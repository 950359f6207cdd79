"""What the receiver needs from the node, and what it hands over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from node.domain.study import Filing, Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One C-STORE request: its command set and the data set's bytes, or the first of them.

    Attributes:
        sop_class_uid, sop_instance_uid: Affected SOP Class and Instance UID of the command.
        transfer_syntax_uid: of the presentation context it came in.
        data_set: encoded data set, without file meta information.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: bytes | memoryview
    calling_ae_title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCommand:
    """The C-STORE-RQ that announces one data set (PS3.7 9.3.1.1).

    Attributes:
        sop_class_uid, sop_instance_uid: Affected SOP Class and Instance UID.
        transfer_syntax_uid: of the presentation context it comes in.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str


class Intake(Protocol):
    """Where one association's data sets go; used by one thread at a time.

    After a ReceiveError the store has forgotten, or quarantined, that data set; what is left of
    it on the network is the receiver's to drain.
    """

    def begin(self, command: StoreCommand) -> None:
        """A data set is announced. Raises ReceiveError when it is refused already."""
        ...

    def write(self, parts: Sequence[memoryview]) -> None:
        """Its next bytes; the views may be reused after the call. Raises ReceiveError."""
        ...

    def place(self, size: int) -> memoryview:
        """Where its next bytes, some of this many, may be put instead of being written."""
        ...

    def placed(self, size: int) -> None:
        """So many of its next bytes were put there. Raises ReceiveError."""
        ...

    def commit(self) -> object:
        """Durable on return: only then Success. Raises ReceiveError."""
        ...

    def abort(self) -> None:
        """The data set broke off or was refused; forget it."""
        ...

    def close(self, *, clean: bool) -> None:
        """The association is over; never raises."""
        ...


class IntakeStore(Protocol):
    """Where associations put what they receive."""

    def open(self, association_id: str) -> Intake:
        """The intake of one association."""
        ...


@dataclass(frozen=True, slots=True)
class Stored:
    """A durable, indexed instance, and whether it was new."""

    instance: Instance
    filing: Filing


@dataclass(frozen=True, slots=True, kw_only=True)
class Durable:
    """A durable instance whose row is to be written.

    Attributes:
        segment: the use of the segment that holds it.
        end: offset in it behind the record; all before it has been handed over too.
    """

    instance: Instance
    segment: str
    end: int


class InstanceIndex(Protocol):
    """The index of stored instances, derived from them."""

    def record_all(self, batch: Sequence[Durable]) -> Sequence[Filing]:
        """File instances in their order, in one transaction. Raises LedgerError."""
        ...

    def find(self, sop_instance_uid: str) -> tuple[Instance, ...]:
        """Every stored instance with this UID, the current one first."""
        ...

    def move(self, instance: Instance) -> None:
        """Point the row of an instance at the bytes where they are now. Raises LedgerError."""
        ...


class ReceiverEvents(Protocol):
    """Told by the receiver and, about what was stored, by the indexer: be quick.

    `instance_stored` and `association_closed` come in the order of what happened.
    """

    def association_opened(self, association_id: str, calling_ae_title: str, address: str) -> None:
        """An association was accepted."""
        ...

    def association_rejected(self, calling_ae_title: str, address: str, reason: str) -> None:
        """An association was rejected, PS3.8 9.3.4."""
        ...

    def instance_stored(self, association_id: str, stored: Stored) -> None:
        """Acknowledged with Success, and indexed."""
        ...

    def instance_refused(self, association_id: str, status: int, reason: str) -> None:
        """Answered with a failure status; the reason carries no header text."""
        ...

    def association_closed(self, association_id: str, *, clean: bool) -> None:
        """Released (clean), aborted or lost."""
        ...
