"""What is known of the earlier studies that an analysis compares with: their results of ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dicom_sr.context import Predecessor
from node.domain.finding import Tracked
from node.domain.study import Series, StackID, StudyUID
from node.domain.verdict import Companion
from node.ledger import Ledger
from node.ledger.jobs import JobRow
from node.pipeline.succession import REPORT


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorResult:
    """The current result of one model on an earlier study.

    Attributes:
        tracked: the findings that can be followed. report: its structured report.
    """

    study_uid: StudyUID
    tracked: tuple[Tracked, ...]
    report: Predecessor


def prior_results(
    ledger: Ledger, job: JobRow, companions: Iterable[tuple[StackID, Companion]]
) -> tuple[PriorResult, ...]:
    """Results of the job's model on the other studies that its companions are from.

    One that somebody took back says nothing any more.
    """
    found = []
    for study_uid in sorted({one.study_uid for _, one in companions} - {job.study_uid}):
        earlier = ledger.jobs.newest_with_results(study_uid, job.model)
        if earlier is None or ledger.results.withdrawal(earlier.key) is not None:
            continue
        report = next(
            (item for item in ledger.outbox.objects_of_job(earlier.key) if item.kind == REPORT),
            None,
        )
        if report is not None:
            found.append(
                PriorResult(
                    study_uid=StudyUID(study_uid),
                    tracked=ledger.results.tracked(earlier.key),
                    report=Predecessor(
                        study_uid=study_uid,
                        series_uid=report.series_uid,
                        sop_class_uid=report.sop_class_uid,
                        sop_instance_uid=report.sop_instance_uid,
                        instance_number=report.instance_number,
                    ),
                )
            )
    return tuple(found)


def evidence_of(
    looked_at: Sequence[Series], results: Sequence[PriorResult]
) -> tuple[Predecessor, ...]:
    """Images of other studies that a result rests on, and what was said about them then."""
    images = [
        Predecessor(
            study_uid=series.study_uid,
            series_uid=series.series_uid,
            sop_class_uid=instance.sop_class_uid or series.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
            instance_number=0,
        )
        for series in looked_at
        for instance in series.instances
    ]
    studies = {series.study_uid for series in looked_at}
    return (*images, *(item.report for item in results if item.study_uid in studies))
