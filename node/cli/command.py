"""What every command is made of, and the exit codes they share."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class Exit(IntEnum):
    """Documented exit codes."""

    GOOD = 0
    #: It ran, and something in it failed.
    FAILURES = 1
    #: Refused: bad configuration or arguments; nothing was done.
    REFUSED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: its name, one line of help, its arguments, what it does."""

    name: str
    summary: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json` for commands that print a table."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config` behind an action as well; before it, it is the command's own."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="the configuration (default ./appliance.yaml)",
    )


def print_rows(rows: Sequence[Mapping[str, object]], *, as_json: bool, empty: str = "") -> None:
    """A table with aligned columns, or JSON."""
    if as_json:
        print(json.dumps(list(rows), indent=2, default=str))
        return
    if not rows:
        if empty:
            print(empty)
        return
    columns = list(rows[0])
    texts = [[str(row[column]) for column in columns] for row in rows]
    widths = [
        max(len(column), *(len(text[i]) for text in texts)) for i, column in enumerate(columns)
    ]
    for line in [columns, *texts]:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def complain(text: str) -> None:
    """Print to standard error."""
    print(text, file=sys.stderr)
