"""`models import`: a network of another framework becomes a package."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from inference.builtin.pipeline import NO_SLIDES, looks_at_slides
from node.cli.command import Exit, print_rows
from node.importing.form_template import print_form
from node.importing.identity import package_name
from node.importing.importer import IMPORTERS, ImportOptions, import_model, opened_request
from node.importing.parity import Parity
from node.importing.sandbox import SandboxLimits
from node.packages import MODELS_FOLDER

#: Below this not even the runtime starts.
LEAST_MEMORY_MB = 256
#: A week.
LONGEST_S = 604_800


def add_import(parser: argparse.ArgumentParser) -> None:
    """Arguments of `models import`."""
    limits = SandboxLimits()
    parser.add_argument("source", type=Path, help="file, folder or zip of the foreign model")
    parser.add_argument("--kind", choices=tuple(IMPORTERS), required=True, help="what it is")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="package to write (default models/NAME)"
    )
    parser.add_argument(
        "--form", type=Path, metavar="FILE", help="what the source cannot say; see models/IMPORT.md"
    )
    parser.add_argument(
        "--print-form", action="store_true", help="print a form, filled in as far as possible"
    )
    parser.add_argument(
        "--allow-code",
        action="store_true",
        help="run Python that comes with the model, in a sandbox without network; only for "
        "models whose authors you trust",
    )
    parser.add_argument("--replace", action="store_true", help="replace an existing package")
    parser.add_argument(
        "--python", type=Path, help="interpreter with the framework (default .venv-import)"
    )
    parser.add_argument(
        "--memory-mb",
        type=_memory,
        default=limits.memory_mb,
        metavar="MB",
        help=f"memory that each step may take (default {limits.memory_mb})",
    )
    parser.add_argument(
        "--time-s",
        type=_time,
        default=limits.time_s,
        metavar="S",
        help=f"seconds that each step may take (default {limits.time_s:g})",
    )


def run_import(options: argparse.Namespace) -> int:
    """Import one model, or print a form for it."""
    settings = ImportOptions(
        form=options.form,
        allow_code=options.allow_code,
        python=options.python,
        limits=SandboxLimits(memory_mb=options.memory_mb, time_s=options.time_s),
        replace=options.replace,
    )
    out = options.out or MODELS_FOLDER / _name_of(options.source)
    if options.print_form:
        with opened_request(options.source, out.name, settings, _tell) as request:
            print(print_form(request, options.kind), end="")
        return Exit.GOOD
    started = time.monotonic()
    imported = import_model(options.source, options.kind, out, settings, _tell)
    _tell(f"done in {time.monotonic() - started:.0f} s")
    identity = imported.manifest.identity
    rows = [_row(row) for row in imported.draft.parity]
    notes = list(imported.draft.card.notes)
    if looks_at_slides(imported.manifest):
        notes.append(NO_SLIDES)
    if options.json:
        told = {"package": str(out), "digest": identity.digest, "parity": rows, "notes": notes}
        print(json.dumps(told, indent=2))
        return Exit.GOOD
    print_rows(rows, as_json=False)
    print(f"{identity.name} {identity.version}, digest {identity.digest[:16]}: {out}")
    for note in notes:
        print(f"note: {note}")
    return Exit.GOOD


def _row(row: Parity) -> dict[str, object]:
    return {
        "generated volume": row.case,
        "logits max": f"{row.logits.largest:.1e}",
        "logits mean": f"{row.logits.mean:.1e}",
        "lowest Dice": f"{row.labels.lowest_dice:.6f}" if row.labels else "-",
        "seconds ours/theirs": f"{row.our_seconds:.1f}/{row.their_seconds:.1f}",
    }


def _memory(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < LEAST_MEMORY_MB:
        raise argparse.ArgumentTypeError(
            f"{text} is too little to open any network; write a whole number of megabytes of "
            f"{LEAST_MEMORY_MB} or more, for example 16000"
        )
    return value


def _time(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    # Not "value < 1": NaN must be refused too.
    if not 1 <= value <= LONGEST_S:
        raise argparse.ArgumentTypeError(
            f"{text} is no time in which anything could be read; write seconds from 1 to "
            f"{LONGEST_S}, for example 3600"
        )
    return value


def _name_of(source: Path) -> str:
    """`Spleen-CT.v1.zip` -> `spleen_ct_v1`."""
    return package_name(source.resolve().name.removesuffix(".zip").removesuffix(".onnx"))


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
