"""A ledger with result objects, a courier and a clock that the test winds on."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from node.domain.verdict import Job, ModelName
from node.ledger import Ledger
from node.ledger.outbox import Delivery, ResultObject
from node.ledger.states import DeliveryState
from node.metrics import Metrics
from node.pipeline.breaker import RetryPolicy
from node.pipeline.delivery import Courier
from node.pipeline.destination import Clocks, Destination
from node.pipeline.dimse import DicomPeer
from node.pipeline.fallback import write_fallback
from node.pipeline.proof import ProofPolicy
from node.pipeline.writing import write_folder
from tests.dicom_sr.results import Case, case
from tests.node.words import STUDY

HOUR_S = 3600.0
EPOCH = 1_800_000_000.0


@dataclass(slots=True)
class Clock:
    """Seconds since the epoch, as the test says."""

    now: float = EPOCH

    def __call__(self) -> float:
        return self.now


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def capture(
    folder: Path, class_uid: str = SecondaryCaptureImageStorage, *, job: str = "job"
) -> ResultObject:
    """A minimal object on disk; a storage provider does not look at its pixels."""
    data_set = Dataset()
    data_set.SOPClassUID = class_uid
    data_set.SOPInstanceUID = generate_uid()
    data_set.StudyInstanceUID = STUDY
    data_set.SeriesInstanceUID = generate_uid()
    data_set.InstanceNumber = 1
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / f"{data_set.SOPInstanceUID}.dcm"
    data_set.save_as(path, enforce_file_format=True)
    return ResultObject(
        sop_instance_uid=data_set.SOPInstanceUID,
        sop_class_uid=class_uid,
        study_uid=STUDY,
        series_uid=data_set.SeriesInstanceUID,
        job_key=job,
        kind="secondary capture",
        instance_number=1,
        path=path,
    )


@dataclass(slots=True)
class Rig:
    """Everything around one courier."""

    folder: Path
    port: int
    clock: Clock = field(default_factory=Clock)
    policy: ProofPolicy = field(default_factory=ProofPolicy)
    options: dict[str, Any] = field(default_factory=dict)
    jumped_s: float = 0.0
    ledger: Ledger = field(init=False)
    courier: Courier = field(init=False)
    metrics: Metrics = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.folder, clock=self.clock)
        self.metrics = Metrics()
        self.courier = self.hire()

    def hire(self, **options: Any) -> Courier:
        """A (new) courier for the same destination."""
        destination = Destination(
            name="pacs",
            peer=DicomPeer(
                ae_title="PACS",
                host="127.0.0.1",
                port=self.port,
                calling_ae_title="VIGIE",
                connect_timeout_s=2,
                response_timeout_s=options.pop("response_timeout_s", 5),
            ),
            retry=RetryPolicy(first_s=5.0, cap_s=600.0),
            proof=self.policy,
            associations_per_minute=60.0,
        )
        self.courier = Courier(
            replace(destination, **{**self.options, **options}),
            self.ledger,
            self.metrics,
            write_fallback=write_fallback,
            clocks=Clocks(wall=self.clock, steady=lambda: self.clock.now - self.jumped_s),
        )
        return self.courier

    def queue(self, *objects: ResultObject, destination: str = "pacs") -> None:
        self.ledger.outbox.add(objects, [destination])

    def job(self, key: str, priority: int) -> None:
        """A job of a priority, whose objects are queued under its key."""
        self.ledger.jobs.add(
            Job(
                key=key,
                study_uid=STUDY,
                candidates=(),
                model=ModelName(key),
                generation=1,
                priority=priority,
            ),
            destinations=["pacs"],
        )

    def result(self, **options: Any) -> tuple[Case, Sequence[ResultObject]]:
        """A real result (pages, segmentation, report), queued."""
        made = case(self.folder / "images", **options)
        data_sets = made.results()
        written = write_folder(data_sets, self.folder / "results" / "job")
        objects = [
            ResultObject(
                sop_instance_uid=item.sop_instance_uid,
                sop_class_uid=item.sop_class_uid,
                study_uid=str(made.study.study_uid),
                series_uid=item.series_uid,
                job_key="job",
                kind=item.kind,
                instance_number=item.instance_number,
                path=item.path,
            )
            for item in written
        ]
        for instance in made.series.instances:
            self.ledger.instances.record(instance)
        self.queue(*objects)
        return made, objects

    def run(self, seconds: float = 0.0, *, step_s: float = 1.0) -> int:
        """Let the courier work for so long on its clock; returns the accepted objects."""
        until = self.clock.now + seconds
        accepted = self.courier.drain()
        while self.clock.now < until:
            self.clock.now += step_s
            accepted += self.courier.drain()
        return accepted

    def jump(self, seconds: float) -> None:
        """Somebody sets the clock of the computer."""
        self.clock.now += seconds
        self.jumped_s += seconds
        self.ledger.shift_waits(seconds)

    def deliveries(self, study_uid: str = STUDY) -> tuple[Delivery, ...]:
        return self.ledger.outbox.of_study(study_uid)

    def states(self, study_uid: str = STUDY) -> list[DeliveryState]:
        return [item.state for item in self.deliveries(study_uid)]

    def only(self) -> Delivery:
        (delivery,) = self.deliveries()
        return delivery

    def events(self) -> list[str]:
        return [event.what for event in self.ledger.studies.events(STUDY)]
