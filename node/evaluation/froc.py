"""Free-response ROC: true lesions found against false positives a study.

Several findings at one lesion find it once, with the highest of their scores, and none of them
is a false positive. A sensitivity "at 1/2" is the highest that is reached with no more than one
false positive in two studies; nothing is interpolated. Intervals: 95 %, by resampling patients
(percentile bootstrap, fixed seed), because lesions and studies of one patient are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from node.evaluation.statistics import CONFIDENCE, Estimate

RATES: Final = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
RESAMPLES: Final = 2000
SEED: Final = 20
#: Weights held at a time, resamples x marks.
_HELD: Final = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One analysed study.

    Attributes:
        lesions: number of true ones.
        marks: (score, index of the lesion that the finding lies at, or None) of each finding; a
            score of None where the result carries none.
    """

    patient: str
    lesions: int
    marks: tuple[tuple[float | None, int | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtRate:
    """Sensitivity at a number of false positives a study.

    Attributes:
        reached: False where the model does not make so many false positives at all: the
            sensitivity is that of all its findings.
    """

    rate: float
    sensitivity: Estimate
    reached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Froc:
    """The curve, and its last point: all findings of the results.

    Attributes:
        false_positives: (k,) a study, rising. sensitivity: (k,), rising. From (0, 0).
        at: empty where findings carry no score.
        overall: share of the lesions that were found at all.
        per_study: false positives a study, of all findings.
    """

    false_positives: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    at: tuple[AtRate, ...]
    overall: Estimate
    per_study: Estimate
    found: int
    lesions: int
    studies: int
    patients: int


def froc(readings: Sequence[Reading], *, seed: int = SEED) -> Froc | None:
    """Compute the curve; None without a single true lesion."""
    lesions = sum(item.lesions for item in readings)
    if not lesions:
        return None
    events = _Events.of(readings)
    plain = events.curves(np.ones((1, len(readings))))
    rates = RATES if events.scored else ()
    samples = _resampled(events, readings, rates, seed)
    values = _at(plain, rates)[0]
    at = tuple(
        AtRate(
            rate=rate,
            sensitivity=_estimate(values[i], samples[:, i], lesions),
            reached=bool(plain.false_positives[0, -1] >= rate),
        )
        for i, rate in enumerate(rates)
    )
    return Froc(
        false_positives=plain.false_positives[0],
        sensitivity=plain.sensitivity[0],
        at=at,
        overall=_estimate(values[-2], samples[:, -2], lesions),
        per_study=_estimate(values[-1], samples[:, -1], len(readings)),
        found=round(float(values[-2]) * lesions),
        lesions=lesions,
        studies=len(readings),
        patients=len({item.patient for item in readings}),
    )


@dataclass(frozen=True, slots=True)
class _Curves:
    """One curve a resample: (resample, threshold)."""

    false_positives: NDArray[np.float64]
    sensitivity: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Events:
    """Everything that moves the curve, by falling score.

    Attributes:
        study: (e,) index of the study. is_hit: (e,) a lesion found, else a false positive.
        ends: (k,) index of the last event of each score.
        lesions: (s,) of each study.
    """

    study: NDArray[np.intp]
    is_hit: NDArray[np.bool_]
    ends: NDArray[np.intp]
    lesions: NDArray[np.float64]
    scored: bool

    @classmethod
    def of(cls, readings: Sequence[Reading]) -> _Events:
        scored = all(score is not None for item in readings for score, _ in item.marks)
        found: list[tuple[float, int, bool]] = []
        for index, item in enumerate(readings):
            best: dict[int, float] = {}
            for score, lesion in item.marks:
                value = score if scored and score is not None else 0.0
                if lesion is None:
                    found.append((value, index, False))
                else:
                    best[lesion] = max(value, best.get(lesion, value))
            found += [(value, index, True) for value in best.values()]
        found.sort(key=lambda event: -event[0])
        scores = np.asarray([event[0] for event in found], np.float64)
        ends = np.flatnonzero(np.r_[scores[1:] != scores[:-1], True]) if found else np.array([])
        return cls(
            study=np.asarray([event[1] for event in found], np.intp),
            is_hit=np.asarray([event[2] for event in found], np.bool_),
            ends=ends.astype(np.intp),
            lesions=np.asarray([item.lesions for item in readings], np.float64),
            scored=scored,
        )

    def curves(self, weights: NDArray[np.float64]) -> _Curves:
        """With so many copies of each study, (resample, study)."""
        of_events = weights[:, self.study]
        false = np.cumsum(np.where(self.is_hit, 0.0, of_events), axis=1)[:, self.ends]
        true = np.cumsum(np.where(self.is_hit, of_events, 0.0), axis=1)[:, self.ends]
        nothing = np.zeros((len(weights), 1))
        studies = weights.sum(axis=1, keepdims=True)
        lesions = weights @ self.lesions[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            return _Curves(
                np.hstack([nothing, false]) / studies, np.hstack([nothing, true]) / lesions
            )


def _at(curves: _Curves, rates: Sequence[float]) -> NDArray[np.float64]:
    """(resample, rate): sensitivity at each rate, then of all findings; last, false positives."""
    columns = []
    for rate in rates:
        allowed = curves.false_positives <= rate
        # The curve only rises, so that the last allowed point is the highest.
        last = allowed.sum(axis=1) - 1
        columns.append(np.take_along_axis(curves.sensitivity, last[:, None], axis=1)[:, 0])
    columns += [curves.sensitivity[:, -1], curves.false_positives[:, -1]]
    return np.stack(columns, axis=1)


def _resampled(
    events: _Events, readings: Sequence[Reading], rates: Sequence[float], seed: int
) -> NDArray[np.float64]:
    names = sorted({item.patient for item in readings})
    number = {name: index for index, name in enumerate(names)}
    of_study = np.asarray([number[item.patient] for item in readings], np.intp)
    rng = np.random.default_rng(seed)
    held = max(1, _HELD // max(1, len(events.study), len(readings)))
    parts = []
    for begin in range(0, RESAMPLES, held):
        count = min(held, RESAMPLES - begin)
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=count)
        parts.append(_at(events.curves(drawn[:, of_study].astype(np.float64)), rates))
    return np.concatenate(parts)


def _estimate(value: float, samples: NDArray[np.float64], n: int) -> Estimate:
    usable = samples[np.isfinite(samples)]
    if len(usable) < 2 or usable.min() == usable.max():
        # One patient, or every resample the same: an interval of no width would claim too much.
        return Estimate(value=float(value), low=None, high=None, n=n)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(usable, [tail, 100 - tail])
    return Estimate(value=float(value), low=float(low), high=float(high), n=n)
