"""Memory of one process that others open: a file without a name, memfd_create(2).

It is gone with the process that made it, however that ends, and needs no folder.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class NamelessFile:
    """How another process of this account opens it.

    Attributes:
        path: the descriptor of the process that made it, in /proc.
        device, inode: the file itself; the number of a descriptor is given to other files later.
    """

    path: Path
    device: int
    inode: int

    @classmethod
    def of(cls, descriptor: int) -> NamelessFile:
        """The file behind a descriptor of this process."""
        stat = os.fstat(descriptor)
        return cls(Path(f"/proc/{os.getpid()}/fd/{descriptor}"), stat.st_dev, stat.st_ino)

    def open(self, flags: int) -> int:
        """A descriptor of this process.

        Raises:
            OSError: its maker closed it.
        """
        # Whatever took its place is not waited for, and not read.
        descriptor = os.open(self.path, flags | os.O_CLOEXEC | os.O_NONBLOCK)
        stat = os.fstat(descriptor)
        if (stat.st_dev, stat.st_ino) != (self.device, self.inode):
            os.close(descriptor)
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return descriptor
