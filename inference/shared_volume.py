"""One volume for several processes: the first loads it, the others map what it loaded.

    | header, one page | voxels, int16 or float32 | padding, where there is any |

The file has no name (memfd_create(2)) and belongs to the node's own process. Its first page
says "complete" last of all: what a killed process left half done is loaded again.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.nameless_file import NamelessFile
from inference.reading import DecodedFrames
from inference.volume import load_volume, place_volume
from node.domain.errors import VolumeError
from node.domain.imaging import Volume
from node.domain.study import Series

#: CT Image Storage, Enhanced CT Image Storage, Legacy Converted Enhanced CT Image Storage.
_CT_CLASSES = frozenset(f"1.2.840.10008.5.1.4.1.1.2{end}" for end in ("", ".1", ".2"))
_PAGE = mmap.PAGESIZE
_MAGIC = b"VIGIEVOL"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A volume, and whether another process had loaded it."""

    volume: Volume
    was_shared: bool


def may_be_fractions(sop_class_uid: str) -> bool:
    """May the values of such images be kept for all where they are no whole numbers?

    HU are whole numbers but on very few scanners: room for fractions is not kept for a CT.
    """
    return sop_class_uid not in _CT_CLASSES


def room_for(voxels: int, *, fractions: bool) -> int:
    """Bytes that a volume of so many voxels takes here at most, with its padding."""
    return voxels * ((4 if fractions else 2) + 1)


def load_shared(series: Series, decoded: DecodedFrames | None, file: NamelessFile) -> Loaded:
    """`load_volume`, once for all processes that are given this file.

    The voxels may be written to: a process then gets pages of its own.

    Raises:
        VolumeError, PixelDataError: as `load_volume`; the next process tries again.
        OSError: the node let go of the file. MemoryError: there is not enough.
    """
    descriptor = file.open(os.O_RDWR)
    try:
        # The lock of a process that dies is let go by the kernel.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        told = _header(descriptor)
        if told is not None:
            return Loaded(_mapped(descriptor, told, series), was_shared=True)
        loaded = _load_into(descriptor, series, decoded)
        if isinstance(loaded, Volume):
            return Loaded(loaded, was_shared=False)
        return Loaded(_mapped(descriptor, loaded, series), was_shared=False)
    finally:
        # Closing is not enough: a mapping keeps the open file, and with it the lock.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _load_into(
    descriptor: int, series: Series, decoded: DecodedFrames | None
) -> Mapping[str, Any] | Volume:
    """Load it where others will find it; the volume itself where it did not fit there."""
    os.ftruncate(descriptor, 0)

    def memory(shape: tuple[int, ...]) -> NDArray[np.int16]:
        size = int(np.prod(shape, dtype=np.int64)) * 2
        os.ftruncate(descriptor, _PAGE + size)
        flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
        pages = mmap.mmap(descriptor, size, flags=flags, offset=_PAGE)
        return np.frombuffer(pages, np.int16).reshape(shape)

    volume = load_volume(series, decoded, memory)
    if volume.voxels.dtype != np.int16:
        # Values of a fraction took memory of their own.
        if not may_be_fractions(series.sop_class_uid):
            return volume
        os.ftruncate(descriptor, 0)
        os.ftruncate(descriptor, _PAGE + volume.voxels.nbytes)
        with mmap.mmap(descriptor, volume.voxels.nbytes, offset=_PAGE) as pages:
            pages.write(np.ascontiguousarray(volume.voxels).data.cast("B"))
    told = {
        "shape": list(volume.voxels.shape),
        "type": str(volume.voxels.dtype),
        "unit": volume.unit,
        "has_padding": volume.padding is not None,
    }
    if volume.padding is not None:
        os.pwrite(descriptor, volume.padding.data, _PAGE + volume.voxels.nbytes)
    text = json.dumps(told).encode()
    os.pwrite(descriptor, len(text).to_bytes(4, "little") + text, len(_MAGIC))
    os.pwrite(descriptor, _MAGIC, 0)
    return told


def _header(descriptor: int) -> Mapping[str, Any] | None:
    page = os.pread(descriptor, _PAGE, 0)
    if page[: len(_MAGIC)] != _MAGIC:
        return None
    length = int.from_bytes(page[len(_MAGIC) : len(_MAGIC) + 4], "little")
    told: Mapping[str, Any] = json.loads(page[len(_MAGIC) + 4 : len(_MAGIC) + 4 + length])
    return told


def _mapped(descriptor: int, told: Mapping[str, Any], series: Series) -> Volume:
    shape = tuple(told["shape"])
    count = int(np.prod(shape, dtype=np.int64))
    empty = place_volume(series)
    if len(empty.planes) != shape[0]:
        raise VolumeError("was shared with another volume in mind; report this")
    kind = np.dtype(told["type"])
    size = count * (kind.itemsize + bool(told["has_padding"]))
    pages = mmap.mmap(descriptor, size, flags=mmap.MAP_PRIVATE, offset=_PAGE)
    padding = None
    if told["has_padding"]:
        padding = np.frombuffer(pages, np.bool_, count, count * kind.itemsize).reshape(shape)
    voxels = np.frombuffer(pages, kind, count).reshape(shape)
    return replace(empty, voxels=voxels, unit=told["unit"], padding=padding)
