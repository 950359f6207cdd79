"""What a job needs, out of the ledger: the study, its companions, what it replaces."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dicom_sr.context import ResultContext
from node.domain.errors import WorkerError
from node.domain.finding import Status
from node.domain.identity import OF_THE_PERSON
from node.domain.study import StackID, StudyUID
from node.domain.verdict import Companion
from node.ledger import Ledger
from node.ledger.jobs import JobRow
from node.ledger.studies import StudyRow
from node.pipeline.analysis import AnalysisTask
from node.pipeline.others import StudyInput
from node.pipeline.priors import prior_results
from node.pipeline.resident import ModelSetup
from node.pipeline.routing import ModelRoute
from node.pipeline.succession import succession, why_rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What of a job is not in its row.

    Attributes:
        context: how its results are labelled, without time and predecessor.
        held: whose study it is according to the PACS, by keyword.
        folder: for its objects. noting: destinations that get rejection notes.
        anatomy: the package that sees anatomy, where the model builds on it.
    """

    route: ModelRoute
    setup: ModelSetup
    context: ResultContext
    held: Mapping[str, str]
    folder: Path
    noting: frozenset[str]
    anatomy: ModelSetup | None = None


def task_of(ledger: Ledger, job: JobRow, around: Surroundings) -> AnalysisTask:
    """The task of a job for a worker.

    Raises:
        WorkerError: the ledger does not know the study.
    """
    study = ledger.studies.get(job.study_uid)
    if study is None:
        raise WorkerError("the ledger does not know the study of this job")
    replaces = succession(ledger, job, around.noting)
    companions = ledger.jobs.companions(job.key)
    apart = tuple(one for one in _studies(companions) if _is_apart(ledger, one))
    return AnalysisTask(
        study=_input(ledger, job.study_uid, study, job.generation),
        setup=around.setup,
        candidates=job.candidates,
        context=around.context.at(
            datetime.fromtimestamp(job.created_at, tz=UTC),
            predecessor=replaces.reports,
            revision=replaces.revision,
            identity=tuple(sorted(around.held.items())),
        ),
        folder=around.folder,
        report_not_eligible=around.route.report_not_eligible,
        status_only=Status.NOT_ELIGIBLE if job.report_reason else None,
        reason=job.report_reason,
        earlier=ledger.results.tracked(job.predecessor),
        rejected=replaces.rejected,
        rejection=why_rejected(ledger, job),
        companions=companions,
        others=tuple(_others(ledger, companions, {job.study_uid, *apart})),
        apart=apart,
        priors=prior_results(ledger, job, companions),
        anatomy=around.anatomy,
    )


def _studies(companions: Sequence[tuple[StackID, Companion]]) -> tuple[StudyUID, ...]:
    return tuple(dict.fromkeys(one.study_uid for _, one in companions))


def _is_apart(ledger: Ledger, study_uid: str) -> bool:
    """Does the PACS hold it under another patient than its images state?"""
    written = ledger.discrepancies.identity(study_uid)
    return written is not None and bool(OF_THE_PERSON & set(written.differing))


def _others(
    ledger: Ledger, companions: Sequence[tuple[StackID, Companion]], without: Collection[str]
) -> Iterator[StudyInput]:
    """The prior studies that companions are from."""
    for study_uid in _studies(companions):
        study = ledger.studies.get(study_uid) if study_uid not in without else None
        if study is not None and ledger.instances.of_study(study_uid):
            yield _input(ledger, study_uid, study, study.generation)


def _input(ledger: Ledger, study_uid: str, study: StudyRow, generation: int) -> StudyInput:
    return StudyInput(
        study_uid=StudyUID(study_uid),
        instances=ledger.instances.of_study(study_uid),
        generation=generation,
        completed_at=datetime.fromtimestamp(study.completed_at or study.last_at, tz=UTC),
        confidence=study.confidence,
    )
