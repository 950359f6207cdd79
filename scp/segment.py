"""One file of the store, to which records are appended, and which is used again when empty.

    | key page | record | record | ... | zeros |

The key page names the present use of the file by a random key. A new key makes every record of
an earlier use invalid at once; zeros written over them afterwards delete them.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.domain.extent import Extent
from scp.record import PAGE, Description, decode

_MAGIC = b"VIGIESG1"
_KEY_BYTES = 32
_KEY_PAGE = struct.Struct(f"<8s{_KEY_BYTES}sB16s")
#: Handed to the disk while an object still arrives, where it goes through the page cache.
WRITE_BEHIND_BYTES = 4 << 20
_ZEROS = bytes(4 << 20)
_SYNC_FILE_RANGE_WRITE = 2
_libc = ctypes.CDLL(None, use_errno=True)


class Segment:
    """A segment. Its writer is one thread at a time; `position` is where it goes on.

    Its file is open while somebody writes to it: a store of years has more segments than a
    process may have open files.
    """

    def __init__(self, path: Path, descriptor: int, key: bytes, *, blank: bool) -> None:
        """Use `create` or `find`.

        Args:
            blank: nothing of an earlier use lies behind the key page.
        """
        self.path = path
        self.number = int(path.stem)
        self.position = PAGE
        self.blank = blank
        self.key = key
        self._name_use()
        self.is_named = True
        #: Durable records whose rows the index does not have yet.
        self.unindexed = 0
        self._descriptor: int | None = descriptor
        # A second way into the open file, past the page cache, where the file system has one.
        self._direct: int | None = None
        self._written_behind = PAGE

    @classmethod
    def create(cls, path: Path) -> Segment:
        """A new file with a key of its own; durable, its folder is not yet synchronised."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        segment = cls(path, descriptor, secrets.token_bytes(_KEY_BYTES), blank=True)
        segment._write_key()
        return segment

    @classmethod
    def create_unnamed(cls, path: Path) -> Segment:
        """As `create`, but the file has no name before `give_name`: a kill leaves nothing of it.

        Raises:
            OSError: the disk is full, or the file system has no files without a name.
        """
        flags = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC
        descriptor = os.open(path.parent, flags, 0o640)
        segment = cls(path, descriptor, secrets.token_bytes(_KEY_BYTES), blank=True)
        segment.is_named = False
        segment._write_key()
        return segment

    def give_name(self) -> None:
        """Let a file without a name appear, durably."""
        here = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # With a directory Python calls linkat(2), which alone follows the link of /proc.
            os.link(
                f"/proc/self/fd/{self._file}",
                self.path.name,
                src_dir_fd=here,
                dst_dir_fd=here,
                follow_symlinks=True,
            )
            os.fsync(here)
        finally:
            os.close(here)
        self.is_named = True

    @classmethod
    def find(cls, path: Path) -> Segment | None:
        """An existing file; None when it has no valid key page (its creation was cut short).

        Raises:
            OSError: it cannot be read.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            page = os.pread(descriptor, _KEY_PAGE.size, 0)
        finally:
            os.close(descriptor)
        if len(page) == _KEY_PAGE.size:
            magic, key, blank, check = _KEY_PAGE.unpack(page)
            if magic == _MAGIC and _check(key, blank) == check:
                segment = cls(path, descriptor, key, blank=bool(blank))
                segment._descriptor = None
                return segment
        return None

    def open(self) -> None:
        """Let it be written to. Raises OSError."""
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            self._written_behind = self.position
        if self._direct is None:
            self._direct = _reopened_past_the_page_cache(self._descriptor)

    def close(self) -> None:
        """Nobody writes to it any more. What has no name yet stays: it would be lost."""
        if self.is_named:
            self.discard()

    def discard(self) -> None:
        """Close it, even when nobody can ever open it again."""
        for descriptor in (self._descriptor, self._direct):
            if descriptor is not None:
                os.close(descriptor)
        self._descriptor = self._direct = None

    @contextmanager
    def _opened(self) -> Iterator[None]:
        """Open for as long as a step of its own takes."""
        was_open = self._descriptor is not None
        self.open()
        try:
            yield
        finally:
            if not was_open:
                self.close()

    @property
    def _file(self) -> int:
        assert self._descriptor is not None, "the segment is not open"
        return self._descriptor

    @property
    def size(self) -> int:
        """Length of the file; 0 when somebody deleted it."""
        try:
            return os.stat(self.path if self._descriptor is None else self._descriptor).st_size
        except FileNotFoundError:
            return 0

    def append(self, piece: bytes | memoryview, at: int) -> None:
        """Write bytes at an offset through the page cache. Not yet durable.

        Raises:
            OSError: the disk is full or failing.
        """
        rest = memoryview(piece)
        while rest:
            written = os.pwrite(self._file, rest, at)
            at, rest = at + written, rest[written:]
        if at - self._written_behind >= WRITE_BEHIND_BYTES:
            self._write_behind(at)

    def write_pages(self, pages: memoryview, at: int) -> None:
        """Write whole pages, past the page cache where the file system allows. Not yet durable.

        Args:
            pages: aligned to pages in memory. at: offset, likewise.

        Raises:
            OSError: the disk is full or failing.
        """
        written = 0
        if self._direct is not None:
            try:
                written = os.pwrite(self._direct, pages, at)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                # The device asks for an alignment that records do not have.
                os.close(self._direct)
                self._direct = None
        if written < len(pages):
            self.append(pages[written:], at + written)

    def make_durable(self) -> None:
        """Everything written so far is on the disk, in a file that can be found again.

        Raises:
            OSError: it is not; FileNotFoundError: somebody deleted the file while it was open.
        """
        os.fdatasync(self._file)
        if self.is_named and not os.fstat(self._file).st_nlink:
            raise FileNotFoundError(
                errno.ENOENT, "somebody deleted the file that it was written to", str(self.path)
            )
        self._written_behind = self.position

    def read(self, size: int, at: int) -> bytes:
        """At most `size` bytes from an offset."""
        with self._opened():
            return os.pread(self._file, size, at)

    def records(self, start: int = PAGE) -> Iterator[tuple[int, Description]]:
        """The records from an offset on, each with its own; `position` ends behind the last.

        Steps over pages that hold no valid description: a damaged one does not hide those
        behind it. The data sets themselves are not read.
        """
        at, end = start, self.size
        self.position = max(self.position, start)
        if not end:
            return
        with self._opened():
            while at + PAGE <= end:
                description = decode(self.read(PAGE, at), self.key)
                if description is None:
                    at = self._next_written(at + PAGE, end)
                    continue
                behind = at + description.record_bytes
                if at + PAGE + description.part10_bytes <= end:
                    yield at, description
                at = self.position = behind

    def extent(self, at: int, description: Description) -> Extent:
        """Where the Part 10 stream of a record lies."""
        return Extent(self.path, at + PAGE, description.part10_bytes)

    def renew(self, capacity: int) -> None:
        """Forget every record: a new key. What they held is overwritten by `blank_out`."""
        self.key = secrets.token_bytes(_KEY_BYTES)
        self._name_use()
        self.position, self.blank = PAGE, False
        with self._opened():
            self._write_key()
            if self.size > capacity:
                os.ftruncate(self._file, capacity)

    def blank_out(self, capacity: int) -> None:
        """Write zeros from the key page to the capacity, durably.

        Deletes what was there, and lets later records go to blocks that the file already has:
        then `fdatasync` needs no commit of the file system's journal.
        """
        at = PAGE
        with self._opened():
            while at < capacity:
                at += os.pwrite(self._file, _ZEROS[: capacity - at], at)
            os.fdatasync(self._file)
            # Records are written past the page cache: these pages would only be discarded.
            os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_DONTNEED)
            self.blank = True
            self._write_key()

    def _next_written(self, at: int, end: int) -> int:
        """The next page that is not all zeros, or the end."""
        while at < end:
            block = self.read(1 << 20, at)
            if not block:
                return end
            kept = block.lstrip(b"\0")
            if kept:
                return (at + len(block) - len(kept)) // PAGE * PAGE
            at += len(block)
        return end

    def _write_behind(self, end: int) -> None:
        """Start the writing of finished pages; says nothing about durability."""
        start = self._written_behind
        _libc.sync_file_range(
            self._file,
            ctypes.c_long(start),
            ctypes.c_long(end - start),
            _SYNC_FILE_RANGE_WRITE,
        )
        self._written_behind = end

    def _name_use(self) -> None:
        #: Names this use of this file, for the index.
        self.use = f"{self.path.name}#{hashlib.blake2b(self.key, digest_size=8).hexdigest()}"

    def _write_key(self) -> None:
        page = _KEY_PAGE.pack(_MAGIC, self.key, self.blank, _check(self.key, self.blank))
        os.pwrite(self._file, page.ljust(PAGE, b"\0"), 0)
        os.fsync(self._file)


def _reopened_past_the_page_cache(descriptor: int) -> int | None:
    try:
        return os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        return None


def _check(key: bytes, blank: int) -> bytes:
    return hashlib.blake2b(_MAGIC + key + bytes([blank]), digest_size=16).digest()
