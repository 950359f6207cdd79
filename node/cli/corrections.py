"""`withdraw`: takes back the results of a study by hand."""

from __future__ import annotations

import argparse

from config.load import load_appliance
from node.cli.command import Command, Exit, complain
from node.ledger import Ledger
from node.packages import installed_models
from node.pipeline.withdrawal import Withdrawing, withdraw
from node.settings import noting_destinations

#: Longest reason; it stands in a text of the rejection note and in `explain`.
REASON_CHARACTERS = 200


def run(options: argparse.Namespace) -> int:
    """Mark the current results withdrawn and queue the rejection notes that are due."""
    reason = " ".join(options.reason.split())
    if len(reason) > REASON_CHARACTERS:
        complain(f"the reason has {len(reason)} characters; write at most {REASON_CHARACTERS}")
        return Exit.REFUSED
    appliance = load_appliance(options.config, installed_models())
    ledger = Ledger(appliance.storage.path)
    try:
        if ledger.studies.get(options.study) is None:
            complain(f"no study {options.study} in the ledger (`status` lists the studies)")
            return Exit.FAILURES
        done = withdraw(
            ledger,
            options.study,
            Withdrawing(reason=reason, noting=noting_destinations(appliance)),
        )
    finally:
        ledger.close()
    for item in done:
        told = [f"{item.stopped} objects will not be sent"] if item.stopped else []
        told += [f"rejection note queued for {', '.join(item.noted)}"] if item.noted else []
        print(f"{item.model}: withdrawn" + (f"; {'; '.join(told)}" if told else ""))
        if item.fault:
            complain(f"{item.model}: the rejection note could not be written: {item.fault}")
    if not done:
        complain("this study has no current result to withdraw")
    elif not any(item.noted for item in done):
        print(
            "What was sent stays where it is: no destination that holds it gets rejection notes "
            "(destinations: ... rejection_notes: true). Remove it there by hand."
        )
    return Exit.GOOD if done and not any(item.fault for item in done) else Exit.FAILURES


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", metavar="STUDY_UID", help="Study Instance UID")
    parser.add_argument(
        "--reason", default="", help="why, in words; without anything about the patient"
    )


COMMANDS = (
    Command(
        name="withdraw",
        summary="take back the results of one study; they are marked, and rejected where "
        "a destination takes rejection notes",
        arguments=_arguments,
        run=run,
    ),
)
