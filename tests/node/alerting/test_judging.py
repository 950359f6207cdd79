"""Exactly one alert for a finding and a channel, only from confirmed thresholds, and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from node.domain.acute import AcuteFinding, Observation, Severity, observe
from node.domain.extent import Extent
from node.domain.finding import (
    CodedConcept,
    Contour,
    Evaluation,
    Finding,
    Findings,
    Measurement,
    Status,
)
from node.domain.study import InstanceUID, Plane, SeriesUID, StackID
from node.domain.verdict import ModelName
from node.ledger import Ledger
from node.ledger.alerts import AlertKind, AlertRow, AlertState
from node.ledger.jobs import JobRow
from node.ledger.states import JobState
from node.pipeline.alerting.judging import FindingAlerts, FindingRule
from node.pipeline.analysis import AnalysisResult
from tests.models.body_composition.toy import IDENTITY
from tests.node import words

EMBOLISM = AcuteFinding(
    name="embolism",
    title="Pulmonary embolism",
    code=("59282003", "SCT"),
    severity=Severity.URGENT,
    score=("111012", "DCM"),
    unit="%",
    threshold="embolism_percent",
    operating_threshold=82.0,
)
CERTAINTY = CodedConcept("111012", "DCM", "Certainty of Finding")
PRESENT = CodedConcept("52101004", "SCT", "Present")
ABSENT = CodedConcept("272519000", "SCT", "Absent")
PERCENT = CodedConcept("%", "UCUM", "percent")
PLANE = Plane(
    sop_instance_uid=InstanceUID("1.2.3.1"),
    frame_number=None,
    position_mm=(0.0, 0.0, 0.0),
    extent=Extent(Path("1.dcm")),
    instance_number=1,
)
RULE = FindingRule(
    name="acute",
    models=frozenset(),
    findings=frozenset(),
    severity=Severity.ROUTINE,
    at_least=None,
    channels=("duty", "ris"),
)
MODEL = ModelName("pe")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path)
    opened.instances.record(words.instance(1))
    yield opened
    opened.close()


def findings(score: float | None, *, value: CodedConcept = PRESENT) -> Findings:
    measured = (
        (Measurement(name=CERTAINTY, value=score, unit=PERCENT, label="Certainty"),)
        if score is not None
        else ()
    )
    return Findings(
        model=IDENTITY,
        status=Status.FINDINGS,
        exam_evaluations=(Evaluation(CodedConcept("59282003", "SCT", "PE"), value),),
        exam_measurements=measured,
    )


def seen(score: float | None, **changes: object) -> Observation:
    (observation,) = observe(findings(score), [replace(EMBOLISM, **changes)], {})  # type: ignore[arg-type]
    return observation


def job(key: str = "k") -> JobRow:
    return JobRow(
        key=key,
        study_uid=words.STUDY,
        candidates=(SeriesUID("1.1"),),
        model=MODEL,
        generation=1,
        priority=1,
        predecessor="",
        destinations=("pacs",),
        report_reason="",
        state=JobState.DONE,
        reason="",
        attempts=1,
        interruptions=0,
        created_at=0.0,
        finished_at=None,
        summary="",
    )


def result(*observations: Observation, status: Status = Status.FINDINGS) -> AnalysisResult:
    return AnalysisResult(
        status=status,
        stack_id=StackID("1.1"),
        reason="" if status in (Status.FINDINGS, Status.NO_FINDINGS) else "no contrast",
        refusals=(),
        objects=(),
        seconds={},
        summary="",
        observations=observations,
    )


def judged(ledger: Ledger, *rules: FindingRule) -> FindingAlerts:
    return FindingAlerts(ledger, rules or (RULE,), {"pe": "1.0.0"})


def rows(ledger: Ledger) -> list[AlertRow]:
    return list(ledger.alerts.of_study(words.STUDY))


def send(ledger: Ledger, channel: str) -> AlertRow | None:
    """As a dispatcher does whose receiver takes everything."""
    row = ledger.alerts.claim(channel, 60.0)
    if row is not None:
        ledger.alerts.settle(row, AlertState.SENT, told="OK")
    return row


def events(ledger: Ledger) -> list[str]:
    return [f"{e.what}: {e.detail}" for e in ledger.studies.events(words.STUDY)]


@pytest.mark.parametrize(
    ("score", "thresholds", "counts", "why"),
    [
        (82.0, {}, True, ""),
        (81.9, {}, False, "81.9 % is below the operating threshold 82 %"),
        (85.0, {"embolism_percent": 90.0}, False, "below the operating threshold 90 %"),
        (50.0, {"embolism_percent": 40.0}, False, "below the operating threshold 82 %"),
        (None, {}, False, "found, but without the score that its threshold is about"),
    ],
)
def test_a_finding_counts_from_the_confirmed_threshold_on_which_a_site_can_only_raise(
    score: float | None, thresholds: dict[str, float], counts: bool, why: str
) -> None:
    (observation,) = observe(findings(score), [EMBOLISM], thresholds)
    assert observation.counts is counts
    assert why in observation.why_not


def test_what_is_absent_or_was_not_looked_at_is_not_found() -> None:
    for found in (
        findings(99.0, value=ABSENT),
        Findings(model=IDENTITY, status=Status.FAILED, reason="x"),
        Findings(model=IDENTITY, status=Status.NOT_ELIGIBLE, reason="x"),
    ):
        (observation,) = observe(found, [EMBOLISM], {})
        assert observation.why_not == "not found"


def embolus(identifier: str, score: float | None, *, is_named_by_place: bool = False) -> Finding:
    measured = (
        (Measurement(name=CERTAINTY, value=score, unit=PERCENT, label="Certainty"),)
        if score is not None
        else ()
    )
    return Finding(
        tracking_identifier=identifier,
        tracking_uid=f"2.25.{len(identifier)}",
        finding=CodedConcept("59282003", "SCT", "PE"),
        category=CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure"),
        site=CodedConcept("266005", "SCT", "Lower lobe artery"),
        laterality=CodedConcept("24028007", "SCT", "Right"),
        contours=(Contour(plane=PLANE, points=np.array([[1, 1]], np.float32)),),
        measurements=measured,
        is_named_by_place=is_named_by_place,
    )


def test_the_place_with_the_highest_score_is_the_one_that_calls() -> None:
    places = (
        embolus("1", 83.0),
        embolus("Vertebra 3rd from below", 96.0, is_named_by_place=True),
        embolus("Vertebra L1", None, is_named_by_place=True),
    )
    found = replace(findings(None), findings=places, exam_evaluations=())
    (observation,) = observe(found, [EMBOLISM], {})
    assert (observation.score, observation.where) == (96.0, "Vertebra 3rd from below")
    # A lesion that only has a number is named by its site.
    (observation,) = observe(replace(found, findings=places[:1]), [EMBOLISM], {})
    assert observation.where == "right lower lobe artery"
    assert seen(90.0).where == ""


def test_the_alert_is_queued_with_the_place_that_calls(ledger: Ledger) -> None:
    found = replace(findings(None), findings=(embolus("1", 95.0),), exam_evaluations=())
    judged(ledger).settled(job(), result(*observe(found, [EMBOLISM], {})))
    assert {row.facts["where"] for row in rows(ledger)} == {"right lower lobe artery"}


def test_each_channel_is_called_once_however_many_rules_and_reruns_ask(ledger: Ledger) -> None:
    alerts = judged(ledger, RULE, replace(RULE, name="second", channels=("duty",)))
    for key in ("a", "b", "c"):
        alerts.settled(job(key), result(seen(91.0)))
    assert [(r.channel, r.rule, r.episode) for r in rows(ledger)] == [
        ("duty", "acute", 1),
        ("ris", "acute", 1),
    ]
    assert rows(ledger)[0].facts["score"] == "91 %"
    assert "no alert: embolism to duty: told already (waiting)" in events(ledger)


@pytest.mark.parametrize(
    ("rule", "observation", "why"),
    [
        (RULE, seen(61.0), "61 % is below the operating threshold 82 %"),
        (replace(RULE, at_least=95.0), seen(91.0), "91 % is below the 95 % of the rule"),
        (replace(RULE, severity=Severity.CRITICAL), seen(91.0), "it is urgent; the rule asks"),
    ],
)
def test_explain_says_why_nobody_was_called(
    ledger: Ledger, rule: FindingRule, observation: Observation, why: str
) -> None:
    judged(ledger, rule).settled(job(), result(observation))
    assert rows(ledger) == []
    assert f"no alert: embolism, rule acute: {why}" in "\n".join(events(ledger))


def test_rules_of_other_models_and_results_that_go_nowhere_call_nobody(ledger: Ledger) -> None:
    judged(ledger, replace(RULE, models=frozenset({"lungs"}))).settled(job(), result(seen(91.0)))
    judged(ledger).settled(replace(job(), destinations=()), result(seen(91.0)))
    judged(ledger).settled(job(), result(seen(91.0), status=Status.FAILED))
    assert rows(ledger) == []


def test_a_finding_that_is_gone_is_taken_back_where_it_was_told_and_only_there(
    ledger: Ledger,
) -> None:
    alerts = judged(ledger)
    alerts.settled(job("a"), result(seen(91.0)))
    assert send(ledger, "duty") is not None
    alerts.settled(job("b"), result(seen(60.0)))
    by_channel = {(r.channel, r.kind): r for r in rows(ledger)}
    correction = by_channel["duty", AlertKind.CORRECTION]
    assert correction.state is AlertState.WAITING
    assert correction.facts["corrects"] == by_channel["duty", AlertKind.FINDING].key
    assert "60 % is below the operating threshold" in correction.facts["reason"]
    assert by_channel["ris", AlertKind.FINDING].state is AlertState.WITHHELD
    assert by_channel["ris", AlertKind.FINDING].cause == "taken back before it was sent"
    assert ("ris", AlertKind.CORRECTION) not in by_channel
    alerts.settled(job("c"), result(seen(60.0)))
    assert len(rows(ledger)) == 3


def test_an_alert_whose_attempt_was_cut_off_is_corrected_since_it_may_have_arrived(
    ledger: Ledger,
) -> None:
    alerts = judged(ledger)
    alerts.settled(job("a"), result(seen(91.0)))
    assert ledger.alerts.claim("duty", 60.0) is not None
    alerts.settled(job("b"), result(status=Status.NOT_ELIGIBLE))
    kinds = [(r.kind, r.state) for r in rows(ledger) if r.channel == "duty"]
    assert sorted(kinds) == [
        (AlertKind.CORRECTION, AlertState.WAITING),
        (AlertKind.FINDING, AlertState.WITHHELD),
    ]
    correction = next(r for r in rows(ledger) if r.kind is AlertKind.CORRECTION)
    assert correction.facts["reason"] == "The study is no longer analysed: no contrast"


def test_a_finding_that_comes_back_is_told_anew_or_its_correction_is_not_sent(
    ledger: Ledger,
) -> None:
    alerts = judged(ledger, replace(RULE, channels=("duty",)))
    alerts.settled(job("a"), result(seen(91.0)))
    send(ledger, "duty")
    alerts.settled(job("b"), result(seen(10.0)))
    alerts.settled(job("c"), result(seen(92.0)))
    assert ledger.alerts.claim("duty", 60.0) is None
    alerts.settled(job("d"), result(seen(10.0)))
    sent = send(ledger, "duty")
    assert sent is not None
    assert sent.kind is AlertKind.CORRECTION
    alerts.settled(job("e"), result(seen(93.0)))
    again = send(ledger, "duty")
    assert again is not None
    assert (again.kind, again.episode) == (AlertKind.FINDING, 2)
    assert again.facts["score"] == "93 %"


def test_an_alert_that_never_arrived_is_sent_when_the_finding_comes_back(ledger: Ledger) -> None:
    alerts = judged(ledger, replace(RULE, channels=("duty",)))
    alerts.settled(job("a"), result(seen(91.0)))
    tried = ledger.alerts.claim("duty", 60.0)
    assert tried is not None
    ledger.alerts.settle(tried, AlertState.WAITING, told="nobody listens there", delay_s=0.0)
    alerts.settled(job("b"), result(seen(10.0)))
    alerts.settled(job("c"), result(seen(91.0)))
    states = {row.kind: row.state for row in rows(ledger)}
    assert states == {
        AlertKind.FINDING: AlertState.WAITING,
        AlertKind.CORRECTION: AlertState.WITHHELD,
    }
    sent = send(ledger, "duty")
    assert sent is not None
    assert sent.key == tried.key


@pytest.mark.parametrize("state", [AlertState.REFUSED, AlertState.GIVEN_UP])
def test_a_rerun_tries_an_alert_again_that_nobody_took(ledger: Ledger, state: AlertState) -> None:
    alerts = judged(ledger, replace(RULE, channels=("duty",)))
    alerts.settled(job("a"), result(seen(91.0)))
    tried = ledger.alerts.claim("duty", 60.0)
    assert tried is not None
    ledger.alerts.settle(tried, state, told="no")
    alerts.settled(job("b"), result(seen(94.0)))
    again = send(ledger, "duty")
    assert again is not None
    assert (again.facts["score"], again.job_key) == ("94 %", "b")
    assert "alert queued again: embolism to duty" in events(ledger)


def test_an_alert_that_arrived_while_it_was_taken_back_counts_as_sent(ledger: Ledger) -> None:
    alerts = judged(ledger, replace(RULE, channels=("duty",)))
    alerts.settled(job("a"), result(seen(91.0)))
    under_way = ledger.alerts.claim("duty", 60.0)
    assert under_way is not None
    alerts.settled(job("b"), result(seen(10.0)))
    ledger.alerts.settle(under_way, AlertState.SENT, told="HTTP 200")
    assert {row.kind: row.state for row in rows(ledger)} == {
        AlertKind.FINDING: AlertState.SENT,
        AlertKind.CORRECTION: AlertState.WAITING,
    }


def test_the_most_urgent_alert_is_sent_first(ledger: Ledger) -> None:
    low = seen(91.0, name="effusion", severity=Severity.ROUTINE)
    high = seen(91.0, severity=Severity.CRITICAL)
    judged(ledger).settled(job(), result(low, high))
    first = ledger.alerts.claim("duty", 60.0)
    assert first is not None
    assert first.finding == "embolism"
