"""Instances, series and completed studies, as the rest of the node sees them.

A `Series` is built from data sets in exactly one place (`inference/series.py`); behind it
nobody reads a DICOM attribute again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NewType

from node.domain.extent import Extent

StudyUID = NewType("StudyUID", str)
SeriesUID = NewType("SeriesUID", str)
#: The Series Instance UID, with "#2" behind it for the second stack of a mixed series.
StackID = NewType("StackID", str)
InstanceUID = NewType("InstanceUID", str)
ClassUID = NewType("ClassUID", str)
TransferSyntaxUID = NewType("TransferSyntaxUID", str)


class Filing(Enum):
    """What filing an instance changed."""

    NEW = "new"
    #: Same UID, same bytes: nothing changed.
    DUPLICATE = "duplicate"
    #: Same UID, other bytes: kept apart, the first stays current.
    CONFLICT = "conflict"


class Certainty(Enum):
    """How sure it is that nothing more of a study will come."""

    #: What was announced, or what the PACS counts, has come.
    CERTAIN = "certain"
    #: Its sender usually sends nothing after such a pause, or each received series is whole.
    LIKELY = "likely"
    #: Nothing came for a while, and nobody told.
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One stored SOP instance, on disk and indexed.

    Attributes:
        extent: DICOM Part 10 stream holding the data set exactly as it was sent.
        transfer_syntax_uid: the transfer syntax it was sent in and is stored in.
        digest: XXH3 of 128 bits, hex, over the data set's bytes as sent (without the file meta
            information) followed by the transfer syntax UID in ASCII.
        size_bytes: length of the data set as sent.
        calling_ae_title: who sent it.
        received_at: time of the acknowledgement, UTC.
    """

    sop_instance_uid: InstanceUID
    sop_class_uid: ClassUID
    study_uid: StudyUID
    series_uid: SeriesUID
    transfer_syntax_uid: TransferSyntaxUID
    extent: Extent
    digest: str
    size_bytes: int
    calling_ae_title: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What result objects repeat of the patient and study, verbatim as received.

    Dates and times stay DICOM strings (DA, TM) so that a copy is exact. Never logged.
    """

    patient_name: str = ""
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    birth_date: str = ""
    sex: str = ""
    age_years: float | None = None
    size_m: float | None = None
    weight_kg: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One image plane: an instance, or one frame of a multi-frame instance.

    Attributes:
        frame_number: 1-based frame, or None for a single-frame instance.
        position_mm: (3,) x, y, z of the centre of the first pixel, LPS, PS3.3 C.7.6.2.1.1.
    """

    sop_instance_uid: InstanceUID
    frame_number: int | None
    position_mm: tuple[float, float, float]
    extent: Extent
    instance_number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesGeometry:
    """Facts of the whole stack of planes, never of its first file.

    Attributes:
        row_cosines, column_cosines: ImageOrientationPatient, (x, y, z) each, LPS. The row
            cosines point along increasing column index, PS3.3 C.7.6.2.1.1.
        normal: direction in which the planes are sorted: the cross product of the two, turned
            round where an axial stack would otherwise run from head to feet.
        orientation: "axial", "coronal", "sagittal" or "oblique" (nearest axis within 20 degrees).
        pixel_spacing_mm: (between rows, between columns), PS3.3 10.7.1.3.
        spacing_mm: median distance of neighbouring planes along the normal; None for one plane.
        largest_gap_mm / largest_gap_after: widest distance and the index of the plane before it.
        duplicates: number of planes that share a position with another plane.
        tilt_degrees: angle between the normal and the line through the plane positions.
        rows, columns: of every plane, or None when planes differ.
    """

    row_cosines: tuple[float, float, float]
    column_cosines: tuple[float, float, float]
    normal: tuple[float, float, float]
    orientation: str
    rows: int | None
    columns: int | None
    pixel_spacing_mm: tuple[float, float] | None
    spacing_mm: float | None
    largest_gap_mm: float | None
    largest_gap_after: int | None
    duplicates: int
    tilt_degrees: float
    extent_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One homogeneous stack of images; nearly always a whole series of a study.

    A series that mixes orientations, thicknesses, kernels, matrices or phases is several of
    these with one `series_uid`.

    Attributes:
        stack, stacks: this is stack so-and-so, from 1, of so many in the series.
        sop_class_uid: of its instances; "" when the images do not say (then
            `class_is_inferred` is True and `class_inference` says why CT was assumed).
        image_type: values of ImageType common to all instances, upper case.
        planes: sorted along the normal of the stack (for an axial series: from feet to
            head); unsorted acquisition order where geometry is None.
        geometry: None where the series is not a stack of planes with positions.
        geometry_fault: why geometry is None or must not be trusted, in words; "" if sound.
        unreadable: number of instances whose header could not be read.
    """

    study_uid: StudyUID
    series_uid: SeriesUID
    modality: str
    sop_class_uid: ClassUID
    instances: tuple[Instance, ...]
    planes: tuple[Plane, ...] = ()
    geometry: SeriesGeometry | None = None
    geometry_fault: str = ""
    class_inference: str = ""
    frame_of_reference_uid: str = ""
    transfer_syntaxes: tuple[str, ...] = ()
    image_type: tuple[str, ...] = ()
    body_part: str = ""
    description: str = ""
    protocol: str = ""
    kernel: str = ""
    contrast_agent: str = ""
    manufacturer: str = ""
    model_name: str = ""
    slice_thickness_mm: float | None = None
    bits_allocated: int | None = None
    samples_per_pixel: int | None = None
    photometric_interpretation: str = ""
    has_pixels: bool = True
    burned_in_annotation: str = ""
    series_number: int | None = None
    unreadable: int = 0
    stack: int = 1
    stacks: int = 1

    def __post_init__(self) -> None:
        if not self.instances:
            raise ValueError("a Series has at least one instance")

    @property
    def stack_id(self) -> StackID:
        """What verdicts and jobs name it by."""
        return StackID(self.series_uid if self.stacks == 1 else f"{self.series_uid}#{self.stack}")

    @property
    def class_is_inferred(self) -> bool:
        """True when the instances carry no SOP class and it was inferred."""
        return bool(self.class_inference)

    @property
    def digest(self) -> str:
        """SHA-256 over the sorted digests of its instances: changes iff the input changes."""
        return digest_of(self.instances)


def series_of(stack_id: StackID) -> SeriesUID:
    """The Series Instance UID in the name of a stack."""
    return SeriesUID(stack_id.partition("#")[0])


def digest_of(instances: Iterable[Instance]) -> str:
    """SHA-256, hex, over the sorted digests of instances: changes iff their bytes change."""
    joined = "\n".join(sorted(item.digest for item in instances))
    return hashlib.sha256(joined.encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedStudy:
    """A study of which nothing more is expected.

    Attributes:
        generation: 1 for the first completion, one more each time late images reopen it.
        confidence: why it is believed complete, in words ("all associations ended, quiet 20 s").
    """

    study_uid: StudyUID
    series: tuple[Series, ...]
    patient: Patient
    completed_at: datetime
    generation: int
    confidence: str
    study_id: str = ""
    study_date: str = ""
    study_time: str = ""
    accession_number: str = ""
    referring_physician: str = ""
    study_description: str = ""
    specific_faults: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.series:
            raise ValueError("a CompletedStudy has at least one series")
