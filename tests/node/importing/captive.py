"""What a hostile bundle might try; run inside the sandbox by `test_sandbox.py`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.importers.exchange import Json, answer


def _attempt(deed: Callable[[], object]) -> str:
    try:
        deed()
    except OSError as error:
        return f"refused: {type(error).__name__}"
    return "done"


def _connect(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        pass


def try_everything(request: Json, folder: Path) -> Json:
    """Tries each deed that the sandbox must refuse, and one that it must allow."""
    secret = Path(request["secret"])
    return {
        "connect": _attempt(lambda: _connect(int(request["port"]))),
        "unix": _attempt(lambda: socket.socket(socket.AF_UNIX)),
        "connect in a child": subprocess.run(
            [
                sys.executable,
                "-c",
                f"import socket; socket.create_connection(('127.0.0.1', {request['port']}), 2)",
            ],
            check=False,
            capture_output=True,
        ).returncode,
        "read": _attempt(secret.read_text),
        "write": _attempt(lambda: (secret.parent / "new").write_text("x")),
        "checkout": _attempt(Path(request["checkout"]).read_text),
        "scratch": _attempt(lambda: (folder / "new").write_text("x")),
        "variables": sorted(os.environ),
    }


def fill_memory(request: Json, folder: Path) -> Json:
    """Keeps allocating."""
    kept = []
    while True:
        kept.append(os.urandom(20_000_000))


def outlive(request: Json, folder: Path) -> Json:
    """A child in a session of its own, then for ever."""
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)", request["mark"]],
        start_new_session=True,
    )
    (folder / "child").write_text(str(child.pid))
    time.sleep(600)
    return {}


def end_silently(request: Json, folder: Path) -> Json:
    """Ends as a crash in a native library does."""
    sys.stderr.write("the last words\n")
    sys.stderr.flush()
    os._exit(3)


def starve(request: Json, folder: Path) -> Json:
    """Runs out of memory inside a library that wraps the exception."""
    try:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 20 bytes")
    except RuntimeError as error:
        raise RuntimeError("applying a transform") from error


def stumble(request: Json, folder: Path) -> Json:
    """Fails for a reason that a library wraps."""
    try:
        raise TypeError("the first cause")
    except TypeError as error:
        raise RuntimeError("applying a transform") from error


DEEDS: dict[str, Callable[[Json, Path], Json]] = {
    "everything": try_everything,
    "memory": fill_memory,
    "outlive": outlive,
    "silent": end_silently,
    "starve": starve,
    "stumble": stumble,
}


def _program(request: Json, folder: Path) -> Any:
    return DEEDS[request["deed"]](request, folder)


if __name__ == "__main__":
    sys.exit(answer(_program))
