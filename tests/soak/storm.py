"""Thousands of associations, a few at a time, one image each: nothing is lost, nothing leaks."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.scp.listening import RawSender, data_set_of, listening
from tests.scp.sent import content
from tests.soak.receiving import PROGRAM

SUCCESS = 0x0000
SENDERS = 4


@dataclass(frozen=True, slots=True)
class Held:
    """What the receiver's process holds on to."""

    threads: int
    files: int
    memory_mb: float
    cpu_s: float

    @classmethod
    def by(cls, process_id: int) -> Held:
        """Ask the kernel."""
        folder = Path("/proc") / str(process_id)
        status = dict(
            line.split(":", 1)
            for line in (folder / "status").read_text().splitlines()
            if ":" in line
        )
        ticks = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
        return cls(
            threads=int(status["Threads"]),
            files=len(list((folder / "fd").iterdir())),
            memory_mb=int(status["VmRSS"].split()[0]) / 1024,
            cpu_s=sum(map(int, ticks)) / 100,
        )


@dataclass(slots=True)
class Stormed:
    """What happened; `faults` is empty when all went well."""

    associations: int
    before: Held
    after: Held
    faults: list[str] = field(default_factory=list)


def storm(
    root: Path, *, associations: int, say: Callable[[str], None] = lambda _text: None
) -> Stormed:
    """Open so many associations, send one image on each, release it."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(root)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    _send(port, 20, [], {})
    before = Held.by(process.pid)
    faults: list[str] = []
    sent: dict[str, bytes] = {}
    threads = [
        threading.Thread(target=_send, args=(port, associations // SENDERS, faults, sent))
        for _ in range(SENDERS)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(1)
        if int(time.monotonic()) % 30 == 0:
            say(f"{len(sent)} associations")
    time.sleep(2)
    after = Held.by(process.pid)
    process.kill()
    process.wait()
    process.stdout.close()
    with listening(root) as node:
        for uid, data_set in sent.items():
            kept = node.ledger.instances.find(uid)
            if len(kept) != 1 or data_set_of(kept[0]) != data_set:
                faults.append(f"{uid}: acknowledged, not stored once as it was sent")
    if after.threads > before.threads or after.files > before.files + SENDERS:
        faults.append(f"leaked: {before} became {after}")
    return Stormed(len(sent), before, after, faults)


def _send(port: int, count: int, faults: list[str], sent: dict[str, bytes]) -> None:
    for _ in range(count):
        item = content()
        try:
            sender = RawSender(port, [item])
            status = sender.send(item) if sender.association.is_established else -1
            sender.release()
        except (OSError, RuntimeError) as error:
            faults.append(f"no association: {error}")
            continue
        if status == SUCCESS:
            sent[item.sop_instance_uid] = item.data_set
        else:
            faults.append(f"{item.sop_instance_uid}: answered {status}")
