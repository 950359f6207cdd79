"""Structured reports that come back are read once, answer about their result, and start nothing."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from node.domain.errors import LedgerError
from node.domain.feedback import Answer, Source
from node.domain.study import (
    ClassUID,
    Filing,
    StudyUID,
)
from node.ledger import Ledger
from node.ledger.documents import DocumentState
from node.ledger.states import StudyState
from node.metrics import Metrics
from node.pipeline.completion import Completion, CompletionSettings
from node.pipeline.conductor import without_documents
from node.pipeline.feedback import ATTEMPTS, Feedback
from node.pipeline.retention import Retention, RetentionRule
from node.watching import Arrivals
from scp.contracts import Stored
from scp.indexing import Indexer
from scp.storage import InstanceStore, Watermark
from tests.dicom_sr.results import case
from tests.node.pipeline.ward import MUSCLE, Dying, Here, Ward
from tests.node.reader_sr import Options, Said, answer_to, verified_copy


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    found = case(tmp_path / "images")
    ledger = Ledger(tmp_path)
    uid = str(found.study.study_uid)
    ledger.studies.touch(uid, 1.0)
    ledger.studies.complete(uid, "test")
    ledger.studies.set_state(uid, StudyState.ENDED, generation=1)
    images = [dcmread(path) for path in sorted((tmp_path / "images").rglob("*.dcm"))]
    return Ward(tmp_path, ledger, found, images)


def reply(ward: Ward, report: Dataset, said: Said, **options: Any) -> Dataset:
    return answer_to(report, ward.images, {MUSCLE: said}, Options(**options))


def test_an_explicit_answer_is_kept_with_who_what_and_which_version(ward: Ward) -> None:
    report = ward.report("job-1")
    uid = ward.receive(reply(ward, report, Said(answer=Answer.REJECTED, comment="bowel")))
    ward.settle()
    (answer,) = ward.answers()
    assert (answer.answer, answer.source, answer.result) == (Answer.REJECTED, Source.SR, "job-1")
    assert (answer.model, answer.model_version) == ("body_composition", "1.2.3")
    assert answer.reader == "Lovelace^Ada"
    assert answer.report_uid == str(report.SOPInstanceUID)
    assert answer.document_uid == uid
    assert (answer.finding, answer.comment) == (MUSCLE, "bowel")
    assert ward.document(uid) == (DocumentState.ANSWERED, f"rejected: {MUSCLE}")
    assert any(f"{uid} from VIEWER: rejected: {MUSCLE}" in line for line in ward.told())


def test_a_document_reopens_nothing_and_is_kept(ward: Ward) -> None:
    report = ward.report("job-1")
    uid = ward.receive(reply(ward, report, Said(answer=Answer.ACCEPTED)))
    ward.settle()
    study = ward.ledger.studies.get(ward.study_uid)
    assert study is not None
    assert (study.state, study.generation, study.last_at) == (StudyState.ENDED, 1, 1.0)
    assert [item.sop_instance_uid for item in ward.ledger.instances.find(uid)] == [uid]
    # Retention counts from what came last: the images are old, the report is not.
    room = Watermark(refuse_above_percent=100, keep_free_bytes=0)
    store = InstanceStore(ward.folder, Indexer(ward.ledger.instances), room)
    try:
        for later_s, kept in ((0.0, 1), (2 * 86400.0, 0)):
            now = time.time() + later_s
            retention = Retention(
                ward.ledger,
                store,
                ward.folder / "results",
                RetentionRule(days=1),
                clock=lambda now=now: now,  # type: ignore[misc]
            )
            retention.sweep()
            assert len(ward.ledger.instances.find(uid)) == kept
    finally:
        store.close()


def test_the_same_document_sent_again_or_read_again_answers_once(ward: Ward) -> None:
    report = ward.report("job-1")
    document = reply(ward, report, Said(answer=Answer.ACCEPTED))
    uid = ward.receive(document)
    ward.settle()
    ward.receive(document)
    ward.settle()
    assert len(ward.answers()) == 1
    ward.ledger.close()
    again = Ledger(ward.folder)
    with again.transaction():
        again._database.row("SELECT 1")
        again._database._connection.execute("UPDATE reader_document SET state='waiting'")
    reader = Feedback(again, Here())
    while reader.step():
        pass
    assert len(again.feedback.answers()) == 1
    assert again.documents.of_study(ward.study_uid)[0].sop_instance_uid == uid


def test_a_later_document_of_the_same_reader_supersedes_and_both_are_kept(ward: Ward) -> None:
    report = ward.report("job-1")
    ward.receive(reply(ward, report, Said(answer=Answer.ACCEPTED)))
    ward.settle()
    ward.receive(reply(ward, report, Said(answer=Answer.REJECTED)))
    ward.receive(reply(ward, report, Said(answer=Answer.CORRECTED), reader="Hopper^Grace"))
    ward.settle()
    told = {(one.answer, one.reader): one.is_current for one in ward.answers()}
    assert told == {
        (Answer.ACCEPTED, "Lovelace^Ada"): False,
        (Answer.REJECTED, "Lovelace^Ada"): True,
        (Answer.CORRECTED, "Hopper^Grace"): True,
    }


def test_what_viewers_save_without_naming_us_is_known_by_the_tracking_uid(ward: Ward) -> None:
    report = ward.report("job-1")
    ward.receive(reply(ward, report, Said(area=120.0, moved=4.0), names_us=False))
    ward.settle()
    (answer,) = ward.answers()
    assert answer.answer is Answer.CORRECTED
    assert [(one.name, one.value) for one in answer.measurements] == [("Area", 120.0)]


def test_an_answer_to_a_replaced_result_stays_with_it(ward: Ward) -> None:
    first = ward.report("job-1")
    second = ward.report("job-2", revision=2)
    assert first.SOPInstanceUID != second.SOPInstanceUID
    ward.receive(reply(ward, first, Said(answer=Answer.REJECTED)))
    ward.receive(reply(ward, first, Said(answer=Answer.ACCEPTED), names_us=False))
    ward.settle()
    named = {one.answer: one.result for one in ward.answers()}
    assert named == {Answer.REJECTED: "job-1", Answer.ACCEPTED: "job-2"}


def test_a_verified_copy_accepts_and_our_own_report_coming_back_does_not(ward: Ward) -> None:
    report = ward.report("job-1")
    back = ward.receive(report, class_uid=str(report.SOPClassUID))
    ward.settle()
    assert ward.answers() == ()
    assert ward.document(back)[0] is DocumentState.OWN
    uid = str(generate_uid())
    ward.receive(verified_copy(report, uid=uid), class_uid=str(report.SOPClassUID))
    ward.settle()
    (answer,) = ward.answers()
    assert (answer.answer, answer.reader) == (Answer.ACCEPTED, "4711 99STAFF")
    assert datetime.fromtimestamp(answer.at, UTC).isoformat().startswith("2026-01-07T08")


def test_a_report_verified_in_place_accepts(ward: Ward) -> None:
    report = ward.report("job-1")
    ward.receive(verified_copy(report), class_uid=str(report.SOPClassUID))
    ward.settle()
    assert [one.answer for one in ward.answers()] == [Answer.ACCEPTED]


def test_findings_that_are_none_of_ours_are_told_with_their_identifiers(ward: Ward) -> None:
    report = ward.report("job-1")
    unknown = str(generate_uid())
    document = answer_to(report, ward.images, {}, Options(own_findings=[unknown]))
    uid = ward.receive(document)
    ward.settle()
    state, outcome = ward.document(uid)
    assert (state, ward.answers()) == (DocumentState.UNUSED, ())
    assert "names none of its findings" in outcome
    assert unknown in outcome
    assert any(unknown in line and "VIEWER" in line for line in ward.told())


def test_the_same_lesion_in_another_study_is_no_correction(ward: Ward) -> None:
    report = ward.report("job-1")
    other = str(generate_uid())
    document = reply(ward, report, Said(area=10.0, answer=Answer.CORRECTED), study_uid=other)
    uid = ward.receive(document)
    ward.settle()
    assert ward.answers() == ()
    assert ward.document(uid)[1].startswith(f"it belongs to study {other}")


def test_a_damaged_document_is_told_and_not_tried_for_ever(ward: Ward) -> None:
    ward.report("job-1")
    uid = ward.receive(b"\0" * 128 + b"DICM" + b"\x08\x00\x16\x00UI\xff\xff" + b"junk" * 50)
    ward.settle()
    state, outcome = ward.document(uid)
    assert state is DocumentState.FAILED
    assert "no content tree" in outcome or "damaged" in outcome
    assert any("cannot be read" in line and uid in line for line in ward.told())


def test_a_document_that_kills_its_worker_is_given_up(ward: Ward) -> None:
    report = ward.report("job-1")
    ward.settle()
    uid = ward.receive(reply(ward, report, Said(answer=Answer.ACCEPTED)))
    ward.feedback = Feedback(ward.ledger, Dying())
    for _ in range(ATTEMPTS):
        ward.feedback.step()
    assert ward.document(uid)[0] is DocumentState.FAILED
    assert "died" in ward.document(uid)[1]


def test_a_report_about_other_images_is_kept_and_says_nothing(ward: Ward) -> None:
    report = ward.report("job-1")
    ward.settle()
    stranger = answer_to(
        report, ward.images, {}, Options(own_findings=[str(generate_uid())], names_us=False)
    )
    before = ward.told()
    uid = ward.receive(stranger)
    ward.settle()
    assert ward.document(uid)[0] is DocumentState.UNRELATED
    assert ward.told() == before


def test_what_is_said_counts_when_the_files_of_the_result_are_gone(ward: Ward) -> None:
    report = ward.report("job-1")
    ward.settle()
    (ward.folder / "results" / "job-1" / "report.dcm").unlink()
    copy = ward.receive(
        verified_copy(report, uid=str(generate_uid())), class_uid=str(report.SOPClassUID)
    )
    ward.settle()
    assert ward.answers() == ()
    assert "no longer on the disk" in ward.document(copy)[1]
    ward.receive(reply(ward, report, Said(area=10.0)))
    ward.receive(reply(ward, report, Said(answer=Answer.ACCEPTED)))
    ward.settle()
    assert [one.answer for one in ward.answers()] == [Answer.CORRECTED, Answer.ACCEPTED]


def test_a_report_that_comes_with_its_images_is_part_of_the_study_and_not_judged(
    ward: Ward,
) -> None:
    report = ward.report("job-1")
    new = str(generate_uid())
    uid = ward.receive(reply(ward, report, Said()), study_uid=new)
    study = ward.ledger.studies.get(new)
    assert study is not None
    assert study.state is StudyState.RECEIVING
    (document,) = ward.ledger.instances.find(uid)
    image = replace(document, sop_class_uid=ClassUID("1.2.840.10008.5.1.4.1.1.2"))
    assert without_documents((document, image)) == (image,)
    # Of a study that holds nothing else, somebody has to be told that nothing was analysed.
    assert without_documents((document,)) == (document,)


def test_arrivals_wait_for_no_more_images_because_a_report_came(ward: Ward) -> None:
    report = ward.report("job-1")
    metrics = Metrics()
    completion = Completion(
        CompletionSettings(quiet_time_s=1, interrupted_quiet_time_s=1, shortest_s=1, longest_s=1)
    )
    arrivals = Arrivals(ward.ledger, completion, metrics)
    for said, class_uid, waits in (
        (Said(answer=Answer.ACCEPTED), "1.2.840.10008.5.1.4.1.1.88.33", False),
        (Said(answer=Answer.REJECTED), "1.2.840.10008.5.1.4.1.1.2", True),
    ):
        uid = ward.receive(reply(ward, report, said), class_uid=class_uid)
        (instance,) = ward.ledger.instances.find(uid)
        arrivals.instance_stored("a", Stored(instance=instance, filing=Filing.NEW))
        assert completion.is_receiving(StudyUID(ward.study_uid)) is waits


def test_a_ledger_that_cannot_be_read_is_no_fault_of_the_document(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = ward.report("job-1")
    uid = ward.receive(reply(ward, report, Said(answer=Answer.REJECTED)))
    ward.feedback.step()

    def broken(*_: object) -> Any:
        raise LedgerError("the ledger cannot be read (disk I/O error)")

    with monkeypatch.context() as patch:
        patch.setattr(ward.ledger.findings, "results_of", broken)
        with pytest.raises(LedgerError):
            ward.feedback.step()
    assert ward.document(uid) == (DocumentState.WAITING, "")
    ward.settle()
    assert [answer.answer for answer in ward.answers()] == [Answer.REJECTED]


def test_a_document_may_refer_to_more_objects_than_sqlite_takes_values(ward: Ward) -> None:
    report = ward.report("job-1")
    ward.settle()
    uids = (*(f"1.2.3.{number}" for number in range(300_000)), str(report.SOPInstanceUID))
    assert ward.ledger.findings.results_of(uids) == ("job-1",)


def test_an_answer_that_comes_during_the_sweep_is_not_deleted_unread(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = ward.report("job-1")
    ward.settle()
    room = Watermark(refuse_above_percent=100, keep_free_bytes=0)
    store = InstanceStore(ward.folder, Indexer(ward.ledger.instances), room)
    retention = Retention(ward.ledger, store, ward.folder / "results", RetentionRule(days=1))
    came: list[str] = []

    def meanwhile(_study: object) -> bool:
        came.append(ward.receive(reply(ward, report, Said(answer=Answer.REJECTED))))
        return True

    monkeypatch.setattr(retention, "_may_go", meanwhile)
    try:
        assert retention.sweep() == 0
    finally:
        store.close()
    ward.settle()
    assert [ward.document(uid)[0] for uid in came] == [DocumentState.ANSWERED]
