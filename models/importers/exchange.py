"""What goes between the node and a sandboxed program: two JSON files in a folder.

`request.json` in, `report.json` out. A report either says what was done or lists faults: what
stands against the import, where, and what to do.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from node.domain.errors import ImportFault, ImportRefused

REQUEST = "request.json"
REPORT = "report.json"
#: How the libraries of the frameworks say that memory is out, besides MemoryError.
_NO_MEMORY = ("allocate memory", "not enough memory", "bad_alloc", "out of memory")

Json = Mapping[str, Any]


_NEEDS_MEMORY = {
    "where": "memory",
    "why": "the framework needed more than it may take here",
    "remedy": "raise --memory-mb if this computer has more, write smaller windows into the form "
    "(patch: [96, 96, 96]), or import on a larger one",
}


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

    A fault is reported as such, and so is memory that does not suffice; anything else leaves its
    traceback on standard error, the first cause last.
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
    except Exception as error:
        causes = tuple(_causes(error))
        traceback.print_exc()
        if not any(map(_of_memory, causes)):
            sys.stderr.write(f"cause: {type(causes[-1]).__name__}: {causes[-1]}\n")
            return 1
        report = {"faults": [_NEEDS_MEMORY]}
    (folder / REPORT).write_text(json.dumps(report), encoding="utf-8")
    return 0


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and those behind it, the first that happened last."""
    seen: set[int] = set()
    behind: BaseException | None = error
    while behind is not None and id(behind) not in seen:
        seen.add(id(behind))
        yield behind
        behind = behind.__cause__ or behind.__context__


def _of_memory(error: BaseException) -> bool:
    told = str(error).lower()
    return isinstance(error, MemoryError) or any(word in told for word in _NO_MEMORY)
