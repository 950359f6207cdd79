"""An evaluation as plain rows: for `--json`, for CSV files and for the tables of the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from node.evaluation.assessment import Assessment, Record, ValueRecord
from node.evaluation.cohort import Outcome
from node.evaluation.froc import RATES, RESAMPLES, SEED
from node.evaluation.performance import (
    Agreement,
    Performance,
    agreement,
    alike,
    grouped,
    performance,
)
from node.evaluation.statistics import Estimate, Share
from node.evaluation.truth import Target, ValueColumn

Row = dict[str, object]
METHODS: Final = {
    "shares": "95 % Wilson score interval",
    "auc": "95 % DeLong interval on the logit scale; a result without the finding ranks below all",
    "froc": "95 % percentile bootstrap over patients",
    "kappa": "95 % interval after Fleiss, Cohen and Everitt 1969",
    "differences": "95 % limits of agreement and their intervals after Bland and Altman 1999",
}
RATE_WORDS: Final = {
    rate: word for rate, word in zip(RATES, ("1/8", "1/4", "1/2", "1", "2", "4", "8"), strict=True)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """One target of one model, by group."""

    target: Target
    model: str
    versions: tuple[str, ...]
    groups: tuple[Performance, ...]
    alike: Mapping[str, str]
    records: Sequence[Record]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One measurement of one model against true values, by group."""

    column: ValueColumn
    model: str
    groups: tuple[Agreement, ...]
    records: Sequence[ValueRecord]


def evaluated(found: Assessment, by: Sequence[str], *, seed: int = SEED) -> tuple[Evaluated, ...]:
    """Every target and model with a label in the table."""
    return tuple(
        Evaluated(
            target=target,
            model=model,
            versions=tuple(sorted(found.versions.get(model, ()))),
            groups=tuple(
                performance(name, members, seed=seed) for name, members in grouped(records, by)
            ),
            alike=alike(records, by),
            records=records,
        )
        for (target, model), records in sorted(
            found.records.items(), key=lambda one: (one[0][1], one[0][0].finding)
        )
        if any(one.positive is not None for one in records)
    )


def measured(found: Assessment, by: Sequence[str]) -> tuple[Measured, ...]:
    """Every column of true values, for each model."""
    return tuple(
        Measured(
            column=column,
            model=model,
            groups=tuple(agreement(name, members) for name, members in grouped(records, by)),
            records=records,
        )
        for (column, model), records in found.values.items()
    )


def estimate_row(name: str, estimate: Estimate | None) -> Row:
    """`name`, `name_low`, `name_high`; None where there is none."""
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def share_row(name: str, share: Share) -> Row:
    """The counts of a share, with its estimate."""
    counts: Row = {f"{name}_hits": share.hits, f"{name}_of": share.of}
    return counts | estimate_row(name, share.estimate)


def performance_row(found: Performance) -> Row:
    """One group, flat."""
    row: Row = {"group": found.group, "studies": found.studies, "patients_analysed": found.patients}
    for outcome in Outcome:
        row[outcome.name.lower()] = found.outcomes.get(outcome, 0)
    row |= {
        "positive": found.all_positive,
        "negative": found.all_negative,
        "true_positive": found.true_positive,
        "false_negative": found.false_negative,
        "false_positive": found.false_positive,
        "true_negative": found.true_negative,
    }
    for name in ("sensitivity", "specificity", "ppv", "npv", "found_of_all", "cleared_of_all"):
        row |= share_row(name, getattr(found, name))
    row |= estimate_row("auc", found.auc)
    row["unscored"] = found.unscored
    curve = found.froc
    row |= {
        "lesions": curve.lesions if curve else None,
        "lesions_found": curve.found if curve else None,
        "lesions_not_looked_for": found.lost_lesions,
        "lesion_studies": curve.studies if curve else None,
    }
    row |= estimate_row("lesion_sensitivity", curve.overall if curve else None)
    row |= estimate_row("false_positives_per_study", curve.per_study if curve else None)
    at = {one.rate: one for one in curve.at} if curve else {}
    for rate, word in RATE_WORDS.items():
        name = f"sensitivity_at_{word.replace('/', '_')}"
        row |= estimate_row(name, at[rate].sensitivity if rate in at else None)
        row[f"{name}_reached"] = at[rate].reached if rate in at else None
    return row


def agreement_row(found: Agreement) -> Row:
    """One group of a measurement, flat; differences are measured minus true."""
    row: Row = {"group": found.group, "studies": found.studies}
    differences = found.differences
    row["pairs"] = differences.bias.n if differences else 0
    row |= estimate_row("bias", differences.bias if differences else None)
    row["deviation"] = differences.deviation if differences else None
    row |= estimate_row("lower_limit", differences.lower if differences else None)
    row |= estimate_row("upper_limit", differences.upper if differences else None)
    row["mean_absolute"] = differences.mean_absolute if differences else None
    row["correlation_with_size"] = differences.correlation if differences else None
    return row


def study_rows(every: Sequence[Evaluated]) -> Iterator[Row]:
    """One row a study, target and model: what a person wants to look up."""
    for one in every:
        for record in one.records:
            yield {
                "study": record.key,
                "model": one.model,
                "finding": one.target.finding,
                "truth": _label(record.positive),
                "result": _label(record.called),
                "outcome": record.outcome.value,
                "reason": record.reason,
                # A result without the finding has no score of its own.
                "score": _finite(record.score),
                **{name: record.groups.get(name, "") for name in sorted(record.groups)},
            }


def value_rows(every: Sequence[Measured]) -> Iterator[Row]:
    """One row a study, measurement and model."""
    for one in every:
        for record in one.records:
            yield {
                "study": record.key,
                "model": one.model,
                "measurement": one.column.name,
                "unit": one.column.unit,
                "true": record.true,
                "measured": record.measured,
                "outcome": record.outcome.value,
                "reason": record.reason,
            }


def not_analysed(records: Sequence[Record]) -> Iterator[tuple[Outcome, str, list[str]]]:
    """(outcome, reason, studies) of what was not analysed, most frequent first."""
    found: dict[tuple[Outcome, str], list[str]] = {}
    for one in records:
        if one.outcome is not Outcome.DONE:
            found.setdefault((one.outcome, one.reason), []).append(one.key)
    for (outcome, reason), keys in sorted(found.items(), key=lambda one: -len(one[1])):
        yield outcome, reason, keys


def as_json(
    every: Sequence[Evaluated], values: Sequence[Measured], about: Mapping[str, object]
) -> Row:
    """The whole evaluation."""
    return {
        **about,
        "methods": METHODS | {"froc": f"{METHODS['froc']}, {RESAMPLES} resamples"},
        "evaluations": [
            {
                "model": one.model,
                "versions": list(one.versions),
                "finding": one.target.finding,
                "code": " ".join(one.target.code) if one.target.code else None,
                "alike": dict(one.alike),
                "groups": [
                    performance_row(group) | {"not_placed": dict(group.unplaced)}
                    for group in one.groups
                ],
                "not_analysed": [
                    {"outcome": outcome.value, "reason": reason, "studies": keys}
                    for outcome, reason, keys in not_analysed(one.records)
                ],
            }
            for one in every
        ],
        "measurements": [
            {
                "model": one.model,
                "measurement": one.column.name,
                "unit": one.column.unit,
                "groups": [
                    agreement_row(group) | {"missing": dict(group.missing)} for group in one.groups
                ],
            }
            for one in values
        ],
    }


def _finite(score: float | None) -> float | None:
    return score if score is not None and math.isfinite(score) else None


def _label(positive: bool | None) -> str:
    return {True: "positive", False: "negative", None: ""}[positive]
