"""What a result rests on: has it changed since, and what follows for a job that is planned?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from node.domain.study import Instance, SeriesUID, StackID, StudyUID, digest_of, series_of
from node.domain.verdict import Companion
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


@dataclass(frozen=True, slots=True)
class Input:
    """What an analysis looks at, or looked at.

    Attributes:
        stacks: the candidates whose pixels decided. companions: what goes with each.
        digests: of each series of the study. others: the same, of the studies of priors.
    """

    stacks: Sequence[StackID]
    companions: Sequence[tuple[StackID, Companion]]
    digests: Mapping[SeriesUID, str]
    others: Mapping[StudyUID, Mapping[SeriesUID, str]]

    def parts(self) -> list[str]:
        """Each stack with the digest of its series: a late image of another stack counts too."""
        found = [f"{uid} {self.digests.get(series_of(uid), '')}" for uid in self.stacks]
        for uid, one in self.companions:
            if uid in self.stacks:
                digests = self.others.get(one.study_uid, self.digests)
                digest = digests.get(series_of(one.stack_id), "")
                found.append(f"{uid} {one.role} {one.stack_id} {digest}")
        return found


def input_digest(looked_at: Input, rule: ModelRoute, *, reruns: int) -> str:
    """SHA-256, hex, over what was looked at, the model and the configuration."""
    parts = [rule.manifest.identity.name, rule.manifest.identity.digest]
    parts += [rule.configuration_digest, f"rerun {reruns}"]
    parts += looked_at.parts()
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
    study_uid: StudyUID,
    rules: Mapping[str, ModelRoute],
    ledger: Ledger,
) -> Replanned:
    """Leave out what would only repeat the current result, and revive what was given up early."""
    facts = _Facts(
        digests=series_digests(ledger.instances.of_study(study_uid)),
        reruns=ledger.studies.reruns(study_uid),
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
    # In the order in which the ledger tells them of a job that ran.
    companions = sorted(item.job.companions, key=lambda pair: (pair[0], pair[1].role))
    studies = {one.study_uid for _, one in companions} - {item.job.study_uid}
    looked_at = Input(
        stacks=candidates[: analysed.looked_at],
        companions=companions,
        digests=facts.digests,
        others={
            uid: series_digests(facts.ledger.instances.of_study(uid)) for uid in sorted(studies)
        },
    )
    digest = input_digest(looked_at, rule, reruns=facts.reruns)
    return digest == analysed.input_digest


def _after(item: PlannedJob, current: JobRow) -> PlannedJob:
    """The same work once more, as the successor of the current result."""
    key = hashlib.sha256(f"{item.job.key} after {current.key}".encode()).hexdigest()[:40]
    return replace(item, job=replace(item.job, key=key, predecessor=current.key))
