"""Private codes fit into Code Value (0008,0100), which every archive and viewer reads.

A longer one goes into Long Code Value (PS3.3 8.8), which validators of older editions miss.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from node.domain.finding import CodedConcept

#: SH, PS3.5 6.2.
LONGEST = 16
PRIVATE = "99VIGIE"


def test_no_private_code_of_a_shipped_package_is_longer_than_a_code_value() -> None:
    rooms = Path(__file__).resolve().parents[2].glob("models/*/vocabulary.py")
    names = [f"models.{path.parent.name}.vocabulary" for path in rooms]
    names += ["inference.builtin.words", "dicom_sr.assessment"]
    codes = [
        value
        for name in names
        for value in vars(importlib.import_module(name)).values()
        if isinstance(value, CodedConcept) and value.scheme == PRIVATE
    ]
    assert len(codes) > 30
    assert {one.value for one in codes if len(one.value) > LONGEST} == set()
    meanings: dict[str, set[str]] = {}
    for one in codes:
        meanings.setdefault(one.value, set()).add(one.meaning)
    assert all(len(found) == 1 for found in meanings.values()), meanings
