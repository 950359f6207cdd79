"""A whole study against one model: what its manifest accepts and which rules send it there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from models.manifest import ModelManifest
from node.domain.facts import SeriesFacts, StudyFacts
from node.domain.study import StackID
from node.domain.verdict import (
    Companion,
    Eligibility,
    Eligible,
    Ineligible,
    ModelName,
    ReasonCode,
    Undecided,
)
from node.pipeline.companions import Missing, companions_of
from node.pipeline.conditions import Truth
from node.pipeline.eligibility import judge
from node.pipeline.rules import Rule, preference


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Every stack of a study for one model, in the order of the study.

    Attributes:
        verdicts: one for each stack; `Undecided` only of a source that cannot tell all.
        rules: those that send the best stack to the model; they say where results go. Where
            none is fit, those that would have sent one: they say who is told.
    """

    model: ModelName
    verdicts: tuple[Eligibility | Undecided, ...]
    rules: tuple[Rule, ...] = ()

    @property
    def settled(self) -> tuple[Eligibility, ...]:
        """The verdicts of received images, which are never undecided."""
        assert not any(isinstance(verdict, Undecided) for verdict in self.verdicts)
        return tuple(v for v in self.verdicts if not isinstance(v, Undecided))

    @property
    def candidates(self) -> tuple[Eligible, ...]:
        """What qualifies, best first."""
        fit = [verdict for verdict in self.verdicts if isinstance(verdict, Eligible)]
        return tuple(sorted(fit, key=lambda verdict: (verdict.rank, verdict.stack_id)))


def judge_study(
    study: StudyFacts,
    manifest: ModelManifest,
    rules: Sequence[Rule],
    priors: Sequence[StudyFacts] = (),
) -> Judgement:
    """One verdict for each stack; none is analysed where the study contradicts itself.

    A stack that is unfit by itself keeps its own reason; that of the rules is for those that
    would have been fit. Where the best candidate and another one are sent to the model by
    different rules, the other one is no substitute: its results would go somewhere else.

    Args:
        rules: those that name the model, in the order of the file.
        priors: earlier studies of the same patient, newest first.
    """
    name = ModelName(manifest.identity.name)
    if study.faults:
        # Images of two patients under one Study Instance UID would give a result to the wrong one.
        reason = "; ".join(study.faults)
        refused = tuple(
            Ineligible(model=name, stack_id=one.stack_id, reason=reason, code=ReasonCode.STUDY)
            for one in study.series
        )
        return Judgement(model=name, verdicts=refused, rules=holding(study, rules))
    by_name = {rule.name: rule for rule in rules}
    verdicts = [_verdict(one, study, manifest, rules, priors) for one in study.series]
    fit = [verdict for verdict in verdicts if isinstance(verdict, Eligible)]
    if not fit:
        return Judgement(model=name, verdicts=tuple(verdicts), rules=holding(study, rules))
    best = min(fit, key=lambda verdict: (verdict.rank, verdict.stack_id))
    return Judgement(
        model=name,
        verdicts=tuple(_substitute(verdict, best) for verdict in verdicts),
        rules=tuple(by_name[rule] for rule in best.rules),
    )


