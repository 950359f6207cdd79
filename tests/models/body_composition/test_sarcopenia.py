"""The muscle index: only with a believable height, cut-offs only as published."""

from __future__ import annotations

import pytest

from models.body_composition.sarcopenia import muscle_index
from node.domain.study import Patient


def test_index_is_area_over_height_squared() -> None:
    index = muscle_index(150.0, Patient(sex="M", size_m=1.75, weight_kg=70.0))
    assert index.smi == pytest.approx(150.0 / 1.75**2)


@pytest.mark.parametrize("height", [None, 0.0, 1.1, 2.4, 17.5, 175.0])
def test_no_index_without_a_believable_height(height: float | None) -> None:
    index = muscle_index(150.0, Patient(sex="M", size_m=height))
    assert index.smi is None
    assert index.comparisons == ()
    assert "height" in index.withheld


@pytest.mark.parametrize("sex", ["", "O", "X"])
def test_no_cut_off_without_sex(sex: str) -> None:
    index = muscle_index(150.0, Patient(sex=sex, size_m=1.75))
    assert index.smi is not None
    assert index.comparisons == ()
    assert "sex" in index.withheld


@pytest.mark.parametrize(
    ("sex", "smi", "weight", "prado", "martin"),
    [
        ("M", 52.5, 70.0, "not below the published cut-off 52.4", "cut-off 43.0"),
        ("M", 52.3, 70.0, ", below the published cut-off 52.4", "cut-off 43.0"),
        ("M", 52.5, 100.0, "not below the published cut-off 52.4", "cut-off 53.0"),
        ("F", 38.4, None, ", below the published cut-off 38.5", "cut-off 41.0"),
        ("F", 38.6, None, "not below the published cut-off 38.5", "cut-off 41.0"),
    ],
)
def test_cut_offs_of_prado_2008_and_martin_2013(
    sex: str, smi: float, weight: float | None, prado: str, martin: str
) -> None:
    height = 1.80
    index = muscle_index(smi * height**2, Patient(sex=sex, size_m=height, weight_kg=weight))
    assert "Prado 2008" in index.comparisons[0]
    assert prado in index.comparisons[0]
    assert "Martin 2013" in index.comparisons[1]
    assert martin in index.comparisons[1]


def test_martin_in_men_needs_a_weight() -> None:
    index = muscle_index(150.0, Patient(sex="M", size_m=1.75))
    assert len(index.comparisons) == 1
    assert "weight" in index.withheld
