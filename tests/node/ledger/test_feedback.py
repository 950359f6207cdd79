"""Answers are added, never written over; each finding counts once in the rate."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.domain.feedback import Answer, MeasuredValue, ReaderAnswer, Source
from node.ledger import Ledger
from node.ledger.feedback import Wanted
from node.pipeline.acceptance import acceptance


def given(
    finding: str, reader: str, answer: Answer, at: float, *, version: str = "1", document: str = ""
) -> ReaderAnswer:
    return ReaderAnswer(
        study_uid="1.2",
        result=f"job of {version}",
        report_uid="1.3",
        tracking_uid=finding,
        finding="Nodule",
        model="nodules",
        model_version=version,
        reader=reader,
        source=Source.SR if document else Source.API,
        answer=answer,
        at=at,
        received_at=at,
        measurements=(MeasuredValue(name="Diameter", value=0.1, unit="mm", code="1 SCT"),),
        comment="größer",
        document_uid=document,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def test_an_answer_comes_back_as_it_was_given(ledger: Ledger) -> None:
    answer = given("2.25.1", "a", Answer.CORRECTED, 5.0, document="2.25.9")
    assert ledger.feedback.add(answer)
    assert ledger.feedback.answers() == (answer,)


def test_each_finding_counts_once_by_its_latest_answer(ledger: Ledger) -> None:
    for answer in (
        given("2.25.1", "a", Answer.ACCEPTED, 1.0),
        given("2.25.1", "b", Answer.REJECTED, 2.0),
        given("2.25.2", "a", Answer.ACCEPTED, 3.0),
        # It came later and was given earlier.
        given("2.25.2", "b", Answer.REJECTED, 0.5, document="2.25.9"),
        given("2.25.1", "a", Answer.ACCEPTED, 4.0, version="2"),
    ):
        assert ledger.feedback.add(answer)
    rows = acceptance(ledger.feedback.tallies(), {("nodules", "1"): 5, ("nodules", "0"): 7})
    told = {row.model_version: (row.accepted, row.rejected, row.findings) for row in rows}
    assert told == {"0": (0, 0, 7), "1": (1, 1, 5), "2": (1, 0, 0)}
    by_version = {row.model_version: row for row in rows}
    assert by_version["0"].rate is None
    assert by_version["0"].interval is None
    assert by_version["1"].rate == 0.5
    assert by_version["1"].readers == 2
    # Wilson, 1 of 2, 95 %: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n).
    assert by_version["1"].interval == pytest.approx((0.0945, 0.9055), abs=1e-4)


def test_answers_can_be_asked_for_by_time_model_and_study(ledger: Ledger) -> None:
    ledger.feedback.add(given("2.25.1", "a", Answer.ACCEPTED, 10.0))
    ledger.feedback.add(given("2.25.1", "a", Answer.REJECTED, 20.0))
    assert len(ledger.feedback.answers(Wanted(since=15.0))) == 1
    assert ledger.feedback.answers(Wanted(model="other")) == ()
    assert ledger.feedback.answers(Wanted(study_uid="9")) == ()
    first, second = ledger.feedback.answers(Wanted(study_uid="1.2", model_version="1"))
    assert (first.is_current, second.is_current) == (False, True)
    assert ledger.feedback.tallies(Wanted(since=15.0))[0].rejected == 1


def test_a_document_answers_once_about_a_finding(ledger: Ledger) -> None:
    answer = given("2.25.1", "a", Answer.ACCEPTED, 1.0, document="2.25.9")
    assert ledger.feedback.add(answer)
    assert not ledger.feedback.add(answer)
    assert ledger.feedback.add(given("2.25.1", "a", Answer.ACCEPTED, 2.0, document="2.25.10"))
    assert sum(ledger.feedback.totals().values()) == 2
