"""Free-response curves by hand: what is found, what is false, and whose resamples."""

from __future__ import annotations

import numpy as np
import pytest

from node.evaluation.froc import Reading, froc


def reading(patient: str, lesions: int, *marks: tuple[float | None, int | None]) -> Reading:
    return Reading(patient=patient, lesions=lesions, marks=marks)


FOUR = (
    reading("a", 2, (0.9, 0), (0.8, None), (0.3, 1)),
    reading("b", 1, (0.7, 0), (0.6, 0), (0.2, None)),
    reading("c", 0, (0.5, None)),
    reading("d", 1),
)


def test_the_curve_rises_mark_by_mark() -> None:
    found = froc(FOUR)
    assert found is not None
    # Falling scores: hit .9, false .8, hit .7, (second mark of b counts no more), false .5,
    # hit .3, false .2; of 4 lesions in 4 studies.
    assert np.allclose(found.sensitivity, [0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75])
    assert np.allclose(found.false_positives, [0, 0, 0.25, 0.25, 0.5, 0.5, 0.75])
    assert (found.found, found.lesions, found.studies, found.patients) == (3, 4, 4, 4)
    at = {one.rate: (one.sensitivity.value, one.reached) for one in found.at}
    assert at[0.125] == (0.25, True)
    assert at[0.25] == (0.5, True)
    assert at[0.5] == (0.75, True)
    assert at[8.0] == (0.75, False)


def test_two_marks_on_one_lesion_are_one_find_and_no_false_positive() -> None:
    found = froc([reading("a", 1, (0.4, 0), (0.9, 0)), reading("b", 0)])
    assert found is not None
    assert found.per_study.value == 0
    assert np.allclose(found.sensitivity, [0, 1])


def test_findings_without_a_score_have_one_point_and_no_curve() -> None:
    found = froc([reading("a", 1, (None, 0), (0.9, None)), reading("b", 1)])
    assert found is not None
    assert found.at == ()
    assert (found.overall.value, found.per_study.value) == (0.5, 0.5)


def test_without_a_true_lesion_there_is_no_curve() -> None:
    assert froc([reading("a", 0, (0.9, None))]) is None


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    many = [reading(str(n), 1, (n / 50, 0 if n % 3 else None)) for n in range(50)]
    first, same, other = froc(many), froc(many), froc(many, seed=7)
    assert first is not None
    assert same is not None
    assert other is not None
    assert first.at[-1] == same.at[-1]
    assert first.overall != other.overall
    assert first.overall.low is not None
    assert first.overall.high is not None
    assert first.overall.low < first.overall.value < first.overall.high


def test_patients_are_resampled_so_that_many_studies_of_one_patient_prove_little() -> None:
    apart = [reading(str(n), 1, (0.5, 0 if n % 2 else None)) for n in range(40)]
    alike = [reading(str(n % 2), 1, (0.5, 0 if n % 2 else None)) for n in range(40)]
    wide, narrow = froc(alike), froc(apart)
    assert wide is not None
    assert narrow is not None

    def width(low: float | None, high: float | None) -> float:
        assert low is not None
        assert high is not None
        return high - low

    assert width(wide.overall.low, wide.overall.high) == 1.0
    assert width(narrow.overall.low, narrow.overall.high) < 0.4


def test_an_interval_agrees_with_that_of_a_share_where_each_patient_has_one_lesion() -> None:
    marks = [reading(str(n), 1, (0.5, 0 if n < 70 else None)) for n in range(100)]
    found = froc(marks)
    assert found is not None
    assert found.overall.low == pytest.approx(0.61, abs=0.02)
    assert found.overall.high == pytest.approx(0.79, abs=0.02)
