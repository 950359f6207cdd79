"""Rounds of several ways to do one thing, interleaved, so that a busy machine slows all."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

_BLAS_THREADS = "OPENBLAS_NUM_THREADS"


def interleaved(ways: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way, round by round."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    return seconds


class Timed:
    """A function, and the seconds that were spent in it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Nothing spent yet."""
        self.seconds = 0.0
        self._function = function

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401 - whatever it takes and gives
        started = time.perf_counter()
        try:
            return self._function(*arguments)
        finally:
            self.seconds += time.perf_counter() - started


def told(seconds: Mapping[str, list[float]], *, reference: str, target: str = "") -> str:
    """One line a way: median, spread, and its ratio to the reference."""
    lines = []
    base = statistics.median(seconds[reference])
    for name, values in seconds.items():
        median = statistics.median(values)
        spread = f"{min(values):.3f} to {max(values):.3f}"
        # Of each round, since a machine that others use is never the same twice.
        ratio = statistics.median(
            one / other for one, other in zip(values, seconds[reference], strict=True)
        )
        mark = "" if name == reference else f"  {ratio:.2f} x {reference}"
        if name != reference and median > 0:
            mark += f" ({base / median:.1f} times as fast)"
        lines.append(f"  {name:24} {median:8.3f} s ({spread}){mark}")
    if target:
        lines.append(f"  target: {target}")
    return "\n".join(lines)


def as_in_a_worker(module: str) -> None:
    """Start the program anew with BLAS on one thread, as a worker is (`inference/worker_slot.py`).

    It counts only from the start of a process on.
    """
    if _BLAS_THREADS not in os.environ:
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, _BLAS_THREADS: "1"})
