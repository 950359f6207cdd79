"""`evaluate COHORT --truth TABLE`: how well the results of a cohort agree with what is true."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from config.load import load_appliance
from node import packages
from node.cli.cohorts import (
    LEDGER,
    Progress,
    add_rule,
    groupings,
    opened,
    positive_number,
    stated,
)
from node.cli.command import Command, Exit, add_json, complain
from node.cli.evaluated import print_evaluation, print_json
from node.evaluation.assessment import Asked, Assessment
from node.evaluation.cohort import HEADER_GROUPS, Cohort, Outcome, Wanted
from node.evaluation.filed import write_evaluation
from node.evaluation.froc import SEED
from node.evaluation.telling import as_json, evaluated, measured
from node.evaluation.truth_table import read_truth

GROUPS: Final = ("site", "scanner", "protocol")
#: Only these leave nothing to be done.
CLEAN: Final = (Outcome.DONE, Outcome.PARTIAL, Outcome.WITHOUT, Outcome.NOT_ELIGIBLE)


def evaluate(options: argparse.Namespace) -> int:
    """Evaluate; 1 when a study failed, is unfinished or is not there, 2 when refused."""
    appliance = load_appliance(options.config, packages.installed_models())
    said = stated(options.model)
    table = read_truth(options.truth, said.acute, tolerance_mm=options.tolerance)
    by = groupings(options.by, table.group_columns)
    asked = Asked(
        rule=options.positive, acute=said.acute, model=options.model, left_out=said.left_out
    )
    found = Assessment(table, asked)
    with opened(options, appliance) as cohort:
        interrupted = _collect(cohort, Wanted(table.keyed_by, frozenset(table.studies)), found)
    if interrupted:
        complain("interrupted: what was analysed so far is evaluated, the rest is unfinished")
    found.finish(unseen=found.unseen("interrupted before it was looked at") if interrupted else {})
    if interrupted and not found.models:
        complain("no study was analysed before that")
        return Exit.FAILURES
    if not found.models:
        complain(_nothing(options, found, cohort))
        return Exit.REFUSED
    every = evaluated(found, by, seed=options.seed)
    values = measured(found, by)
    about: dict[str, object] = {
        "cohort": cohort.told,
        "truth": table.file,
        "studies": len(table.studies),
        "positive": str(options.positive) if options.positive else "",
        "seed": options.seed,
        "problems": list(cohort.problems),
    }
    summary = as_json(every, values, about)
    if options.json:
        print_json(summary)
    else:
        print_evaluation(every, values, about)
    for problem in cohort.problems:
        complain(problem)
    for what, model in found.silent:
        complain(
            f"note: {model} never speaks of '{what}' and is left out (--model {model} shows it)"
        )
    unnamed = found.unnamed()
    for told in unnamed:
        complain(told)
    if options.out is not None:
        written = write_evaluation(options.out, summary, every, values)
        complain(f"written to {options.out}: {', '.join(path.name for path in written)}")
    outcomes = {record.outcome for one in every for record in one.records}
    outcomes |= {record.outcome for one in values for record in one.records}
    clean = outcomes.issubset(CLEAN) and not (cohort.problems or unnamed or said.left_out)
    return Exit.GOOD if clean and not interrupted else Exit.FAILURES


def _collect(cohort: Cohort, wanted: Wanted, found: Assessment) -> bool:
    """Take in every case; True when somebody pressed Ctrl-C meanwhile.

    What was analysed in hours is worth a table, and the rest a name.
    """
    seen = Progress(cohort.count(wanted))
    try:
        for case in cohort.cases(wanted):
            found.add(case)
            seen.step()
    except KeyboardInterrupt:
        return True
    finally:
        seen.end()
    return False


def _nothing(options: argparse.Namespace, found: Assessment, cohort: Cohort) -> str:
    if options.model and found.other_models:
        known = ", ".join(sorted(found.other_models))
        return f"no result of model {options.model} for these studies; there are results of {known}"
    lines = [f"{problem}\n" for problem in cohort.problems]
    return "".join(lines) + (
        f"no study of {options.truth} is in the cohort with a result: {cohort.told} - are the "
        "studies named as the images name them?"
    )


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)
    parser.epilog = (
        "exit codes: 0 every study of the table was analysed or rightly refused, 1 some failed, "
        "are unfinished or are not there, 2 refused (configuration, arguments, truth table). "
        "config/EVALUATION.md shows truth tables"
    )
    parser.add_argument(
        "cohort",
        metavar="COHORT",
        help="a folder of images (analysed now), a folder of reports (read back), or the word "
        f"'{LEDGER}': the results that this node has",
    )
    parser.add_argument("--truth", type=Path, required=True, metavar="TABLE", help="CSV")
    parser.add_argument("--model", default="", metavar="NAME", help="only this model")
    add_rule(parser)
    parser.add_argument(
        "--by",
        default=",".join(GROUPS),
        metavar="A,B",
        help=f"groupings: {', '.join(HEADER_GROUPS)} or extra columns of the table (default: "
        f"{','.join(GROUPS)}; '' for none)",
    )
    parser.add_argument(
        "--tolerance",
        type=positive_number,
        metavar="MM",
        help="a finding this near to the centre of a lesion finds it at least",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--run", dest="analyse", action="store_true", help="analyse the images of the folder"
    )
    what.add_argument("--read", action="store_true", help="read the reports of the folder")
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="the images of reports that are read, to place their findings in mm",
    )
    parser.add_argument(
        "--days",
        type=positive_number,
        metavar="N",
        help="of the ledger: only studies of the last N days",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="CSV, JSON, pictures, and the reports of a run"
    )
    parser.add_argument(
        "--seed", type=int, default=SEED, metavar="N", help=f"of resampling (default {SEED})"
    )


COMMANDS = (
    Command(
        name="evaluate",
        summary="sensitivity, specificity and more of a cohort with a truth table",
        arguments=_arguments,
        run=evaluate,
    ),
)
