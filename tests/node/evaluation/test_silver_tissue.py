"""A silver standard is compared whole and within the range, and differences are placed."""

from __future__ import annotations

import numpy as np
import pytest

from models.body_composition.compartments import Compartment
from node.evaluation.silver_tissue import Compared, any_fat, rows_of_tissue

SHAPE = (1, 10, 10)


def part(*rows: int) -> np.ndarray:
    mask = np.zeros(SHAPE, np.bool_)
    mask[0, list(rows)] = True
    return mask


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    hu = np.full(SHAPE, 40.0, np.float32)
    hu[0, 0:4] = -100.0
    hu[0, 4] = -40.0
    hu[0, 6:8] = -70.0
    block = Compared(
        hu=hu,
        voxel_ml=0.5,
        found={
            "skeletal_muscle": part(9),
            "subcutaneous_fat": part(8),
            "torso_fat": part(0, 1, 2, 3, 6, 7),
        },
        silver={
            "skeletal_muscle": part(9),
            "subcutaneous_fat": part(7),
            "torso_fat": part(0, 1, 2, 3, 4),
        },
        any_fat=part(0, 1, 2, 3, 4, 6, 7),
        colon=part(6),
    )
    return {row.metric: row.value for row in rows_of_tissue(block, "block")}


def test_each_tissue_is_compared_whole_and_within_its_range(told: dict[str, str]) -> None:
    assert told["torso fat: volume against silver"] == "30 ml (+20.0 %)"
    assert told["torso fat: Dice"] == "0.727"
    assert told["torso fat, silver of -150 to -50 HU only: volume"] == "20 ml (+50.0 %)"
    assert told["torso fat, silver of -150 to -50 HU only: Dice"] == "0.800"
    assert told["torso fat: highest Dice that visceral fat's range of HU allows"] == "0.889"
    assert told["torso fat, ours of -190 to -30 HU: Dice"] == "0.833"
    assert told["skeletal muscle: Dice"] == "1.000"


def test_what_differs_is_told_by_its_place_and_density(told: dict[str, str]) -> None:
    assert told["torso fat missed; of it above -50 HU"] == "5 ml; 5 ml"
    name = "torso fat too much; of it in silver colon; in silver subcutaneous fat"
    assert told[name] == "10 ml; 5 ml; 5 ml"


def test_all_fat_of_the_region_keeps_its_distance_from_gas() -> None:
    labels = np.full((60, 60), int(Compartment.VISCERAL), np.uint8)
    hu = np.full((60, 60), 40.0, np.float32)
    hu[5:15] = -40.0
    hu[30:50, 20:40] = -100.0
    hu[31:49, 21:39] = -900.0
    assert np.array_equal(any_fat(labels, hu, (1.0, 1.0)), hu == -40.0)
