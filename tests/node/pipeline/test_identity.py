"""Results carry the identity that the PACS holds, and follow it while they wait and at the end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicom_sr.context import ResultContext
from node.domain.finding import Status
from node.domain.identity import stated_identity, with_identity
from node.domain.study import CompletedStudy
from node.ledger import Ledger
from node.pipeline.analysis import AnalysisResult, AnalysisTask
from node.pipeline.archive import Answer, Archive, ArchiveSettings, Counts, NoAnswer
from node.pipeline.identity import HOLD_S, HeldIdentity
from node.pipeline.others import StudyInput
from node.pipeline.resident import ModelSetup
from tests.node import words

SETTINGS = ArchiveSettings(
    ae_title="PACS",
    host="127.0.0.1",
    port=1,
    calling_ae_title="VIGIE",
    connect_timeout_s=1,
    response_timeout_s=1,
)


class Pacs:
    """Answers what the test says."""

    def __init__(self, **identity: str) -> None:
        self.answer: Answer = Counts(is_known=True, by_series={}, identity=identity)

    def __call__(self, _settings: ArchiveSettings, _study_uid: str) -> Answer:
        return self.answer


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path)
    opened.instances.record(words.instance(1))
    yield opened
    opened.close()


def asking(ledger: Ledger, pacs: Pacs) -> tuple[HeldIdentity, Archive, Clock]:
    clock = Clock()
    archive = Archive(SETTINGS, clock=clock, query=pacs)
    return HeldIdentity(ledger, archive, destination="pacs", clock=clock), archive, clock


def write(held: HeldIdentity, identity: dict[str, str], *differing: str) -> None:
    """A result with this identity, as a worker returns it."""
    context = ResultContext(
        software_version="0", serial_number="0", station_name="s", configuration_digest="c"
    ).at(datetime(2026, 1, 2, tzinfo=UTC), identity=tuple(sorted(identity.items())))
    study = StudyInput(
        study_uid=words.STUDY,
        instances=(),
        generation=1,
        completed_at=datetime(2026, 1, 2, tzinfo=UTC),
        confidence="",
    )
    task = AnalysisTask(
        study=study,
        setup=ModelSetup(manifest=words.manifest("m")),
        candidates=(),
        context=context,
        folder=Path("/nowhere"),
        report_not_eligible=False,
    )
    result = AnalysisResult(
        status=Status.FINDINGS,
        stack_id=words.facts().stack_id,
        reason="",
        refusals=(),
        objects=(),
        seconds={},
        summary="",
        identity=identity,
        differing=differing,
    )
    held.written(task, result)


def told(ledger: Ledger) -> str:
    return "\n".join(f"{e.what}: {e.detail}" for e in ledger.studies.events(words.STUDY))


def test_study_takes_the_identity_of_the_pacs_and_keeps_what_it_leaves_empty() -> None:
    study: CompletedStudy = words.study()
    held = {"PatientID": "P2", "PatientName": "", "AccessionNumber": "A2"}
    corrected = with_identity(with_identity(study, {"PatientName": "Test^Person"}), held)
    assert stated_identity(corrected)["PatientID"] == "P2"
    assert stated_identity(corrected)["PatientName"] == "Test^Person"
    assert corrected.accession_number == "A2"
    assert corrected.patient.age_years == study.patient.age_years


def test_identity_is_asked_when_results_are_written(ledger: Ledger) -> None:
    held, _, _ = asking(ledger, Pacs(PatientID="P2", PatientSex=""))
    assert held.now(words.STUDY) == {"PatientID": "P2"}
    write(held, {"PatientID": "P2"}, "PatientID")
    written = ledger.discrepancies.identity(words.STUDY)
    assert written is not None
    assert (written.differing, written.checked) == (("PatientID",), True)
    assert "the images differ in PatientID" in told(ledger)
    assert "P2" not in told(ledger)


def test_pacs_that_does_not_answer_holds_nothing_up_and_the_study_says_so(ledger: Ledger) -> None:
    pacs = Pacs()
    pacs.answer = NoAnswer("it does not answer")
    held, _, _ = asking(ledger, pacs)
    assert held.now(words.STUDY) == {}
    held.now(words.STUDY)
    assert told(ledger).count("identity not checked") == 1
    write(held, {})
    written = ledger.discrepancies.identity(words.STUDY)
    assert written is not None
    assert not written.checked


def test_correction_in_the_pacs_is_noticed_while_objects_wait(ledger: Ledger) -> None:
    pacs = Pacs(PatientID="P1")
    held, archive, clock = asking(ledger, pacs)
    write(held, {"PatientID": "P1", "PatientName": "Test^Person"})
    assert held.changed(words.STUDY) == ()
    assert not archive.step()
    clock.now += 61
    assert held.changed(words.STUDY) == ()
    assert archive.step()
    assert held.changed(words.STUDY) == ()
    pacs.answer = Counts(is_known=True, by_series={}, identity={"PatientID": "P2"})
    clock.now += 61
    assert held.changed(words.STUDY) == ()
    assert not archive.step()
    clock.now += 60
    held.changed(words.STUDY)
    assert archive.step()
    assert held.changed(words.STUDY) == ("PatientID",)


def test_study_ends_after_the_pacs_was_asked_once_more(ledger: Ledger) -> None:
    pacs = Pacs(PatientID="P2")
    held, archive, clock = asking(ledger, pacs)
    write(held, {"PatientID": "P1"})
    assert held.settled(words.STUDY) is None
    clock.now += 1
    archive.step()
    assert held.settled(words.STUDY) == ("PatientID",)


def test_dead_pacs_does_not_keep_a_study_from_ending(ledger: Ledger) -> None:
    pacs = Pacs()
    pacs.answer = NoAnswer("it does not answer")
    held, archive, clock = asking(ledger, pacs)
    write(held, {"PatientID": "P1"})
    assert held.settled(words.STUDY) is None
    clock.now += 1
    archive.step()
    assert held.settled(words.STUDY) == ()


def test_without_a_pacs_to_ask_nothing_is_asked_or_kept(ledger: Ledger) -> None:
    held = HeldIdentity(ledger)
    assert held.now(words.STUDY) == {}
    write(held, {"PatientID": "P1"})
    assert ledger.discrepancies.identity(words.STUDY) is None
    assert held.changed(words.STUDY) == ()
    assert held.settled(words.STUDY) == ()


def test_object_leaves_only_while_the_pacs_holds_what_was_written(ledger: Ledger) -> None:
    pacs = Pacs(PatientID="P1")
    held, archive, clock = asking(ledger, pacs)
    write(held, {"PatientID": "P1"})
    assert not held.may_leave(words.STUDY, "pacs")
    archive.step()
    assert held.may_leave(words.STUDY, "pacs")
    pacs.answer = Counts(is_known=True, by_series={}, identity={"PatientID": "P2"})
    clock.now += 61
    assert not held.may_leave(words.STUDY, "pacs")
    archive.step()
    assert not held.may_leave(words.STUDY, "pacs")
    assert held.changed(words.STUDY) == ("PatientID",)


def test_object_waits_for_a_pacs_that_is_down_and_elsewhere_only_for_a_while(
    ledger: Ledger,
) -> None:
    pacs = Pacs()
    pacs.answer = NoAnswer("it does not answer")
    held, archive, clock = asking(ledger, pacs)
    write(held, {"PatientID": "P1"})
    held.may_leave(words.STUDY, "viewer")
    archive.step()
    assert not held.may_leave(words.STUDY, "viewer")
    clock.now += HOLD_S + 1
    held.may_leave(words.STUDY, "viewer")
    archive.step()
    assert held.may_leave(words.STUDY, "viewer")
    assert not held.may_leave(words.STUDY, "pacs")


def test_pacs_that_answers_no_question_holds_up_for_a_while_only(ledger: Ledger) -> None:
    pacs = Pacs()
    pacs.answer = NoAnswer("C-FIND was not answered", reached=True)
    held, archive, clock = asking(ledger, pacs)
    write(held, {"PatientID": "P1"})
    held.may_leave(words.STUDY, "pacs")
    archive.step()
    assert not held.may_leave(words.STUDY, "pacs")
    clock.now += HOLD_S + 1
    held.may_leave(words.STUDY, "pacs")
    archive.step()
    assert held.may_leave(words.STUDY, "pacs")


def test_object_of_a_study_that_nobody_is_asked_about_leaves_at_once(ledger: Ledger) -> None:
    assert HeldIdentity(ledger).may_leave(words.STUDY, "pacs")
