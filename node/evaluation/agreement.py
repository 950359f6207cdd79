"""Agreement of two models on the same studies: neither is taken for the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from node.domain.pairing import Pair, paired
from node.domain.reported import Report, ReportedFinding, is_present, named_findings, numbers
from node.evaluation.cohort import NOT_STATED, Case, Outcome, Result
from node.evaluation.naming import Rule
from node.evaluation.places import Incomparable, is_lesion, matched, spot_of
from node.evaluation.statistics import Differences, Estimate, Share, bland_altman, kappa
from node.evaluation.truth import Target

NOT_ASKED: Final = "not asked about the study"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRecord:
    """One study and target.

    Attributes:
        lesions: (matched, only the first's, only the second's); None where not comparable.
        why: why the two were not compared; of the lesions where only these were not.
    """

    study_uid: str
    groups: Mapping[str, str]
    pair: Pair
    lesions: tuple[int, int, int] | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairGroup:
    """The pairs of one target in one group of studies."""

    group: str
    pairs: Mapping[Pair, int]
    lesions: tuple[int, int, int]
    lesion_studies: int

    @property
    def compared(self) -> int:
        """Studies on which both models have a whole result."""
        return sum(number for pair, number in self.pairs.items() if pair is not Pair.NOT_COMPARED)

    def count(self, pair: Pair) -> int:
        """Number of studies."""
        return self.pairs.get(pair, 0)

    @property
    def agreed(self) -> Share:
        """Studies on which both say the same, of those that were compared."""
        same = self.count(Pair.BOTH_POSITIVE) + self.count(Pair.BOTH_NEGATIVE)
        return Share(hits=same, of=self.compared)

    @property
    def kappa(self) -> Estimate | None:
        """Cohen's kappa; None where both models only ever said one and the same thing."""
        return kappa(
            np.array(
                [
                    [self.count(Pair.BOTH_POSITIVE), self.count(Pair.ONLY_FIRST)],
                    [self.count(Pair.ONLY_SECOND), self.count(Pair.BOTH_NEGATIVE)],
                ],
                np.int64,
            )
        )

    @property
    def positive_agreement(self) -> float | None:
        """2a/(2a+b+c): of the positive answers of either, the part on which both agree."""
        return self._specific(Pair.BOTH_POSITIVE)

    @property
    def negative_agreement(self) -> float | None:
        """2d/(2d+b+c) (Cicchetti and Feinstein, J Clin Epidemiol 1990;43:551)."""
        return self._specific(Pair.BOTH_NEGATIVE)

    def _specific(self, pair: Pair) -> float | None:
        twice = 2 * self.count(pair)
        apart = self.count(Pair.ONLY_FIRST) + self.count(Pair.ONLY_SECOND)
        return twice / (twice + apart) if twice + apart else None


