"""Two data sets under one SOP Instance UID: what differs between them?

Compared element by element as they are encoded, pixels included. Attributes of the patient,
of the visit, the request and the study (PS3.3 C.7.1, C.7.2, C.3) say whose images they are; a
PACS corrects them. What is left decides what a model sees.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import pydicom
from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.tag import BaseTag, Tag

from inference.attributes import UNREADABLE, Attributes, quiet_pydicom
from node.domain.discrepancy import Difference, Kind
from node.domain.study import Instance

#: By these a patient or an order is known; a difference in one is a correction.
IDENTITY: Final = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyInstanceUID",
)
#: Groups about the patient, the request and the visit.
_ADMINISTRATIVE_GROUPS: Final = (0x0010, 0x0032, 0x0038)
#: Elsewhere: about the study and its order, or added by whoever corrected it.
_ADMINISTRATIVE: Final = frozenset(
    {
        "SpecificCharacterSet",
        "AccessionNumber",
        "IssuerOfAccessionNumberSequence",
        "InstitutionName",
        "InstitutionAddress",
        "InstitutionalDepartmentName",
        "ReferringPhysicianName",
        "StudyInstanceUID",
        "StudyID",
        "StudyDate",
        "StudyTime",
        "StudyDescription",
        "ProcedureCodeSequence",
        "ReferencedStudySequence",
        "ReferencedPatientSequence",
        "ReferencedPerformedProcedureStepSequence",
        "RequestAttributesSequence",
        "PerformedProcedureStepID",
        "PerformedProcedureStepDescription",
        "OperatorsName",
        "PerformingPhysicianName",
        "NameOfPhysiciansReadingStudy",
        "OriginalAttributesSequence",
        "ContributingEquipmentSequence",
        "InstanceCoercionDateTime",
        "TimezoneOffsetFromUTC",
        "RetrieveAETitle",
        "InstanceAvailability",
    }
)
#: Larger objects are not read whole to be compared.
MAX_COMPARED_BYTES: Final = 512 * 1024 * 1024
_PRIVATE: Final = "private elements"


def compare_series(pairs: Sequence[tuple[Instance, Instance]]) -> tuple[Difference, ...]:
    """What differs, series by series.

    Args:
        pairs: (newer, earlier) instances with the same SOP Instance UID.

    Returns:
        One difference for each series of the newer instances.
    """
    groups: dict[str, list[tuple[Instance, Instance]]] = defaultdict(list)
    for newer, earlier in pairs:
        groups[newer.series_uid].append((newer, earlier))
    with quiet_pydicom():
        return tuple(_compare(group) for _, group in sorted(groups.items()))


def _compare(pairs: Sequence[tuple[Instance, Instance]]) -> Difference:
    keywords: set[str] = set()
    content = False
    identities: tuple[list[dict[str, str]], list[dict[str, str]]] = ([], [])
    for newer, earlier in pairs:
        try:
            sets = _read(newer), _read(earlier)
        except UNREADABLE:
            keywords.add("data set that cannot be read")
            content = True
            continue
        found, matters = _differing(*sets)
        keywords |= found
        content |= matters
        for values, data_set in zip(identities, sets, strict=True):
            values.append(identity_of(Attributes(data_set)))
    return Difference(
        kind=_kind(keywords, content=content),
        newer=tuple(newer for newer, _ in pairs),
        earlier=tuple(earlier for _, earlier in pairs),
        keywords=tuple(sorted(keywords)),
        newer_identity=_agreed(identities[0]),
        earlier_identity=_agreed(identities[1]),
    )


def _kind(keywords: set[str], *, content: bool) -> Kind:
    if content:
        return Kind.CONTENT
    return Kind.IDENTITY if keywords & set(IDENTITY) else Kind.FORM


def identity_of(values: Attributes) -> dict[str, str]:
    """The values of `IDENTITY` that a data set has."""
    return {keyword: values.text(keyword) for keyword in IDENTITY if keyword in values}


def _read(instance: Instance) -> Dataset:
    if instance.size_bytes > MAX_COMPARED_BYTES:
        raise ValueError("too large to compare")
    with instance.extent.open() as stream:
        return pydicom.dcmread(stream, force=True)


def _differing(newer: Dataset, earlier: Dataset) -> tuple[set[str], bool]:
    """Keywords that differ, and whether one of them decides what a model sees."""
    found: set[str] = set()
    matters = False
    for tag in sorted(set(newer.keys()) | set(earlier.keys())):
        if _same(newer, earlier, tag):
            continue
        base = Tag(tag)
        if base.is_private:
            found.add(_PRIVATE)
            continue
        keyword = keyword_for_tag(base) or str(base)
        if base.element == 0x0000 or keyword == "DataSetTrailingPadding":
            continue
        found.add(keyword)
        matters |= base.group not in _ADMINISTRATIVE_GROUPS and keyword not in _ADMINISTRATIVE
    return found, matters


def _same(newer: Dataset, earlier: Dataset, tag: BaseTag) -> bool:
    if tag not in newer or tag not in earlier:
        return False
    first, second = newer.get_item(tag), earlier.get_item(tag)
    raw = getattr(first, "value", None), getattr(second, "value", None)
    if isinstance(raw[0], bytes) and isinstance(raw[1], bytes):
        return raw[0].rstrip(b" \0") == raw[1].rstrip(b" \0")
    try:
        return bool(newer[tag].value == earlier[tag].value)
    except UNREADABLE:
        return False


def _agreed(identities: Iterable[dict[str, str]]) -> dict[str, str]:
    """The values on which all instances agree."""
    stated: dict[str, set[str]] = defaultdict(set)
    number = 0
    for values in identities:
        number += 1
        for keyword in IDENTITY:
            stated[keyword].add(values.get(keyword, ""))
    return {
        keyword: values.copy().pop()
        for keyword, values in stated.items()
        if len(values) == 1 and number
    }
