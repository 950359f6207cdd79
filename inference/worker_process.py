"""The child's side of a worker: one process that loads once and then runs job after job.

It ignores SIGINT (Ctrl-C belongs to the parent), dies with its parent, and logs nothing: what
goes wrong travels back as a reply.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import pickle
import resource
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from node.domain.errors import NodeError

MEGABYTE = 1_000_000
#: Objects that are made between two walks of the garbage collector; Python's own 700 walk several
#: hundred times while one result is written, and find nothing.
_ALLOCATIONS = 50_000
#: Nine times less of a contested processor than the node's own process gets (sched(7)).
NICENESS = 10
#: PR_SET_PDEATHSIG of prctl(2).
_PR_SET_PDEATHSIG = 1
#: Address space a job may take beyond its limit before allocation itself fails: thread stacks
#: and allocator reserves count as data although they are never resident.
_HEAD_ROOM_MB = 2048


class Kind(Enum):
    """What a reply is."""

    READY = "ready"
    #: Not the end: for so many seconds the job waited for what is not its fault.
    WAITED = "waited"
    RESULT = "result"
    #: An exception of the error tree, to be raised by the caller as it is.
    ERROR = "error"
    #: An allocation failed.
    MEMORY = "memory"
    #: Any other exception: its type and place as text; its values may name a patient.
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a worker sends back."""

    kind: Kind
    value: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """What a worker is told once, when it starts.

    Attributes:
        environment: variables that are set in it before anything is loaded.
    """

    parent: int
    initializer: Callable[[Any], Any] | None
    argument: object
    environment: Mapping[str, str] = field(default_factory=dict)


class _Mouth:
    """What this process says to its parent, whichever thread says it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pipe: Connection | None = None

    def opens(self, pipe: Connection) -> None:
        """From here on there is somebody to speak to."""
        self._pipe = pipe

    def say(self, reply: Reply) -> None:
        """Nothing where this is no worker."""
        if self._pipe is None:
            return
        with self._lock:
            _send(self._pipe, reply)


_mouth = _Mouth()


def tell_waited(seconds: float) -> None:
    """Within a job: for so long it waited for what is not its fault, which is no time of the job.

    Outside of a worker nobody counts, and nothing happens.
    """
    _mouth.say(Reply(Kind.WAITED, seconds))


def serve(birth: Birth, pipe: Connection) -> None:
    """Load, say so, then run what comes through the pipe until it is closed."""
    _mouth.opens(pipe)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent(birth.parent)
    os.environ.update(birth.environment)
    # Receiving has precedence over analysing.
    os.nice(NICENESS)
    reply = _attempt(_load, birth)
    _mouth.say(Reply(Kind.READY) if reply.kind is Kind.RESULT else reply)
    while reply.kind is not Kind.MEMORY:
        try:
            payload, memory_mb = pickle.loads(pipe.recv_bytes())  # noqa: S301 - from our own parent
        except EOFError:
            return
        with _data_limit(memory_mb):
            reply = _attempt(_run, payload)
        _mouth.say(reply)
        # What a job leaves behind, such as an error with its volumes, must not lie beside the next.
        reply = Reply(reply.kind)
        gc.collect()


def _load(birth: Birth) -> None:
    if birth.initializer is not None:
        birth.initializer(birth.argument)


def _run(payload: bytes) -> Any:  # noqa: ANN401 - whatever the job returns
    function, argument = pickle.loads(payload)  # noqa: S301 - from our own parent
    return function(argument)


def _attempt(work: Callable[[Any], Any], argument: object) -> Reply:
    try:
        return Reply(Kind.RESULT, work(argument))
    except NodeError as error:
        return Reply(Kind.ERROR, error)
    except MemoryError:
        return Reply(Kind.MEMORY)
    except Exception as error:
        # The boundary where a job is recorded as failed.
        return Reply(Kind.FAULT, _place(error))


def _place(error: Exception) -> str:
    """`ValueError at grid.py:41 in resample`: type and place, never the message."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    last = frames[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno} in {last.name}"


def _send(pipe: Connection, reply: Reply) -> None:
    try:
        data = pickle.dumps(reply)
    except Exception as error:
        # Pickling calls any class's own code.
        data = pickle.dumps(Reply(Kind.FAULT, f"{type(error).__name__} while sending the result"))
    # A parent that is gone reads nothing.
    with contextlib.suppress(BrokenPipeError):
        pipe.send_bytes(data)


@contextlib.contextmanager
def _data_limit(memory_mb: int) -> Iterator[None]:
    """Let one huge allocation fail at once; the parent's polling catches slow growth."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = status_bytes(os.getpid(), "VmData") + (2 * memory_mb + _HEAD_ROOM_MB) * MEGABYTE
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def set_aside_from_collection() -> None:
    """Spare what is loaded now the walks of the garbage collector, as it stays.

    A full collection walks every object of every library that was imported, about 0.1 s, and
    writing the objects of one result causes several. What has become garbage before is freed
    first; what becomes garbage later is found after more allocations than usual.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS)


class PeakMemory:
    """How far the resident memory of this process grows inside the block.

    The kernel keeps the peak (VmHWM); writing 5 to clear_refs begins it anew (proc(5)). Where that
    is not allowed, an earlier, higher peak stands in for it.
    """

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._before = 0

    def __enter__(self) -> PeakMemory:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self._before = status_bytes(os.getpid(), "VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        self.peak_bytes = max(0, status_bytes(os.getpid(), "VmHWM") - self._before)


def status_bytes(pid: int, field: str) -> int:
    """A memory field of /proc/PID/status in bytes; 0 when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def _die_with_parent(parent: int) -> None:
    """SIGKILL when the parent's thread that started this process ends, prctl(2)."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # It died before the request was made.
        os._exit(1)
