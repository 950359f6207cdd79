"""A structured report as readers and we write it: who says what about which tracked finding.

Read from the content tree as it is (PS3.3 C.17.3), whoever made it. A measurement group is any
content item that CONTAINS a Tracking Unique Identifier (112040, DCM) (PS3.16 TID 1410, 1411 and
1501 row 1); groups with the same identifier are one finding. Values that cannot be read count as
absent, where they stand alone; a data set that cannot be walked raises.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeVar

from pydicom import Dataset
from pydicom.valuerep import DA, DT, TM

from dicom_sr.content import code_of, concept_name, listed_instances, text_of
from node.domain.errors import DocumentError
from node.domain.feedback import MeasuredValue, ReportedFinding
from node.domain.finding import CodedConcept

#: Content items of one document that are looked at; ours have some hundred.
MAX_ITEMS: Final = 100_000
#: Levels of the content tree; TID 1500 needs seven.
MAX_DEPTH: Final = 64

_T = TypeVar("_T")

_TRACKING_UID: Final = ("112040", "DCM")
_FINDING: Final = (("121071", "DCM"),)
_SITE: Final = (("363698007", "SCT"), ("G-C0E3", "SRT"))
_DERIVATION: Final = ("121401", "DCM")
_PERSON_OBSERVER_NAME: Final = ("121008", "DCM")


@dataclass(frozen=True, slots=True)
class Region:
    """One SCOORD (PS3.3 C.18.6) on one image.

    Attributes:
        frame: number of the frame, from 1; 0 where none is referenced.
        points: (column, row) as in `node.domain.finding.Contour`.
    """

    graphic_type: str
    sop_instance_uid: str
    frame: int
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedGroup:
    """Everything a document says about one tracking identifier.

    Attributes:
        finding: code meaning; finding_code: "value scheme" of it.
    """

    tracking_uid: str
    identifier: str = ""
    finding: str = ""
    finding_code: str = ""
    site: str = ""
    algorithm: str = ""
    algorithm_version: str = ""
    measurements: tuple[MeasuredValue, ...] = ()
    codes: tuple[CodedConcept, ...] = ()
    regions: tuple[Region, ...] = ()
    comments: tuple[str, ...] = ()

    def joined(self, other: TrackedGroup) -> TrackedGroup:
        """One group of both; texts of the first where it has them."""
        return replace(
            self,
            identifier=self.identifier or other.identifier,
            finding=self.finding or other.finding,
            finding_code=self.finding_code or other.finding_code,
            site=self.site or other.site,
            algorithm=self.algorithm or other.algorithm,
            algorithm_version=self.algorithm_version or other.algorithm_version,
            measurements=_distinct(self.measurements, other.measurements),
            codes=_distinct(self.codes, other.codes),
            regions=_distinct(self.regions, other.regions),
            comments=_distinct(self.comments, other.comments),
        )

    def as_finding(self, model: str, version: str) -> ReportedFinding:
        """The finding of ours that this group of our own report states."""
        return ReportedFinding(
            tracking_uid=self.tracking_uid,
            identifier=self.identifier,
            finding=self.finding,
            site=self.site,
            model=self.algorithm or model,
            model_version=self.algorithm_version or version,
            measurements=self.measurements,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContent:
    """One structured report.

    Attributes:
        study_uid: Study Instance UID in the data set.
        verified: Verification Flag is VERIFIED (PS3.3 C.17.2).
        reader: who answers for it: the verifying observer, else the person observer
            (TID 1003), else the author; "" where nobody is named. Opaque, never for logs.
        at: of the verification, else of the content; None where no time is stated.
        references: SOP Instance UIDs of predecessors and of everything referenced as evidence
            or in the tree.
    """

    sop_instance_uid: str
    study_uid: str
    verified: bool
    reader: str
    at: datetime | None
    references: frozenset[str]
    groups: tuple[TrackedGroup, ...] = field(repr=False)


def read_content(data_set: Dataset) -> ReportContent:
    """Read one document.

    Raises:
        DocumentError: it has no content tree, or one that is too large or too deep. What
            pydicom raises over values that are not what they claim to be passes through.
    """
    uid = text_of(data_set, "SOPInstanceUID")
    if "ContentSequence" not in data_set:
        raise DocumentError("it has no content tree (Content Sequence is absent)")
    walk = _Walk()
    walk.visit(data_set, None, 0)
    return ReportContent(
        sop_instance_uid=uid,
        study_uid=text_of(data_set, "StudyInstanceUID"),
        verified=text_of(data_set, "VerificationFlag") == "VERIFIED",
        reader=_reader(data_set, walk.person),
        at=_when(data_set),
        references=frozenset(walk.references | set(_listed(data_set))),
        groups=tuple(walk.groups.values()),
    )


class _Walk:
    """One pass over the content tree."""

    def __init__(self) -> None:
        self.groups: dict[str, TrackedGroup] = {}
        self.references: set[str] = set()
        self.person = ""
        self._items = 0

    def visit(self, item: Dataset, group: str | None, depth: int) -> None:
        """Look at the children of one item; `group`: the tracking UID they belong to."""
        if depth > MAX_DEPTH:
            raise DocumentError(f"its content tree is deeper than {MAX_DEPTH} levels")
        children: Sequence[Dataset] = item.get("ContentSequence") or ()
        self._items += len(children)
        if self._items > MAX_ITEMS:
            raise DocumentError(f"its content tree has more than {MAX_ITEMS} items")
        for child in children:
            if _name(child) == _TRACKING_UID and (uid := text_of(child, "UID")):
                group = uid
                self.groups.setdefault(uid, TrackedGroup(tracking_uid=uid))
        for child in children:
            self._child(child, group, depth)

    def _child(self, child: Dataset, group: str | None, depth: int) -> None:
        kind = text_of(child, "ValueType")
        if kind in ("IMAGE", "COMPOSITE"):
            self.references |= {uid for uid, _ in _referenced(child)}
        if kind == "PNAME" and _name(child) == _PERSON_OBSERVER_NAME and not self.person:
            self.person = text_of(child, "PersonName")
        if group is not None:
            told = _told(child, kind)
            if told is not None:
                self.groups[group] = self.groups[group].joined(replace(told, tracking_uid=group))
        self.visit(child, group, depth + 1)


def _told(item: Dataset, kind: str) -> TrackedGroup | None:
    """What one content item adds to the group that it stands in."""
    blank = TrackedGroup(tracking_uid="")
    if kind == "NUM":
        number = _number(item)
        return replace(blank, measurements=(number,)) if number is not None else None
    if kind == "SCOORD":
        return replace(blank, regions=tuple(_regions(item)))
    if kind == "CODE":
        return _told_by_code(item, blank)
    return _told_by_text(item, blank) if kind == "TEXT" else None


def _told_by_code(item: Dataset, blank: TrackedGroup) -> TrackedGroup | None:
    value = code_of(item, "ConceptCodeSequence")
    if value is None:
        return None
    told = replace(blank, codes=(value,))
    name = _name(item)
    if name in _FINDING:
        code = f"{value.value} {value.scheme}"
        return replace(told, finding=value.meaning, finding_code=code)
    return replace(told, site=value.meaning) if name in _SITE else told


def _told_by_text(item: Dataset, blank: TrackedGroup) -> TrackedGroup | None:
    text, name = text_of(item, "TextValue"), _name(item)
    match name:
        case _ if not text:
            return None
        case ("112039", "DCM"):  # Tracking Identifier
            return replace(blank, identifier=text)
        case ("111001", "DCM"):  # Algorithm Name, TID 4019
            return replace(blank, algorithm=text)
        case ("111003", "DCM"):  # Algorithm Version
            return replace(blank, algorithm_version=text)
        case ("121106", "DCM"):  # Comment
            return replace(blank, comments=(text,))
    return None


def _number(item: Dataset) -> MeasuredValue | None:
    """A NUM with a value (PS3.3 C.18.1); None where it has none, only a qualifier."""
    name = code_of(item, "ConceptNameCodeSequence")
    for measured in item.get("MeasuredValueSequence") or ():
        unit = code_of(measured, "MeasurementUnitsCodeSequence")
        try:
            value = float(measured.get("FloatingPointValue") or measured.NumericValue)
        except (AttributeError, TypeError, ValueError):
            return None
        if name is None or unit is None or not math.isfinite(value):
            return None
        derivation = next(
            (
                code
                for child in item.get("ContentSequence") or ()
                if _name(child) == _DERIVATION
                and (code := code_of(child, "ConceptCodeSequence")) is not None
            ),
            None,
        )
        told = [name] if derivation is None else [name, derivation]
        return MeasuredValue(
            name=", ".join(one.meaning for one in told),
            code=", ".join(f"{one.value} {one.scheme}" for one in told),
            value=value,
            unit=unit.value,
        )
    return None


def _regions(item: Dataset) -> Iterator[Region]:
    """The SCOORD once for each image it is SELECTED FROM."""
    try:
        flat = [float(value) for value in item.get("GraphicData") or ()]
    except (TypeError, ValueError):
        return
    points = tuple(zip(flat[::2], flat[1::2], strict=False))
    if not points or not all(math.isfinite(value) for value in flat):
        return
    for child in item.get("ContentSequence") or ():
        if text_of(child, "ValueType") == "IMAGE":
            for uid, frames in _referenced(child):
                for frame in frames or (0,):
                    yield Region(text_of(item, "GraphicType"), uid, frame, points)


def _referenced(item: Dataset) -> Iterator[tuple[str, tuple[int, ...]]]:
    for reference in item.get("ReferencedSOPSequence") or ():
        uid = text_of(reference, "ReferencedSOPInstanceUID")
        frames = reference.get("ReferencedFrameNumber")
        if not uid:
            continue
        if frames is None:
            yield uid, ()
        elif isinstance(frames, int | str):
            yield uid, (int(frames),)
        else:
            yield uid, tuple(int(frame) for frame in frames)


def _listed(data_set: Dataset) -> Iterator[str]:
    """Predecessors and evidence (PS3.3 C.17.2, hierarchical SOP instance references)."""
    for keyword in (
        "PredecessorDocumentsSequence",
        "CurrentRequestedProcedureEvidenceSequence",
        "PertinentOtherEvidenceSequence",
        "IdenticalDocumentsSequence",
    ):
        for reference in listed_instances(data_set, keyword):
            if uid := text_of(reference, "ReferencedSOPInstanceUID"):
                yield uid


def _reader(data_set: Dataset, person: str) -> str:
    for observer in data_set.get("VerifyingObserverSequence") or ():
        # PS3.3 C.17.2: a code where the site gives its observers one, else the name.
        code = code_of(observer, "VerifyingObserverIdentificationCodeSequence")
        if code is not None:
            return f"{code.value} {code.scheme}"
        name = text_of(observer, "VerifyingObserverName")
        if name:
            return name
    if person:
        return person
    for author in data_set.get("AuthorObserverSequence") or ():
        name = text_of(author, "PersonName")
        if name:
            return name
    return ""


def _when(data_set: Dataset) -> datetime | None:
    """When it was verified, else when its content was made, in the zone it states or of here."""
    stated = [
        text_of(observer, "VerificationDateTime")
        for observer in data_set.get("VerifyingObserverSequence") or ()
    ]
    try:
        for text in filter(None, stated):
            verified = DT(text)
            if verified is not None:
                return _aware(verified, data_set)
        day, hour = DA(text_of(data_set, "ContentDate")), TM(text_of(data_set, "ContentTime"))
        if day is None:
            return None
        return _aware(datetime.combine(day, hour or TM("000000")), data_set)
    except (ValueError, TypeError, OverflowError):
        return None


def _aware(moment: datetime, data_set: Dataset) -> datetime:
    if moment.tzinfo is not None:
        return moment
    offset = text_of(data_set, "TimezoneOffsetFromUTC")
    if offset:
        return datetime.strptime(f"{moment:%Y%m%d%H%M%S}{offset}", "%Y%m%d%H%M%S%z")
    return datetime(
        moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second
    ).astimezone()


def _name(item: Dataset) -> tuple[str, str]:
    found = concept_name(item)
    return (found.value, found.scheme) if found is not None else ("", "")


def _distinct(first: tuple[_T, ...], second: tuple[_T, ...]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys((*first, *second)))
