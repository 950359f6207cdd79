"""From the records of one target and model to its numbers, overall and by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from node.evaluation.assessment import Record, ValueRecord
from node.evaluation.cohort import NOT_STATED, Outcome
from node.evaluation.froc import SEED, Froc, froc
from node.evaluation.statistics import (
    Differences,
    Estimate,
    Share,
    auc,
    bland_altman,
    roc_points,
)

#: Group of all records together.
ALL: Final = "all"
Item = TypeVar("Item", Record, ValueRecord)


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What one model does on one target in one group of studies.

    Attributes:
        outcomes: number of studies with a known label, by how they ended.
        all_positive, all_negative: studies with this label, analysed or not.
        unscored: positive results without a score, so that there is no area.
        curve: (false positive rate, true positive rate) where there is an area.
        lost_lesions: true ones of studies that are not in the free-response curve.
        unplaced: why analysed studies are not in the free-response curve.
    """

    group: str
    outcomes: Mapping[Outcome, int]
    true_positive: int
    false_negative: int
    false_positive: int
    true_negative: int
    all_positive: int
    all_negative: int
    patients: int
    auc: Estimate | None
    unscored: int
    curve: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    froc: Froc | None
    lost_lesions: int
    unplaced: Mapping[str, int]

    @property
    def studies(self) -> int:
        """Studies whose label is known."""
        return self.all_positive + self.all_negative

    @property
    def sensitivity(self) -> Share:
        """Of the analysed positive studies."""
        return Share(hits=self.true_positive, of=self.true_positive + self.false_negative)

    @property
    def specificity(self) -> Share:
        """Of the analysed negative studies."""
        return Share(hits=self.true_negative, of=self.true_negative + self.false_positive)

    @property
    def ppv(self) -> Share:
        """Positive predictive value, at the share of positive studies of this cohort."""
        return Share(hits=self.true_positive, of=self.true_positive + self.false_positive)

    @property
    def npv(self) -> Share:
        """Negative predictive value, at the share of positive studies of this cohort."""
        return Share(hits=self.true_negative, of=self.true_negative + self.false_negative)

    @property
    def found_of_all(self) -> Share:
        """Of all positive studies, those that were not analysed included: they were not found."""
        return Share(hits=self.true_positive, of=self.all_positive)

    @property
    def cleared_of_all(self) -> Share:
        """Of all negative studies, those that were not analysed included: they were not cleared."""
        return Share(hits=self.true_negative, of=self.all_negative)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Measured against true values in one group of studies.

    Attributes:
        studies: with a true value. missing: why there is nothing measured, by reason.
    """

    group: str
    studies: int
    differences: Differences | None
    missing: Mapping[str, int]


def grouped(records: Sequence[Item], by: Sequence[str]) -> Iterator[tuple[str, list[Item]]]:
    """All records, then those of each value of each grouping ("site: Hospital A"), largest first.

    A grouping in which all are alike is left out: `alike` tells it.
    """
    yield ALL, list(records)
    for name in by:
        groups = _values(records, name)
        if len(groups) > 1:
            for value, members in sorted(groups.items(), key=lambda one: (-len(one[1]), one[0])):
                yield f"{name}: {value}", members


def alike(records: Sequence[Item], by: Sequence[str]) -> dict[str, str]:
    """Groupings in which all records have one value, with it."""
    found = {name: list(_values(records, name)) for name in by}
    return {name: values[0] for name, values in found.items() if len(values) == 1}


def _values(records: Sequence[Item], name: str) -> dict[str, list[Item]]:
    groups: dict[str, list[Item]] = {}
    for record in records:
        groups.setdefault(record.groups.get(name) or NOT_STATED, []).append(record)
    return groups


def performance(group: str, records: Sequence[Record], *, seed: int = SEED) -> Performance:
    """The numbers of one group."""
    known = [one for one in records if one.positive is not None]
    done = [one for one in known if one.called is not None]

    def count(*, positive: bool, called: bool) -> int:
        return sum(one.positive is positive and one.called is called for one in done)

    unscored = sum(one.score is None for one in done)
    area, curve = None, None
    scored = any(one.score is not None and np.isfinite(one.score) for one in done)
    if scored and not unscored:
        positive = _scores(done, lambda one: one.positive is True)
        negative = _scores(done, lambda one: one.positive is False)
        area = auc(positive, negative)
        curve = roc_points(positive, negative) if area is not None else None
    readings = [one.reading for one in known if one.reading is not None]
    return Performance(
        group=group,
        outcomes=Counter(one.outcome for one in known),
        true_positive=count(positive=True, called=True),
        false_negative=count(positive=True, called=False),
        false_positive=count(positive=False, called=True),
        true_negative=count(positive=False, called=False),
        all_positive=sum(one.positive is True for one in known),
        all_negative=sum(one.positive is False for one in known),
        patients=len({one.patient for one in done}),
        auc=area,
        unscored=unscored if scored else 0,
        curve=curve,
        froc=froc(readings, seed=seed),
        lost_lesions=sum(one.lesions for one in known if one.reading is None),
        unplaced=Counter(one.place_fault for one in known if one.place_fault),
    )


def _scores(records: Sequence[Record], which: Callable[[Record], bool]) -> list[float]:
    return [one.score for one in records if which(one) and one.score is not None]


def agreement(group: str, records: Sequence[ValueRecord]) -> Agreement:
    """Bias and limits of agreement of one group: measured minus true."""
    pairs = [(one.true, one.measured) for one in records if one.measured is not None]
    missing = Counter(_why_missing(one) for one in records if one.measured is None)
    return Agreement(
        group=group,
        studies=len(records),
        differences=bland_altman([a for a, _ in pairs], [b for _, b in pairs]),
        missing=missing,
    )


def _why_missing(record: ValueRecord) -> str:
    if record.outcome in (Outcome.DONE, Outcome.PARTIAL):
        return record.reason
    return f"{record.outcome.value}: {record.reason}" if record.reason else record.outcome.value
