"""`agreement A B`: what two models say of the same studies, a shadow beside the first too."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from config.load import load_appliance
from node import packages
from node.cli.cohorts import (
    LEDGER,
    Progress,
    Stated,
    add_rule,
    groupings,
    opened,
    positive_number,
    stated,
)
from node.cli.command import Command, Exit, add_json, complain, print_rows
from node.cli.evaluated import SHOWN_GROUPS, SHOWN_REASONS, SHOWN_STUDIES, estimate, share
from node.domain.errors import ConfigError
from node.domain.pairing import Pair
from node.evaluation.agreement import Comparison, PairGroup, PairRecord, pair_groups
from node.evaluation.filed import write_csv
from node.evaluation.naming import finding_code
from node.evaluation.statistics import Differences
from node.evaluation.telling import METHODS, Row, estimate_row, share_row
from node.evaluation.truth import Target


def agreement(options: argparse.Namespace) -> int:
    """Compare; 0: done, 1: something could not be read or compared, 2: refused."""
    appliance = load_appliance(options.config, packages.installed_models())
    if options.first == options.second:
        raise ConfigError(f"name two models: {options.first} agrees with itself")
    by = groupings(options.by, ())
    said = stated(options.first, options.second)
    if said.left_out:
        raise ConfigError(
            f"{' and '.join(sorted(said.left_out))} cannot be compared; `python -m node models "
            "check` tells every fault of the package"
        )
    targets = _targets(options, said)
    found = Comparison(options.first, options.second, targets, rule=options.positive)
    options.read = options.cohort != LEDGER
    with opened(options, appliance) as cohort:
        seen = Progress(cohort.count(None))
        for case in cohort.cases(None):
            found.add(case)
            seen.step()
        seen.end()
    for model in (options.first, options.second):
        if model not in found.models:
            there = ", ".join(sorted(found.models)) or "none at all"
            complain(
                f"no study with a verdict of model {model} in {cohort.told}; of others: {there}"
            )
            return Exit.REFUSED
    summary = _as_json(found, by, cohort.told)
    if options.json:
        print(json.dumps(summary, indent=2))
    else:
        _print(found, by, cohort.told)
    for problem in cohort.problems:
        complain(problem)
    if options.out is not None:
        complain(f"written to {options.out}: {', '.join(_write(options.out, found, summary))}")
    compared = any(
        record.pair is not Pair.NOT_COMPARED
        for records in found.records.values()
        for record in records
    )
    return Exit.GOOD if compared and not cohort.problems else Exit.FAILURES


def _targets(options: argparse.Namespace, said: Stated) -> tuple[Target, ...]:
    acute = said.acute
    if options.finding:
        code = finding_code(options.finding, acute)
        if code is None:
            raise ConfigError(
                f"--finding {options.finding}: no code, and no finding of a package - write code "
                "and scheme, such as '59282003 SCT'"
            )
        return (Target(finding=options.finding, code=code),)
    if options.positive is not None:
        return (Target(),)
    named = {
        one.code: one.title
        for model in (options.first, options.second)
        for one in acute.get(model, ())
    }
    return (Target(), *(Target(finding=title, code=code) for code, title in named.items()))


def _print(found: Comparison, by: Sequence[str], told: str) -> None:
    print(
        f"{_versioned(found, found.first)} (first) and {_versioned(found, found.second)} (second)"
    )
    print(f"  {told}; neither is taken for the truth")
    for target, records in found.records.items():
        print()
        print(f"{target.finding or 'any finding'}:")
        groups = list(pair_groups(records, by))
        shown = groups[:SHOWN_GROUPS]
        print_rows([_shown(group) for group in shown], as_json=False)
        if len(groups) > len(shown):
            print(f"  ... and {len(groups) - len(shown)} more (--json tells all)")
        if any(groups[0].lesions):
            print_rows([_lesion_row(group) for group in shown], as_json=False)
        for line in (*_apart(found, records), *_not_compared(records)):
            print(f"  {line}")
    if found.unfinished:
        print()
        print(f"unfinished, not looked at: {_studies(found.unfinished)}")
    rows = [_difference_row(name, unit, one) for name, unit, one in found.differences()]
    if rows:
        print()
        print("measurements, second minus first:")
        print_rows(rows, as_json=False)
    for name in sorted(found.units_differ):
        print(f"  {name}: the two models give it in different units, it is not compared")
    print()
    print("intervals: 95 %; Wilson for agreement, Fleiss, Cohen and Everitt 1969 for kappa, Bland")
    print("and Altman 1999 for differences")


def _versioned(found: Comparison, model: str) -> str:
    return " ".join((model, ", ".join(sorted(found.versions[model])))).strip()


def _shown(group: PairGroup) -> dict[str, object]:
    specific = {
        "positive agreement": group.positive_agreement,
        "negative agreement": group.negative_agreement,
    }
    return {
        "  group": f"  {group.group}",
        **{pair.value: group.count(pair) for pair in Pair},
        "agreement": share(group.agreed),
        "kappa": estimate(group.kappa),
        **{name: "-" if value is None else f"{value:.2f}" for name, value in specific.items()},
    }


def _lesion_row(group: PairGroup) -> dict[str, object]:
    both, first, second = group.lesions
    return {
        "  lesions": f"  {group.group}",
        "of both": both,
        "only of the first": first,
        "only of the second": second,
        "studies": group.lesion_studies,
    }


def _difference_row(name: str, unit: str, found: Differences) -> dict[str, object]:
    limits = "-"
    if found.lower is not None and found.upper is not None:
        limits = f"{found.lower.value:+.2f} to {found.upper.value:+.2f}"
    return {
        "  measurement": f"  {name} [{unit.strip('[]')}]",
        "studies": found.bias.n,
        "bias": estimate(found.bias, "+.2f"),
        "limits of agreement": limits,
        "mean absolute": f"{found.mean_absolute:.2f}",
    }


def _apart(found: Comparison, records: Sequence[PairRecord]) -> Iterator[str]:
    """The studies to look at: where the two say different things."""
    for pair, model in ((Pair.ONLY_FIRST, found.first), (Pair.ONLY_SECOND, found.second)):
        studies = [one.study_uid for one in records if one.pair is pair]
        if studies:
            yield f"positive by {model} only: {_studies(studies)}"


def _not_compared(records: Sequence[PairRecord]) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for one in records:
        if one.why:
            what = "" if one.pair is Pair.NOT_COMPARED else "lesions: "
            reasons.setdefault(what + one.why, []).append(one.study_uid)
    listed = sorted(reasons.items(), key=lambda one: -len(one[1]))
    if listed:
        yield "not compared:"
    for why, studies in listed[:SHOWN_REASONS]:
        yield f"  {len(studies)}: {why}"
        yield f"    {_studies(studies)}"
    if len(listed) > SHOWN_REASONS:
        yield f"  ... and {len(listed) - SHOWN_REASONS} more reasons (--json tells all)"


def _studies(studies: Sequence[str]) -> str:
    more = len(studies) - SHOWN_STUDIES
    return ", ".join(studies[:SHOWN_STUDIES]) + (f" and {more} more" if more > 0 else "")


def _as_json(found: Comparison, by: Sequence[str], told: str) -> Row:
    return {
        "first": found.first,
        "second": found.second,
        "versions": {model: sorted(names) for model, names in found.versions.items()},
        "cohort": told,
        "methods": {name: METHODS[name] for name in ("shares", "kappa", "differences")},
        "findings": [
            {
                "finding": target.finding,
                "code": " ".join(target.code) if target.code else None,
                "groups": [_group_json(group) for group in pair_groups(records, by)],
                "not_compared": dict(Counter(one.why for one in records if one.why)),
                "studies": [
                    {"study": one.study_uid, "pair": one.pair.value, "why": one.why}
                    for one in records
                ],
            }
            for target, records in found.records.items()
        ],
        "measurements": [
            {
                "measurement": name,
                "unit": unit,
                "pairs": one.bias.n,
                **estimate_row("bias", one.bias),
                **estimate_row("lower_limit", one.lower),
                **estimate_row("upper_limit", one.upper),
                "mean_absolute": one.mean_absolute,
                "correlation_with_size": one.correlation,
            }
            for name, unit, one in found.differences()
        ],
        "unfinished": found.unfinished,
        "units_differ": sorted(found.units_differ),
    }


def _group_json(group: PairGroup) -> Row:
    row: Row = {"group": group.group}
    row |= {pair.name.lower(): group.count(pair) for pair in Pair}
    row |= share_row("agreement", group.agreed) | estimate_row("kappa", group.kappa)
    both, first, second = group.lesions
    return row | {
        "positive_agreement": group.positive_agreement,
        "negative_agreement": group.negative_agreement,
        "lesions_of_both": both,
        "lesions_only_first": first,
        "lesions_only_second": second,
        "lesion_studies": group.lesion_studies,
    }


def _write(folder: Path, found: Comparison, summary: Row) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "agreement.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    rows: list[Row] = [
        {
            "study": one.study_uid,
            "finding": target.finding,
            "pair": one.pair.value,
            "why": one.why,
            **one.groups,
        }
        for target, records in found.records.items()
        for one in records
    ]
    write_csv(folder / "pairs.csv", rows)
    return ["agreement.json", "pairs.csv"]


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)
    parser.epilog = (
        "exit codes: 0 compared, 1 nothing could be compared or a report could not be read, "
        "2 refused (configuration, arguments, no such model)"
    )
    parser.add_argument("first", metavar="A", help="name of a model")
    parser.add_argument("second", metavar="B", help="name of another model, a shadow for example")
    parser.add_argument(
        "--reports",
        dest="cohort",
        default=LEDGER,
        metavar="DIR",
        help="reports in a folder instead of the results that this node has",
    )
    parser.add_argument(
        "--days", type=positive_number, metavar="N", help="only studies of the last N days"
    )
    parser.add_argument(
        "--finding",
        default="",
        metavar="CODE",
        help="such as '59282003 SCT' or the name of an acute finding (default: whether anything "
        "was found, and each acute finding of the two)",
    )
    add_rule(parser)
    parser.add_argument("--by", default="", metavar="A,B", help="site, scanner, protocol, kernel")
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="the images of reports that are read"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="CSV and JSON")
    parser.set_defaults(analyse=False, read=False)


COMMANDS = (
    Command(
        name="agreement",
        summary="what two models say of the same studies; one may be a shadow",
        arguments=_arguments,
        run=agreement,
    ),
)
