"""Where the bytes of one instance lie on the disk."""

from __future__ import annotations

import errno
import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

#: Two file systems, or one that cannot: the bytes go through memory then.
_NO_SHARING = (errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Extent:
    """A DICOM Part 10 stream: a whole file, or a stretch of one.

    Attributes:
        offset: of its first byte (the preamble, PS3.10 7.1). A multiple of the page size
            unless it is 0.
        length: in bytes; None when it ends with the file.
    """

    path: Path
    offset: int = 0
    length: int | None = None

    @property
    def is_present(self) -> bool:
        """Is there a file that reaches as far as this extent does?"""
        try:
            return self.path.stat().st_size >= self.offset + (self.length or 0)
        except OSError:
            return False

    @property
    def size(self) -> int:
        """Length in bytes. Raises OSError when the file is not there."""
        return self.path.stat().st_size - self.offset if self.length is None else self.length

    def open(self) -> BinaryIO:
        """A binary stream over exactly these bytes, at its start; nothing is copied yet.

        Raises:
            OSError: the file is not there, or ends before the extent does.
        """
        if self.length is None and not self.offset:
            return self.path.open("rb")
        return cast(BinaryIO, self.map())

    def map(self) -> mmap.mmap:
        """These bytes as memory, which nothing is copied into. Raises OSError as `open`."""
        if not self.is_present:
            raise OSError(f"{self.path.name} ends before the instance does")
        with self.path.open("rb") as file:
            return mmap.mmap(file.fileno(), self.size, access=mmap.ACCESS_READ, offset=self.offset)

    def read(self) -> bytes:
        """All of it. Raises OSError as `open`."""
        with self.open() as stream:
            return stream.read()

    def export(self, target: Path) -> None:
        """Write it as a file of its own; shares the blocks where the file system can.

        Raises:
            OSError: the source is gone, the target exists, or the disk is full.
        """
        at, left = self.offset, self.size
        with self.path.open("rb") as source, target.open("xb") as copy:
            while left:
                try:
                    done = os.copy_file_range(source.fileno(), copy.fileno(), left, at)
                except OSError as error:
                    if error.errno not in _NO_SHARING:
                        raise
                    done = os.write(copy.fileno(), os.pread(source.fileno(), min(left, _BLOCK), at))
                if not done:
                    raise OSError(f"{self.path.name} ends before the instance does")
                at, left = at + done, left - done
