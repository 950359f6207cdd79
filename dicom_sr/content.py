"""Content items of a structured report, read leniently: texts, codes, references (PS3.3 C.17.3).

Whoever wrote the document: a value that is not there, or is not what it claims to be, is absent.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset

from node.domain.finding import CodedConcept


def text_of(item: Dataset, keyword: str) -> str:
    """The value as text without padding; "" where there is none."""
    return str(item.get(keyword, "") or "").strip("\0 ")


def code_of(item: Dataset, keyword: str) -> CodedConcept | None:
    """The first code of a sequence (PS3.3 8.1), in whichever attribute its value is."""
    for entry in item.get(keyword) or ():
        value = next(
            (
                found
                for which in ("CodeValue", "LongCodeValue", "URNCodeValue")
                if (found := text_of(entry, which))
            ),
            "",
        )
        if value:
            scheme, meaning = (
                text_of(entry, "CodingSchemeDesignator"),
                text_of(entry, "CodeMeaning"),
            )
            return CodedConcept(value, scheme, meaning or value)
    return None


def concept_name(item: Dataset) -> CodedConcept | None:
    """What the item is about."""
    return code_of(item, "ConceptNameCodeSequence")


def children(item: Dataset) -> list[Dataset]:
    """The items straight below."""
    return list(item.get("ContentSequence") or ())


def listed_instances(data_set: Dataset, keyword: str) -> Iterator[Dataset]:
    """Each entry of a hierarchical reference: study, series, instance (PS3.3 C.17.2.1)."""
    for study in data_set.get(keyword) or ():
        for series in study.get("ReferencedSeriesSequence") or ():
            yield from series.get("ReferencedSOPSequence") or ()
