"""Acute findings: what a package confirms, and what of it one result holds.

A finding counts when the package states its operating threshold and the score reaches it;
nothing below was confirmed, and nobody is called for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from node.domain.finding import CodedConcept, Findings, Measurement, Status

#: Value and coding scheme of "present" (PS3.16 CID 240 and DCM).
PRESENT = frozenset((("52101004", "SCT"), ("121053", "DCM")))


class Severity(StrEnum):
    """How soon somebody should look."""

    ROUTINE = "routine"
    URGENT = "urgent"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Higher is more severe."""
        return tuple(Severity).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcuteFinding:
    """What `model.yaml` states of one acute finding; an alert names the place of the highest score.

    Attributes:
        code: (code value, coding scheme) of the finding.
        score: the same of the measurement that decides, e.g. (111012, DCM) Certainty of Finding.
        unit: of the score, as a person reads it.
        threshold: its name among the thresholds of the package.
        operating_threshold: its value as the package was confirmed.
    """

    name: str
    title: str
    code: tuple[str, str]
    severity: Severity
    score: tuple[str, str]
    unit: str
    threshold: str
    operating_threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one result says about one acute finding.

    Attributes:
        present: the result holds the finding.
        score: the highest of it; None where it is not present or carries no score.
        where: the place that has this score, in words ("Vertebra L1", "right upper lobe"); ""
            where the exam as a whole holds the finding.
        threshold: from which on it counts here: that of the package, or a higher one that the
            site set. A lower one of the site confirms nothing.
    """

    acute: AcuteFinding
    present: bool
    score: float | None
    threshold: float
    where: str = ""

    @property
    def counts(self) -> bool:
        """Does it reach a confirmed threshold?"""
        return self.score is not None and self.score >= self.threshold

    @property
    def why_not(self) -> str:
        """Why it does not count, in words; "" when it does."""
        if self.counts:
            return ""
        if not self.present:
            return "not found"
        if self.score is None:
            return "found, but without the score that its threshold is about"
        return (
            f"{in_words(self.score, self.acute.unit)} is below the operating threshold "
            f"{in_words(self.threshold, self.acute.unit)}"
        )


def in_words(value: float, unit: str) -> str:
    """A score with its unit."""
    return f"{value:g} {unit}".rstrip() if value >= 1000 else f"{value:.3g} {unit}".rstrip()


def observe(
    findings: Findings, acute: Iterable[AcuteFinding], thresholds: Mapping[str, float]
) -> tuple[Observation, ...]:
    """One observation for each acute finding of the package, found or not.

    Args:
        thresholds: in force here, by name; the site may have replaced some.
    """
    looked = findings.status not in (Status.FAILED, Status.NOT_ELIGIBLE)
    observations = []
    for item in acute:
        scores = list(_scores(findings, item)) if looked else []
        known = [(score, where) for score, where in scores if score is not None]
        score, where = max(known, key=lambda one: one[0], default=(None, ""))
        observations.append(
            Observation(
                acute=item,
                present=bool(scores),
                score=score,
                where=where,
                threshold=max(
                    item.operating_threshold,
                    thresholds.get(item.threshold, item.operating_threshold),
                ),
            )
        )
    return tuple(observations)


def _scores(findings: Findings, acute: AcuteFinding) -> Iterator[tuple[float | None, str]]:
    """The score of each place that holds the finding, None where one has none; and the place."""
    for finding in findings.findings:
        if _is(finding.finding, acute.code):
            yield _score(finding.measurements, acute), finding.where
    for evaluation in findings.exam_evaluations:
        value = evaluation.value
        present = isinstance(value, CodedConcept) and (value.value, value.scheme) in PRESENT
        if present and _is(evaluation.name, acute.code):
            yield _score(findings.exam_measurements, acute), ""


def _score(measurements: Iterable[Measurement], acute: AcuteFinding) -> float | None:
    values = [item.value for item in measurements if _is(item.name, acute.score)]
    return max(values, default=None)


def _is(concept: CodedConcept, code: tuple[str, str]) -> bool:
    return (concept.value, concept.scheme) == code
