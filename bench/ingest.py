"""Receiving, against dcmtk's storescp (which syncs nothing), with dcmtk's own sender."""

from __future__ import annotations

import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
ROUNDS = 3


def measure(folder: Path) -> dict[str, float]:
    """Median seconds of one `dcmsend` of a folder to each receiver, rounds interleaved."""
    seconds: dict[str, list[float]] = {"vigie": [], "storescp": []}
    for _ in range(ROUNDS):
        for name, taken in seconds.items():
            with tempfile.TemporaryDirectory() as scratch, _receiver(name, Path(scratch)) as port:
                started = time.perf_counter()
                subprocess.run(
                    ["dcmsend", "-aec", "VIGIE", "+sd", "+r", "127.0.0.1", str(port), str(folder)],
                    check=True,
                    capture_output=True,
                )
                taken.append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


@contextmanager
def _receiver(name: str, scratch: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    commands = {
        "vigie": [sys.executable, "-m", "bench.receiver", str(port), str(scratch)],
        "storescp": ["storescp", "--fork", "+xa", "-od", str(scratch), str(port)],
    }
    process = subprocess.Popen(commands[name], cwd=CHECKOUT)
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


def report(folder: Path) -> str:
    """One line, or why there is none."""
    if shutil.which("dcmsend") is None or shutil.which("storescp") is None:
        return "ingest: skipped, Debian's dcmtk (dcmsend, storescp) is not installed"
    medians = measure(folder)
    ratio = medians["storescp"] / medians["vigie"]
    return (
        f"ingest: {ratio:.2f}x the speed of dcmtk storescp as shipped, which syncs nothing "
        f"(dcmsend of {len(list(folder.rglob('*.dcm')))} images, median of {ROUNDS}: "
        f"{medians['vigie']:.2f} s against {medians['storescp']:.2f} s)"
    )
