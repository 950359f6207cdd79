"""A structure carries the code that other systems know, or says that it has none."""

from __future__ import annotations

import itertools

import pytest
from pydicom.sr._concepts_dict import concepts

from models.importers.structures import (
    LEFT,
    PRIVATE,
    REVIEWED,
    colour_of,
    private_code,
    structure_of,
    table,
)

KNOWN = {value for meanings in concepts["SCT"].values() for value in meanings}


def test_every_code_of_the_table_is_snomed_ct_in_pydicom_or_was_reviewed() -> None:
    assert {value for value, _, _ in table()} - KNOWN - REVIEWED == set()
    assert not REVIEWED & KNOWN, "these need no review any more"


@pytest.mark.parametrize(
    ("name", "value", "laterality"),
    [
        ("spleen", "78961009", None),
        ("kidney_left", "64033007", LEFT),
        ("left kidney", "64033007", LEFT),
        ("lung_upper_lobe_left", "45653009", LEFT),
        ("heart_atrium_left", "82471001", None),
        ("vertebrae_L5", "49668003", None),
        ("vertebrae_T12", "23215003", None),
        ("rib_left_1", "48535007", LEFT),
        ("iliac_vena_left", "46027005", LEFT),
        ("gluteus_maximus_left", "181674001", LEFT),
    ],
)
def test_names_of_public_models_get_their_code_and_side(
    name: str, value: str, laterality: object
) -> None:
    found = structure_of(name)
    assert (found.code[0], found.laterality, found.lesion) == (value, laterality, False)


def test_a_lesion_is_named_with_the_organ_that_it_sits_in() -> None:
    found = structure_of("Hepatic tumor")
    assert found.lesion
    assert found.code == ("108369006", "SCT", "Neoplasm")
    assert found.site == ("10200004", "SCT", "Liver")
    assert structure_of("lesion").site is None


def test_an_unknown_name_gets_a_private_code_that_is_the_same_everywhere() -> None:
    found = structure_of("portal_vein_and_splenic_vein")
    assert found.private
    assert found.code == private_code("Portal vein and splenic vein")
    assert found.code[1] == PRIVATE
    assert len(found.code[0]) <= 16
    assert structure_of("vertebrae_L9").private
    # Only the left one has a code in the table.
    assert structure_of("atrial_appendage_right").private
    assert structure_of("rib_left_13").private


def test_neighbouring_labels_have_different_colours() -> None:
    colours = [colour_of(number) for number in range(120)]
    assert all(one != other for one, other in itertools.pairwise(colours))
