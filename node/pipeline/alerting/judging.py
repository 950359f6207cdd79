"""Which acute findings of a result call whom: decided once, in the transaction of the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from node.domain.acute import Observation, Severity, in_words
from node.domain.finding import Status
from node.ledger import Ledger
from node.ledger.alerts import AlertKind, AlertRow, AlertState
from node.ledger.jobs import JobRow
from node.pipeline.analysis import AnalysisResult


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRule:
    """One rule of `alerts.findings`; empty `models` or `findings` mean every one.

    Attributes:
        at_least: in the unit of the package; None: its operating threshold alone decides.
    """

    name: str
    models: frozenset[str]
    findings: frozenset[str]
    severity: Severity
    at_least: float | None
    channels: tuple[str, ...]

    def is_about(self, model: str, finding: str) -> bool:
        """Does the rule speak of this finding at all?"""
        return (not self.models or model in self.models) and (
            not self.findings or finding in self.findings
        )

    def why_not(self, observation: Observation) -> str:
        """Why the observation calls nobody by this rule; "" when it does."""
        if not observation.counts:
            return observation.why_not
        acute = observation.acute
        if acute.severity.rank < self.severity.rank:
            return f"it is {acute.severity.value}; the rule asks for {self.severity.value}"
        assert observation.score is not None
        if self.at_least is not None and observation.score < self.at_least:
            score, least = (in_words(v, acute.unit) for v in (observation.score, self.at_least))
            return f"{score} is below the {least} of the rule"
        return ""


class FindingAlerts:
    """Queues alerts and corrections. Quiet: one alert for a finding of a study on a channel."""

    def __init__(
        self, ledger: Ledger, rules: Sequence[FindingRule], versions: Mapping[str, str]
    ) -> None:
        """`versions`: of the models in use, by name."""
        self._ledger = ledger
        self._rules = rules
        self._versions = versions

    def settled(self, job: JobRow, result: AnalysisResult) -> None:
        """A result is the current one of its model on its study.

        A failure says nothing about the patient: it neither alerts nor takes back. Results
        that go nowhere call nobody either.
        """
        if result.status is Status.FAILED or not job.destinations:
            return
        if result.status is not Status.NOT_ELIGIBLE:
            for observation in result.observations:
                self._call(job, observation)
        held = {item.acute.name: item for item in result.observations if item.counts}
        for alert in self._ledger.alerts.told_findings(job.study_uid, job.model):
            if alert.finding not in held:
                self._take_back(job, alert, _why_gone(alert, result))

    def _call(self, job: JobRow, observation: Observation) -> None:
        name = observation.acute.name
        called: dict[str, FindingRule] = {}
        for rule in self._rules:
            if not rule.is_about(job.model, name):
                continue
            why_not = rule.why_not(observation)
            if why_not:
                self._ledger.studies.tell(
                    job.study_uid, "no alert", f"{name}, rule {rule.name}: {why_not}"
                )
                continue
            for channel in rule.channels:
                called.setdefault(channel, rule)
        for channel, rule in called.items():
            self._queue(job, observation, channel, rule)

    def _queue(
        self, job: JobRow, observation: Observation, channel: str, rule: FindingRule
    ) -> None:
        alerts, acute = self._ledger.alerts, observation.acute
        row = AlertRow(
            kind=AlertKind.FINDING,
            channel=channel,
            rule=rule.name,
            facts=dict(self._facts(job, observation)),
            study_uid=job.study_uid,
            model=job.model,
            finding=acute.name,
            job_key=job.key,
            urgency=1 + acute.severity.rank,
        )
        last = alerts.last_finding(job.study_uid, job.model, acute.name, channel)
        if last is None:
            alerts.queue(row)
        elif self._was_taken_back(last):
            alerts.queue(replace(row, episode=last.episode + 1))
        elif last.state in (AlertState.WAITING, AlertState.SENT):
            why = f"{acute.name} to {channel}: told already ({last.state.value})"
            self._ledger.studies.tell(job.study_uid, "no alert", why)
        else:
            alerts.reopen(last, row)

    def _was_taken_back(self, alert: AlertRow) -> bool:
        """Somebody has, or may have, read that it was wrong; an unsent correction is stopped."""
        correction = self._ledger.alerts.correction_of(alert)
        if correction is not None and _is_unsent(correction):
            self._ledger.alerts.withhold(correction, "the finding is there again")
            return False
        return correction is not None and correction.state is not AlertState.WITHHELD

    def _facts(self, job: JobRow, observation: Observation) -> Iterator[tuple[str, str]]:
        acute = observation.acute
        assert observation.score is not None
        yield "title", acute.title
        yield "where", observation.where
        yield "severity", acute.severity.value
        yield "score", in_words(observation.score, acute.unit)
        yield "threshold", in_words(observation.threshold, acute.unit)
        yield "model_version", self._versions.get(job.model, "")
        yield "code", acute.code[0]
        yield "scheme", acute.code[1]
        yield "score_value", f"{observation.score:g}"
        yield "score_unit", acute.unit
        yield "score_code", acute.score[0]
        yield "score_scheme", acute.score[1]

    def _take_back(self, job: JobRow, alert: AlertRow, reason: str) -> None:
        alerts = self._ledger.alerts
        correction = alerts.correction_of(alert)
        if alert.state is AlertState.WITHHELD and correction is None:
            return
        if correction is not None and correction.state is not AlertState.WITHHELD:
            return
        version = self._versions.get(job.model, "")
        facts = {**alert.facts, "reason": reason, "corrects": alert.key, "model_version": version}
        alerts.take_back(
            alert,
            replace(alert, kind=AlertKind.CORRECTION, facts=facts, job_key=job.key, key=""),
        )


def _is_unsent(alert: AlertRow) -> bool:
    return alert.state is AlertState.WAITING and not alert.attempts


def _why_gone(alert: AlertRow, result: AnalysisResult) -> str:
    if result.status is Status.NOT_ELIGIBLE:
        return f"The study is no longer analysed: {result.reason}"
    for item in result.observations:
        if item.acute.name == alert.finding:
            partial = f" (done in part: {result.reason})" if result.reason else ""
            return f"A newer result of the same study says: {item.why_not}{partial}"
    return "A newer result of the same study no longer speaks of it"
