"""The category table of Lung-RADS v2022, row by row."""

from __future__ import annotations

import pytest

from models.lung_nodules.density import Attenuation, Calcification, Density
from models.lung_nodules.lung_rads import Size, category_of, exam_category, told
from models.priors import Verdict

SOLID, PART, GLASS = Density.SOLID, Density.PART_SOLID, Density.GROUND_GLASS


def size(
    mean: float,
    density: Density,
    solid: float = 0.0,
    change: Verdict | None = None,
    calcification: Calcification = Calcification.NONE,
) -> Size:
    return Size(
        mean_mm=mean,
        attenuation=Attenuation(
            mean_hu=0.0,
            density=density,
            solid_mm=solid,
            solid_share=0.5,
            calcification=calcification,
        ),
        change=change,
    )


@pytest.mark.parametrize(
    ("given", "category"),
    [
        (size(5.9, SOLID), "2"),
        (size(6.0, SOLID), "3"),
        (size(7.9, SOLID), "3"),
        (size(7.97, SOLID), "4A"),  # 8.0 as it is printed
        (size(8.0, SOLID), "4A"),
        (size(14.9, SOLID), "4A"),
        (size(15.0, SOLID), "4B"),
        (size(40.0, SOLID), "4B"),
        (size(3.9, SOLID, change=Verdict.NEW), "2"),
        (size(4.0, SOLID, change=Verdict.NEW), "3"),
        (size(6.0, SOLID, change=Verdict.NEW), "4A"),
        (size(8.0, SOLID, change=Verdict.NEW), "4B"),
        (size(7.0, SOLID, change=Verdict.GROWN), "4A"),
        (size(9.0, SOLID, change=Verdict.GROWN), "4B"),
        (size(7.97, SOLID, change=Verdict.GROWN), "4B"),  # 8.0 as it is printed
        (size(29.97, GLASS), "3"),
        (size(5.8, PART, 4.5, change=Verdict.GROWN), "4B"),
        (size(5.8, PART, 3.97, change=Verdict.GROWN), "4B"),
        (size(5.9, PART, 3.0), "2"),
        (size(9.0, PART, 5.9), "3"),
        (size(9.0, PART, 6.0), "4A"),
        (size(12.0, PART, 8.0), "4B"),
        (size(5.0, PART, 3.0, Verdict.NEW), "3"),
        (size(9.0, PART, 3.0, Verdict.GROWN), "4A"),
        (size(9.0, PART, 4.0, Verdict.NEW), "4B"),
        (size(29.9, GLASS), "2"),
        (size(30.0, GLASS), "3"),
        (size(34.0, GLASS, change=Verdict.STABLE), "2"),
        (size(9.0, SOLID, calcification=Calcification.WHOLLY), "1"),
        (size(9.0, SOLID, calcification=Calcification.PARTLY), "4A"),
    ],
)
def test_category(given: Size, category: str) -> None:
    assert category_of(given) == category


def test_the_exam_has_the_most_suspicious_category() -> None:
    assert exam_category(["2", "4A", "3"]) == "4A"
    assert exam_category([]) == "1"
    assert told("4A") == "Lung-RADS 4A (v2022)"
