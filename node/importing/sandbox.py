"""Runs one program of `models/importers/framework/` where it can do no harm.

Another interpreter in its own process: namespaces of its own for network, processes and IPC
(namespaces(7)) where the system allows them, no sockets, files readable and writable only below
named folders (`models/importers/framework/confined.py`), limits on memory and time, killed with
all its children. What could not be had is not kept silent: `Isolation` says what held, and the
card of the package repeats it.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from models.importers.exchange import read_report, write_request
from node.domain.errors import WorkerError
from node.importing.environment import ROOT, ImportEnvironment

_CONFINED = "models.importers.framework.confined"
#: Rooms of the product that the programs import; nothing else of the checkout is readable.
_ROOMS = ("models", "config", "node", "inference")
_POLL_S = 0.2
_PROBE_LIMIT_S = 10
#: The hard limit counts what is allocated, used or not, and frameworks allocate much more than they
#: use: it lies this much above twice what the parent watches, which can then say which it was.
_HEAD_ROOM_MB = 2048
#: What is kept of standard error.
_TAIL = 4000
_LOG = "stderr.txt"
_NAMESPACES = ("--net", "--ipc", "--pid", "--fork", "--kill-child=KILL")


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLimits:
    """What one program may use.

    Attributes:
        memory_mb: resident memory of the program with its children.
        time_s: from start to end. threads: of numerical libraries.
    """

    memory_mb: int = 16_000
    time_s: float = 3600.0
    threads: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """What kept the program in: each a few words for the card."""

    network: str
    files: str
    processes: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The report of a program that ended well, and how it was isolated."""

    report: Mapping[str, Any]
    isolation: Isolation
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """Where foreign files are read.

    Attributes:
        environment: the interpreter. readable: what a program may read besides itself, e.g.
            the folder of the foreign model.
    """

    environment: ImportEnvironment
    readable: tuple[Path, ...] = ()
    limits: SandboxLimits = field(default_factory=SandboxLimits)

    def run(self, program: str, request: Mapping[str, object], folder: Path) -> Outcome:
        """Run a module that calls `models.importers.exchange.answer`; wait for its report.

        Args:
            program: dotted name, e.g. "models.importers.framework.monai_export".
            folder: scratch folder, the only place where it may write; its files stay there.

        Raises:
            ImportRefused: the program found faults in what it was given.
            WorkerError: it passed a limit, was killed, or ended without a report.
        """
        folder = folder.resolve()
        write_request(folder, request)
        prefix = _namespaces()
        started = time.monotonic()
        told, tell = os.pipe()
        with os.fdopen(told, "rb") as telling, (folder / _LOG).open("wb") as log:
            try:
                command = (*prefix, *_command(self, program, folder, tell))
                process = _start(command, _surroundings(folder, self.limits), tell, log)
            finally:
                os.close(tell)
            trouble = _watch(process, self.limits)
            words = telling.read()
        seconds = time.monotonic() - started
        if trouble:
            raise WorkerError(f"{program} {trouble}")
        report = read_report(folder) if process.returncode == 0 else None
        if report is None:
            raise WorkerError(
                f"{program} ended without a report (status {process.returncode}); its last "
                f"words: {_tail(folder / _LOG)}"
            )
        return Outcome(report, _isolation(words, prefix), seconds)


def _command(sandbox: Sandbox, program: str, folder: Path, tell: int) -> tuple[str, ...]:
    limits = sandbox.limits
    rooms = (ROOT / room for room in _ROOMS)
    return (
        str(sandbox.environment.python),
        *("-B", "-m", _CONFINED),
        f"--memory-mb={2 * limits.memory_mb + _HEAD_ROOM_MB}",
        f"--time-s={int(limits.time_s) + 1}",
        f"--tell={tell}",
        *(f"--read={path}" for path in (*rooms, *(path.resolve() for path in sandbox.readable))),
        program,
        str(folder),
    )


