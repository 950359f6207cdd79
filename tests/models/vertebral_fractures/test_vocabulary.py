"""Standard codes mean what they say; everything else is coded in our own scheme."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydicom.sr._concepts_dict import concepts as CONCEPTS

from models.registry import load_manifest
from models.vertebral_fractures import vocabulary as say
from node.domain.finding import CodedConcept

PACKAGE = Path(__file__).resolve().parents[3] / "models" / "vertebral_fractures"
#: Not in PS3.16; read in SNOMED CT as published code lists print it.
REVIEWED = {("42942008", "SCT", "Compression fracture of vertebral column")}
ALL = sorted(
    {one for one in vars(say).values() if isinstance(one, CodedConcept)},
    key=lambda one: (one.scheme, one.value),
)


@pytest.mark.parametrize("concept", ALL, ids=lambda one: one.value)
def test_a_code_is_a_standard_one_with_its_own_meaning_or_ours(concept: CodedConcept) -> None:
    if concept.scheme in ("99VIGIE", "UCUM"):
        return
    if (concept.value, concept.scheme, concept.meaning) in REVIEWED:
        return
    meanings = {
        meaning
        for entries in CONCEPTS[concept.scheme].values()
        for value, (meaning, _) in entries.items()
        if value == concept.value
    }
    assert concept.meaning in meanings


def test_what_calls_is_decided_by_a_score_of_our_own() -> None:
    (acute,) = load_manifest(PACKAGE).acute
    assert acute.code == (say.FRACTURE.value, say.FRACTURE.scheme)
    assert acute.score == ("CERTAINTY-GRADE2", "99VIGIE") == (
        say.CERTAINTY.value, say.CERTAINTY.scheme,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "told"), [("up to 3 mm", say.CALLED_THIN), ("5 mm", say.CALLED_THICK)]
)
def test_the_loss_on_thick_slices_that_the_page_tells_is_that_of_the_card(
    kind: str, told: int
) -> None:
    card = (Path(say.__file__).parent / "CARD.md").read_text()
    (row,) = re.findall(
        rf"fractures of grade 2 or more that call, slices {kind} \| ([0-9.]+)", card
    )
    assert int(100 * float(row)) == told
