"""Rows follow what was acknowledged: in order, in time, and in spite of a sick ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from node.domain.errors import LedgerError
from node.domain.extent import Extent
from node.domain.study import (
    ClassUID,
    Filing,
    Instance,
    InstanceUID,
    SeriesUID,
    StudyUID,
    TransferSyntaxUID,
)
from scp.contracts import Durable
from scp.indexing import Indexer
from scp.segment import Segment
from tests.scp.listening import Told


class Index:
    """Takes rows, or refuses so many times."""

    def __init__(self, refuse: int = 0) -> None:
        self.refuse = refuse
        self.rows: list[str] = []

    def record_all(self, batch: Sequence[Durable]) -> Sequence[Filing]:
        if self.refuse:
            self.refuse -= 1
            raise LedgerError("database or disk is full")
        self.rows += [item.instance.sop_instance_uid for item in batch]
        return [Filing.NEW] * len(batch)

    def find(self, sop_instance_uid: str) -> tuple[Instance, ...]:
        del sop_instance_uid
        return ()

    def move(self, instance: Instance) -> None:
        del instance


def instance(uid: str) -> Instance:
    return Instance(
        sop_instance_uid=InstanceUID(uid),
        sop_class_uid=ClassUID("1.2"),
        study_uid=StudyUID("1"),
        series_uid=SeriesUID("2"),
        transfer_syntax_uid=TransferSyntaxUID("1.2.840.10008.1.2.1"),
        extent=Extent(Path("/nowhere"), 4096, 100),
        digest=uid,
        size_bytes=100,
        calling_ae_title="CT1",
        received_at=datetime.now(UTC),
    )


def test_everything_is_told_in_the_order_of_what_happened(tmp_path: Path) -> None:
    index, told = Index(), Told()
    indexer = Indexer(index)
    indexer.events = told
    segment = Segment.create(tmp_path / "00000001.seg")
    for number in range(700):
        indexer.stored("a", segment, number, instance(str(number)))
    indexer.closed("a", clean=True)
    assert indexer.flush()
    assert index.rows == [str(number) for number in range(700)]
    assert [item.instance.sop_instance_uid for item in told.stored] == index.rows
    assert told.closed == [("a", True)]
    assert segment.unindexed == 0
    indexer.stop()


def test_sick_ledger_refuses_new_instances_and_loses_none(tmp_path: Path) -> None:
    index = Index(refuse=2)
    indexer = Indexer(index)
    segment = Segment.create(tmp_path / "00000001.seg")
    indexer.stored("a", segment, 1, instance("1"))
    assert not indexer.flush(0.3)
    assert "database or disk is full" in indexer.refusal()
    assert segment.unindexed == 1
    assert indexer.flush(10)
    assert index.rows == ["1"]
    assert indexer.refusal() == ""
    indexer.stop()


def test_fault_of_a_listener_does_not_end_the_filing(tmp_path: Path) -> None:
    class Faulty(Told):
        def instance_stored(self, association_id: str, stored: object) -> None:
            del association_id, stored
            raise RuntimeError("a fault of ours")

    index = Index()
    indexer = Indexer(index)
    indexer.events = Faulty()
    segment = Segment.create(tmp_path / "00000001.seg")
    for uid in ("1", "2"):
        indexer.stored("a", segment, 1, instance(uid))
        assert indexer.flush()
    assert index.rows == ["1", "2"]
    indexer.stop()


def test_batch_given_up_at_a_stop_is_not_overtaken_by_the_next(tmp_path: Path) -> None:
    """The mark of the index must not pass rows that were never written."""
    index = Index(refuse=1)
    indexer = Indexer(index)
    segment = Segment.create(tmp_path / "00000001.seg")
    for number in range(600):
        indexer.stored("a", segment, number, instance(str(number)))
    indexer.stop()
    assert index.rows in ([], [str(number) for number in range(600)])
