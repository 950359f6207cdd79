"""TotalSegmentator's structures stand where its label images have them."""

from __future__ import annotations

import pytest

from models.importers.structures import structure_of
from models.importers.totalsegmentator import MODELS, STRUCTURES, TOTAL, dataset_number


def test_117_structures_each_once() -> None:
    assert len(STRUCTURES) == len(set(STRUCTURES)) == 117


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (1, "spleen"),
        (2, "kidney_right"),
        (5, "liver"),
        (8, "adrenal_gland_right"),
        (13, "lung_middle_lobe_right"),
        (23, "kidney_cyst_left"),
        (26, "vertebrae_S1"),
        (29, "vertebrae_L3"),
        (50, "vertebrae_C1"),
        (51, "heart"),
        (52, "aorta"),
        (55, "subclavian_artery_right"),
        (61, "atrial_appendage_left"),
        (69, "humerus_left"),
        (79, "spinal_cord"),
        (91, "skull"),
        (92, "rib_left_1"),
        (104, "rib_right_1"),
        (117, "costal_cartilages"),
    ],
)
def test_value_of_the_published_label_image(value: int, name: str) -> None:
    assert STRUCTURES[value - 1] == name


def test_five_models_of_1_5_mm_are_the_whole_task_in_order() -> None:
    parts = [name for number in TOTAL for name in MODELS[number].structures]
    assert parts == list(STRUCTURES)
    assert [len(MODELS[number].structures) for number in TOTAL] == [24, 26, 18, 23, 26]


def test_fast_models_know_every_structure() -> None:
    for number, size in ((297, 3.0), (298, 6.0)):
        assert MODELS[number].structures == STRUCTURES
        assert MODELS[number].spacing_mm == size


def test_all_but_two_structures_have_a_standard_code() -> None:
    private = [name for name in STRUCTURES if structure_of(name).private]
    assert private == ["vertebrae_S1", "portal_vein_and_splenic_vein"]


def test_number_of_a_data_set_is_read_from_its_name() -> None:
    assert dataset_number("Dataset297_TotalSegmentator_total_3mm_1559subj") == 297
    assert dataset_number("abdomen") is None
