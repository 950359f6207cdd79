"""The anatomy of a series for several processes: the first computes it, the others read it.

The file has no name (memfd_create(2)), belongs to the node's own process and is gone with the
study's last job, or with the node: nothing of it ever lies on a disk. Its first bytes say
"complete" last of all, so what a killed process left half done is computed again.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass

import numpy as np

from inference.nameless_file import NamelessFile
from node.domain.anatomy import Anatomy, Vertebra

_MAGIC = b"VIGIEANA"
_LENGTH_BYTES = 8
_HEAD = len(_MAGIC) + _LENGTH_BYTES
#: Longest wait for another process that computes it: a trunk takes seconds.
WAIT_S = 60.0
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Seen:
    """An anatomy, and whether another process had computed it."""

    anatomy: Anatomy
    was_shared: bool


def see_shared(file: NamelessFile, compute: Callable[[], Anatomy], wait_s: float = WAIT_S) -> Seen:
    """`compute`, once for all processes that are given this file.

    Where the node let go of the file, or another process takes too long, it is computed here and
    kept for nobody: waiting counts against the time limit of the job that waits.

    Raises:
        Whatever `compute` raises; the next process tries again.
    """
    try:
        descriptor = file.open(os.O_RDWR)
    except OSError:
        return Seen(compute(), was_shared=False)
    try:
        is_ours = _locked(descriptor, wait_s)
        stored = _read(descriptor)
        if stored is not None:
            return Seen(decoded(stored), was_shared=True)
        anatomy = compute()
        if is_ours:
            with suppress(OSError):
                _write(descriptor, encoded(anatomy))
        return Seen(anatomy, was_shared=False)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, wait_s: float) -> bool:
    """Is it ours to write? The lock of a process that dies is let go by the kernel."""
    end = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(_LOOK_S)
        except OSError:
            return False
        else:
            return True


def encoded(anatomy: Anatomy) -> bytes:
    """As bytes: labels compressed, numbers exact."""
    told = {
        "names": {str(value): name for value, name in anatomy.names.items()},
        "vertebrae": [asdict(one) for one in anatomy.vertebrae],
        "anchors": anatomy.anchors,
        "doubts": anatomy.doubts,
        "model_digest": anatomy.model_digest,
        "cut": anatomy.cut,
    }
    stream = io.BytesIO()
    text = np.frombuffer(json.dumps(told).encode(), np.uint8)
    np.savez_compressed(stream, labels=anatomy.labels, affine=anatomy.affine, told=text)
    return stream.getvalue()


def decoded(stored: bytes) -> Anatomy:
    """`encoded`, backwards."""
    with np.load(io.BytesIO(stored), allow_pickle=False) as arrays:
        told = json.loads(arrays["told"].tobytes())
        return Anatomy(
            labels=arrays["labels"],
            affine=arrays["affine"],
            names={int(value): name for value, name in told["names"].items()},
            vertebrae=tuple(
                Vertebra(
                    level=one["level"],
                    value=one["value"],
                    centre_mm=(one["centre_mm"][0], one["centre_mm"][1], one["centre_mm"][2]),
                )
                for one in told["vertebrae"]
            ),
            anchors=tuple(told["anchors"]),
            doubts=tuple(told["doubts"]),
            model_digest=told["model_digest"],
            cut=tuple(told["cut"]),
        )


def _read(descriptor: int) -> bytes | None:
    head = os.pread(descriptor, _HEAD, 0)
    if head[: len(_MAGIC)] != _MAGIC:
        return None
    length = int.from_bytes(head[len(_MAGIC) :], "little")
    return os.pread(descriptor, length, _HEAD)


def _write(descriptor: int, stored: bytes) -> None:
    os.ftruncate(descriptor, 0)
    with os.fdopen(os.dup(descriptor), "wb") as stream:
        stream.seek(len(_MAGIC))
        stream.write(len(stored).to_bytes(_LENGTH_BYTES, "little") + stored)
    os.pwrite(descriptor, _MAGIC, 0)
