"""`plan --new FILE`: what a changed configuration would do, against the current one."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Collection, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from config.load import load
from config.schema import Appliance
from inference.listing import studies_below
from inference.table import studies_of
from inference.worker import WorkerPool
from models.registry import load_manifest
from node.cli.command import Command, Exit, add_json, complain, print_rows
from node.domain.errors import NodeError, WorkerError
from node.domain.facts import StudyFacts
from node.ledger import Ledger
from node.packages import MODELS_FOLDER, installed_models
from node.pipeline.analysis import FactsTask, describe
from node.pipeline.conductor import ReadingLimits
from node.pipeline.others import StudyInput
from node.pipeline.plan import Change, Outcome, Plan, compare
from node.pipeline.routing import ModelRoute
from node.settings import routes_of

DAY_S = 86400.0
#: More would hide the studies that are printed behind.
REASONS_SHOWN = 12


def plan(options: argparse.Namespace) -> int:
    """Compare; 0: nothing would change, 1: something would, 2: refused."""
    try:
        current = load(options.config, installed_models()).appliance
        changed = load(options.new, installed_models(), "--new").appliance
        left_out = _unreadable(current, changed)
        routes = (_routes(each, left_out) for each in (current, changed))
        found = compare(_studies(options, current), *routes)
    except NodeError as error:
        complain(str(error))
        return Exit.REFUSED
    if not found.studies:
        complain(f"no study to look at: {_source(options)}")
        return Exit.REFUSED
    if options.json:
        print(json.dumps(_as_json(found, options), indent=2))
    else:
        _print(found, options)
    return Exit.FAILURES if found.differences else Exit.GOOD


def _routes(appliance: Appliance, left_out: Collection[str]) -> tuple[ModelRoute, ...]:
    enabled = [name for name, model in appliance.models.items() if model.enabled]
    manifests = {
        name: load_manifest(MODELS_FOLDER / name) for name in enabled if name not in left_out
    }
    return routes_of(appliance, manifests)


def _unreadable(*appliances: Appliance) -> frozenset[str]:
    """Models of either configuration whose package cannot be read; each is told."""
    names = {name for each in appliances for name, model in each.models.items() if model.enabled}
    left_out = set()
    for name in sorted(names):
        try:
            load_manifest(MODELS_FOLDER / name)
        except NodeError as error:
            left_out.add(name)
            complain(
                f"model {name} is left out, because its package cannot be read: "
                + "; ".join(str(error).splitlines())
            )
    return frozenset(left_out)


def _studies(options: argparse.Namespace, appliance: Appliance) -> Iterator[StudyFacts]:
    if options.headers is not None:
        yield from studies_of(options.headers)
    elif options.folder is not None:
        yield from _of_folder(options.folder)
    else:
        ledger = Ledger(appliance.storage.path, read_only=True)
        since = time.time() - options.days * DAY_S
        try:
            untold = ledger.facts.untold_since(since)
            if untold:
                complain(
                    f"{untold} studies of these days are left out: their facts are not kept (an "
                    "older Vigie received them, they cannot be read, or their images were "
                    "deleted); `rerun STUDY` reads them again while the images are here"
                )
            yield from ledger.facts.since(since)
        finally:
            ledger.close()


def _of_folder(folder: Path) -> Iterator[StudyFacts]:
    """Described as a node would; in a process that a damaged file may end."""
    if not folder.is_dir():
        complain(f"{folder}: no such folder")
        return
    studies, left_out = studies_below(folder)
    if left_out:
        complain(
            f"{left_out} files are no DICOM images, or name no study and series, and were left out"
        )
    readers = WorkerPool(1)
    limits = ReadingLimits()
    readers.start()
    try:
        for study_uid, instances in studies.items():
            study = StudyInput(
                study_uid=study_uid,
                instances=tuple(instances),
                generation=1,
                completed_at=datetime.now(UTC),
                confidence="a folder, complete as it is",
            )
            for pixels in (True, False):
                try:
                    _, facts = readers.run(
                        describe,
                        FactsTask(study=study, pixels=pixels),
                        time_limit_s=limits.time_limit_s,
                        memory_mb=limits.memory_mb,
                    )
                except WorkerError as error:
                    if not pixels:
                        complain(f"study {study_uid} was left out: {error}")
                    continue
                yield facts
                break
    finally:
        readers.stop()


def _source(options: argparse.Namespace) -> str:
    if options.headers is not None:
        return f"{options.headers} has no rows"
    if options.folder is not None:
        return f"{options.folder} holds no DICOM images"
    return f"nothing was received in the last {options.days:g} days; name --folder or --headers"


def _summary(found: Plan) -> list[dict[str, object]]:
    models = dict.fromkeys(name for name, _, _ in found.outcomes)
    rows: list[dict[str, object]] = []
    for name in models:
        changes = [one.change for one in found.differences if one.model == name]
        counts = {
            outcome.value: [found.outcomes[name, word, outcome] for word in ("now", "then")]
            for outcome in Outcome
        }
        rows.append(
            {"model": name, **counts, **{change.value: changes.count(change) for change in Change}}
        )
    return rows


def _as_json(found: Plan, options: argparse.Namespace) -> dict[str, object]:
    return {
        "studies": found.studies,
        "series": found.series,
        "models": _summary(found),
        "reasons": [
            {"model": model, "change": change, "reason": reason, "studies": count}
            for model, change, reason, count in found.reasons()
        ],
        "differences": [asdict(one) for one in found.differences],
    }


def _print(found: Plan, options: argparse.Namespace) -> None:
    print(f"{found.studies} studies with {found.series} series; {options.config} -> {options.new}")
    print("studies of each model, now -> new:")
    arrows = [
        {key: " -> ".join(map(str, v)) if isinstance(v, list) else v for key, v in row.items()}
        for row in _summary(found)
    ]
    print_rows(arrows, as_json=False)
    if not found.differences:
        print("no difference")
        return
    print("why, by number of studies:")
    reasons = found.reasons()
    for model, change, reason, count in reasons[:REASONS_SHOWN]:
        print(f"  {count} {model} {change.value}: {reason}")
    if len(reasons) > REASONS_SHOWN:
        print(f"  ... and {len(reasons) - REASONS_SHOWN} more reasons (--json tells all)")
    print()
    shown = found.differences if options.show < 0 else found.differences[: options.show]
    for one in shown:
        print(f"{one.study_uid}  {one.model}  {one.change.value.upper()}")
        print(f"  now: {one.now}")
        print(f"  new: {one.then}")
    rest = len(found.differences) - len(shown)
    if rest:
        print(f"... and {rest} more differences (--show -1 or --json tells all)")


def _days(text: str) -> float:
    days = float(text)
    if not 0 < days <= 36500:
        raise argparse.ArgumentTypeError("write a number of days above 0")
    return days


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)
    parser.epilog = (
        "exit codes: 0 nothing would change, 1 something would, "
        "2 refused (configuration, arguments or nothing to look at)"
    )
    parser.add_argument(
        "--new", type=Path, required=True, metavar="FILE", help="the changed configuration"
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--days",
        type=_days,
        default=7.0,
        metavar="N",
        help="what was received in the last N days (default: 7)",
    )
    source.add_argument("--folder", type=Path, metavar="DIR", help="DICOM files, any depth")
    source.add_argument(
        "--headers",
        type=Path,
        metavar="TABLE",
        help="CSV or Parquet, one row a series, columns named by DICOM keywords",
    )
    parser.add_argument(
        "--show", type=int, default=40, metavar="N", help="differences printed (default 40)"
    )


COMMANDS = (
    Command(
        name="plan",
        summary="what a changed configuration would do, on received studies, a folder or a table",
        arguments=_arguments,
        run=plan,
    ),
)
