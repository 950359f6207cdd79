"""Cut the power under the receiver: what was acknowledged is on the disk, and the index finds it.

The store lies on a file system of its own, inside a file. A cut is a copy of that file while the
receiver stands still: what it has not made durable is missing from the copy. Needs root and loop
devices.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.scp.listening import listening
from tests.soak.receiving import PROGRAM, Counted, missing_of, send_until_it_dies

SENDERS = 4
IMAGE_BYTES = 2 << 30


class NotPossible(Exception):
    """This machine does not allow it; the text says what is missing."""


def power_cuts(
    root: Path, *, cuts: int, seed: int, say: Callable[[str], None] = lambda _text: None
) -> Counted:
    """Cut the power so many times at random moments; every cut is looked at by itself.

    Raises:
        NotPossible: no right to mount a file.
    """
    chance, counted = random.Random(seed), Counted()
    root.mkdir(parents=True, exist_ok=True)
    image = root / "disk.img"
    _make(image)
    for number in range(cuts):
        before = len(counted.faults)
        _live(root, image, chance, counted)
        image.unlink()
        # The next life begins with the disk as the cut left it.
        (root / "cut.img").rename(image)
        counted.kills += 1
        if len(counted.faults) > before or number % 5 == 4:
            say(f"{number + 1} cuts, {len(counted.acknowledged)} instances acknowledged")
    return counted


def _live(root: Path, image: Path, chance: random.Random, counted: Counted) -> None:
    with _mounted(image, root / "disk") as disk:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(disk / "store")], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        port = int(process.stdout.readline())
        threads = [
            threading.Thread(
                target=send_until_it_dies,
                args=(port, counted, random.Random(chance.random())),
                kwargs={"again": []},
            )
            for _ in range(SENDERS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0.2, 2.0))
        process.send_signal(signal.SIGSTOP)
        # Answers that are on their way count as acknowledged.
        time.sleep(0.3)
        shutil.copyfile(image, root / "cut.img")
        process.kill()
        process.wait()
        process.stdout.close()
        for thread in threads:
            thread.join(30)
    shutil.copyfile(root / "cut.img", root / "looked-at.img")
    with (
        _mounted(root / "looked-at.img", root / "looked-at") as disk,
        listening(disk / "store") as node,
    ):
        counted.faults += missing_of(node, counted)
    (root / "looked-at.img").unlink()


def _make(image: Path) -> None:
    with image.open("wb") as stream:
        stream.truncate(IMAGE_BYTES)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotPossible(f"mkfs.ext4 does not work here ({error})") from error


@contextmanager
def _mounted(image: Path, where: Path) -> Iterator[Path]:
    where.mkdir(exist_ok=True)
    command = ["mount", "-o", "loop", str(image), str(where)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotPossible("mounting a file needs root and a loop device") from error
    try:
        yield where
    finally:
        subprocess.run(["umount", str(where)], check=True, capture_output=True)