class Comparison:
    """Takes cases in; keeps a few numbers of each."""

    def __init__(
        self, first: str, second: str, targets: Sequence[Target], *, rule: Rule | None = None
    ) -> None:
        """`rule`: when a result is positive; None: when it holds the finding of the target."""
        self.first, self.second = first, second
        self._rule = rule
        self.records: dict[Target, list[PairRecord]] = {target: [] for target in targets}
        self._values: dict[tuple[str, str], list[tuple[float, float]]] = {}
        self.versions: dict[str, set[str]] = {first: set(), second: set()}
        #: Measurements that have another unit with the second model.
        self.units_differ: set[str] = set()
        self.models: set[str] = set()
        #: Studies that no model could be asked about yet.
        self.unfinished: list[str] = []

    def add(self, case: Case) -> None:
        """Take one case in; a study about which neither model was asked is passed over."""
        self.models |= case.results.keys()
        if case.missing and case.ended is Outcome.UNFINISHED:
            self.unfinished.append(case.study_uid)
        a, b = case.results.get(self.first), case.results.get(self.second)
        if a is None and b is None:
            return
        for model, result in ((self.first, a), (self.second, b)):
            if result is not None and result.report is not None:
                self.versions[model].add(result.report.version)
        for target, records in self.records.items():
            records.append(self._record(case, target, a, b))
        if a is not None and b is not None and a.report and b.report:
            self._measure(a.report, b.report)

    def differences(self) -> Iterator[tuple[str, str, Differences]]:
        """(name, unit, second minus first) of each measurement that both models make."""
        for (name, unit), pairs in sorted(self._values.items()):
            found = bland_altman([one for one, _ in pairs], [two for _, two in pairs])
            if found is not None:
                yield name, unit, found

    def _record(self, case: Case, target: Target, a: Result | None, b: Result | None) -> PairRecord:
        first, second = self._called(a, target), self._called(b, target)
        pair = paired(first, second)
        groups = {**(b.groups if b else {}), **(a.groups if a else {})}
        lesions = None
        why = ""
        if pair is Pair.NOT_COMPARED:
            told = [
                f"{model} {self._why(result)}"
                for model, result, called in ((self.first, a, first), (self.second, b, second))
                if called is None
            ]
            why = "; ".join(told)
        elif self._rule is None and a is not None and b is not None and a.report and b.report:
            try:
                lesions = _lesions(case, target, a.report, b.report)
            except Incomparable as error:
                why = str(error)
        return PairRecord(
            study_uid=case.study_uid,
            groups={name: value for name, value in groups.items() if value},
            pair=pair,
            lesions=lesions,
            why=why,
        )

    def _called(self, result: Result | None, target: Target) -> bool | None:
        if result is None or result.outcome is not Outcome.DONE or result.report is None:
            return None
        if self._rule is None:
            return is_present(result.report, target.code)
        return self._rule.call(result.report, target.code)[0]

    def _why(self, result: Result | None) -> str:
        if result is None:
            return NOT_ASKED
        if result.outcome is Outcome.DONE:
            return f"has no '{self._rule.name}'" if self._rule else "has no report"
        return f"{result.outcome.value}: {result.reason}".rstrip(": ")

    def _measure(self, a: Report, b: Report) -> None:
        of_second = numbers(b)
        for name, one in numbers(a).items():
            other = of_second.get(name)
            if other is None:
                continue
            if other.unit.value != one.unit.value:
                self.units_differ.add(name)
                continue
            pairs = self._values.setdefault((name, one.unit.value), [])
            pairs.append((one.value, other.value))


def pair_group(group: str, records: Sequence[PairRecord]) -> PairGroup:
    """The counts of one group."""
    placed = [one.lesions for one in records if one.lesions is not None]
    return PairGroup(
        group=group,
        pairs=Counter(one.pair for one in records),
        lesions=(
            sum(one[0] for one in placed),
            sum(one[1] for one in placed),
            sum(one[2] for one in placed),
        ),
        lesion_studies=len(placed),
    )


def pair_groups(records: Sequence[PairRecord], by: Sequence[str]) -> Iterator[PairGroup]:
    """All studies, then each value of each grouping that has several, largest first."""
    yield pair_group("all", records)
    for name in by:
        groups: dict[str, list[PairRecord]] = {}
        for record in records:
            groups.setdefault(record.groups.get(name) or NOT_STATED, []).append(record)
        if len(groups) > 1:
            for value, members in sorted(groups.items(), key=lambda one: (-len(one[1]), one[0])):
                yield pair_group(f"{name}: {value}", members)


def _lesions(case: Case, target: Target, a: Report, b: Report) -> tuple[int, int, int] | None:
    first = [item for item in named_findings(a, target.code) if is_lesion(item)]
    second = [item for item in named_findings(b, target.code) if is_lesion(item)]
    if not first and not second:
        return 0, 0, 0
    spots = [
        [(kind, spot_of(item, case.images)) for kind, item in _kinds(items)]
        for items in (first, second)
    ]
    pairs = len(matched(spots[0], spots[1]))
    return pairs, len(first) - pairs, len(second) - pairs


def _kinds(items: Sequence[ReportedFinding]) -> Iterator[tuple[str, ReportedFinding]]:
    for one in items:
        yield f"{one.finding.value} {one.finding.scheme}", one
