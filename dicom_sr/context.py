"""Who writes the results, how they are labelled, and what they replace."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from node.domain.errors import ResultError


@dataclass(frozen=True, slots=True, kw_only=True)
class Predecessor:
    """An object that the new report refers to outside of its study: one that it replaces
    (PredecessorDocumentsSequence), or one that it rests on."""

    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    instance_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultContext:
    """Everything in a result object that is neither the images' nor the model's.

    Attributes:
        manufacturer, model_name, software_version, serial_number, station_name: the node.
        institution: InstitutionName; "" repeats that of the images.
        label: "research" marks every object RESEARCH in five places; "cleared" needs
            `responsible_person` ("Ada Lovelace", first and last name).
        configuration_digest: of the configuration the job ran under; part of every UID.
        series_number_base: series number is base + 10 x task + kind.
        patient_identity_on_pages: burn name, ID and birth date into the capture pages.
        key_objects: write a Key Object Selection of the images that findings are marked on.
        content_time: aware; the same for every retry of a job, so that a repeated job
            writes the same bytes.
        predecessor: the reports this one replaces; empty for a first report.
        revision: instance number of a report that replaces others; None: one more than the
            newest of them.
        other_evidence: of other studies, what the result rests on: the images of a prior and the
            report about them (PertinentOtherEvidenceSequence).
        identity: values by keyword that take the place of those of the images.
        contours: segments come as an RT Structure Set too. Not in `repr`, from which UIDs are
            made: the other objects of a result are the same with and without it.
    """

    software_version: str
    serial_number: str
    station_name: str
    configuration_digest: str
    manufacturer: str = "Vigie"
    model_name: str = "Vigie"
    institution: str = ""
    label: Literal["research", "cleared"] = "research"
    responsible_person: str = ""
    series_number_base: int = 9000
    patient_identity_on_pages: bool = True
    key_objects: bool = False
    content_time: datetime | None = None
    predecessor: tuple[Predecessor, ...] = ()
    revision: int | None = None
    identity: tuple[tuple[str, str], ...] = ()
    other_evidence: tuple[Predecessor, ...] = ()
    contours: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        if self.label == "cleared" and not self.responsible_person.strip():
            raise ResultError("results labelled 'cleared' need a responsible person")
        if self.content_time is not None and self.content_time.tzinfo is None:
            raise ResultError("content_time has no time zone; pass an aware datetime")

    def at(
        self,
        content_time: datetime,
        *,
        predecessor: tuple[Predecessor, ...] = (),
        revision: int | None = None,
        identity: tuple[tuple[str, str], ...] = (),
    ) -> ResultContext:
        """The same context for one job."""
        return replace(
            self,
            content_time=content_time,
            predecessor=predecessor,
            revision=revision,
            identity=identity,
        )

    @property
    def moment(self) -> datetime:
        """The content time; ResultError when the caller set none."""
        if self.content_time is None:
            raise ResultError("the result context has no content time; use context.at(...)")
        return self.content_time

    @property
    def instance_number(self) -> int:
        """Of the new report: one more than the newest report it replaces."""
        if self.revision is not None:
            return self.revision
        return 1 + max((item.instance_number for item in self.predecessor), default=0)

    @property
    def is_research(self) -> bool:
        """True unless the site declared the results cleared."""
        return self.label == "research"
