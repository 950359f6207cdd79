"""Taking back the current results of a study, and telling the destinations that listen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from dicom_sr.rejection_note import Note, Rejection, write_rejection_note
from node.domain.errors import ResultError
from node.ledger import Ledger
from node.ledger.jobs import JobRow
from node.ledger.outbox import ResultObject
from node.pipeline.succession import REJECTION_NOTE, REPORT, holders, rejectable
from node.pipeline.writing import write_object


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawing:
    """How results are taken back.

    Attributes:
        reason: in words, without anything about the patient.
        noting: destinations that get rejection notes.
    """

    reason: str
    noting: frozenset[str]
    rejection: Rejection = Rejection.NOT_TO_BE_USED


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """What was taken back.

    Attributes:
        model: whose result. stopped: objects that had not left yet, and will not.
        noted: destinations that get a rejection note.
        fault: why a note that is due cannot be written; "" when all is well.
    """

    model: str
    stopped: int
    noted: tuple[str, ...]
    fault: str = ""


def withdraw(ledger: Ledger, study_uid: str, how: Withdrawing) -> tuple[Withdrawn, ...]:
    """Withdraw the current result of every model on a study; empty when there is none."""
    done = []
    with ledger.transaction():
        for job in ledger.jobs.current(study_uid):
            objects = ledger.outbox.objects_of_job(job.key)
            if objects and ledger.results.withdraw(job, how.reason):
                done.append(_take_back(ledger, job, objects, how))
        if any(item.noted for item in done):
            ledger.studies.redeliver(study_uid)
    return tuple(done)


def _take_back(
    ledger: Ledger,
    job: JobRow,
    objects: tuple[ResultObject, ...],
    how: Withdrawing,
) -> Withdrawn:
    stopped = ledger.outbox.withhold(job.key)
    rejected = rejectable(ledger, job.study_uid, job.key, how.noting)
    noted = holders(ledger, job.study_uid, rejected, how.noting)
    if not rejected:
        return Withdrawn(model=job.model, stopped=stopped, noted=())
    report = next(item for item in objects if item.kind == REPORT)
    note = Note(
        rejection=how.rejection,
        reason="Withdrawn" + (f": {how.reason}" if how.reason else "."),
        when=datetime.now(UTC),
    )
    try:
        template = dcmread(report.path, stop_before_pixels=True)
        data_set = write_rejection_note(template, rejected, note)
        path = report.path.with_name(_name(report.path.parent))
        written = write_object(data_set, path)
    except (OSError, InvalidDicomError, ResultError) as error:
        return Withdrawn(model=job.model, stopped=stopped, noted=(), fault=str(error))
    ledger.outbox.add(
        [
            ResultObject(
                sop_instance_uid=written.sop_instance_uid,
                sop_class_uid=written.sop_class_uid,
                study_uid=job.study_uid,
                series_uid=written.series_uid,
                job_key=job.key,
                kind=REJECTION_NOTE,
                instance_number=written.instance_number,
                path=path,
            )
        ],
        noted,
    )
    return Withdrawn(model=job.model, stopped=stopped, noted=noted)


def _name(folder: Path) -> str:
    return f"{len(list(folder.glob('*.dcm'))) + 1:02d}-rejection-note.dcm"
