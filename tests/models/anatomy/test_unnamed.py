"""Without an anchor nobody is named: no level, no likely level, no number of a rib."""

from __future__ import annotations

import re
from dataclasses import fields

import numpy as np
import pytest

from models.anatomy.atlas import merge_ribs
from models.anatomy.names import PAIRED
from models.anatomy.structures import Structure as S
from node.domain.anatomy import LEVELS, Anatomy, Vertebra
from node.domain.finding import Findings
from tests.models.anatomy.looks import Trunk, block, spine

LUMBAR = [S.L5, S.L4, S.L3, S.L2, S.L1]
RIBS = [
    (S.RIB_12, block((60, 64), (72, 80), (20, 40))),
    (S.RIB_12, block((60, 64), (72, 80), (90, 110))),
    (S.RIB_11, block((80, 84), (72, 80), (20, 40))),
]
LEVEL = re.compile(r"\b[TL]\d{1,2}\b")


def words_of(anatomy: Anatomy, findings: Findings) -> list[str]:
    """Every word that says which structure something is."""
    said = [*anatomy.names.values(), *(one.tracking_identifier for one in findings.findings)]
    said += [segment.label for segment in findings.segments]
    said += [overlay.label for key in findings.key_images for overlay in key.overlays]
    said += [text for key in findings.key_images for _, _, text in key.marks]
    return said


def test_levels_are_counted_from_a_sacrum(monkeypatch: pytest.MonkeyPatch) -> None:
    anatomy = Trunk(spine(LUMBAR, sacrum=True)).anatomy(monkeypatch)
    assert [one.level for one in anatomy.vertebrae] == ["L5", "L4", "L3", "L2", "L1"]


def test_without_an_anchor_no_word_of_the_result_is_a_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trunk = Trunk([*spine(LUMBAR[1:], sacrum=False), *RIBS])
    anatomy, findings = trunk.anatomy(monkeypatch), trunk.findings(monkeypatch)
    assert len(anatomy.vertebrae) == 4
    assert {one.level for one in anatomy.vertebrae} == {""}
    assert not [said for said in words_of(anatomy, findings) if LEVEL.search(said)]
    marks = [text for key in findings.key_images for _, _, text in key.marks]
    assert marks == ["1", "2", "3", "4"]


def test_there_is_no_place_for_a_guessed_level() -> None:
    assert {field.name for field in fields(Vertebra)} == {"level", "value", "centre_mm"}


def test_ribs_are_not_told_apart_without_an_anchor(monkeypatch: pytest.MonkeyPatch) -> None:
    anatomy = Trunk([*spine(LUMBAR[1:], sacrum=False), *RIBS]).anatomy(monkeypatch)
    ribs = {name for name in anatomy.names.values() if "rib" in name}
    assert ribs == {"ribs_right", "ribs_left"}
    _, labels = Trunk(RIBS).arrays()
    drawn = int(np.isin(labels, [S.RIB_11, S.RIB_12]).sum())
    assert anatomy.mask("ribs_right", "ribs_left").sum() == drawn


@pytest.mark.parametrize(
    ("certain", "left"),
    [(set(), {28}), ({"L1", "T12"}, {28, 32}), (set(LEVELS), {30, 32})],
)
def test_a_rib_is_named_where_its_vertebra_is(certain: set[str], left: set[int]) -> None:
    eleventh, twelfth = PAIRED[S.RIB_11][0][0], PAIRED[S.RIB_12][0][0]
    labels = np.array([[[0, eleventh, twelfth]]], np.uint8)
    names = {eleventh: "rib_right_11", twelfth: "rib_right_12"}
    merge_ribs(labels, names, certain)
    assert set(names) == left
    assert set(np.unique(labels)) == left | {0}


def test_why_no_level_is_stated_names_no_level_that_was_guessed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On the sacrum lies what the network calls L4.
    anatomy = Trunk(spine([S.L4, S.L3, S.L2, S.L1, S.T12], sacrum=True)).anatomy(monkeypatch)
    assert anatomy.doubts
    assert not anatomy.anchors
    assert {one.level for one in anatomy.vertebrae} == {""}
    for doubt in anatomy.doubts:
        assert set(LEVEL.findall(doubt)) <= {"L5", "T12"}
