"""Joins the results of a cohort with its truth table, one study at a time.

Of each study only a few numbers are kept. Nothing but a result that is done can be right or wrong:
a study that was not eligible, failed, is unfinished or has no result counts apart, never as
negative, and so does a result in part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.domain.acute import AcuteFinding
from node.domain.errors import ConfigError
from node.domain.reported import (
    CERTAINTY,
    Code,
    Report,
    finding_score,
    is_present,
    named_findings,
    numbers,
    score_of,
)
from node.evaluation.cohort import Case, Outcome, Result
from node.evaluation.froc import Reading
from node.evaluation.naming import Rule, is_unit, named_numbers, plain
from node.evaluation.places import Incomparable, is_lesion, lesions_hit, spot_of
from node.evaluation.truth import ACCESSION, Statement, StudyTruth, Target, TruthTable, ValueColumn

NOT_IN_COHORT: Final = "the study is not in the cohort"
NO_PLACE: Final = "positive in the table, but no lesion of it is placed there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One study and target, as one model ended on it.

    Attributes:
        key: of the study, as the table has it.
        positive: by the table; None where it does not say.
        called: positive by the result; None where it was not done.
        score: higher is more positive; -inf: not found, below every score.
        lesions: true ones that the table places.
        reading: for the free-response curve. place_fault: why there is none.
    """

    key: str
    patient: str
    groups: Mapping[str, str]
    positive: bool | None
    outcome: Outcome
    reason: str = ""
    called: bool | None = None
    score: float | None = None
    lesions: int = 0
    reading: Reading | None = None
    place_fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRecord:
    """One true value, and what one model measured.

    Attributes:
        measured: None with the reason.
    """

    key: str
    groups: Mapping[str, str]
    true: float
    measured: float | None
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of each result.

    Attributes:
        rule: when a result is positive; None: when it holds the finding.
        acute: acute findings of the installed packages, by model: which score is theirs.
        model: only this one; "" for every model.
        left_out: models whose results are not looked at.
    """

    rule: Rule | None = None
    acute: Mapping[str, Sequence[AcuteFinding]] = field(default_factory=dict)
    model: str = ""
    left_out: frozenset[str] = frozenset()

    def score_code(self, model: str, code: Code | None) -> Code:
        """The concept of the score of a finding."""
        for one in self.acute.get(model, ()):
            if code is None or one.code == code:
                return one.score
        return CERTAINTY


class Assessment:
    """Takes the cases in; then holds the records of each target and model."""

    def __init__(self, table: TruthTable, asked: Asked) -> None:
        self._table = table
        self._asked = asked
        self._seen: dict[str, str] = {}
        self._missing: dict[str, tuple[str, str, Outcome]] = {}
        self._judged: set[tuple[str, str]] = set()
        self.models: list[str] = []
        self.versions: dict[str, set[str]] = {}
        self.records: dict[tuple[Target, str], list[Record]] = {}
        self.values: dict[tuple[ValueColumn, str], list[ValueRecord]] = {}
        #: Names of measurements that any result holds.
        self.names: set[str] = set()
        #: Models with results that are not asked about.
        self.other_models: set[str] = set()
        #: What each model has ever spoken about, found or not.
        self._spoken: dict[str, set[Code]] = {}
        #: (finding or measurement, model) that is left out: another model speaks of it, this never.
        self.silent: list[tuple[str, str]] = []

    def add(self, case: Case) -> None:
        """Take one case in.

        Raises:
            ConfigError: two studies have the accession number of one line of the table.
        """
        by_accession = self._table.keyed_by == ACCESSION
        key = case.accession_number if by_accession else case.study_uid
        truth = self._table.studies.get(key)
        if truth is None:
            return
        if self._seen.setdefault(key, case.study_uid) != case.study_uid:
            raise ConfigError(
                f"{self._table.file}:{truth.line}: {ACCESSION}: two studies of the cohort have the "
                f"number {key} - name studies by StudyInstanceUID in the table"
            )
        results = {
            model: result
            for model, result in case.results.items()
            if self._asked.model in ("", model) and model not in self._asked.left_out
        }
        self.other_models |= case.results.keys() - results.keys()
        why = case.missing or "this model was not asked about it"
        self._missing[key] = (case.patient, why, case.ended if case.missing else Outcome.ABSENT)
        for model, result in results.items():
            if model not in self.models:
                self.models.append(model)
            if result.report is not None:
                self.versions.setdefault(model, set()).add(result.report.version)
                self.names.update(numbers(result.report))
                self._spoken.setdefault(model, set()).update(_codes(result.report))
            self._judge(case, truth, model, result)

    def unseen(self, why: str) -> dict[str, str]:
        """This reason for every study of the table that no case was given of."""
        return {key: why for key in self._table.studies if key not in self._missing}

    def unnamed(self) -> list[str]:
        """Measurements that no result holds under the name that was asked for, in words."""
        asked = [(column.title, column.name) for column in self._table.values]
        if self._asked.rule is not None:
            asked.append(("--positive", self._asked.rule.name))
        ends = {plain(part) for name in self.names for part in (name, name.rpartition(": ")[2])}
        known = "; ".join(sorted(self.names)) or "no measurement at all"
        return [
            f"{where}: no result holds a measurement '{name}'; the results hold: {known}"
            for where, name in asked
            if plain(name) not in ends
        ]

    def finish(self, unseen: Mapping[str, str] | None = None) -> None:
        """Every study of the table without a case, or without a word of a model, is counted too.

        Args:
            unseen: why a study was not looked at, by key, where that is known better.
        """
        self.models.sort()
        for key, truth in self._table.studies.items():
            nowhere = (key, NOT_IN_COHORT, Outcome.ABSENT)
            patient, why, outcome = self._missing.get(key, nowhere)
            if unseen and key in unseen:
                outcome, why = Outcome.UNFINISHED, unseen[key]
            lost = Result(outcome=outcome, reason=why)
            case = Case(study_uid=key, patient=patient)
            for model in self.models:
                if (key, model) not in self._judged:
                    self._judge(case, truth, model, lost)
        self._leave_out()

    def _leave_out(self) -> None:
        """A model that is about something else would look as if it missed everything."""
        for target in self._table.targets:
            asked = [model for about, model in self.records if about == target]
            speaking = [model for model in asked if self._speaks(model, target)]
            for model in asked if speaking and not self._asked.model and not target.model else ():
                if model not in speaking and not _is_mute(self.records[target, model]):
                    del self.records[target, model]
                    self.silent.append((target.finding or str(self._asked.rule), model))
        for column in self._table.values:
            asked = [model for about, model in self.values if about == column]
            speaking = [
                model
                for model in asked
                if any(one.measured is not None for one in self.values[column, model])
            ]
            for model in asked if speaking and not self._asked.model else ():
                if model not in speaking and not _is_mute(self.values[column, model]):
                    del self.values[column, model]
                    self.silent.append((column.name, model))

    def _speaks(self, model: str, target: Target) -> bool:
        if self._asked.rule is not None:
            return any(one.called is not None for one in self.records[target, model])
        stated = [one.code for one in self._asked.acute.get(model, ())]
        return target.code is None or any(
            code[0] == target.code[0] and target.code[1] in ("", code[1])
            for code in (*stated, *self._spoken.get(model, ()))
        )

    def _judge(self, case: Case, truth: StudyTruth, model: str, result: Result) -> None:
        self._judged.add((truth.key, model))
        groups = {**{k: v for k, v in result.groups.items() if v}, **truth.groups}
        for target, statement in truth.statements.items():
            if target.model not in ("", model):
                continue
            record = self._record(case, (truth, target, statement), model, result, groups)
            self.records.setdefault((target, model), []).append(record)
        for column in self._table.values:
            true = truth.values.get(column.title)
            if true is None:
                continue
            value = _value(column, truth.key, true, result, groups)
            self.values.setdefault((column, model), []).append(value)

    def _record(
        self,
        case: Case,
        stated: tuple[StudyTruth, Target, Statement],
        model: str,
        result: Result,
        groups: Mapping[str, str],
    ) -> Record:
        truth, target, statement = stated
        outcome, reason = result.outcome, result.reason
        called = score = reading = None
        fault = ""
        if outcome is Outcome.DONE and result.report is not None:
            called, score = self._call(result.report, target, model)
            if called is None and self._asked.rule is not None:
                outcome = Outcome.WITHOUT
                reason = f"the result has no '{self._asked.rule.name}'"
            elif self._table.places and statement.positive is not None:
                try:
                    reading = self._reading(case, result.report, target, statement, model)
                except Incomparable as error:
                    fault = str(error)
        return Record(
            key=truth.key,
            patient=case.patient,
            groups=groups,
            positive=statement.positive,
            outcome=outcome,
            reason=reason,
            called=called,
            score=score,
            lesions=len(statement.lesions),
            reading=reading,
            place_fault=fault,
        )

    def _call(self, report: Report, target: Target, model: str) -> tuple[bool | None, float | None]:
        if self._asked.rule is not None:
            return self._asked.rule.call(report, target.code)
        called = is_present(report, target.code)
        score = score_of(report, target.code, self._asked.score_code(model, target.code))
        if score is None and not called:
            score = -math.inf
        return called, score

    def _reading(
        self, case: Case, report: Report, target: Target, statement: Statement, model: str
    ) -> Reading:
        if statement.positive and not statement.lesions:
            raise Incomparable(NO_PLACE)
        found = [
            item
            for item in named_findings(report, target.code)
            if target.code is not None or is_lesion(item)
        ]
        spots = [spot_of(item, case.images) for item in found]
        hit = lesions_hit(spots, statement.lesions, case.images)
        code = self._asked.score_code(model, target.code)
        scores = [finding_score(item, code) for item in found]
        return Reading(
            patient=case.patient,
            lesions=len(statement.lesions),
            marks=tuple(zip(scores, hit, strict=True)),
        )


def _is_mute(records: Sequence[Record | ValueRecord]) -> bool:
    """Did a model fail, or not end, and nowhere succeed? Then nobody knows what it is about."""
    ends = {one.outcome for one in records}
    broken = {Outcome.FAILED, Outcome.UNFINISHED}
    return bool(ends & broken) and ends <= {*broken, Outcome.NOT_ELIGIBLE, Outcome.ABSENT}


def _codes(report: Report) -> set[Code]:
    concepts = [item.finding for item in report.findings]
    concepts += [item.name for item in report.exam_evaluations]
    return {(one.value, one.scheme) for one in concepts}


def _value(
    column: ValueColumn, key: str, true: float, result: Result, groups: Mapping[str, str]
) -> ValueRecord:
    measured, reason = None, result.reason
    if result.report is not None and result.outcome in (Outcome.DONE, Outcome.PARTIAL):
        found = named_numbers(result.report, column.name)
        if not found:
            reason = f"the result has no '{column.name}'"
        elif len(found) > 1:
            reason = f"{len(found)} findings of the result have a '{column.name}'; name the finding"
        elif not is_unit(found[0].unit, column.unit):
            told = found[0].unit.value
            reason = f"the table gives it in {column.unit}, the result in {told}; convert the table"
        else:
            measured, reason = found[0].value, ""
    return ValueRecord(
        key=key, groups=groups, true=true, measured=measured, outcome=result.outcome, reason=reason
    )
