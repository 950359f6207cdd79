"""What the worker tests run in real processes; top-level, so that it can be sent there."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from inference.worker import WorkerPool
from inference.worker_process import PeakMemory, tell_waited
from node.domain.errors import ConfigError, ConfigFault, ModelError, VolumeError

loaded: list[str] = []


class Secretive(Exception):
    """An exception that cannot be sent and whose text names a patient."""

    def __init__(self, name: str, lock: Any) -> None:
        super().__init__(name, lock)


def load(text: str) -> None:
    loaded.append(text)


def load_noting(log: str) -> None:
    with Path(log).open("a") as stream:
        stream.write(f"{os.getpid()}\n")


def load_once(flag: str) -> None:
    """Succeeds in the first process only."""
    path = Path(flag)
    if path.exists():
        raise ModelError("network levels has another digest; install the package again")
    path.touch()


def load_and_say(text: str) -> str:
    loaded.append(text)
    return text


def unload(text: str) -> None:
    loaded.remove(text)


def load_only_once(flag: str) -> None:
    load_once(flag)


def die_the_second_time(flag: str) -> None:
    path = Path(flag)
    if path.exists():
        os.kill(os.getpid(), signal.SIGSEGV)
    path.touch()


def refuse_to_load(_: object) -> None:
    raise ModelError("network regions has another digest; install the package again")


def die_loading(_: object) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def what_was_loaded(_: object) -> tuple[str, ...]:
    return tuple(loaded)


def pid(_: object) -> int:
    return os.getpid()


def variable(name: str) -> str | None:
    return os.environ.get(name)


def double(number: int) -> int:
    return 2 * number


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def sleep_in_c(seconds: int) -> None:
    """Hang with the interpreter's lock held, as a native decoder does."""
    ctypes.PyDLL(None).sleep(seconds)


def note_and_sleep(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)


def meet_another(folder: str) -> int:
    """Wait until two processes are in this function."""
    (Path(folder) / str(os.getpid())).touch()
    while (count := len(list(Path(folder).iterdir()))) < 2:
        time.sleep(0.02)
    return count


def end_by(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(10)


def leave(code: int) -> None:
    os._exit(code)


def grow_slowly(megabytes: int) -> int:
    blocks = []
    for _ in range(megabytes // 10):
        blocks.append(bytearray(b"x" * 10_000_000))
        time.sleep(0.01)
    return len(blocks)


def keep(megabytes: int) -> int:
    loaded.append("x" * megabytes * 1_000_000)
    return os.getpid()


def grow_at_once(gigabytes: int) -> int:
    return len(bytearray(gigabytes * 1_000_000_000))


def interrupt_disposition(_: object) -> bool:
    os.kill(os.getpid(), signal.SIGINT)
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def refuse_volume(_: object) -> None:
    raise VolumeError("slice gap 7.5 mm", study_uid="1.2.3", series_uid="1.2.3.4")


def refuse_configuration(_: object) -> None:
    fault = ConfigFault(
        file="model.yaml", line=3, column=1, key="patch", why="too large", got="", remedy="shrink"
    )
    raise ConfigError(faults=[fault])


def fail_with_name(name: str) -> None:
    raise ValueError(f"cannot parse {name}")


def fail_unsendably(name: str) -> None:
    raise Secretive(name, sys.stdin)


def unsendable(_: object) -> object:
    return lambda: None


class Unreadable:
    """Sent without complaint, not readable on arrival."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("not a number",)


def unreadable(_: object) -> object:
    return Unreadable()


def be_a_parent(path: str) -> None:
    """In a process of its own: run a pool whose worker writes its process number."""
    WorkerPool(1).run(note_and_sleep, path, time_limit_s=60, memory_mb=500)


def peak_of_the_second(first: int, second: int) -> int:
    """Of two pieces of work that take so many bytes twice each, what is measured of the second."""
    block = bytearray(b"x" * first)
    del block
    with PeakMemory() as memory:
        block = bytearray(b"x" * second)
        del block
    return memory.peak_bytes


def wait_for_another(times: tuple[float, float]) -> float:
    """Say that so many seconds were waited for somebody else, then work for so many."""
    waited, working = times
    tell_waited(waited)
    time.sleep(working)
    return working
