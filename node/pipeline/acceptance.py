"""How often readers accept what a model found, with the uncertainty of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scipy.stats import binomtest

from node.ledger.feedback import Tally

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Answers about the findings of one version of one model; each finding counts once.

    Attributes:
        findings: reported in all, answered or not; None where only a part was asked for.
        accepted, rejected, corrected: findings by the latest answer about each.
        readers: how many different ones answered.
    """

    model: str
    model_version: str
    findings: int | None
    accepted: int
    rejected: int
    corrected: int
    readers: int

    @property
    def answered(self) -> int:
        """Findings with an answer."""
        return self.accepted + self.rejected + self.corrected

    @property
    def rate(self) -> float | None:
        """Accepted findings among those with an answer, 0 to 1; None without an answer."""
        return self.accepted / self.answered if self.answered else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the rate by the score method (Wilson, JASA 1927; 22: 209-212).

        It takes findings as independent of each other; findings of one patient are not quite.
        """
        if not self.answered:
            return None
        found = binomtest(self.accepted, self.answered).proportion_ci(CONFIDENCE, method="wilson")
        return float(found.low), float(found.high)

    def as_row(self) -> dict[str, object]:
        """For JSON."""
        return {
            "model": self.model,
            "version": self.model_version,
            "findings": self.findings,
            "answered": self.answered,
            "accepted": self.accepted,
            "corrected": self.corrected,
            "rejected": self.rejected,
            "readers": self.readers,
            "acceptance_rate": self.rate,
            "interval_95": self.interval,
        }


def acceptance(
    tallies: Iterable[Tally], findings: Mapping[tuple[str, str], int] | None = None
) -> tuple[Acceptance, ...]:
    """By model and version, sorted.

    Args:
        findings: number of reported findings by model and version; then versions that nobody
            answered about are listed too.
    """
    counted = {(one.model, one.model_version): one for one in tallies}
    return tuple(
        Acceptance(
            model=key[0],
            model_version=key[1],
            findings=None if findings is None else findings.get(key, 0),
            accepted=counted[key].accepted if key in counted else 0,
            rejected=counted[key].rejected if key in counted else 0,
            corrected=counted[key].corrected if key in counted else 0,
            readers=counted[key].readers if key in counted else 0,
        )
        for key in sorted(set(counted) | set(findings or {}))
    )
