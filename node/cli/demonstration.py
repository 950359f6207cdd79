"""`demo`: everything once, on this computer, with a small PACS beside it."""

from __future__ import annotations

import argparse
from pathlib import Path

from node.cli.command import Command


def run(options: argparse.Namespace) -> int:
    """Run the demonstration; returns its exit code."""
    # The simulation is needed by no other command and slow to import.
    from node.demo.show import Demonstration, show  # noqa: PLC0415

    return show(
        Demonstration(
            out=options.out, studies=options.studies, simulated=options.simulated, stay=options.stay
        )
    )


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--studies", type=Path, metavar="DIR", help="a folder of your own DICOM files to send too"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("demo-out"), metavar="DIR", help="default ./demo-out"
    )
    parser.add_argument(
        "--simulated", type=int, default=2, metavar="N", help="simulated studies (default 2)"
    )
    parser.add_argument("--stay", action="store_true", help="keep the node and the PACS running")


COMMANDS = (
    Command(
        name="demo",
        summary="everything once, with a small PACS beside it",
        arguments=_arguments,
        run=run,
    ),
)
