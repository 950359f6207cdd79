"""`feedback`: what readers answered, as rates with intervals, as JSON or as a table of answers."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from config.load import load_appliance
from node.cli.command import Command, Exit, complain, print_rows
from node.domain.feedback import ReaderAnswer
from node.domain.spreadsheet import cell
from node.ledger import Ledger
from node.ledger.feedback import Wanted
from node.packages import installed_models
from node.pipeline.acceptance import Acceptance, acceptance

DAY_S = 86400.0


def run(options: argparse.Namespace) -> int:
    """Print it; nothing is changed."""
    if options.days is not None and options.days <= 0:
        complain("--days is a number above 0")
        return Exit.REFUSED
    appliance = load_appliance(options.config, installed_models())
    ledger = Ledger(appliance.storage.path, read_only=True)
    try:
        since = None if options.days is None else ledger.feedback.now() - options.days * DAY_S
        wanted = Wanted(model=options.model, since=since)
        answers = ledger.feedback.answers(wanted) if options.csv or options.json else ()
        tallies = ledger.feedback.tallies(wanted)
        totals = ledger.findings.totals() if since is None else None
    finally:
        ledger.close()
    rates = [row for row in acceptance(tallies, totals) if options.model in ("", row.model)]
    rows = [_answer(answer, comments=options.comments) for answer in answers]
    if options.csv:
        writer = csv.DictWriter(sys.stdout, _columns(comments=options.comments))
        writer.writeheader()
        writer.writerows(rows)
    elif options.json:
        told = {"models": [row.as_row() for row in rates], "answers": rows}
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        print_rows([_line(row) for row in rates], as_json=False, empty="no reader has answered yet")
    return Exit.GOOD


def _line(row: Acceptance) -> Mapping[str, object]:
    """The same for people: a rate with its interval, in per cent."""
    told = "-"
    if row.rate is not None and row.interval is not None:
        low, high = row.interval
        told = f"{row.rate:.1%} ({low:.1%} to {high:.1%})"
    return {
        "model": row.model,
        "version": row.model_version or "-",
        "findings": "-" if row.findings is None else row.findings,
        "answered": row.answered,
        "accepted": row.accepted,
        "corrected": row.corrected,
        "rejected": row.rejected,
        "accepted of answered (95 % interval)": told,
    }


def _columns(*, comments: bool) -> list[str]:
    columns = [
        "at",
        "received_at",
        "study",
        "model",
        "version",
        "result",
        "report",
        "tracking_uid",
        "finding",
        "reader",
        "source",
        "document",
        "answer",
        "current",
        "measurements",
    ]
    return [*columns, "comment"] if comments else columns


def _answer(answer: ReaderAnswer, *, comments: bool) -> dict[str, object]:
    numbers = [asdict(item) for item in answer.measurements]
    row: dict[str, object] = {
        "at": _iso(answer.at),
        "received_at": _iso(answer.received_at),
        "study": answer.study_uid,
        "model": answer.model,
        "version": answer.model_version,
        "result": answer.result,
        "report": answer.report_uid,
        "tracking_uid": answer.tracking_uid,
        "finding": cell(answer.finding),
        "reader": cell(answer.reader),
        "source": answer.source.value,
        "document": answer.document_uid,
        "answer": answer.answer.value,
        "current": answer.is_current,
        "measurements": json.dumps(numbers, ensure_ascii=False),
    }
    return {**row, "comment": cell(answer.comment)} if comments else row


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="seconds")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--days", type=float, help="answers of the last so many days only")
    parser.add_argument("--model", default="", help="one model only")
    parser.add_argument(
        "--comments", action="store_true", help="with the comments, which are free text of readers"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="rates and answers as JSON")
    form.add_argument("--csv", action="store_true", help="every answer as a row of CSV")


COMMANDS = (
    Command(
        name="feedback",
        summary="what readers answered: acceptance by model version, or every answer as CSV",
        arguments=_arguments,
        run=run,
    ),
)
