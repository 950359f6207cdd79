"""Of an earlier study, what the same model said last is known, unless somebody took it back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dicom_sr.context import ResultContext
from node.domain.finding import Tracked
from node.domain.study import StackID, StudyUID
from node.domain.verdict import Companion, Job, ModelName
from node.ledger import Ledger
from node.ledger.jobs import JobRow
from node.ledger.outbox import ResultObject
from node.ledger.results import Analysed
from node.ledger.states import JobState
from node.pipeline.priors import prior_results
from node.pipeline.resident import ModelSetup
from node.pipeline.routing import ModelRoute
from node.pipeline.task import Surroundings, task_of
from tests.node import words

MODEL = ModelName("nodules")
PRIOR = StudyUID("2.25.70")
STACK = StackID("2.25.71")
TRACKED = Tracked(
    tracking_uid="2.25.5",
    identifier="Nodule 1",
    finding="27925004 SCT",
    laterality="",
    frame_of_reference_uid="2.25.6",
    centre_mm=(1.0, 2.0, 3.0),
    radius_mm=4.0,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path)
    yield opened
    opened.close()


def added(ledger: Ledger, key: str, study: str, model: str = MODEL) -> JobRow:
    job = Job(
        key=key,
        study_uid=StudyUID(study),
        candidates=(STACK,),
        model=ModelName(model),
        generation=1,
        priority=50,
    )
    ledger.jobs.add(job, destinations=["pacs"])
    row = ledger.jobs.get(key)
    assert row is not None
    return row


def with_result(ledger: Ledger, key: str, model: str = MODEL) -> JobRow:
    row = added(ledger, key, PRIOR, model)
    report = ResultObject(
        sop_instance_uid=f"2.25.{len(key)}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
        study_uid=PRIOR,
        series_uid="2.25.8",
        job_key=key,
        kind="report",
        instance_number=1,
        path=ledger.root / "results" / key / "01.dcm",
    )
    ledger.outbox.add([report], [])
    ledger.results.record(
        key, Analysed(series_uid=STACK, looked_at=1, input_digest="d"), (TRACKED,)
    )
    return row


def asked(ledger: Ledger) -> tuple[object, ...]:
    now = added(ledger, "now", words.STUDY)
    companions = [
        (STACK, Companion("prior", PRIOR, STACK)),
        (STACK, Companion("ct", StudyUID(words.STUDY), STACK)),
    ]
    return prior_results(ledger, now, companions)


def test_what_the_model_tracked_in_the_prior_is_known_with_its_report(ledger: Ledger) -> None:
    with_result(ledger, "then")
    with_result(ledger, "another", model="bones")
    (known,) = asked(ledger)
    assert known.study_uid == PRIOR  # type: ignore[attr-defined]
    assert known.tracked == (TRACKED,)  # type: ignore[attr-defined]
    assert known.report.sop_instance_uid == "2.25.4"  # type: ignore[attr-defined]


def test_of_a_prior_that_was_never_analysed_nothing_is_known(ledger: Ledger) -> None:
    with_result(ledger, "another", model="bones")
    assert asked(ledger) == ()


def test_a_result_that_was_taken_back_says_nothing_any_more(ledger: Ledger) -> None:
    row = with_result(ledger, "then")
    claimed = ledger.jobs.claim("test", 60.0)
    assert claimed is not None
    assert ledger.jobs.finish(claimed, JobState.DONE)
    assert ledger.results.withdraw(row, "wrong patient")
    assert asked(ledger) == ()


def test_a_prior_that_the_pacs_holds_under_another_patient_is_not_handed_over(
    ledger: Ledger,
) -> None:
    ledger.instances.record(words.instance(1))
    ledger.studies.complete(words.STUDY, "quiet")
    before = replace(words.instance(2), study_uid=PRIOR)
    ledger.instances.record(before)
    ledger.studies.complete(PRIOR, "quiet")
    companion = Companion("prior", PRIOR, STACK)
    job = Job(
        key="now", study_uid=words.STUDY, candidates=(STACK,), model=MODEL, generation=1,
        priority=50, companions=((STACK, companion),),
    )  # fmt: skip
    ledger.jobs.add(job, destinations=["pacs"])
    row = ledger.jobs.get("now")
    assert row is not None
    context = ResultContext(
        software_version="0", serial_number="0", station_name="s", configuration_digest="c"
    )
    around = Surroundings(
        route=ModelRoute(
            manifest=words.manifest(), rules=(words.rule(),), priority=50,
            report_not_eligible=False, configuration_digest="c",
        ),
        setup=ModelSetup(manifest=words.manifest()), context=context, held={},
        folder=ledger.root, noting=frozenset(),
    )  # fmt: skip
    assert [item.study_uid for item in task_of(ledger, row, around).others] == [PRIOR]
    ledger.discrepancies.write_identity(PRIOR, {"PatientID": "B"}, ("PatientID",), checked=True)
    assert task_of(ledger, row, around).others == ()
