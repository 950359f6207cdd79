"""Reads the arguments, runs one command, turns errors into messages and exit codes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from node.cli import (
    agreement,
    appliance,
    corrections,
    demonstration,
    evaluate,
    feedback,
    folder,
    packages,
    plan,
    studies,
)
from node.cli.command import Command, Exit, complain
from node.domain.errors import ConfigError, NodeError
from node.guard import check_environment

COMMANDS: tuple[Command, ...] = (
    *appliance.COMMANDS,
    *folder.COMMANDS,
    *demonstration.COMMANDS,
    *plan.COMMANDS,
    *evaluate.COMMANDS,
    *agreement.COMMANDS,
    *studies.COMMANDS,
    *corrections.COMMANDS,
    *feedback.COMMANDS,
    *packages.COMMANDS,
)


def parser() -> argparse.ArgumentParser:
    """The argument parser of every command."""
    top = argparse.ArgumentParser(
        prog="python -m node",
        description="Vigie: a DICOM-native AI node beside the PACS.",
        epilog="exit codes: 0 good, 1 ran with failures, 2 refused (configuration or arguments)",
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        sub = commands.add_parser(
            command.name, help=command.summary, description=command.summary.capitalize() + "."
        )
        sub.add_argument(
            "--config",
            type=Path,
            default=Path("appliance.yaml"),
            metavar="FILE",
            help="the configuration (default ./appliance.yaml)",
        )
        command.arguments(sub)
        sub.set_defaults(run=command.run)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = parser().parse_args(arguments)
    try:
        check_environment()
        return int(options.run(options))
    except ConfigError as error:
        complain(str(error))
        return Exit.REFUSED
    except NodeError as error:
        complain(f"{type(error).__name__}: {error}")
        return Exit.FAILURES
    except KeyboardInterrupt:
        complain("interrupted")
        return Exit.FAILURES
    except BrokenPipeError:
        return Exit.GOOD
