"""A ledger with a study, its result, and reports that come back about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.uid import generate_uid

from node.domain.errors import WorkerError
from node.domain.extent import Extent
from node.domain.feedback import ReaderAnswer
from node.domain.study import (
    ClassUID,
    Instance,
    InstanceUID,
    SeriesUID,
    StackID,
    StudyUID,
    TransferSyntaxUID,
)
from node.domain.verdict import Job, ModelName
from node.ledger import Ledger
from node.ledger.documents import DocumentState
from node.ledger.outbox import ResultObject
from node.ledger.states import JobState
from node.pipeline.feedback import Feedback
from tests.dicom_sr.results import CONTEXT, Case

MUSCLE = "L3 skeletal muscle"


class Here:
    """Workers that run in this process."""

    def run(
        self,
        function: Callable[[Any], Any],
        argument: object,
        *,
        time_limit_s: float,
        memory_mb: int,
    ) -> Any:
        assert time_limit_s
        assert memory_mb
        return function(argument)


class Dying:
    """Workers that never come back."""

    def run(self, function: Callable[[Any], Any], argument: object, **_limits: object) -> Any:
        raise WorkerError(f"the worker of {function.__name__} died over {type(argument).__name__}")


@dataclass
class Ward:
    """A ledger with one study of which a result has been reported."""

    folder: Path
    ledger: Ledger
    case: Case
    images: list[Dataset]

    def __post_init__(self) -> None:
        self.study_uid = str(self.case.study.study_uid)
        self.feedback = Feedback(self.ledger, Here())
        self.number = 0

    def report(self, key: str, **context: Any) -> Dataset:
        """Write a result of the study, as `key`, and enter it as the newest one."""
        before = self.ledger.jobs.newest_with_results(self.study_uid, "body_composition")
        self.ledger.jobs.add(
            Job(
                key=key,
                study_uid=StudyUID(self.study_uid),
                candidates=(StackID(self.case.series.series_uid),),
                model=ModelName("body_composition"),
                generation=1 + (before.generation if before else 0),
                priority=1,
                predecessor=before.key if before else "",
            ),
            destinations=(),
        )
        job = self.ledger.jobs.claim("test", 60)
        assert job is not None
        (report,) = (
            item
            for item in self.case.results(CONTEXT.at(CONTEXT.moment, **context))
            if item.Modality == "SR"
        )
        path = self.folder / "results" / key / "report.dcm"
        path.parent.mkdir(parents=True)
        report.save_as(path, enforce_file_format=True)
        self.ledger.jobs.finish(job, JobState.DONE)
        if before is not None:
            self.ledger.jobs.replaced(before.key)
        self.ledger.outbox.add(
            [
                ResultObject(
                    sop_instance_uid=str(report.SOPInstanceUID),
                    sop_class_uid=str(report.SOPClassUID),
                    study_uid=self.study_uid,
                    series_uid=str(report.SeriesInstanceUID),
                    job_key=key,
                    kind="report",
                    instance_number=1,
                    path=path,
                )
            ],
            (),
        )
        return report

    def receive(self, document: Dataset | bytes, **changes: str) -> str:
        """As the receiver files it; returns its UID."""
        self.number += 1
        path = self.folder / f"received-{self.number}.dcm"
        if isinstance(document, bytes):
            path.write_bytes(document)
            uid = str(generate_uid())
        else:
            document.save_as(path, enforce_file_format=True)
            uid = str(document.SOPInstanceUID)
        stated = {"study_uid": self.study_uid, "class_uid": "1.2.840.10008.5.1.4.1.1.88.33"}
        stated |= changes
        self.ledger.instances.record(
            Instance(
                sop_instance_uid=InstanceUID(uid),
                sop_class_uid=ClassUID(stated["class_uid"]),
                study_uid=StudyUID(stated["study_uid"]),
                series_uid=SeriesUID("1.2.3"),
                transfer_syntax_uid=TransferSyntaxUID("1.2.840.10008.1.2.1"),
                extent=Extent(path),
                digest=stated.get("digest", f"digest of {uid}"),
                size_bytes=path.stat().st_size,
                calling_ae_title="VIEWER",
                received_at=datetime.now(UTC),
            )
        )
        return uid

    def settle(self) -> None:
        while self.feedback.step():
            pass

    def answers(self) -> tuple[ReaderAnswer, ...]:
        return self.ledger.feedback.answers()

    def document(self, uid: str) -> tuple[DocumentState, str]:
        (row,) = (
            item
            for item in self.ledger.documents.of_study(self.study_uid)
            if item.sop_instance_uid == uid
        )
        return row.state, row.outcome

    def told(self) -> list[str]:
        return [
            f"{event.what}: {event.detail}" for event in self.ledger.studies.events(self.study_uid)
        ]
