"""Kill the receiver alone, again and again, while eight senders are at work; then count.

The node's own campaign (`tests.soak.campaign`) kills while studies are analysed; this one kills
hundreds of times a minute of sending, so that every point of the receive path is hit.
"""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from node.intake import FileContent
from tests.scp.listening import Listening, RawSender, data_set_of, listening
from tests.scp.sent import content

SUCCESS = 0x0000
SENDERS = 8
PROGRAM = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from tests.scp.listening import listening
    with listening(Path(sys.argv[1]), idle_timeout_s=20) as node:
        print(node.port, flush=True)
        time.sleep(600)
    """
)


@dataclass(slots=True)
class Counted:
    """What the campaign found; no faults means the promise was kept."""

    kills: int = 0
    acknowledged: dict[str, FileContent] = field(default_factory=dict)
    sent_again: int = 0
    faults: list[str] = field(default_factory=list)


def campaign(
    root: Path, *, kills: int, seed: int, say: Callable[[str], None] = lambda _text: None
) -> Counted:
    """Kill so many times, then hold the store against what was acknowledged."""
    chance, counted = random.Random(seed), Counted()
    for number in range(kills):
        _live_and_die(root, chance.uniform(0.05, 0.6), counted, chance)
        if number % 50 == 49:
            say(f"{number + 1} kills, {len(counted.acknowledged)} instances acknowledged")
    with listening(root) as node:
        counted.faults += missing_of(node, counted)
    return counted


def missing_of(node: Listening, counted: Counted) -> list[str]:
    """What was acknowledged and is not there whole, exactly once."""
    faults = []
    for uid, item in list(counted.acknowledged.items()):
        kept = node.ledger.instances.find(uid)
        if len(kept) != 1:
            faults.append(f"{uid}: acknowledged, {len(kept)} times in the index")
            continue
        try:
            is_whole = data_set_of(kept[0]) == item.data_set
        except OSError as error:
            faults.append(f"{uid}: acknowledged, cannot be read ({error})")
            continue
        if not is_whole:
            faults.append(f"{uid}: stored with other bytes than were sent")
    return faults


def _live_and_die(root: Path, alive_s: float, counted: Counted, chance: random.Random) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(root)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    again = chance.sample(sorted(counted.acknowledged), min(3, len(counted.acknowledged)))
    threads = [
        threading.Thread(
            target=send_until_it_dies,
            args=(port, counted, random.Random(chance.random())),
            kwargs={"again": again},
        )
        for _ in range(SENDERS)
    ]
    for thread in threads:
        thread.start()
    time.sleep(alive_s)
    process.kill()
    process.wait()
    process.stdout.close()
    for thread in threads:
        thread.join(30)
    counted.kills += 1


def send_until_it_dies(
    port: int, counted: Counted, chance: random.Random, *, again: list[str]
) -> None:
    """Send until the receiver dies: new objects of any size, and some that it has already."""
    try:
        sender = RawSender(port, [content()])
    except (OSError, RuntimeError):
        return
    repeated = [counted.acknowledged[uid] for uid in again]
    while sender.association.is_established:
        item = content(note="x" * int(10 ** chance.uniform(0, 5.5)))
        if repeated and chance.random() < 0.2:
            item = replace(repeated.pop())
            counted.sent_again += 1
        try:
            status = sender.send(item)
        except (OSError, RuntimeError, ValueError):
            break
        if status != SUCCESS:
            break
        counted.acknowledged[item.sop_instance_uid] = item
    sender.association.kill()
