"""A new result takes the place of an old one: what it names as replaced, and what it rejects."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage

from dicom_sr.context import Predecessor
from dicom_sr.rejection_note import Rejection
from node.domain.discrepancy import Decision, Kind
from node.ledger import Ledger
from node.ledger.jobs import JobRow
from node.ledger.outbox import Delivery, ResultObject
from node.ledger.states import DeliveryState

#: Kind of the Key Object Selection that rejects replaced or withdrawn objects.
REJECTION_NOTE: Final = "rejection note"
REPORT: Final = "report"
#: The destination does not hold the object.
_ABSENT: Final = (
    DeliveryState.WAITING,
    DeliveryState.REFUSED,
    DeliveryState.SET_ASIDE,
    DeliveryState.WITHHELD,
)
#: A report, in whatever form a destination took it.
_REPORTS: Final = (Comprehensive3DSRStorage, ComprehensiveSRStorage)
#: A chain of results is as long as the history of the study; never a circle.
_LONGEST_CHAIN: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession:
    """What a job's result replaces.

    Attributes:
        reports: for PredecessorDocumentsSequence; only such as left the node.
        revision: instance number of the new result; higher than any before.
        rejected: objects that a destination which honours rejection notes holds.
        predecessor: key of the job whose result is replaced, "" for none.
    """

    reports: tuple[Predecessor, ...] = ()
    revision: int = 1
    rejected: tuple[Predecessor, ...] = ()
    predecessor: str = ""


def succession(ledger: Ledger, job: JobRow, noting: Collection[str]) -> Succession:
    """What the result of a job replaces.

    Objects of its predecessor that still wait are withheld first: a result of outdated input
    does not leave any more. Of a predecessor that never left, its own predecessor is replaced.

    Args:
        noting: names of the destinations that get rejection notes.
    """
    key = job.predecessor
    reports: tuple[Predecessor, ...] = ()
    for _ in range(_LONGEST_CHAIN):
        if not key:
            break
        ledger.outbox.withhold(key)
        if _left(ledger, job.study_uid, key):
            break
        earlier = ledger.jobs.get(key)
        key = earlier.predecessor if earlier is not None else ""
    if key:
        reports = _reports(ledger, job.study_uid, key)
    return Succession(
        reports=reports,
        revision=_revision(ledger, job),
        rejected=rejectable(ledger, job.study_uid, key, noting),
        predecessor=key,
    )


def why_rejected(ledger: Ledger, job: JobRow) -> Rejection:
    """Was the result that a job replaces written for another patient or order?"""
    earlier = ledger.jobs.get(job.predecessor)
    written_at = (earlier.finished_at or 0.0) if earlier is not None else 0.0
    corrected = any(
        row.kind is Kind.IDENTITY and row.decision is Decision.TAKEN and row.at > written_at
        for row in ledger.discrepancies.of_study(job.study_uid)
    )
    return Rejection.WRONG_IDENTITY if corrected else Rejection.NOT_TO_BE_USED


def rejectable(
    ledger: Ledger, study_uid: str, job_key: str, noting: Collection[str]
) -> tuple[Predecessor, ...]:
    """The objects of a result that a destination with rejection notes holds."""
    held = {
        item.object.sop_instance_uid: item.object
        for item in _deliveries(ledger, study_uid, job_key)
        if item.destination in noting
        and item.state not in _ABSENT
        and item.object.kind != REJECTION_NOTE
    }
    return tuple(_reference(item) for _, item in sorted(held.items()))


def holders(
    ledger: Ledger, study_uid: str, rejected: Sequence[Predecessor], noting: Collection[str]
) -> tuple[str, ...]:
    """Destinations with rejection notes that hold one of these objects."""
    uids = {item.sop_instance_uid for item in rejected}
    found = {
        item.destination
        for item in ledger.outbox.of_study(study_uid)
        if item.object.sop_instance_uid in uids
        and item.destination in noting
        and item.state not in _ABSENT
    }
    return tuple(sorted(found))


def _reports(ledger: Ledger, study_uid: str, job_key: str) -> tuple[Predecessor, ...]:
    """The reports of a result that a destination may hold, in each form that left."""
    deliveries = _deliveries(ledger, study_uid, job_key)
    kept_back = (DeliveryState.REFUSED, DeliveryState.WITHHELD)
    left = {item.object.sop_instance_uid for item in deliveries if item.state not in kept_back}
    return tuple(
        _reference(item)
        for item in ledger.outbox.objects_of_job(job_key)
        if item.sop_class_uid in _REPORTS
        and (item.sop_instance_uid in left or (not left and item.kind == REPORT))
    )


def _left(ledger: Ledger, study_uid: str, job_key: str) -> bool:
    """Has anything of the result left the node, or may it have?"""
    deliveries = _deliveries(ledger, study_uid, job_key)
    if not deliveries:
        return bool(ledger.outbox.objects_of_job(job_key))
    return any(item.state is not DeliveryState.WITHHELD or item.attempts for item in deliveries)


def _deliveries(ledger: Ledger, study_uid: str, job_key: str) -> list[Delivery]:
    return [item for item in ledger.outbox.of_study(study_uid) if item.object.job_key == job_key]


def _revision(ledger: Ledger, job: JobRow) -> int:
    """One more than any earlier result of the model on this study."""
    numbers = [
        item.instance_number
        for other in ledger.jobs.of_study(job.study_uid)
        if other.model == job.model and other.key != job.key
        for item in ledger.outbox.objects_of_job(other.key)
        if item.kind == REPORT
    ]
    return 1 + max(numbers, default=0)


def _reference(item: ResultObject) -> Predecessor:
    return Predecessor(
        study_uid=item.study_uid,
        series_uid=item.series_uid,
        sop_class_uid=item.sop_class_uid,
        sop_instance_uid=item.sop_instance_uid,
        instance_number=item.instance_number,
    )
