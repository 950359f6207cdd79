"""Each number against a worked example that somebody published."""

from __future__ import annotations

import numpy as np
import pytest

from node.evaluation.statistics import Share, auc, bland_altman, kappa, roc_points


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [
        # Newcombe, Stat Med 1998;17:857, table I, method 3 (score without continuity correction).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_shares_have_the_score_interval(hits: int, of: int, low: float, high: float) -> None:
    found = Share(hits=hits, of=of).estimate
    assert found is not None
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


def test_of_nothing_there_is_no_share() -> None:
    assert Share(hits=0, of=0).estimate is None


#: Hanley and McNeil, Radiology 1982;143:29, table I: ratings 1 to 5 of 58 normal and 51 abnormal.
NORMAL = [1] * 33 + [2] * 6 + [3] * 6 + [4] * 11 + [5] * 2
ABNORMAL = [1] * 3 + [2] * 2 + [3] * 2 + [4] * 11 + [5] * 33


def test_area_under_the_curve_is_that_of_hanley_and_mcneil() -> None:
    found = auc(ABNORMAL, NORMAL)
    assert found is not None
    assert found.value == pytest.approx(0.893, abs=5e-4)
    # Their standard error is 0.032; DeLong's differs a little, and so does the logit scale.
    assert found.low == pytest.approx(0.893 - 1.96 * 0.032, abs=0.02)
    assert found.high == pytest.approx(0.893 + 1.96 * 0.032, abs=0.02)


def test_delong_variance_is_that_of_the_structural_components() -> None:
    """DeLong 1988 equations 5 to 7, pair by pair, against the ranks that are computed with."""
    rng = np.random.default_rng(3)
    positive, negative = rng.integers(0, 8, 23) + 2, rng.integers(0, 8, 31)
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    area = wins.mean()
    variance = wins.mean(axis=1).var(ddof=1) / 23 + wins.mean(axis=0).var(ddof=1) / 31
    found = auc(list(positive), list(negative))
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.value == pytest.approx(area)

    def logit(p: float) -> float:
        return float(np.log(p / (1 - p)))

    width = logit(found.high) - logit(found.low)
    assert width == pytest.approx(2 * 1.959964 * np.sqrt(variance) / (area * (1 - area)))


def test_area_of_the_roc_curve_is_the_area() -> None:
    false_positive, true_positive = roc_points(ABNORMAL, NORMAL)
    assert np.trapezoid(true_positive, false_positive) == pytest.approx(0.893, abs=5e-4)


def test_a_study_without_the_finding_ranks_below_every_other() -> None:
    found = auc([90.0, 40.0, -np.inf], [-np.inf, -np.inf, 20.0])
    assert found is not None
    assert found.value == pytest.approx((3 + 3 + 0.5 * 2 + 0) / 9)


def test_area_of_one_class_is_no_number_and_a_perfect_one_has_no_interval() -> None:
    assert auc([1.0], []) is None
    perfect = auc([2.0, 3.0], [0.0, 1.0])
    assert perfect is not None
    assert (perfect.value, perfect.low) == (1.0, None)


def test_kappa_is_that_of_fleiss() -> None:
    """Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, table 18.1."""
    found = kappa(np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]]))
    assert found is not None
    assert found.value == pytest.approx(0.676, abs=5e-4)
    assert found.low is not None
    assert (found.value - found.low) / 1.959964 == pytest.approx(0.088, abs=5e-4)


def test_kappa_of_one_answer_only_is_no_number() -> None:
    assert kappa(np.array([[12, 0], [0, 0]])) is None
    assert kappa(np.zeros((2, 2), np.int64)) is None


#: Bland and Altman, Lancet 1986;i:307: peak flow in l/min, first measurement with each meter.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_differences_are_those_of_bland_and_altman() -> None:
    found = bland_altman(MINI, WRIGHT)
    assert found is not None
    assert found.bias.value == pytest.approx(-2.1, abs=0.05)
    assert found.deviation == pytest.approx(38.8, abs=0.05)
    assert found.bias.low == pytest.approx(-22.0, abs=0.1)
    assert found.bias.high == pytest.approx(17.8, abs=0.1)
    assert found.lower is not None
    assert found.upper is not None
    # They round 1.96 to 2 there: -79.7 and 75.5.
    assert found.lower.value == pytest.approx(-2.1 - 1.96 * 38.8, abs=0.1)
    assert found.upper.value == pytest.approx(-2.1 + 1.96 * 38.8, abs=0.1)
    # ... and the error of a limit as sqrt(3/n) s = 16.3 there; here with 2.71 as in 1999.
    assert found.lower.low is not None
    assert found.lower.value - found.lower.low == pytest.approx(2.12 * 16.3, rel=0.02)


def test_one_pair_has_a_difference_and_no_limits() -> None:
    found = bland_altman([10.0], [12.0])
    assert found is not None
    assert (found.bias.value, found.bias.low, found.lower) == (2.0, None, None)
    assert bland_altman([], []) is None


@pytest.mark.parametrize("table", [[[3, 0], [0, 2]], [[7, 0, 0], [0, 6, 0], [0, 0, 4]]])
def test_kappa_has_no_interval_of_no_width(table: list[list[int]]) -> None:
    found = kappa(np.array(table))
    assert found is not None
    assert (found.low, found.high) == (None, None)


def test_scores_that_are_all_the_same_have_no_interval_of_no_width() -> None:
    found = auc([82.0, 82.0, 82.0], [82.0, 82.0])
    assert found is not None
    assert (found.value, found.low, found.high) == (0.5, None, None)
