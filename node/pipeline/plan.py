"""What a changed configuration would do to studies, against the one in force: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from node.domain.facts import FACTS, StudyFacts
from node.domain.verdict import Ineligible, Undecided
from node.pipeline.judging import judge_study
from node.pipeline.routing import ModelRoute, destinations_of
from node.pipeline.wording import few

#: Reasons and series that are told of a study; reasons most frequent first.
REASONS = 3


class Outcome(StrEnum):
    """What happens to one study and one model."""

    RUN = "run"
    #: The rules would allow it; what decides is not in the headers at hand.
    OPEN = "unknown"
    NONE = "not eligible"


class Change(StrEnum):
    """How the outcome under the new configuration differs."""

    GAINS = "gains"
    LOSES = "loses"
    MAY_GAIN = "may gain"
    MAY_LOSE = "may lose"
    SERIES = "other series"
    DESTINATIONS = "other destinations"
    PRIORITY = "other priority"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one configuration does with one study and one model.

    Attributes:
        stacks: names of the series that would be analysed, or might be, best first.
        why: the rule that holds, or the reasons against, in words.
        reasons: (series, why not) of each that is not eligible.
    """

    outcome: Outcome
    why: str
    stacks: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    priority: int | None = None
    reasons: tuple[tuple[str, str], ...] = ()

    def reason(self, other: Decision) -> str:
        """Why; of what is not eligible, why the series of the other decision are not."""
        asked = [reason for stack, reason in self.reasons if stack in other.stacks]
        return _most_frequent(asked) or self.why

    def told(self, other: Decision) -> str:
        """In one line, with the names of the series."""
        if self.outcome is Outcome.NONE:
            return f"not eligible: {self._against(other)}"
        if self.outcome is Outcome.OPEN:
            return f"unknown for {few(self.stacks, REASONS)}: {self.why}"
        where = ", ".join(self.destinations) or "nobody (shadow)"
        urgent = other.priority is not None and other.priority != self.priority
        urgency = f", priority {self.priority}" if urgent else ""
        return f"run on {few(self.stacks, REASONS)} to {where}{urgency}, {self.why}"

    def _against(self, other: Decision) -> str:
        """The reasons; where there are several, with the series that each is about."""
        asked = [pair for pair in self.reasons if pair[0] in other.stacks] or self.reasons
        stacks: dict[str, list[str]] = {}
        for stack, reason in asked:
            stacks.setdefault(reason, []).append(stack)
        if len(stacks) < 2:
            return self.reason(other)
        often = sorted(stacks.items(), key=lambda item: -len(item[1]))
        told = [f"{few(named, 1)}: {reason}" for reason, named in often]
        return few(told, REASONS, "; ", " more reasons")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One study and model that the new configuration treats in another way.

    Attributes:
        reason: of the new decision, without the names of this study's series.
    """

    study_uid: str
    model: str
    change: Change
    now: str
    then: str
    reason: str


@dataclass(slots=True)
class Plan:
    """The differences, and how much was looked at.

    Attributes:
        outcomes: number of studies by (model, "now" or "then", outcome).
    """

    studies: int = 0
    series: int = 0
    differences: list[Difference] = field(default_factory=list)
    outcomes: Counter[tuple[str, str, Outcome]] = field(default_factory=Counter)

    def reasons(self) -> list[tuple[str, Change, str, int]]:
        """(model, change, reason, number of studies), most frequent first."""
        counted = Counter((one.model, one.change, one.reason) for one in self.differences)
        return [(*key, count) for key, count in counted.most_common()]


def compare(
    studies: Iterable[StudyFacts], now: Sequence[ModelRoute], then: Sequence[ModelRoute]
) -> Plan:
    """Judge each study under both configurations."""
    plan = Plan()
    before = {route.manifest.identity.name: route for route in now}
    after = {route.manifest.identity.name: route for route in then}
    names = tuple(dict.fromkeys((*before, *after)))
    for study in studies:
        plan.studies += 1
        plan.series += len(study.series)
        for name in names:
            old, new = decide(study, before.get(name)), decide(study, after.get(name))
            plan.outcomes[name, "now", old.outcome] += 1
            plan.outcomes[name, "then", new.outcome] += 1
            change = changed(old, new)
            if change is not None:
                plan.differences.append(
                    Difference(
                        study_uid=study.study_uid,
                        model=name,
                        change=change,
                        now=old.told(new),
                        then=new.told(old),
                        reason=new.reason(old),
                    )
                )
    return plan


def decide(study: StudyFacts, route: ModelRoute | None) -> Decision:
    """What a configuration does with one study and one model; None: it does not use the model."""
    if route is None:
        return Decision(outcome=Outcome.NONE, why="the model is not in use, or no route names it")
    judgement = judge_study(study, route.manifest, route.rules)
    labels = {series.stack_id: series.label for series in study.series}
    if judgement.candidates:
        rules = judgement.rules
        stated = [rule.priority for rule in rules if rule.priority is not None]
        named = " and ".join(f"'{rule.name}'" for rule in rules)
        return Decision(
            outcome=Outcome.RUN,
            why=f"by rule {named}",
            stacks=tuple(labels[one.stack_id] for one in judgement.candidates),
            destinations=destinations_of(rules),
            priority=min(stated, default=route.priority),
        )
    undecided = [one for one in judgement.verdicts if isinstance(one, Undecided)]
    if undecided:
        missing = dict.fromkeys(_title(name) for one in undecided for name in one.untold)
        return Decision(
            outcome=Outcome.OPEN,
            why=f"{', '.join(missing)} cannot be told from these headers",
            stacks=tuple(labels[one.stack_id] for one in undecided),
        )
    refused = [one for one in judgement.verdicts if isinstance(one, Ineligible)]
    return Decision(
        outcome=Outcome.NONE,
        why=_most_frequent(one.reason for one in refused),
        reasons=tuple((labels[one.stack_id], one.reason) for one in refused),
    )


def changed(old: Decision, new: Decision) -> Change | None:
    """How two decisions differ; None where they do not."""
    if old.outcome is not new.outcome:
        return _CHANGES[old.outcome, new.outcome]
    if old.stacks != new.stacks:
        return Change.SERIES
    if old.destinations != new.destinations:
        return Change.DESTINATIONS
    return Change.PRIORITY if old.priority != new.priority else None


_CHANGES = {
    (Outcome.NONE, Outcome.RUN): Change.GAINS,
    (Outcome.RUN, Outcome.NONE): Change.LOSES,
    (Outcome.NONE, Outcome.OPEN): Change.MAY_GAIN,
    (Outcome.OPEN, Outcome.RUN): Change.MAY_GAIN,
    (Outcome.OPEN, Outcome.NONE): Change.MAY_LOSE,
    (Outcome.RUN, Outcome.OPEN): Change.MAY_LOSE,
}

_TITLES = {
    "sop_class_uid": "SOP class",
    "frame_of_reference_uid": "frame of reference",
    "time": "time of the study",
}


def _title(name: str) -> str:
    return FACTS[name].title if name in FACTS else _TITLES.get(name, name)


def _most_frequent(reasons: Iterable[str]) -> str:
    return "; ".join(reason for reason, _ in Counter(reasons).most_common(REASONS))
