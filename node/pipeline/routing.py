"""A judged study and the rules in, jobs out: pure, so that it can be asked what it would do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.manifest import ModelManifest
from node.domain.facts import StudyFacts
from node.domain.study import StackID
from node.domain.verdict import Ineligible, Job, ModelName
from node.pipeline.judging import Judgement
from node.pipeline.rules import Rule
from node.pipeline.wording import few


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRoute:
    """What the configuration says of one model, resolved.

    Attributes:
        rules: the routes that name it, in the order of the file.
        priority: smaller runs first, where no rule says otherwise.
        report_not_eligible: write a "not eligible" report when no series qualifies.
        configuration_digest: hex digest of everything configured that changes its results.
    """

    manifest: ModelManifest
    rules: tuple[Rule, ...]
    priority: int
    report_not_eligible: bool
    configuration_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedJob:
    """A job to queue. `report_reason` is set when only a "not eligible" report is due.

    Attributes:
        destinations: names; none when every rule that holds is a shadow.
    """

    job: Job
    destinations: tuple[str, ...]
    report_reason: str = ""


def route(
    study: StudyFacts,
    judgements: Sequence[Judgement],
    routes: Sequence[ModelRoute],
    *,
    current_results: Mapping[str, str],
    reruns: int = 0,
) -> tuple[PlannedJob, ...]:
    """Turn verdicts into jobs: one per model, on its best series, the others as substitutes.

    Args:
        judgements: one for each of `routes`, in the same order.
        current_results: by model name, the key of the job whose results are the current ones
            of this study; a new job replaces them.
        reruns: how often the study was run again by hand.
    """
    planned = []
    for rule, judgement in zip(routes, judgements, strict=True):
        predecessor = current_results.get(judgement.model, "")
        fit = judgement.candidates
        refusals = [v for v in judgement.settled if isinstance(v, Ineligible)]
        reason = ""
        if not judgement.rules:
            continue
        if not fit:
            if not (rule.report_not_eligible or predecessor):
                continue
            reason = joined(study, refusals)
        candidates = tuple(v.stack_id for v in fit) or (refusals[0].stack_id,)
        companions = tuple((v.stack_id, one) for v in fit for one in v.companions)
        asked = [f"{stack} {one.role} {one.stack_id} {one.digest}" for stack, one in companions]
        asked += [f"rerun {reruns}"] if reruns else []
        key = job_key(study, candidates, rule, reason, asked)
        planned.append(
            PlannedJob(
                job=Job(
                    key=key,
                    study_uid=study.study_uid,
                    candidates=candidates,
                    model=ModelName(judgement.model),
                    generation=study.generation,
                    priority=_priority(rule, judgement.rules),
                    predecessor="" if predecessor == key else predecessor,
                    companions=companions,
                    not_before=_not_before(study, judgement.rules),
                ),
                destinations=destinations_of(judgement.rules),
                report_reason=reason,
            )
        )
    return tuple(planned)


def destinations_of(rules: Sequence[Rule]) -> tuple[str, ...]:
    """Where results go; nowhere when every rule is a shadow."""
    return tuple(dict.fromkeys(name for rule in rules for name in rule.destinations))


def job_key(
    study: StudyFacts,
    candidates: Sequence[StackID],
    rule: ModelRoute,
    reason: str,
    besides: Sequence[str],
) -> str:
    """Hex digest of everything that decides the result: input, model, configuration.

    Args:
        besides: the companions with their digests, and how often it was run again by hand.
    """
    digests = {series.stack_id: series.digest for series in study.series}
    parts = [study.study_uid, rule.manifest.identity.name, rule.manifest.identity.digest]
    parts += [rule.configuration_digest, reason]
    parts += [f"{stack} {digests[stack]}" for stack in candidates]
    parts += besides
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]


def joined(study: StudyFacts, refusals: Sequence[Ineligible]) -> str:
    """All reasons in one text, each with the series that it is about."""
    if len(refusals) == 1:
        return refusals[0].reason
    labels = {series.stack_id: series.label for series in study.series}
    by_reason: dict[str, list[str]] = {}
    for refusal in refusals:
        by_reason.setdefault(refusal.reason, []).append(labels[refusal.stack_id])
    if len(by_reason) == 1:
        return f"none of {len(refusals)} series qualifies: {refusals[0].reason}"
    told = [f"{few(names, 3)}: {reason}" for reason, names in by_reason.items()]
    return f"none of {len(refusals)} series qualifies: {few(told, 4, '; ', ' other reasons')}"


def _priority(rule: ModelRoute, holding: Sequence[Rule]) -> int:
    stated = [one.priority for one in holding if one.priority is not None]
    return min(stated, default=rule.priority)


def _not_before(study: StudyFacts, holding: Sequence[Rule]) -> float:
    if study.at is None or any(one.schedule is None for one in holding):
        return 0.0
    first = min(one.not_before(study.at) for one in holding)
    return first.timestamp() if first > study.at else 0.0
