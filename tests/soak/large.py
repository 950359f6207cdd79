"""One object larger than memory: it arrives whole, and the receiver stays as small as it was."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from xxhash import xxh3_128

from bench.sender import established
from scp.storage import verify
from tests.scp.listening import listening
from tests.scp.sent import content
from tests.soak.receiving import PROGRAM

ANY_SIZE = PROGRAM.replace("idle_timeout_s=20", "idle_timeout_s=20, max_object_bytes=1 << 40")

UID = "1.2.826.0.1.3680043.10.20.9"
#: Growth that the receiver's buffers explain.
FLAT_MB = 40.0


@dataclass(slots=True)
class Large:
    """What was measured; no faults means the promise was kept."""

    size: int
    seconds: float = 0.0
    answer_s: float = 0.0
    before_mb: float = 0.0
    peak_mb: float = 0.0
    faults: list[str] = field(default_factory=list)


def send_large(root: Path, size: int) -> Large:
    """Send one object of so many bytes, and look at the receiver's memory and at the object."""
    large = Large(size)
    process = subprocess.Popen(
        [sys.executable, "-c", ANY_SIZE, str(root)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        digest = _send(port, large, process.pid)
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()
    with listening(root) as node:
        kept = node.ledger.instances.find(UID)
        if len(kept) != 1 or kept[0].size_bytes != size:
            large.faults.append(f"acknowledged, in the index {len(kept)} times")
        elif kept[0].digest != digest or not verify(kept[0]):
            large.faults.append("stored with other bytes than were sent")
    if large.peak_mb - large.before_mb > FLAT_MB:
        large.faults.append(f"the receiver grew by {large.peak_mb - large.before_mb:.0f} MB")
    shutil.rmtree(root)
    return large


def _send(port: int, large: Large, receiver: int) -> str:
    """Returns the digest of what was sent."""
    head = content(uid=UID).data_set
    # Pixel data as far as the object goes; a length that does not fit is of undefined length.
    head += struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, 0xFFFFFFFF)
    digest, left = xxh3_128(), large.size
    with established(port, "VIGIE") as peer:
        # An association of its own first: what every association costs is not growth.
        large.before_mb = _resident_mb(receiver, "VmRSS")
        step = peer.pdu_bytes - 6
        filling = bytes(range(256)) * (step // 256 + 1)
        started = time.monotonic()
        peer.connection.sendall(peer.command(UID))
        while left:
            piece = (head + filling)[: min(step, left)]
            head = b""
            left -= len(piece)
            digest.update(piece)
            peer.connection.sendall(peer.data(piece, last=not left))
        sent = time.monotonic()
        status = peer.status()
        large.answer_s = time.monotonic() - sent
        large.seconds = time.monotonic() - started
        large.peak_mb = _resident_mb(receiver, "VmHWM")
        if status:
            large.faults.append(f"answered 0x{status:04X}")
        peer.release()
    digest.update(b"1.2.840.10008.1.2.1")
    return digest.hexdigest()


def _resident_mb(process: int, name: str) -> float:
    text = Path(f"/proc/{process}/status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0
