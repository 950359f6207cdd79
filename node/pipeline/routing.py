"""A judged study and the rules in, jobs out: pure, so that it can be asked what it would do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.manifest import ModelManifest
from node.domain.study import CompletedStudy, SeriesUID
from node.domain.verdict import Eligibility, Eligible, Ineligible, Job, ModelName


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRoute:
    """What the configuration says of one model, resolved.

    Attributes:
        priority: smaller runs first.
        destinations: names of the destinations its results go to.
        report_not_eligible: write a "not eligible" report when no series qualifies.
        configuration_digest: hex digest of everything configured that changes its results.
        unrouted: why no routing rule sends the study at hand to this model; "" when one does.
    """

    manifest: ModelManifest
    priority: int
    destinations: tuple[str, ...]
    report_not_eligible: bool
    configuration_digest: str
    unrouted: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedJob:
    """A job to queue. `report_reason` is set when only a "not eligible" report is due."""

    job: Job
    destinations: tuple[str, ...]
    report_reason: str = ""


def route(
    study: CompletedStudy,
    verdicts: Sequence[Eligibility],
    routes: Sequence[ModelRoute],
    *,
    current_results: Mapping[str, str],
    reruns: int = 0,
) -> tuple[PlannedJob, ...]:
    """Turn verdicts into jobs: one per model, on its best series, the others as substitutes.

    Args:
        current_results: by model name, the key of the job whose results are the current ones
            of this study; a new job replaces them.
        reruns: how often the study was run again by hand.
    """
    planned = []
    for rule in routes:
        if rule.unrouted:
            continue
        name = ModelName(rule.manifest.identity.name)
        mine = [verdict for verdict in verdicts if verdict.model == name]
        eligible = sorted(
            (v for v in mine if isinstance(v, Eligible)), key=lambda v: (v.rank, v.series_uid)
        )
        refusals = [v for v in mine if isinstance(v, Ineligible)]
        predecessor = current_results.get(name, "")
        reason = ""
        if not eligible:
            wanted = refusals and (rule.report_not_eligible or predecessor)
            if not wanted:
                continue
            reason = refusals[0].reason if len(refusals) == 1 else _joined(refusals)
        candidates = tuple(v.series_uid for v in eligible) or (refusals[0].series_uid,)
        key = job_key(study, candidates, rule, reason, reruns=reruns)
        planned.append(
            PlannedJob(
                job=Job(
                    key=key,
                    study_uid=study.study_uid,
                    candidates=candidates,
                    model=name,
                    generation=study.generation,
                    priority=rule.priority,
                    predecessor="" if predecessor == key else predecessor,
                ),
                destinations=rule.destinations,
                report_reason=reason,
            )
        )
    return tuple(planned)


def job_key(
    study: CompletedStudy,
    candidates: Sequence[SeriesUID],
    rule: ModelRoute,
    reason: str,
    *,
    reruns: int = 0,
) -> str:
    """Hex digest of everything that decides the result: input, model, configuration.

    Args:
        reruns: how often somebody asked for the same again.
    """
    digests = {series.series_uid: series.digest for series in study.series}
    parts = [study.study_uid, rule.manifest.identity.name, rule.manifest.identity.digest]
    parts += [rule.configuration_digest, reason]
    parts += [f"{uid} {digests[uid]}" for uid in candidates]
    parts += [f"rerun {reruns}"] if reruns else []
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]


def _joined(refusals: Sequence[Ineligible]) -> str:
    reasons = list(dict.fromkeys(refusal.reason for refusal in refusals))
    return f"none of {len(refusals)} series qualifies: " + "; ".join(reasons[:4])
