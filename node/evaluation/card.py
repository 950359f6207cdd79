"""The command that measures one package: its usual options, its table, its card."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from node.evaluation.table import Row, markdown, write_into_card


def tell(text: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def parser_for(package: Path) -> argparse.ArgumentParser:
    """The options that every package has; `--out` is where pictures go, `--shared` real images."""
    parser = argparse.ArgumentParser(prog=f"python -m node.evaluation.{package.name}")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--out", type=Path, default=Path("evaluate-out"))
    parser.add_argument("--write-card", action="store_true")
    return parser


def conclude(rows: Sequence[Row], options: argparse.Namespace, package: Path) -> None:
    """Print the table, and write it into the card when asked."""
    text = markdown(rows)
    tell(text)
    if options.write_card:
        write_into_card(package / "CARD.md", text)
