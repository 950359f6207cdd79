"""Receiving, against dcmtk's storescp (which syncs nothing) and Orthanc, in one run.

Fresh process and empty folder for each measurement, rounds interleaved, medians. The peers run
with TCP_NODELAY, their best case: as shipped they wait 40 ms per image for acknowledgements.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.sender import Image, send, simulated_ct

CHECKOUT = Path(__file__).resolve().parents[1]
ROUNDS = 3
IMAGES = 300
ASSOCIATIONS = (1, 4)


@dataclass(frozen=True, slots=True)
class Taken:
    """One measurement: wall clock and processor seconds of the receiver and its children."""

    wall_s: float
    cpu_s: float


def measure(images: Sequence[Image], associations: int) -> dict[str, Taken]:
    """Medians of every receiver that is installed."""
    names = ["vigie"]
    names += [n for n, p in (("storescp", "storescp"), ("orthanc", "Orthanc")) if shutil.which(p)]
    taken: dict[str, list[Taken]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name, results in taken.items():
            with (
                tempfile.TemporaryDirectory() as scratch,
                _receiver(name, Path(scratch)) as (port, process),
            ):
                send(port, name.upper(), images[:2], 1)
                before, started = _cpu_s(process), time.perf_counter()
                send(port, name.upper(), images[2:], associations)
                wall_s = time.perf_counter() - started
                results.append(Taken(wall_s, _cpu_s(process) - before))
    return {
        name: Taken(
            statistics.median(item.wall_s for item in results),
            statistics.median(item.cpu_s for item in results),
        )
        for name, results in taken.items()
    }


@contextmanager
def _receiver(name: str, scratch: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    port = free_port()
    store = scratch / "store"
    store.mkdir()
    orthanc = scratch / "orthanc.json"
    orthanc.write_text(
        json.dumps(
            {
                "StorageDirectory": str(store),
                "IndexDirectory": str(store),
                "DicomPort": port,
                "HttpPort": free_port(),
                "DicomAet": "ORTHANC",
            }
        ),
        encoding="utf-8",
    )
    commands = {
        "vigie": [sys.executable, "-m", "bench.receiver", str(port), str(store)],
        "storescp": ["storescp", "--fork", "+xa", "-od", str(store), str(port)],
        "orthanc": ["Orthanc", str(orthanc)],
    }
    process = subprocess.Popen(
        commands[name],
        cwd=CHECKOUT,
        env=os.environ | {"TCP_NODELAY": "1"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        yield port, process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _cpu_s(process: subprocess.Popen[bytes]) -> float:
    """User and system seconds of the process group, ended children included."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == process.pid:
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port of this host that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


def report() -> str:
    """A table, one line a receiver and number of associations."""
    images = simulated_ct(IMAGES + 2)
    size = sum(len(image.data_set) for image in images[2:])
    lines = [
        f"ingest: {IMAGES} CT of {size / IMAGES / 1e3:.0f} kB, "
        f"median of {ROUNDS} interleaved rounds",
        "  associations  receiver  images/s  CPU s/GB  Vigie is so many times as fast",
    ]
    for associations in ASSOCIATIONS:
        medians = measure(images, associations)
        ours = medians["vigie"]
        for name, taken in medians.items():
            ratio = "" if name == "vigie" else f"{taken.wall_s / ours.wall_s:.2f}x"
            lines.append(
                f"  {associations:12d}  {name:8s}  {IMAGES / taken.wall_s:8.0f}"
                f"  {taken.cpu_s / size * 1e9:8.2f}  {ratio}"
            )
    return "\n".join(lines)
