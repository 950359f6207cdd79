"""Compressed images decoded before anybody asks for them, into memory that others read.

Runs in a killable worker. The store of decoded frames is a file without a name
(memfd_create(2)) of the node's own process: it is gone when the node is, however it ends.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from inference.attributes import quiet_pydicom
from inference.codecs import PixelFile
from inference.nameless_file import NamelessFile
from node.domain.errors import VolumeError
from node.domain.extent import Extent


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeTask:
    """Images to decode.

    Attributes:
        file: where their frames are appended. room: bytes that may be appended.
        images: each with the transfer syntax it is stored in.
    """

    file: NamelessFile
    room: int
    images: tuple[tuple[Extent, str], ...]


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """Where the stored values of one image lie, exactly as its decoder gave them."""

    extent: Extent
    offset: int
    size: int


def decode_images(task: DecodeTask) -> tuple[DecodedFrame, ...]:
    """Decode and append; what is no single grey frame, or cannot be decoded, is left out.

    An image that is left out is decoded when its volume is loaded, which says what is wrong.

    Raises:
        OSError: there is no more memory.
    """
    frames = []
    # Each process has a position of its own in the file; appending moves it behind what was
    # written, so that several may append at the same time.
    descriptor = task.file.open(os.O_WRONLY | os.O_APPEND)
    try:
        left = task.room
        with quiet_pydicom():
            for extent, syntax in task.images:
                frame = _decoded(extent, syntax)
                if frame is None or len(frame) > left:
                    continue
                written = os.write(descriptor, frame)
                end = os.lseek(descriptor, 0, os.SEEK_CUR)
                left -= written
                if written == len(frame):
                    frames.append(DecodedFrame(extent, end - written, written))
    finally:
        os.close(descriptor)
    return tuple(frames)


def _decoded(extent: Extent, syntax: str) -> bytes | None:
    try:
        pixels = PixelFile(extent, syntax)
        if pixels.format.frames != 1 or not pixels.transfer_syntax.is_encapsulated:
            return None
        (values,) = pixels.frames([0])
    except VolumeError:
        return None
    return values.tobytes() if values.dtype == pixels.format.dtype else None
