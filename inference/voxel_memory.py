"""Memory for the voxels of a volume."""

from __future__ import annotations

import errno
import mmap

import numpy as np
from numpy.typing import NDArray

_PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


def empty_int16(shape: tuple[int, ...]) -> NDArray[np.int16]:
    """(*shape) int16, all 0; its pages are there already.

    Taking them one by one while slices are read costs half of the time of reading; huge pages,
    which NumPy asks for, cost more still on a virtual machine that has not used them before.

    Raises:
        MemoryError: there is not enough.
    """
    size = int(np.prod(shape, dtype=np.int64)) * 2
    try:
        pages = mmap.mmap(-1, max(size, 1), flags=_PRIVATE | mmap.MAP_POPULATE)
    except OSError as error:
        if error.errno not in (errno.ENOMEM, errno.EAGAIN):
            raise
        raise MemoryError(f"{size} bytes for a volume") from error
    return np.frombuffer(pages, np.int16, size // 2).reshape(shape)
