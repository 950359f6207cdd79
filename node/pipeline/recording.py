"""What an analysis says of each series that its model might have looked at, into the ledger."""

from __future__ import annotations

from datetime import UTC, datetime

from node.domain.finding import Status
from node.domain.verdict import ReasonCode
from node.ledger.jobs import JobRow
from node.ledger.states import JobState
from node.ledger.studies import Studies, VerdictRow
from node.metrics import Metrics
from node.pipeline.analysis import AnalysisResult

OUTCOMES = {
    Status.FINDINGS: JobState.DONE,
    Status.NO_FINDINGS: JobState.DONE,
    Status.PARTIAL: JobState.DONE,
    Status.NOT_ELIGIBLE: JobState.NOT_ELIGIBLE,
    Status.FAILED: JobState.FAILED,
}


def record_verdicts(
    studies: Studies, metrics: Metrics, job: JobRow, result: AnalysisResult
) -> None:
    """Of an analysis that came to an end."""
    if job.report_reason and result.status is Status.NOT_ELIGIBLE:
        return  # a report of verdicts that stand in the ledger already
    refused = dict(result.refusals)
    for stack_id in job.candidates:
        told: tuple[str, str, str]
        if stack_id in refused:
            told = ("not eligible", refused[stack_id], ReasonCode.PIXELS)
        elif stack_id == result.stack_id:
            code = ReasonCode.FAILURE if result.status is Status.FAILED else ""
            told = (OUTCOMES[result.status].value, result.reason, code)
        else:
            reason = "another series of this study is a better input"
            told = ("not eligible", reason, ReasonCode.BETTER_SERIES)
        _note(studies, job, stack_id, told)
        if told[2]:
            metrics.verdicts.labels(job.model, told[0], told[2]).inc()


def record_failure(studies: Studies, job: JobRow, reason: str) -> None:
    """Of an analysis whose failure could not be reported in DICOM."""
    for stack_id in job.candidates:
        _note(studies, job, stack_id, ("failed", reason, ReasonCode.FAILURE))


def _note(studies: Studies, job: JobRow, stack_id: str, told: tuple[str, str, str]) -> None:
    verdict, reason, code = told
    now = datetime.now(UTC).timestamp()
    row = VerdictRow(stack_id, job.model, verdict, reason, "", job.generation, now, code)
    studies.set_verdict(job.study_uid, job.generation, row)
