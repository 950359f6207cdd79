"""What goes between the node and a sandboxed program: two JSON files in a folder.

`request.json` in, `report.json` out. A report either says what was done or lists faults: what
stands against the import, where, and what to do.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from node.domain.errors import ImportFault, ImportRefused

REQUEST = "request.json"
REPORT = "report.json"

Json = Mapping[str, Any]


def write_request(folder: Path, request: Json) -> None:
    """What the program shall do."""
    (folder / REQUEST).write_text(json.dumps(request), encoding="utf-8")


def read_report(folder: Path) -> Json | None:
    """What the program said; None where it ended without a word.

    Raises:
        ImportRefused: it found faults.
    """
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(report, dict):
        return None
    if faults := report.get("faults"):
        raise ImportRefused(
            faults=tuple(
                ImportFault(
                    where=str(fault["where"]), why=str(fault["why"]), remedy=str(fault["remedy"])
                )
                for fault in faults
            )
        )
    return report


def answer(program: Callable[[Json, Path], Json]) -> int:
    """Main function of a sandboxed program: `program(request, folder)` gives the report.

    A fault is reported as such; anything else leaves its traceback on standard error.
    """
    folder = Path(sys.argv[1])
    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    try:
        report: Json = program(request, folder)
    except ImportRefused as error:
        report = {
            "faults": [
                {"where": fault.where, "why": fault.why, "remedy": fault.remedy}
                for fault in error.faults
            ]
        }
    except Exception:
        traceback.print_exc()
        return 1
    (folder / REPORT).write_text(json.dumps(report), encoding="utf-8")
    return 0
