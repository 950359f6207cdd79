"""Arrays from one process to another without copying them through a socket.

A message is a line of JSON behind its length; arrays lie in memory that both processes map. That
memory has no name (memfd_create(2)) and travels as a file descriptor (SCM_RIGHTS, unix(7)), so
nothing is left behind whichever of the two is killed.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LENGTH = struct.Struct("!I")
#: No message comes near it; a stranger's bytes would.
_LONGEST_MESSAGE = 1_000_000
#: Arrays begin at multiples of this, as vector instructions like them.
_ALIGNMENT = 64
_SMALLEST = 1 << 20

Arrays = Mapping[str, NDArray[Any]]


class Side:
    """One end of a connection: a region that this end writes, and the one that it reads."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._own: mmap.mmap | None = None
        self._theirs: mmap.mmap | None = None

    def close(self) -> None:
        """Let go of everything; views of received arrays keep their memory."""
        self._connection.close()

    def send(self, message: Mapping[str, Any], arrays: Arrays) -> None:
        """Send a message with arrays; raises OSError when the other end is gone."""
        places, size = _places(arrays)
        descriptor = self._room(size)
        try:
            for (_, _, _, at), array in zip(places, arrays.values(), strict=True):
                assert self._own is not None
                target = np.ndarray(array.shape, array.dtype, buffer=self._own, offset=at)
                target[...] = array
            body = json.dumps({**message, "arrays": places}).encode()
            head = _LENGTH.pack(len(body))
            if descriptor is None:
                self._connection.sendall(head)
            else:
                socket.send_fds(self._connection, [head], [descriptor])
            self._connection.sendall(body)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def receive(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The next message; its arrays are valid until the other end sends again.

        Raises:
            EOFError: the other end is gone. OSError: the connection broke.
        """
        head, descriptors, _, _ = socket.recv_fds(self._connection, _LENGTH.size, 1)
        if descriptors:
            self._theirs = mmap.mmap(descriptors[0], 0)
            os.close(descriptors[0])
        head += self._exactly(_LENGTH.size - len(head))
        (length,) = _LENGTH.unpack(head)
        if length > _LONGEST_MESSAGE:
            raise OSError("no message of ours")
        message: dict[str, Any] = json.loads(self._exactly(length))
        arrays = {
            name: np.ndarray(tuple(shape), np.dtype(dtype), buffer=self._theirs, offset=at)
            for name, dtype, shape, at in message.pop("arrays")
        }
        return message, arrays

    def _room(self, size: int) -> int | None:
        """Make the own region large enough; a descriptor when it is another one now."""
        if size == 0 or (self._own is not None and len(self._own) >= size):
            return None
        capacity = max(_SMALLEST, 1 << (size - 1).bit_length())
        descriptor = os.memfd_create("vigie-windows")
        os.ftruncate(descriptor, capacity)
        self._own = mmap.mmap(descriptor, capacity)
        return descriptor

    def _exactly(self, number: int) -> bytes:
        parts = []
        while number:
            part = self._connection.recv(number)
            if not part:
                raise EOFError
            parts.append(part)
            number -= len(part)
        return b"".join(parts)


def _places(arrays: Arrays) -> tuple[list[tuple[str, str, tuple[int, ...], int]], int]:
    """(name, dtype, shape, offset) of each array, and the size of all."""
    places = []
    at = 0
    for name, array in arrays.items():
        places.append((name, array.dtype.str, array.shape, at))
        at += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
    return places, at
