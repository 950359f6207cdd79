"""What the receiver needs from the node, and what it hands over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from node.domain.study import Filing, Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One C-STORE request: its command set and the data set's bytes, untouched.

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


@dataclass(frozen=True, slots=True)
class Stored:
    """A durable, indexed instance, and whether it was new."""

    instance: Instance
    filing: Filing


class InstanceIndex(Protocol):
    """The durable index of stored instances."""

    def record(self, instance: Instance) -> Filing:
        """File an instance; durable on return. Raises LedgerError when it cannot be."""
        ...

    def find(self, sop_instance_uid: str) -> tuple[Instance, ...]:
        """Every stored instance with this UID, the current one first."""
        ...


class ReceiverEvents(Protocol):
    """Told by the receiver, in the association's own thread: be quick."""

    def association_opened(self, association_id: str, calling_ae_title: str, address: str) -> None:
        """An association was accepted."""
        ...

    def association_rejected(self, calling_ae_title: str, address: str, reason: str) -> None:
        """An association was rejected, PS3.8 9.3.4."""
        ...

    def instance_stored(self, association_id: str, stored: Stored) -> None:
        """About to be acknowledged with Success."""
        ...

    def instance_refused(self, association_id: str, status: int, reason: str) -> None:
        """Answered with a failure status; the reason carries no header text."""
        ...

    def association_closed(self, association_id: str, *, clean: bool) -> None:
        """Released (clean), aborted or lost."""
        ...
