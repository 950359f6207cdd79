"""Sessions of their own in each worker against one process that holds the networks for all.

Two workers, each running single windows of the two networks of body_composition, as analyses of two
studies at the same time do; the same windows both ways, in turns.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from inference.device import DeviceServer, remote_network
from inference.engine import EngineOptions, open_network
from inference.worker import WorkerPool
from models.manifest import NetworkSpec
from models.registry import read_manifest
from node.packages import MODELS_FOLDER
from node.settings import threads_of

ROUNDS = 5
WORKERS = 2
#: Windows of each network that a worker runs in a round.
WINDOWS = {"regions": 8, "levels": 2}
_LIMITS = {"time_limit_s": 600.0, "memory_mb": 8000}


def serve(task: tuple[str, int]) -> None:
    """Hold both networks in this process, for everybody."""
    address, threads = task
    held = {spec.name: open_network(spec, EngineOptions(threads=threads)) for spec in specs()}
    DeviceServer(Path(address), lambda _model, name: held[name], limit_s=600.0).start()


def specs() -> tuple[NetworkSpec, ...]:
    """The networks."""
    return read_manifest(MODELS_FOLDER / "body_composition").networks


_held: dict[tuple[str, str], object] = {}


def work(task: tuple[str, int]) -> float:
    """One analysis' share of windows; seconds of the calls."""
    address, threads = task
    networks = {}
    for spec in specs():
        if (address, spec.name) not in _held:
            _held[address, spec.name] = (
                remote_network(Path(address), "m", spec)
                if address
                else open_network(spec, EngineOptions(threads=threads))
            )
        networks[spec.name] = _held[address, spec.name]
    chance = np.random.default_rng(1)
    started = time.perf_counter()
    for spec in specs():
        windows = chance.random((1, len(spec.channels), *spec.patch), np.float32)
        for _ in range(WINDOWS[spec.name]):
            networks[spec.name].run(windows)  # type: ignore[attr-defined]
    return time.perf_counter() - started


def together(pool: WorkerPool, task: tuple[str, int]) -> float:
    """Seconds until every worker has done its share."""
    threads = [
        threading.Thread(target=pool.run, args=(work, task), kwargs=_LIMITS) for _ in range(WORKERS)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def main() -> int:
    """Print the ratio."""
    cores = len(os.sched_getaffinity(0))
    own_threads, shared_threads = threads_of(cores, WORKERS), threads_of(cores, 1)
    with tempfile.TemporaryDirectory(prefix="vigie-") as folder:
        address = str(Path(folder) / "device")
        device = WorkerPool(1, initializer=serve, argument=(address, shared_threads))
        own, remote = WorkerPool(WORKERS), WorkerPool(WORKERS)
        try:
            device.start()
            seconds: dict[str, list[float]] = {"own": [], "shared": []}
            for number in range(ROUNDS + 1):
                one = together(own, ("", own_threads))
                other = together(remote, (address, shared_threads))
                # The first round loads.
                if number:
                    seconds["own"].append(one)
                    seconds["shared"].append(other)
        finally:
            for pool in (own, remote, device):
                pool.stop()
    own_s, shared_s = (statistics.median(seconds[key]) for key in ("own", "shared"))
    print(
        f"  {WORKERS} workers, CPU: sessions of their own {own_s:.2f} s, one process for all "
        f"{shared_s:.2f} s, ratio {shared_s / own_s:.2f} (below 1: one process is faster)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
