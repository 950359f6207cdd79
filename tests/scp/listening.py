"""A receiver on a free port with a real index, for the tests of this room."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import build_context

from node.domain.study import Filing, Instance
from node.intake import FileContent
from node.ledger import Ledger
from node.pipeline.checkpoint import answered_to_us
from scp.admission import Admission, Peer
from scp.classes import VERIFICATION
from scp.contracts import Stored
from scp.indexing import Indexer
from scp.receiver import Receiver, ReceiverSettings
from scp.storage import InstanceStore, Watermark

HERE = Peer(
    name="here",
    networks=(ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")),
    ae_titles=frozenset(),
)
ADMISSION = Admission(
    ae_titles=frozenset({"VIGIE"}), peers=(HERE,), max_associations=8, max_associations_per_peer=8
)
SETTINGS = ReceiverSettings(
    host="127.0.0.1",
    port=0,
    admission=ADMISSION,
    max_pdu_bytes=131072,
    association_timeout_s=2,
    idle_timeout_s=4,
    max_object_bytes=1 << 30,
)
ROOMY = Watermark(refuse_above_percent=99.9, keep_free_bytes=0)


@dataclass(slots=True)
class Told:
    """Everything the receiver told the node."""

    opened: list[tuple[str, str, str]] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    closed: list[tuple[str, bool]] = field(default_factory=list)

    def association_opened(self, association_id: str, calling_ae_title: str, address: str) -> None:
        self.opened.append((association_id, calling_ae_title, address))

    def association_rejected(self, calling_ae_title: str, address: str, reason: str) -> None:
        self.rejected.append(reason)

    def instance_stored(self, association_id: str, stored: Stored) -> None:
        self.stored.append(stored)

    def instance_refused(self, association_id: str, status: int, reason: str) -> None:
        self.refused.append((status, reason))

    def association_closed(self, association_id: str, *, clean: bool) -> None:
        self.closed.append((association_id, clean))

    def filings(self) -> list[Filing]:
        return [item.filing for item in self.stored]


@dataclass(slots=True)
class Listening:
    """A running receiver with its parts."""

    receiver: Receiver
    store: InstanceStore
    indexer: Indexer
    ledger: Ledger
    told: Told

    @property
    def port(self) -> int:
        return self.receiver.port


@contextmanager
def listening(
    root: Path, *, watermark: Watermark = ROOMY, notices: bool = False, **changes: Any
) -> Iterator[Listening]:
    """Start a receiver; `changes` replace its settings."""
    root.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(root)
    indexer = Indexer(ledger.instances)
    store = InstanceStore(root, indexer, watermark)
    found = list(store.scan(ledger.instances.indexed()))
    for instance in found:
        ledger.instances.record(instance)
    told = Told()
    indexer.events = told
    receiver = Receiver(replace(SETTINGS, **changes), store, told)
    if notices:
        receiver.notices = ledger.announcements
    receiver.start()
    try:
        yield Listening(receiver, store, indexer, ledger, told)
    finally:
        receiver.stop(1.0)
        indexer.stop()
        store.close()
        ledger.close()


def data_set_of(instance: Instance) -> bytes:
    """The data set of a stored instance, without preamble and file meta information."""
    return instance.extent.read()[-instance.size_bytes :]


class RawSender:
    """A storage SCU that sends bytes as they are, however odd."""

    def __init__(self, port: int, contents: list[FileContent], called: str = "VIGIE") -> None:
        entity = AE(ae_title="RAW")
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
        kinds = sorted({(c.sop_class_uid, c.transfer_syntax_uid) for c in contents})
        entity.requested_contexts = [
            build_context(uid, syntax or ImplicitVRLittleEndian) for uid, syntax in kinds
        ] + [build_context(VERIFICATION)]
        self.association = entity.associate("127.0.0.1", port, ae_title=called)
        if self.association.is_established:
            answered_to_us(self.association)

    def send(self, content: FileContent) -> int | None:
        """The status, -1 when no presentation context was accepted, None without an answer."""
        accepted = [
            context.context_id
            for context in self.association.accepted_contexts
            if context.abstract_syntax == content.sop_class_uid
            and context.transfer_syntax[0] == content.transfer_syntax_uid
        ]
        if not accepted:
            return -1
        request = C_STORE()
        request.MessageID = 1
        request.AffectedSOPClassUID = content.sop_class_uid
        request.AffectedSOPInstanceUID = content.sop_instance_uid
        request.Priority = 2
        request.DataSet = BytesIO(content.data_set)
        self.association._reactor_checkpoint.clear()
        self.association.dimse.send_msg(request, accepted[0])
        _, response = self.association.dimse.get_msg(block=True)
        self.association._reactor_checkpoint.set()
        return None if response is None else int(response.Status)

    def release(self) -> None:
        self.association.release()
