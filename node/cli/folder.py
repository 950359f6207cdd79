"""`run FOLDER --out DIR`: analyse a folder as if it had been received."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from config.load import load_appliance
from node.cli.command import Command, Exit, add_json, complain, print_rows
from node.folder import clear, run_folder
from node.logs import configure_logging
from node.packages import installed_models

#: Files that are no DICOM are named one by one up to here.
SHOWN_NOTES = 10


def run(options: argparse.Namespace) -> int:
    """Run the pipeline over a folder; 1 when a study failed or a DICOM file was refused.

    What is no DICOM, such as a picture beside the images, is noted and changes nothing.
    """
    if not options.folder.is_dir():
        complain(f"{options.folder}: no such folder")
        return Exit.REFUSED
    appliance = load_appliance(options.config, installed_models())
    try:
        clear(options.out)
    except FileExistsError:
        complain(f"--out {options.out}: not empty and not an earlier run; name another folder")
        return Exit.REFUSED
    log_file = options.out / "node.log"
    configure_logging(appliance.logging.model_copy(update={"file": log_file.resolve()}))
    done = run_folder(appliance, options.folder, options.out.resolve(), _say)
    summary = asdict(done)
    (options.out / "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")
    rows = [
        {
            "study": item.study_uid,
            "model": item.model,
            "outcome": item.outcome,
            "told": item.told,
            "objects": len([name for name in item.objects if name.endswith(".dcm")]),
        }
        for item in done.outcomes
    ]
    print_rows(rows, as_json=options.json, empty="no study in this folder")
    for problem in done.problems:
        complain(problem)
    for note in done.notes[:SHOWN_NOTES]:
        complain(f"note: {note}")
    if len(done.notes) > SHOWN_NOTES:
        complain(f"note: {len(done.notes) - SHOWN_NOTES} more; summary.json names them all")
    failed = any(item.outcome == "failed" for item in done.outcomes)
    return Exit.FAILURES if failed or done.problems or not rows else Exit.GOOD


def _say(text: str) -> None:
    if sys.stderr.isatty():
        complain(text)


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="DICOM files, any depth")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where the results go"
    )


COMMANDS = (
    Command(
        name="run",
        summary="analyse a folder as if it had been received; results in --out DIR",
        arguments=_arguments,
        run=run,
    ),
)
