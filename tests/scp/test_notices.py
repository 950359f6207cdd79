"""MPPS and availability notifications are taken, kept, and refused as the standard says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.association import Association

from node.ledger.announcements import Announced
from node.pipeline.checkpoint import answered_to_us
from scp.notices import (
    COMPLETED,
    DISCONTINUED,
    IN_PROGRESS,
    INSTANCE_AVAILABILITY,
    PERFORMED_PROCEDURE_STEP,
)
from tests.dicom_factory import ct_series
from tests.scp.listening import Listening, listening

STUDY, STEP = "1.2.826.0.1.5", "1.2.826.0.1.5.9"


@pytest.fixture(params=["fast", "pynetdicom"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listening]:
    with listening(tmp_path, notices=True, data_path=request.param) as running:
        yield running


@pytest.fixture
def association(node: Listening) -> Iterator[Association]:
    entity = AE(ae_title="CT1")
    for uid in (PERFORMED_PROCEDURE_STEP, INSTANCE_AVAILABILITY, "1.2.840.10008.5.1.4.1.1.2"):
        entity.add_requested_context(uid)
    opened = entity.associate("127.0.0.1", node.port, ae_title="VIGIE")
    assert opened.is_established
    answered_to_us(opened)
    yield opened
    opened.release()


def items(*uids: str) -> list[Dataset]:
    found = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        item.ReferencedSOPInstanceUID = uid
        item.InstanceAvailability = "ONLINE"
        item.RetrieveAETitle = "PACS"
        found.append(item)
    return found


def began(study: str = STUDY) -> Dataset:
    told, scheduled = Dataset(), Dataset()
    scheduled.StudyInstanceUID = study
    told.ScheduledStepAttributesSequence = [scheduled]
    told.PerformedProcedureStepStatus = IN_PROGRESS
    told.PatientName = "Lovelace^Ada"
    return told


def ended(status: str = COMPLETED) -> Dataset:
    told, series = Dataset(), Dataset()
    series.SeriesInstanceUID = "1.2.826.0.1.5.1"
    series.ReferencedImageSequence = items("1.1", "1.2")
    told.PerformedProcedureStepStatus = status
    told.PerformedSeriesSequence = [series]
    return told


def create(association: Association, told: Dataset, uid: str = STEP) -> int:
    status, _ = association.send_n_create(told, PERFORMED_PROCEDURE_STEP, uid)
    return int(status.Status)


def change(association: Association, told: Dataset, uid: str = STEP) -> Dataset:
    status, _ = association.send_n_set(told, PERFORMED_PROCEDURE_STEP, uid)
    return status


def known(node: Listening) -> Announced:
    return node.ledger.announcements.of_study(STUDY)


def test_step_from_its_beginning_to_its_end(node: Listening, association: Association) -> None:
    assert create(association, began()) == 0
    (step,) = known(node).steps
    assert step.is_open
    assert step.calling_ae_title == "CT1"
    assert change(association, ended()).Status == 0
    (step,) = known(node).steps
    assert not step.is_open
    assert [item.sop_instance_uids for item in step.series] == [("1.1", "1.2")]
    told = node.ledger.studies.events(STUDY)
    assert [event.what for event in told] == [
        "procedure step in progress",
        "procedure step completed",
    ]
    assert "Lovelace" not in str(told)


def test_discontinued_step_keeps_its_reason(node: Listening, association: Association) -> None:
    create(association, began())
    told = ended(DISCONTINUED)
    reason = Dataset()
    reason.CodeValue, reason.CodingSchemeDesignator = "110514", "DCM"
    reason.CodeMeaning = "Incorrect worklist entry selected"
    told.PerformedProcedureStepDiscontinuationReasonCodeSequence = [reason]
    assert change(association, told).Status == 0
    (step,) = known(node).steps
    assert step.is_discontinued
    assert step.reason == "Incorrect worklist entry selected"


def test_step_that_has_ended_may_no_longer_be_updated(
    node: Listening, association: Association
) -> None:
    create(association, began())
    change(association, ended())
    status = change(association, ended(DISCONTINUED))
    assert (status.Status, status.ErrorID) == (0x0110, 0xA506)
    assert not known(node).steps[0].is_discontinued


def test_wrong_notices_are_refused_with_the_status_of_the_standard(
    node: Listening, association: Association
) -> None:
    assert create(association, began()) == 0
    assert create(association, began()) == 0x0111
    assert change(association, ended(), "1.2.3.4").Status == 0x0112
    assert create(association, ended(IN_PROGRESS), "1.2.3.5") == 0x0120
    wrong = began()
    wrong.PerformedProcedureStepStatus = COMPLETED
    assert create(association, wrong, "1.2.3.6") == 0x0106
    wrong.PerformedProcedureStepStatus = "FINISHED"
    assert change(association, wrong).Status == 0x0106
    assert len(known(node).steps) == 1


def test_availability_names_the_instances_that_the_archive_holds(
    node: Listening, association: Association
) -> None:
    told, series = Dataset(), Dataset()
    told.StudyInstanceUID = STUDY
    series.SeriesInstanceUID = "1.2.826.0.1.5.1"
    series.ReferencedSOPSequence = items("1.1", "1.2", "1.3")
    series.ReferencedSOPSequence[2].InstanceAvailability = "UNAVAILABLE"
    told.ReferencedSeriesSequence = [series]
    told.ReferencedPerformedProcedureStepSequence = []
    status, _ = association.send_n_create(told, INSTANCE_AVAILABILITY, "1.2.3.7")
    assert status.Status == 0
    (held,) = known(node).available
    assert held.sop_instance_uids == ("1.1", "1.2")


def test_images_and_notices_share_an_association(node: Listening, association: Association) -> None:
    first, second = ct_series(slices=2)
    assert association.send_c_store(first).Status == 0
    assert create(association, began()) == 0
    assert association.send_c_store(second).Status == 0
    assert node.indexer.flush()
    assert node.ledger.instances.count() == 2
    assert known(node).steps


def test_node_without_a_place_for_notices_does_not_offer_them(tmp_path: Path) -> None:
    with listening(tmp_path) as running:
        entity = AE(ae_title="CT1")
        entity.add_requested_context(PERFORMED_PROCEDURE_STEP)
        refused = entity.associate("127.0.0.1", running.port, ae_title="VIGIE")
        assert not refused.is_established
