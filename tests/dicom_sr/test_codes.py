"""Every coded concept of ours is a concept of the standard."""

from __future__ import annotations

import pytest
from pydicom.sr._concepts_dict import concepts

from dicom_sr.codes import TABLE, Entry

#: Looked up by hand, each with where it stands.
REVIEWED = {
    ("UMLS", "C0034375"): "TID 1500 row 12; pydicom's dictionaries hold no UMLS code of a template",
    ("SCT", "260753009"): "TID 1601; pydicom has it as 'Source (attribute)', highdicom as 'Source'",
}


def _meanings(scheme: str, value: str) -> set[str]:
    known = concepts.get(scheme, {})
    return {str(codes[value][0]) for codes in known.values() if value in codes}


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.concept.meaning)
def test_concept_is_in_the_dictionaries_or_was_reviewed(entry: Entry) -> None:
    concept = entry.concept
    if (concept.scheme, concept.value) in REVIEWED:
        assert concept.meaning not in _meanings(concept.scheme, concept.value)
    else:
        assert concept.meaning in _meanings(concept.scheme, concept.value)


def test_no_concept_stands_twice_in_the_table() -> None:
    pairs = [(entry.concept.scheme, entry.concept.value) for entry in TABLE]
    assert len(set(pairs)) == len(pairs)


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.concept.meaning)
def test_concept_names_where_it_is_taken_from_and_fits_its_lengths(entry: Entry) -> None:
    assert entry.origin.startswith(("CID ", "TID "))
    assert len(entry.concept.value) <= 16
    assert len(entry.concept.meaning) <= 64
