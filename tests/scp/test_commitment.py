"""Reports of storage commitments are taken from allowed peers, on both data paths."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydicom import Dataset
from pydicom.uid import UID, CTImageStorage
from pynetdicom import AE, build_role
from pynetdicom.association import Association

from node.pipeline.checkpoint import answered_to_us
from scp.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE, CommitmentReport
from tests.scp.listening import listening

Path_ = Literal["fast", "pynetdicom"]


def information(**changes: object) -> Dataset:
    """Event Information with one committed and one failed instance."""
    made = Dataset()
    made.TransactionUID = UID("2.25.4711")
    good, bad = Dataset(), Dataset()
    for item in (good, bad):
        item.ReferencedSOPClassUID = CTImageStorage
    good.ReferencedSOPInstanceUID, bad.ReferencedSOPInstanceUID = "1.2.1", "1.2.2"
    bad.FailureReason = 0x0119
    made.ReferencedSOPSequence, made.FailedSOPSequence = [good], [bad]
    made.update(changes)
    return made


def associate(port: int, *, role: bool = True, storage: bool = False) -> Association:
    entity = AE(ae_title="PACS")
    entity.add_requested_context(PUSH_MODEL)
    if storage:
        entity.add_requested_context(CTImageStorage)
    roles = [build_role(PUSH_MODEL, scp_role=True)] if role else []
    opened = entity.associate("127.0.0.1", port, ae_title="VIGIE", ext_neg=roles)  # type: ignore[arg-type]
    if opened.is_established:
        answered_to_us(opened)
    return opened


def report(association: Association, what: Dataset) -> int | None:
    answer, _ = association.send_n_event_report(what, 2, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    return getattr(answer, "Status", None)


@pytest.mark.parametrize("data_path", ["fast", "pynetdicom"])
def test_report_on_an_association_of_the_destination(tmp_path: Path, data_path: Path_) -> None:
    heard: list[CommitmentReport] = []

    def take(told: CommitmentReport) -> bool:
        heard.append(told)
        return True

    with listening(tmp_path, data_path=data_path) as node:
        node.receiver.on_commitment = take
        association = associate(node.port)
        assert association.is_established
        # Several transactions over one association.
        assert report(association, information()) == 0x0000
        assert report(association, information()) == 0x0000
        association.release()
    assert heard[0] == CommitmentReport(
        transaction_uid="2.25.4711",
        committed=("1.2.1",),
        failed=(("1.2.2", 0x0119),),
        calling_ae_title="PACS",
    )
    assert len(heard) == 2


def test_unknown_transaction_and_nonsense_are_refused(tmp_path: Path) -> None:
    with listening(tmp_path) as node:
        association = associate(node.port)
        assert report(association, information()) == 0x0112
        no_transaction = Dataset()
        no_transaction.ReferencedSOPSequence = []
        no_transaction.PatientID = "x"
        assert report(association, no_transaction) == 0x0115
        association.release()


def test_nobody_may_use_this_node_as_a_provider_of_storage_commitment(tmp_path: Path) -> None:
    with listening(tmp_path) as node:
        alone = associate(node.port, role=False)
        assert not alone.is_established
        beside_storage = associate(node.port, role=False, storage=True)
        assert beside_storage.is_established
        accepted = {context.abstract_syntax for context in beside_storage.accepted_contexts}
        assert accepted == {CTImageStorage}
        beside_storage.release()


def test_stranger_may_not_report(tmp_path: Path) -> None:
    with listening(tmp_path) as node:
        entity = AE(ae_title="PACS")
        entity.add_requested_context(PUSH_MODEL)
        roles = [build_role(PUSH_MODEL, scp_role=True)]
        association = entity.associate(
            "127.0.0.1",
            node.port,
            ae_title="SOMEBODY",
            ext_neg=roles,  # type: ignore[arg-type]
        )
        assert association.is_rejected
