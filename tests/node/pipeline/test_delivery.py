"""Results leave once, are retried while a destination is down, and are never lost."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    generate_uid,
)

from node.demo.pacs import SmallPacs
from node.ledger import Ledger
from node.ledger.outbox import ResultObject
from node.ledger.states import DeliveryState
from node.metrics import Metrics
from node.pipeline.breaker import RetryPolicy
from node.pipeline.delivery import (
    Accepted,
    Courier,
    Destination,
    Passing,
    RefusedForGood,
    echo,
    judge_status,
)

STUDY = "1.2.826.0.1.3680043.10.1"


def result_object(root: Path, class_uid: str = SecondaryCaptureImageStorage) -> ResultObject:
    """A minimal object on disk; a storage provider does not look at its pixels."""
    data_set = Dataset()
    data_set.SOPClassUID = class_uid
    data_set.SOPInstanceUID = generate_uid()
    data_set.StudyInstanceUID = STUDY
    data_set.SeriesInstanceUID = generate_uid()
    data_set.InstanceNumber = 1
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = root / f"{data_set.SOPInstanceUID}.dcm"
    data_set.save_as(path, enforce_file_format=True)
    return ResultObject(
        sop_instance_uid=data_set.SOPInstanceUID,
        sop_class_uid=class_uid,
        study_uid=STUDY,
        series_uid=data_set.SeriesInstanceUID,
        job_key="job",
        kind="secondary capture",
        instance_number=1,
        path=path,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[SmallPacs]:
    running = SmallPacs(tmp_path / "pacs")
    running.start()
    yield running
    running.stop()


def courier(ledger: Ledger, port: int) -> Courier:
    destination = Destination(
        name="pacs",
        ae_title="PACS",
        host="127.0.0.1",
        port=port,
        calling_ae_title="VIGIE",
        connect_timeout_s=2,
        response_timeout_s=5,
        retry=RetryPolicy(first_s=0.0, cap_s=0.0),
    )
    return Courier(destination, ledger, Metrics())


def states(ledger: Ledger) -> list[DeliveryState]:
    return [item.state for item in ledger.outbox.of_study(STUDY)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_accepted_object_is_sent_once(ledger: Ledger, pacs: SmallPacs) -> None:
    item = result_object(ledger.root)
    ledger.outbox.add([item], ["pacs"])
    sender = courier(ledger, pacs.port)
    assert sender.drain() == 1
    assert sender.drain() == 0
    assert pacs.received == [item.sop_instance_uid]
    assert states(ledger) == [DeliveryState.ACCEPTED]


def test_dead_destination_keeps_the_object_and_gets_it_when_it_returns(
    ledger: Ledger, tmp_path: Path
) -> None:
    item = result_object(ledger.root)
    ledger.outbox.add([item], ["pacs"])
    port = free_port()
    sender = courier(ledger, port)
    for _ in range(4):
        assert sender.drain() == 0
    assert sender.breaker.is_open
    assert states(ledger) == [DeliveryState.WAITING]
    returned = SmallPacs(tmp_path / "late", port=port)
    returned.start()
    try:
        assert sender.drain() == 1
    finally:
        returned.stop()
    assert states(ledger) == [DeliveryState.ACCEPTED]
    assert not sender.breaker.is_open


def test_full_destination_is_tried_again_later(ledger: Ledger, pacs: SmallPacs) -> None:
    ledger.outbox.add([result_object(ledger.root)], ["pacs"])
    pacs.answer = lambda _uid: 0xA700
    sender = courier(ledger, pacs.port)
    assert sender.drain() == 0
    assert states(ledger) == [DeliveryState.WAITING]
    pacs.answer = lambda _uid: 0x0000
    assert sender.drain() == 1


def test_refused_object_is_recorded_with_its_cause_and_does_not_block_the_next(
    ledger: Ledger, pacs: SmallPacs
) -> None:
    bad, good = result_object(ledger.root), result_object(ledger.root)
    ledger.outbox.add([bad, good], ["pacs"])
    pacs.answer = lambda uid: 0xC123 if uid == bad.sop_instance_uid else 0x0000
    assert courier(ledger, pacs.port).drain() == 1
    found = {d.object.sop_instance_uid: d for d in ledger.outbox.of_study(STUDY)}
    assert found[bad.sop_instance_uid].state is DeliveryState.REFUSED
    assert "cannot understand (0xC123)" in found[bad.sop_instance_uid].cause
    assert found[good.sop_instance_uid].state is DeliveryState.ACCEPTED


def test_class_the_destination_does_not_accept_is_a_refusal_for_good(
    ledger: Ledger, tmp_path: Path
) -> None:
    picky = SmallPacs(tmp_path / "picky")
    picky.refuse_class(SegmentationStorage)
    picky.start()
    try:
        items = [result_object(ledger.root, SegmentationStorage), result_object(ledger.root)]
        ledger.outbox.add(items, ["pacs"])
        assert courier(ledger, picky.port).drain() == 1
    finally:
        picky.stop()
    refused = [d for d in ledger.outbox.of_study(STUDY) if d.state is DeliveryState.REFUSED]
    assert [d.object.sop_class_uid for d in refused] == [SegmentationStorage]
    assert "does not accept Segmentation Storage" in refused[0].cause


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0x0000, Accepted),
        (0xB000, Accepted),
        (0xB007, Accepted),
        (0xA700, Passing),
        (0xA702, Passing),
        (None, Passing),
        (0x0110, Passing),
        (0xA900, RefusedForGood),
        (0xC000, RefusedForGood),
        (0xCFFF, RefusedForGood),
        (0x0122, RefusedForGood),
        (0x0124, RefusedForGood),
    ],
)
def test_each_status_is_read_as_the_standard_means_it(status: int | None, kind: type) -> None:
    assert isinstance(judge_status(status), kind)


def test_echo_names_what_to_check(ledger: Ledger, pacs: SmallPacs) -> None:
    assert echo(courier(ledger, pacs.port).destination) == ""
    answer = echo(courier(ledger, free_port()).destination)
    assert "does not answer; check host, port and firewall" in answer


def test_object_that_failed_before_comes_after_those_never_tried(
    ledger: Ledger, tmp_path: Path
) -> None:
    stubborn, fresh = result_object(tmp_path), result_object(tmp_path)
    ledger.outbox.add([stubborn], ["pacs"])
    (waiting,) = ledger.outbox.due("pacs", 10)
    ledger.outbox.settle(waiting, DeliveryState.WAITING, cause="0x0110", delay_s=0.0)
    ledger.outbox.add([fresh], ["pacs"])
    order = [item.object.sop_instance_uid for item in ledger.outbox.due("pacs", 10)]
    assert order == [fresh.sop_instance_uid, stubborn.sop_instance_uid]
