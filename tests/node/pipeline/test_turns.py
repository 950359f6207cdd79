"""A report that comes while this node asks or leaves neither hangs nor breaks an association."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from pydicom import Dataset

from node.pipeline.answers import Accepted, Passing
from node.pipeline.dimse import DicomPeer, DimseLink
from scp.commitment import CommitmentReport
from tests.node.pipeline.delivering import capture
from tests.node.pipeline.hostile import HostilePacs


def peer(port: int, heard: list[CommitmentReport], *, slow_s: float = 0.0) -> DicomPeer:
    def hear(report: CommitmentReport) -> bool:
        time.sleep(slow_s)
        heard.append(report)
        return True

    return DicomPeer(
        ae_title="PACS",
        host="127.0.0.1",
        port=port,
        calling_ae_title="VIGIE",
        connect_timeout_s=2,
        response_timeout_s=5,
        on_commitment=hear,
    )


def test_release_waits_for_the_report_that_is_being_answered(tmp_path: Path) -> None:
    pacs = HostilePacs(commits="same").start()
    heard: list[CommitmentReport] = []
    try:
        item = capture(tmp_path)
        link = peer(pacs.port, heard, slow_s=0.5).open([item])
        pacs.kept[item.sop_instance_uid] = Dataset()
        assert isinstance(link.commit("1.2.3", [item]), Accepted)
        # The report comes after 0.1 s and takes 0.5 s to be answered.
        time.sleep(0.3)
        link.close()
        assert [report.transaction_uid for report in heard] == ["1.2.3"]
        assert link._association.is_released
    finally:
        pacs.stop()


def test_query_waits_for_the_report_that_is_being_answered(tmp_path: Path) -> None:
    pacs = HostilePacs(commits="same").start()
    heard: list[CommitmentReport] = []
    try:
        item = capture(tmp_path)
        link = peer(pacs.port, heard, slow_s=0.5).open([item])
        pacs.kept[item.sop_instance_uid] = Dataset()
        link.commit("1.2.3", [item])
        time.sleep(0.3)
        assert link.find(item)
        assert len(heard) == 1
        link.close()
    finally:
        pacs.stop()


def test_association_whose_thread_is_over_keeps_nobody_waiting(tmp_path: Path) -> None:
    pacs = HostilePacs().start()
    item = capture(tmp_path)
    link = peer(pacs.port, []).open([item])
    # What a fault inside of pynetdicom's thread leaves behind: established, and nobody there.
    link._association._kill = True
    link._association.join(5)
    link._association.is_established = True
    answers: list[object] = []

    def use(link: DimseLink) -> None:
        answers.append(link.send(item.path))
        link.close()

    using = threading.Thread(target=use, args=(link,), daemon=True)
    try:
        assert not link.is_open
        using.start()
        using.join(20)
        assert not using.is_alive()
        # Whatever came of it, it is no refusal.
        assert isinstance(answers[0], Accepted | Passing)
    finally:
        pacs.stop()
