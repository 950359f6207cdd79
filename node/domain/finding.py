"""What a model found, measured and did not look at: input of the result objects."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from node.domain.label_map import LabelMask
from node.domain.study import Plane

#: Name space of every UUIDv5 that becomes a UID of ours (a random UUID, fixed for ever).
VIGIE_NAMESPACE = uuid.UUID("8f2d5a54-7a3e-5c1b-9f64-0d1c53f0a8e1")


def derived_uid(*parts: str) -> str:
    """Deterministic UID below 2.25 (PS3.5 B.2) from the parts, in order."""
    return f"2.25.{uuid.uuid5(VIGIE_NAMESPACE, chr(31).join(parts)).int}"


@dataclass(frozen=True, slots=True)
class CodedConcept:
    """Code value, coding scheme designator, code meaning (PS3.3 8.1-8.3)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A number with its unit.

    Attributes:
        name: concept of TID 1419 / TID 300, e.g. (42798000, SCT, Area).
        unit: UCUM code, e.g. (cm2, UCUM, "cm2"), ([hnsf'U], UCUM, "Hounsfield unit").
        derivation: e.g. (373098007, SCT, Mean), or None.
        label: how a person reads it on the capture page ("Skeletal muscle area").
        topography: part of the finding's site that it was taken at, e.g. (255549009, SCT,
            Anterior) of a vertebra (TID 1419, topographical modifier), or None.
        is_change: a difference from before, which people read with its sign.
    """

    name: CodedConcept
    value: float
    unit: CodedConcept
    label: str
    derivation: CodedConcept | None = None
    decimals: int = 1
    topography: CodedConcept | None = None
    is_change: bool = False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A question answered with a code or with text (TID 1500 row 12, TID 1501 row 11).

    Attributes:
        is_short_form: of another answer beside it; a page of words leaves it out, a table uses it.
    """

    name: CodedConcept
    value: CodedConcept | str
    is_short_form: bool = False


@dataclass(frozen=True, slots=True)
class Contour:
    """A closed polygon, or a single point, on one source image.

    Attributes:
        plane: the source image it lies on.
        points: (n, 2) float32, (column, row) in SCOORD coordinates: 0.0 is the outer edge of
            the first pixel, 0.5 its centre (PS3.3 C.18.6.1.1). First point is not repeated.
            One row is a point.
    """

    plane: Plane
    points: NDArray[np.float32]

    @property
    def is_point(self) -> bool:
        """A single point, not a region."""
        return len(self.points) == 1


#: Category of lesions (PS3.16 CID 7150).
MORPHOLOGICALLY_ABNORMAL = ("49755003", "SCT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One tracked thing with its place and measurements (TID 1410 and its TID 1411 twin).

    Attributes:
        tracking_identifier: for people ("L3 skeletal muscle").
        tracking_uid: the same for the same lesion in every corrected report.
        finding: what it is. category: PS3.16 CID 6.. category, e.g. (85756007, SCT, Tissue).
        site: anatomical location. topography: (106233006, SCT, Topographical modifier) of it,
            e.g. the lobe of a vessel or the anterior edge of a vertebra.
        contours: on source images; at least one, or viewers show a black report.
        measurements: what matters most first: a viewer may print the first five only.
        segment_number: of `Findings.segments` that shows it, or None.
        is_named_by_place: its identifier says which part of the body it is ("Vertebra L1"); a
            correction keeps the UID of what lay there before, never its name.
    """

    tracking_identifier: str
    tracking_uid: str
    finding: CodedConcept
    category: CodedConcept
    site: CodedConcept
    contours: tuple[Contour, ...]
    measurements: tuple[Measurement, ...]
    evaluations: tuple[Evaluation, ...] = ()
    laterality: CodedConcept | None = None
    segment_number: int | None = None
    topography: CodedConcept | None = None
    is_named_by_place: bool = False

    def __post_init__(self) -> None:
        if not self.contours:
            raise ValueError("a Finding has at least one contour on a source image")

    @property
    def is_abnormal(self) -> bool:
        """Is it a lesion, not a part of the body that was measured?"""
        return (self.category.value, self.category.scheme) == MORPHOLOGICALLY_ABNORMAL

    @property
    def site_words(self) -> str:
        """ "right upper lobe": side, then place, then what it is narrowed to."""
        site = self.site.meaning
        side = self.laterality.meaning if self.laterality is not None else ""
        # "Middle lobe of right lung" names its side itself.
        said = site if not side or side.lower() in site.lower() else f"{side} {site}"
        narrower = f", {self.topography.meaning}" if self.topography is not None else ""
        # In small letters, but for names with a number ("L1").
        return " ".join(
            word if any(c.isdigit() for c in word) else word.lower()
            for word in f"{said}{narrower}".split(" ")
        )

    @property
    def where(self) -> str:
        """Its place for a person: its own name where that is one ("Vertebra L1"), else its site."""
        return self.tracking_identifier if self.is_named_by_place else self.site_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """Where a finding of a result lies, so that the next result knows it again.

    Attributes:
        finding: "value scheme" of what it is. laterality: the same, "" for none.
        centre_mm: (3,) x, y, z, LPS mm of the frame of reference.
        radius_mm: farthest distance of its contours from the centre.
    """

    tracking_uid: str
    identifier: str
    finding: str
    laterality: str
    frame_of_reference_uid: str
    centre_mm: tuple[float, float, float]
    radius_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One binary segment on the source grid.

    Attributes:
        mask: (plane, row, column) bool on the source series' own grid; its first axis runs
            over `Findings.segmented_planes`. A `LabelMask` where many segments share an array.
        colour: sRGB 0-255, also used on the capture pages.
    """

    number: int
    label: str
    category: CodedConcept
    property_type: CodedConcept
    mask: NDArray[np.bool_] | LabelMask
    colour: tuple[int, int, int]
    tracking_identifier: str = ""
    tracking_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """A coloured mask (row, column) bool on a key image; drawn filled, as outline, or both."""

    mask: NDArray[np.bool_]
    colour: tuple[int, int, int]
    label: str
    filled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyImage:
    """One picture for a capture page.

    Attributes:
        pixels: (row, column) float32 in HU (or other unit), as the patient is displayed:
            row 0 at the top of the page.
        window: (centre, width) in the unit of `pixels`.
        pixel_mm: (between rows, between columns), for the true aspect.
        plane: the source image shown, or None for a reformat.
        caption: one line under the picture. edges: (left, right, top, bottom) letters as the
            viewer shows them, e.g. ("R", "L", "A", "P").
        tracking_uid: of the finding that it shows: the pictures of one finding stand on one
            page, the first of them large. "": it has a page of its own.
        marks: (column, row, words) in pixels of it, each with a cross. notes: the same without.
    """

    pixels: NDArray[np.float32]
    window: tuple[float, float]
    pixel_mm: tuple[float, float]
    caption: str
    plane: Plane | None = None
    overlays: tuple[Overlay, ...] = ()
    edges: tuple[str, str, str, str] = ("", "", "", "")
    marks: tuple[tuple[float, float, str], ...] = ()
    notes: tuple[tuple[float, float, str], ...] = ()
    tracking_uid: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table of findings on the summary page.

    Attributes:
        heading: one or two words ("Size").
        concepts: names of measurements and evaluations; what a finding has of them stands in its
            cell, in this order. `FINDING_SITE` stands for its place with the side.
    """

    heading: str
    concepts: tuple[CodedConcept, ...]


#: What a `Column` asks for to show where a finding lies (PS3.16 TID 1410 row 4).
FINDING_SITE = CodedConcept("363698007", "SCT", "Finding Site")


class Status(StrEnum):
    """How the run of one task on one study ended; each is shown in words (results.md 3)."""

    FINDINGS = "done, with findings"
    NO_FINDINGS = "done, nothing found"
    PARTIAL = "done in part"
    FAILED = "failed"
    NOT_ELIGIBLE = "not eligible"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Which model, in which version, from which bytes; goes into every object.

    Attributes:
        digest: SHA-256, hex, over the package's manifest and weights.
        task_number: 1-8 of the clinical tasks; sets the series number block.
        device_uid: changes whenever the model changes (IHE AIR), derived from the digest.
    """

    name: str
    title: str
    version: str
    digest: str
    manufacturer: str
    task_number: int
    ebai_class: str = "A"

    @property
    def device_uid(self) -> str:
        """DeviceUID (0018,1002) of this very version of the model."""
        return derived_uid("device", self.name, self.version, self.digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything one task has to say about one series; never an array, never a dict.

    Attributes:
        status: FINDINGS, NO_FINDINGS or PARTIAL here; `FAILED` and `NOT_ELIGIBLE` carry
            `reason` and no findings.
        reason: why it is partial, failed or not eligible, in a radiologist's words.
        segmented_planes: the planes that the first axis of every segment mask runs over.
        exam_evaluations / exam_measurements: about the whole exam, TID 1500 row 12 / row 10.
        columns: of the table of findings; () for a list of their measurements.
        limits: sentences saying what was not looked at and what the numbers are not.
        parameters: algorithm parameters as text pairs (TID 4019, 111002).
        seconds: duration of each stage, by name.
    """

    model: ModelIdentity
    status: Status
    findings: tuple[Finding, ...] = ()
    segments: tuple[Segment, ...] = ()
    segmented_planes: tuple[Plane, ...] = ()
    exam_evaluations: tuple[Evaluation, ...] = ()
    exam_measurements: tuple[Measurement, ...] = ()
    key_images: tuple[KeyImage, ...] = ()
    columns: tuple[Column, ...] = ()
    limits: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    reason: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        needs_reason = self.status in (Status.PARTIAL, Status.FAILED, Status.NOT_ELIGIBLE)
        if needs_reason and not self.reason:
            raise ValueError(f"status {self.status.value!r} needs a reason")