def _start(
    command: tuple[str, ...], surroundings: dict[str, str], tell: int, log: IO[bytes]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own program, an interpreter the operator named
        command,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        cwd=ROOT,
        env=surroundings,
        start_new_session=True,
        pass_fds=(tell,),
    )


def _surroundings(folder: Path, limits: SandboxLimits) -> dict[str, str]:
    """Environment variables: nothing of ours but the path to programs."""
    threads = str(limits.threads)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(ROOT),
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "USER": "import",
        "TMPDIR": str(folder),
        "XDG_CACHE_HOME": str(folder),
        "TORCH_HOME": str(folder),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "OMP_NUM_THREADS": threads,
        # Threads that spin while they wait stand in the way of the node's own work.
        "OMP_WAIT_POLICY": "PASSIVE",
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
    }


def _watch(process: subprocess.Popen[bytes], limits: SandboxLimits) -> str:
    """Wait; kill it with its children when it passes a limit. "" or what went wrong."""
    end = time.monotonic() + limits.time_s
    trouble = ""
    with _killed_at_exit(process):
        while not trouble:
            try:
                process.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                pass
            else:
                return ""
            used = sum(map(_resident_mb, _family(process.pid)))
            if used > limits.memory_mb:
                trouble = (
                    f"used {used:.0f} MB of memory, allowed are {limits.memory_mb} MB, and was "
                    "killed; raise --memory-mb if the model is known to be sound, or write smaller "
                    "windows into the form (patch: [96, 96, 96])"
                )
            elif time.monotonic() > end:
                trouble = (
                    f"did not end within {limits.time_s:g} s and was killed; raise --time-s if "
                    "the model is known to be sound"
                )
    return trouble


@contextmanager
def _killed_at_exit(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whatever happens, nothing of the program stays behind."""
    try:
        yield
    finally:
        family = _family(process.pid)
        for number in (*family, -process.pid):
            with _gone_already():
                os.kill(number, signal.SIGKILL)
        if process.stdin is not None:
            process.stdin.close()
        process.wait()


@contextmanager
def _gone_already() -> Iterator[None]:
    try:
        yield
    except (ProcessLookupError, PermissionError):
        return


def _family(number: int) -> tuple[int, ...]:
    """A process and all that it started, as far as they still have a parent among them."""
    children: list[int] = []
    for task in Path(f"/proc/{number}/task").glob("*/children"):
        try:
            children.extend(map(int, task.read_text().split()))
        except OSError:
            continue
    return (number, *(member for child in children for member in _family(child)))


def _resident_mb(number: int) -> float:
    try:
        pages = int(Path(f"/proc/{number}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * resource.getpagesize() / 1e6


@functools.cache
def _namespaces() -> tuple[str, ...]:
    """How to start a program in namespaces of its own; () where the system refuses."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    for first in ((), ("--user", "--map-current-user")):
        command = (unshare, *first, *_NAMESPACES)
        try:
            subprocess.run(  # noqa: S603 - util-linux
                [*command, "true"], check=True, capture_output=True, timeout=_PROBE_LIMIT_S
            )
        except (OSError, subprocess.SubprocessError):
            continue
        return command
    return ()


def _isolation(words: bytes, prefix: tuple[str, ...]) -> Isolation:
    """What the process said of itself before it read anything foreign."""
    try:
        told = json.loads(words)
    except ValueError:
        told = {}
    network = ["network namespace of its own"] if prefix else []
    return Isolation(
        network=" and ".join([*network, str(told.get("sockets", "unknown"))]),
        files=str(told.get("files", "unknown")),
        processes="process namespace of its own" if prefix else "process group",
    )


def _tail(path: Path) -> str:
    try:
        text = path.read_bytes()[-_TAIL:].decode("utf-8", "replace").strip()
    except OSError:
        return "none"
    lines = text.splitlines()
    return " | ".join(lines[-3:]) or "none"
