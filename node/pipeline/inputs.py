"""What a result rests on: has it changed since, and what follows for a job that is planned?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from node.domain.study import CompletedStudy, Instance, SeriesUID, digest_of
from node.ledger import Ledger
from node.ledger.jobs import OPEN, JobRow
from node.ledger.states import JobState
from node.pipeline.routing import ModelRoute, PlannedJob


def series_digests(instances: Iterable[Instance]) -> dict[SeriesUID, str]:
    """Digest of each series, as `Series.digest`, from rows of the index."""
    members: dict[SeriesUID, list[Instance]] = {}
    for instance in instances:
        members.setdefault(instance.series_uid, []).append(instance)
    return {uid: digest_of(items) for uid, items in members.items()}


def input_digest(
    looked_at: Sequence[SeriesUID],
    digests: Mapping[SeriesUID, str],
    rule: ModelRoute,
    *,
    reruns: int,
) -> str:
    """SHA-256, hex, over the series that were looked at, the model and the configuration."""
    parts = [rule.manifest.identity.name, rule.manifest.identity.digest]
    parts += [rule.configuration_digest, f"rerun {reruns}"]
    parts += [f"{uid} {digests.get(uid, '')}" for uid in looked_at]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Replanned:
    """What is to be queued after a study was judged again.

    Attributes:
        due: jobs to queue. wanted: keys of the jobs, new and open, that the study asks for.
        unchanged: models whose result stays, because their input did not change.
    """

    due: tuple[PlannedJob, ...]
    wanted: frozenset[str]
    unchanged: tuple[str, ...]


def replan(
    planned: Sequence[PlannedJob],
    study: CompletedStudy,
    rules: Mapping[str, ModelRoute],
    ledger: Ledger,
) -> Replanned:
    """Leave out what would only repeat the current result, and revive what was given up early."""
    facts = _Facts(
        digests={series.series_uid: series.digest for series in study.series},
        reruns=ledger.studies.reruns(study.study_uid),
        ledger=ledger,
    )
    due: list[PlannedJob] = []
    wanted: set[str] = set()
    unchanged: list[str] = []
    for item in planned:
        current = ledger.jobs.newest_with_results(item.job.study_uid, item.job.model)
        known = ledger.jobs.get(item.job.key)
        if known is not None and known.state in OPEN:
            wanted.add(known.key)
        elif _repeats(item, current, rules[item.job.model], facts):
            unchanged.append(item.job.model)
        elif known is None or (
            known.state is JobState.SUPERSEDED and not ledger.outbox.objects_of_job(known.key)
        ):
            due.append(item)
        elif current is not None and current.key != known.key:
            # Its result was replaced meanwhile: the same input once more is a new result.
            due.append(_after(item, current))
        else:
            unchanged.append(item.job.model)
    wanted.update(item.job.key for item in due)
    return Replanned(tuple(due), frozenset(wanted), tuple(unchanged))


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a study holds now, and what is known of its results."""

    digests: Mapping[SeriesUID, str]
    reruns: int
    ledger: Ledger


def _repeats(item: PlannedJob, current: JobRow | None, rule: ModelRoute, facts: _Facts) -> bool:
    """Would the planned job look at exactly what the current result was made of?"""
    if current is None or item.report_reason or current.report_reason:
        return False
    analysed = facts.ledger.results.analysed(current.key)
    if analysed is None:
        return False
    candidates = item.job.candidates
    refused_all = current.state is JobState.NOT_ELIGIBLE
    if refused_all and len(candidates) != analysed.looked_at:
        return False
    looked_at = candidates[: analysed.looked_at]
    digest = input_digest(looked_at, facts.digests, rule, reruns=facts.reruns)
    return digest == analysed.input_digest


def _after(item: PlannedJob, current: JobRow) -> PlannedJob:
    """The same work once more, as the successor of the current result."""
    key = hashlib.sha256(f"{item.job.key} after {current.key}".encode()).hexdigest()[:40]
    return replace(item, job=replace(item.job, key=key, predecessor=current.key))
