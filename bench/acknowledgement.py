"""How long a sender waits for Success while the node analyses, and while it does not.

A node of its own with a small PACS, each a process. Images of one series come at an even pace;
meanwhile simulated studies are analysed, one after the other.
"""

from __future__ import annotations

import multiprocessing
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from bench.ingest import CHECKOUT, free_port
from bench.sender import Answer, send, simulated_ct
from node.demo.pacs import SmallPacs
from node.demo.sender import Receiver, send_folder
from node.demo.show import CONFIGURATION
from node.demo.simulated import simulate
from node.ledger import Ledger
from node.ledger.states import StudyState
from node.packages import installed_models

STUDIES = 3
IMAGES = 600
EVERY_S = 0.05
READY_LIMIT_S = 300.0
#: The node is at work for a study in these.
_AT_WORK = (StudyState.COMPLETED, StudyState.ANALYSING, StudyState.DELIVERING)


def _pacs(folder: Path, pipe: Connection) -> None:
    pacs = SmallPacs(folder)
    pacs.start()
    pipe.send(pacs.port)
    pipe.poll(None)
    pacs.stop()


@contextmanager
def _node(scratch: Path, pacs_port: int) -> Iterator[int]:
    """A node at work; yields its port."""
    dicom_port, http_port = free_port(), free_port()
    names = installed_models()
    configuration = scratch / "appliance.yaml"
    configuration.write_text(
        CONFIGURATION.format(
            dicom_port=dicom_port,
            http_port=http_port,
            pacs_port=pacs_port,
            storage=scratch / "store",
            quiet=1,
            models="\n".join(f"  {name}: {{unsigned: true}}" for name in names),
            names=", ".join(names),
            log=scratch / "node.log",
        ),
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "node", "serve", "--config", str(configuration)]
    process = subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + READY_LIMIT_S
        while not _is_ready(http_port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the node did not become ready, see {scratch / 'node.log'}")
            time.sleep(0.2)
        yield dicom_port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def measure() -> tuple[list[Answer], list[Answer]]:
    """Answers while the node had nothing else to do, and while it analysed."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as folder:
        scratch = Path(folder)
        pacs = context.Process(target=_pacs, args=(scratch / "pacs", theirs), daemon=True)
        pacs.start()
        studies = [simulate(number, scratch / str(number)) for number in range(STUDIES)]
        with _node(scratch, ours.recv()) as port:
            images = simulated_ct(IMAGES)
            idle = send(port, "VIGIE", images[:200], 1, every_s=EVERY_S)
            sent = [
                send_folder(s.folder, Receiver(host="127.0.0.1", port=port, ae_title="VIGIE"))
                for s in studies
            ]
            uids = {uid for item in sent for uid in item.studies}
            busy: list[float] = []
            over = threading.Event()
            watcher = threading.Thread(
                target=_watch, args=(scratch / "store", uids, busy, over), daemon=True
            )
            watcher.start()
            answers: list[Answer] = []
            for at in range(200, IMAGES, 20):
                answers += send(port, "VIGIE", images[at : at + 20], 1, every_s=EVERY_S)
                if over.is_set():
                    break
            over.wait(600)
        ours.send(None)
        pacs.join(10)
    return idle, [a for a in answers if any(abs(a.at - moment) < 0.2 for moment in busy)]


def _watch(store: Path, uids: set[str], busy: list[float], over: threading.Event) -> None:
    """Note the moments at which one of the studies was being worked on."""
    while not over.is_set():
        ledger = Ledger(store, read_only=True)
        try:
            found = [ledger.studies.get(uid) for uid in uids]
        finally:
            ledger.close()
        states = [study.state for study in found if study is not None]
        if any(state in _AT_WORK for state in states):
            busy.append(time.monotonic())
        if states and all(s in (StudyState.ENDED, StudyState.FAILED) for s in states):
            over.set()
        time.sleep(0.1)


def report() -> str:
    """A table of two lines."""
    idle, busy = measure()
    lines = [
        f"acknowledgement: CT of 0.5 MB, one every {EVERY_S * 1e3:.0f} ms, "
        "last byte to Success in ms",
        "  node            images     p50     p99     max",
    ]
    for name, answers in (("idle", idle), ("analysing", busy)):
        times = sorted(answer.seconds * 1e3 for answer in answers)
        if len(times) < 2:
            lines.append(f"  {name:12s} {len(times):8d}")
            continue
        p99 = statistics.quantiles(times, n=100)[98]
        lines.append(
            f"  {name:12s} {len(times):8d} {statistics.median(times):7.2f} {p99:7.2f}"
            f" {times[-1]:7.2f}"
        )
    return "\n".join(lines)
