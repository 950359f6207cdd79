"""The text and the JSON of `evaluate`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from node.cli.command import print_rows
from node.evaluation.cohort import Outcome
from node.evaluation.froc import RESAMPLES
from node.evaluation.performance import ALL, Agreement, Performance
from node.evaluation.statistics import Estimate, Share
from node.evaluation.telling import RATE_WORDS, Evaluated, Measured, not_analysed

#: More groups, reasons and studies than these are in --json and --out.
SHOWN_GROUPS: Final = 25
SHOWN_REASONS: Final = 12
SHOWN_STUDIES: Final = 5


def print_json(summary: Mapping[str, object]) -> None:
    """All of it."""
    print(json.dumps(summary, indent=2))


def print_evaluation(
    every: Sequence[Evaluated], values: Sequence[Measured], about: Mapping[str, object]
) -> None:
    """Each target of each model, then the measurements."""
    print(f"{about['cohort']}; {about['truth']} names {about['studies']} studies")
    for one in every:
        print()
        _print_target(one, str(about["positive"]))
    if values:
        _print_values(values)
    print()
    for line in _methods(every, values, about):
        print(line)


def share(found: Share) -> str:
    """ "18/20 0.90 (0.70-0.97)", or "-" of nothing."""
    if found.estimate is None:
        return "-"
    return f"{found.hits}/{found.of} {estimate(found.estimate)}"


def estimate(found: Estimate | None, form: str = ".2f") -> str:
    """ "0.90 (0.70-0.97)"; "to" between the ends where one is negative or signed."""
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.value:{form}}"
    between = " to " if form.startswith("+") or found.low < 0 else "-"
    return f"{found.value:{form}} ({found.low:{form}}{between}{found.high:{form}})"


def _print_target(one: Evaluated, rule: str) -> None:
    whole = one.groups[0]
    written = " ".join(one.target.code).strip() if one.target.code else ""
    code = (
        f" ({written})" if one.target.code and one.target.code[0] not in one.target.finding else ""
    )
    about = f"{one.target.finding}{code}" if one.target.finding else "any finding"
    told = rule or "the result holds the finding" if one.target.code else rule or "it found any"
    versions = ", ".join(one.versions)
    print(f"{one.model} {versions}".strip() + f": {about}; positive when: {told}")
    counts = [
        f"{whole.outcomes[outcome]} {outcome.value}"
        for outcome in Outcome
        if whole.outcomes.get(outcome)
    ]
    print(f"  {whole.studies} studies with a label: {', '.join(counts)}")
    for line in _both_views(whole):
        print(f"  {line}")
    print("  of the studies that were analysed:")
    print_rows(_limited([_row(group) for group in one.groups]), as_json=False)
    if any(group.froc is not None for group in one.groups):
        print("  lesions: share found at so many false positives a study")
        print_rows(_limited([_free_row(g) for g in one.groups if g.froc]), as_json=False)
    for name, value in one.alike.items():
        print(f"  {name} of all: {value}")
    for line in (*_notes(whole), *_left_out(one)):
        print(f"  {line}")


def _both_views(found: Performance) -> Iterator[str]:
    """What was right of everything: a study that was not analysed was neither found nor cleared."""
    missing = found.all_positive - found.sensitivity.of
    yield (
        f"{found.all_positive} positive: {found.true_positive} found, {found.false_negative} "
        f"missed, {missing} not analysed; found of all {share(found.found_of_all)}"
    )
    missing = found.all_negative - found.specificity.of
    yield (
        f"{found.all_negative} negative: {found.true_negative} cleared, {found.false_positive} "
        f"falsely positive, {missing} not analysed; cleared of all {share(found.cleared_of_all)}"
    )


def _row(found: Performance) -> dict[str, object]:
    done = found.sensitivity.of + found.specificity.of
    return {
        "  group": f"  {found.group}",
        "analysed": f"{done} of {found.studies}",
        "sensitivity": share(found.sensitivity),
        "specificity": share(found.specificity),
        "PPV": share(found.ppv),
        "NPV": share(found.npv),
        "AUC": estimate(found.auc),
    }


def _free_row(found: Performance) -> dict[str, object]:
    curve = found.froc
    assert curve is not None
    row: dict[str, object] = {
        "  group": f"  {found.group}",
        "found": f"{curve.found}/{curve.lesions} {estimate(curve.overall)}",
        "false a study": estimate(curve.per_study),
    }
    at = {one.rate: one for one in curve.at}
    for rate, word in RATE_WORDS.items():
        one = at.get(rate)
        reached = "" if one is None or one.reached else "*"
        row[word] = estimate(one.sensitivity) + reached if one is not None else "-"
    return row


def _limited(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    if len(rows) <= SHOWN_GROUPS:
        return rows
    rest = f"  ... and {len(rows) - SHOWN_GROUPS} more (--json or --out tell all)"
    last: dict[str, object] = dict.fromkeys(rows[0], "")
    return [*rows[:SHOWN_GROUPS], {**last, "  group": rest}]


def _notes(whole: Performance) -> Iterator[str]:
    if whole.unscored:
        yield f"no AUC: {whole.unscored} results hold the finding without a score"
    if whole.froc is not None:
        if not whole.froc.at:
            yield "no curve: findings carry no score; 'found' and 'false a study' are of all"
        elif not all(one.reached for one in whole.froc.at):
            yield "*: all findings together make fewer false positives than this"
        lost = f"; {whole.lost_lesions} more in studies that were not analysed"
        yield (
            f"{whole.froc.lesions} lesions in {whole.froc.studies} analysed studies of "
            f"{whole.froc.patients} patients{lost if whole.lost_lesions else ''}"
        )
    for why, number in whole.unplaced.items():
        yield f"{number} analysed studies are not among the lesions: {why}"


def _left_out(one: Evaluated) -> Iterator[str]:
    rows = list(not_analysed(one.records))
    if rows:
        yield "not analysed:"
    for outcome, reason, keys in rows[:SHOWN_REASONS]:
        why = f": {reason}" if reason else ""
        more = f" and {len(keys) - SHOWN_STUDIES} more" if len(keys) > SHOWN_STUDIES else ""
        yield f"  {len(keys)} {outcome.value}{why}"
        yield f"    {', '.join(keys[:SHOWN_STUDIES])}{more}"
    if len(rows) > SHOWN_REASONS:
        yield f"  ... and {len(rows) - SHOWN_REASONS} more reasons (--json or --out tell all)"


def _print_values(values: Sequence[Measured]) -> None:
    print()
    print("measured minus true:")
    print_rows(
        _limited(
            [
                {
                    "  group": f"  {one.model}, {one.column.name} [{one.column.unit}]"
                    if group.group == ALL
                    else f"    {group.group}",
                    **_value_row(group),
                }
                for one in values
                for group in one.groups
            ]
        ),
        as_json=False,
    )
    for one in values:
        listed = sorted(one.groups[0].missing.items(), key=lambda item: -item[1])
        for why, number in listed[:SHOWN_REASONS]:
            print(f"  {number} without {one.column.name} ({one.model}): {why}")
        if len(listed) > SHOWN_REASONS:
            print(
                f"  ... and {len(listed) - SHOWN_REASONS} more reasons (--json or --out tell all)"
            )


def _value_row(found: Agreement) -> dict[str, object]:
    differences = found.differences
    if differences is None:
        empty = ("bias", "limits of agreement", "mean absolute")
        return {"studies": f"0 of {found.studies}", **dict.fromkeys(empty, "-")}
    limits = "-"
    if differences.lower is not None and differences.upper is not None:
        limits = f"{differences.lower.value:+.2f} to {differences.upper.value:+.2f}"
    return {
        "studies": f"{differences.bias.n} of {found.studies}",
        "bias": estimate(differences.bias, "+.2f"),
        "limits of agreement": limits,
        "mean absolute": f"{differences.mean_absolute:.2f}",
    }


def _methods(
    every: Sequence[Evaluated], values: Sequence[Measured], about: Mapping[str, object]
) -> Iterator[str]:
    told = []
    if every:
        told += ["Wilson for shares", "DeLong for AUC"]
    if any(group.froc for one in every for group in one.groups):
        told.append(f"{RESAMPLES} resamples of patients for lesions (seed {about['seed']})")
    if values:
        told.append("Bland and Altman 1999 for differences")
    yield f"intervals: 95 %; {', '.join(told)}"
    for one in every:
        whole = one.groups[0]
        studies = whole.sensitivity.of + whole.specificity.of
        if studies and whole.patients < studies:
            yield (
                f"{studies} studies are of {whole.patients} patients: the intervals of shares and "
                "AUC take them as independent, and are too narrow"
            )
            break
    if every:
        yield "PPV and NPV are those at the share of positive studies in this cohort"