def holding(study: StudyFacts, rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules that hold for a stack of the study."""
    names: set[str] = set()
    for one in study.series:
        held = [rule for rule in rules if rule.holds(one, study).truth is Truth.YES]
        names.update(rule.name for rule in _alone(held))
    return tuple(rule for rule in rules if rule.name in names)


def _alone(holding: Sequence[Rule]) -> Sequence[Rule]:
    """The first exclusive one of the rules that hold, where there is one."""
    return [rule for rule in holding if rule.exclusive][:1] or holding


def _verdict(
    facts: SeriesFacts,
    study: StudyFacts,
    manifest: ModelManifest,
    rules: Sequence[Rule],
    priors: Sequence[StudyFacts],
) -> Eligibility | Undecided:
    verdict = judge(facts, manifest)
    if isinstance(verdict, Ineligible):
        return verdict
    answers = [rule.holds(facts, study) for rule in rules]
    holding = [r for r, a in zip(rules, answers, strict=True) if a.truth is Truth.YES]
    if not holding:
        untold = [name for answer in answers for name in answer.untold]
        if any(answer.truth is Truth.OPEN for answer in answers):
            return _open(facts, manifest, verdict, untold)
        reasons = {r.name: a.reason for r, a in zip(rules, answers, strict=True)}
        return _unrouted(facts, manifest, reasons)
    # Whether an exclusive rule holds decides where results go: it must be known.
    open_ = [
        answer
        for rule, answer in zip(rules, answers, strict=True)
        if rule.exclusive and answer.truth is Truth.OPEN
    ]
    if open_:
        return _open(facts, manifest, verdict, [name for one in open_ for name in one.untold])
    if isinstance(verdict, Undecided):
        return verdict
    return _accompanied(verdict, facts, study, _alone(holding), priors)


def _accompanied(
    verdict: Eligible,
    facts: SeriesFacts,
    study: StudyFacts,
    holding: Sequence[Rule],
    priors: Sequence[StudyFacts],
) -> Eligibility | Undecided:
    """With the companions that the first rule asks for; a rule that lacks one drops out."""
    missing: list[Missing] = []
    for place, rule in enumerate(holding):
        found = companions_of(rule.roles, facts, study, priors)
        if isinstance(found, Missing):
            missing.append(found)
            continue
        return _routed(verdict, facts, holding[place:], found)
    open_ = [name for one in missing for name in one.untold]
    if open_:
        untold = tuple(dict.fromkeys(open_))
        return Undecided(model=verdict.model, stack_id=verdict.stack_id, untold=untold)
    return Ineligible(
        model=verdict.model,
        stack_id=verdict.stack_id,
        reason="; ".join(dict.fromkeys(one.reason for one in missing)),
        code=ReasonCode.COMPANION,
    )


def _routed(
    verdict: Eligible,
    facts: SeriesFacts,
    holding: Sequence[Rule],
    companions: tuple[Companion, ...],
) -> Eligible:
    first = holding[0]
    # Rules with other roles would analyse something else.
    alike = [rule for rule in holding if rule.roles == first.roles]
    rank = (float(first.place), *preference(first.prefer, facts), *verdict.rank)
    return replace(
        verdict,
        rank=rank,
        rules=tuple(rule.name for rule in alike),
        companions=companions,
    )


def _substitute(verdict: Eligibility | Undecided, best: Eligible) -> Eligibility | Undecided:
    if not isinstance(verdict, Eligible) or verdict.rules == best.rules:
        return verdict
    return Ineligible(
        model=verdict.model,
        stack_id=StackID(verdict.stack_id),
        reason=f"another series of this study is a better input, by rule '{best.rules[0]}'",
        code=ReasonCode.BETTER_SERIES,
    )


def _open(
    facts: SeriesFacts,
    manifest: ModelManifest,
    verdict: Eligible | Undecided,
    untold: Sequence[str],
) -> Undecided:
    known = verdict.untold if isinstance(verdict, Undecided) else ()
    return Undecided(
        model=ModelName(manifest.identity.name),
        stack_id=facts.stack_id,
        untold=tuple(dict.fromkeys((*known, *untold))),
    )


def _unrouted(
    facts: SeriesFacts, manifest: ModelManifest, reasons: Mapping[str, str]
) -> Ineligible:
    """The reason of each rule; its name too where there are several."""
    several = len(set(reasons.values())) > 1
    told = [f"'{name}': {reason}" if several else reason for name, reason in reasons.items()]
    hours = bool(reasons) and all(one.startswith("the rule applies") for one in reasons.values())
    return Ineligible(
        model=ModelName(manifest.identity.name),
        stack_id=facts.stack_id,
        reason="no routing rule applies: " + "; ".join(dict.fromkeys(told)),
        code=ReasonCode.SCHEDULE if hours else ReasonCode.NOT_ROUTED,
    )
