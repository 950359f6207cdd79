"""Shares, areas under the curve, agreement and differences, each with its 95 % interval.

SciPy where it has the method; the rest after the papers that are named. Every function answers
None where the data do not carry the number, never a number that only looks like one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import binomtest, norm, rankdata, t

CONFIDENCE: Final = 0.95
_Z: Final = float(norm.ppf(0.5 + CONFIDENCE / 2))
#: A standard error this small is 0 but for rounding.
_NO_ERROR: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval; `low` and `high` are None where it has none.

    Attributes:
        n: what it rests on: studies, lesions or pairs.
    """

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """So many of so many, with the Wilson score interval (E. B. Wilson, JASA 1927;22:209)."""

    hits: int
    of: int

    @property
    def estimate(self) -> Estimate | None:
        """The proportion; None of nothing."""
        if not self.of:
            return None
        interval = binomtest(self.hits, self.of).proportion_ci(CONFIDENCE, method="wilson")
        return Estimate(
            value=self.hits / self.of,
            low=float(interval.low),
            high=float(interval.high),
            n=self.of,
        )


def auc(positive: Sequence[float], negative: Sequence[float]) -> Estimate | None:
    """Area under the ROC curve: the chance that a positive study scores above a negative one.

    Ties count half. Interval after DeLong (Biometrics 1988;44:837) with the midranks of Sun and
    Xu (IEEE Signal Process Lett 2014;21:1389), on the logit scale so that it stays within 0 to 1.
    There is none where every study is ranked rightly (or wrongly), a class has one study, or
    the variance is estimated as 0 (every score the same): its width of 0 would claim too much.
    """
    m, n = len(positive), len(negative)
    if not m or not n:
        return None
    both = np.asarray([*positive, *negative], np.float64)
    ranks = rankdata(both)
    # Placement of each study among those of the other class (structural components).
    above = (ranks[:m] - rankdata(both[:m])) / n
    below = 1.0 - (ranks[m:] - rankdata(both[m:])) / m
    area = float(above.mean())
    if min(m, n) < 2 or not 0.0 < area < 1.0:
        return Estimate(value=area, low=None, high=None, n=m + n)
    variance = float(above.var(ddof=1) / m + below.var(ddof=1) / n)
    if math.sqrt(variance) < _NO_ERROR:
        return Estimate(value=area, low=None, high=None, n=m + n)
    half = _Z * math.sqrt(variance) / (area * (1.0 - area))
    middle = float(logit(area))
    return Estimate(
        value=area, low=float(expit(middle - half)), high=float(expit(middle + half)), n=m + n
    )


def roc_points(
    positive: Sequence[float], negative: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False positive and true positive rate at every threshold, from (0, 0) to (1, 1)."""
    thresholds = np.unique(np.asarray([*positive, *negative], np.float64))[::-1]
    ordered = (np.sort(np.asarray(one, np.float64)) for one in (negative, positive))
    rates = [
        1.0 - np.searchsorted(values, thresholds, side="left") / len(values) for values in ordered
    ]
    return np.r_[0.0, rates[0]], np.r_[0.0, rates[1]]


def kappa(table: NDArray[np.int64]) -> Estimate | None:
    """Cohen's kappa of a square table of counts, (first, second) reader.

    Standard error after Fleiss, Cohen and Everitt (Psychol Bull 1969;72:323). None where chance
    alone would agree always: both readers only ever gave one and the same answer. Without an
    interval where that error is 0 (every answer the same): 5 studies prove less than that.
    """
    total = int(table.sum())
    if not total:
        return None
    shares = table / total
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    agreed, chance = float(np.trace(shares)), float(rows @ columns)
    if chance >= 1.0:
        return None
    value = (agreed - chance) / (1.0 - chance)
    diagonal = np.diag(shares)
    on = float((diagonal * (1.0 - (rows + columns) * (1.0 - value)) ** 2).sum())
    # Of p[i, j] beside the diagonal: the margins of the other reader's categories, column i, row j.
    weights = (columns[:, None] + rows[None, :]) ** 2
    off = (1.0 - value) ** 2 * float((shares * weights).sum() - (diagonal * np.diag(weights)).sum())
    spread = on + off - (value - chance * (1.0 - value)) ** 2
    error = math.sqrt(max(0.0, spread) / total) / (1.0 - chance)
    if error < _NO_ERROR:
        return Estimate(value=value, low=None, high=None, n=total)
    return Estimate(
        value=value, low=max(-1.0, value - _Z * error), high=min(1.0, value + _Z * error), n=total
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """Agreement of two series of numbers (Bland and Altman, Stat Methods Med Res 1999;8:135).

    Attributes:
        bias: mean of second minus first. deviation: standard deviation of the differences.
        lower, upper: limits of agreement, between which 95 % of the differences lie when they
            are distributed normally.
        correlation: of difference and mean; far from 0 the limits do not hold for all sizes.
    """

    bias: Estimate
    deviation: float | None
    lower: Estimate | None
    upper: Estimate | None
    mean_absolute: float
    correlation: float | None


def bland_altman(first: Sequence[float], second: Sequence[float]) -> Differences | None:
    """Bias and limits of agreement, each with its interval; None without a pair."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    n = len(a)
    if not n:
        return None
    differences = b - a
    bias = float(differences.mean())
    absolute = float(np.abs(differences).mean())
    if n < 2:
        lone = Estimate(value=bias, low=None, high=None, n=n)
        return Differences(
            bias=lone,
            deviation=None,
            lower=None,
            upper=None,
            mean_absolute=absolute,
            correlation=None,
        )
    deviation = float(differences.std(ddof=1))
    quantile = float(t.ppf(0.5 + CONFIDENCE / 2, n - 1))
    of_bias = quantile * deviation / math.sqrt(n)
    # Variance of bias +- z s: s^2/n + z^2 s^2/(2(n-1)), section 2.2 there.
    of_limit = quantile * deviation * math.sqrt(1 / n + _Z**2 / (2 * (n - 1)))

    def around(value: float, half: float) -> Estimate:
        return Estimate(value=value, low=value - half, high=value + half, n=n)

    return Differences(
        bias=around(bias, of_bias),
        deviation=deviation,
        lower=around(bias - _Z * deviation, of_limit),
        upper=around(bias + _Z * deviation, of_limit),
        mean_absolute=absolute,
        correlation=_correlation(differences, (a + b) / 2),
    )


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    if len(a) < 3 or not a.std() or not b.std():
        return None
    return float(np.corrcoef(a, b)[0, 1])
