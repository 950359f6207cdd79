"""A store with its ledger, and objects put into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.domain.study import Instance
from node.intake import FileContent
from node.ledger import Ledger
from scp.contracts import StoreCommand
from scp.indexing import Indexer
from scp.intake import SegmentIntake
from scp.pool import SegmentSettings
from scp.storage import InstanceStore
from tests.scp.listening import ROOMY

SMALL = SegmentSettings(capacity_bytes=1 << 20, spare=0)


@contextmanager
def opened(root: Path, segments: SegmentSettings = SMALL) -> Iterator[tuple[InstanceStore, Ledger]]:
    """A store with its ledger, read on from where the ledger ends."""
    root.mkdir(exist_ok=True)
    ledger = Ledger(root)
    indexer = Indexer(ledger.instances)
    store = InstanceStore(root, indexer, ROOMY, segments=segments)
    for instance in store.scan(ledger.instances.indexed()):
        ledger.instances.record(instance)
    ledger.instances.set_indexed({item.use: item.position for item in store.pool.segments()})
    try:
        yield store, ledger
        assert indexer.flush()
    finally:
        indexer.stop()
        store.close()
        ledger.close()


def announce(intake: SegmentIntake, item: FileContent) -> None:
    intake.begin(
        StoreCommand(
            sop_class_uid=item.sop_class_uid,
            sop_instance_uid=item.sop_instance_uid,
            transfer_syntax_uid=item.transfer_syntax_uid,
            calling_ae_title="CT1",
        )
    )


def put(intake: SegmentIntake, item: FileContent, step: int = 1 << 16) -> Instance:
    announce(intake, item)
    whole = memoryview(item.data_set)
    for at in range(0, len(whole), step):
        intake.write([whole[at : at + step]])
    return intake.commit()
