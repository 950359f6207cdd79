"""`python -m models.importers.framework.confined`: give up rights, then run one program.

First in the sandboxed process, before any foreign byte is read: limits on memory, processor
time and file size; no sockets (seccomp(2), below it an audit hook of Python); reading and
writing only below named folders (landlock(7)). Each is asked of the kernel, and what really
holds is told to the parent. Standard library only: it runs in any interpreter.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import json
import os
import platform
import resource
import runpy
import struct
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION = 1
_LANDLOCK_PATH_BENEATH = 1
# Access rights of landlock(7): execute, write a file, read a file, read a folder.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
#: Rights on the file system by ABI: 1 has 13, 2 adds refer, 3 truncate, 5 ioctl on devices.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_ALL_RIGHTS = 16
#: Rights that make sense on a single file; the others are refused by the kernel there.
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15
#: (audit architecture, number of socket); io_uring_setup is 425 on both.
_SYSTEM_CALLS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
_IO_URING_SETUP = 425
#: x32 calls on x86_64 have this bit and other numbers.
_X32_BIT = 0x40000000
_KILL, _ALLOW, _EPERM = 0x80000000, 0x7FFF0000, 0x00050001
#: What an interpreter with numerical libraries reads outside its own folders.
_SYSTEM = (
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/proc",
    "/sys",
    "/dev/null",
    "/dev/zero",
    "/dev/urandom",
    "/dev/random",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/os-release",
)
_CHECKOUT = Path(__file__).resolve().parents[3]
#: Exit status when the process that waits for the answer is gone.
_ORPHANED = 70


def refuse_sockets() -> str:
    """No new socket in this process and its children; says what enforces it."""
    if _filter_sockets():
        return "seccomp filter"
    sys.addaudithook(_no_sockets)
    return "Python's sockets disabled"


def _no_sockets(event: str, _arguments: tuple[object, ...]) -> None:
    if event.startswith("socket.") or event in ("urllib.Request", "http.client.connect"):
        raise PermissionError("an import has no network")


def _filter_sockets() -> bool:
    """Refuse socket(2) and io_uring_setup(2) with EPERM; False where the kernel has no seccomp."""
    if platform.machine() not in _SYSTEM_CALLS:
        return False
    architecture, socket_call = _SYSTEM_CALLS[platform.machine()]
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    program = [
        (load, 0, 0, 4),
        (equal, 1, 0, architecture),
        (answer, 0, 0, _KILL),
        (load, 0, 0, 0),
        (at_least, 2, 0, _X32_BIT),
        (equal, 1, 0, socket_call),
        (equal, 0, 1, _IO_URING_SETUP),
        (answer, 0, 0, _EPERM),
        (answer, 0, 0, _ALLOW),
    ]
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
    )
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    return not libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(header), 0, 0)


def confine_files(readable: Iterable[Path], writable: Iterable[Path]) -> str:
    """Read only below `readable` and the interpreter, write only below `writable`."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    if version < 1:
        return "not confined (this kernel has no Landlock)"
    every = (1 << _RIGHTS.get(version, _ALL_RIGHTS)) - 1
    handled = ctypes.create_string_buffer(struct.pack("Q", every), 8)
    rules = libc.syscall(_LANDLOCK_CREATE, handled, 8, 0)
    if rules < 0:
        return "not confined (Landlock refused)"
    reading = _EXECUTE | _READ_FILE | _READ_DIR
    for path in (*map(Path, _SYSTEM), *readable):
        _allow(libc, rules, path, reading)
    _allow(libc, rules, Path("/dev/null"), reading | _WRITE_FILE)
    for path in writable:
        _allow(libc, rules, path, every)
    failed = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(
        _LANDLOCK_RESTRICT, rules, 0
    )
    os.close(rules)
    return "not confined (Landlock refused)" if failed else "Landlock"


def _allow(libc: ctypes.CDLL, rules: int, path: Path, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not path.is_dir():
        rights &= _FILE_RIGHTS
    rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, opened), 12)
    libc.syscall(_LANDLOCK_ADD, rules, _LANDLOCK_PATH_BENEATH, rule, 0)
    os.close(opened)


def limit(*, memory_mb: int, time_s: int) -> None:
    """Hard limits of this process and of each child: data, processor time, no core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    data = memory_mb * 1_000_000
    resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    processor = time_s * (os.cpu_count() or 1)
    resource.setrlimit(resource.RLIMIT_CPU, (processor, processor + 5))


def end_with_parent() -> None:
    """Standard input is a pipe that the parent holds: when it closes, so do we."""
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def wait() -> None:
        while os.read(pipe, 1):
            pass
        os._exit(_ORPHANED)

    threading.Thread(target=wait, daemon=True, name="parent").start()


def interpreter_folders() -> tuple[Path, ...]:
    """Where this interpreter and its libraries lie.

    The checkout is on the path of imports too, but holds configuration, results and patients'
    images: of it only the rooms that the parent names are readable.
    """
    folders = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent}
    libraries = (Path(entry).resolve() for entry in sys.path if entry)
    return (*folders, *(entry for entry in libraries if entry != _CHECKOUT))


def main() -> None:
    """Confine, say what holds, run the program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory-mb", type=int, required=True)
    parser.add_argument("--time-s", type=int, required=True)
    parser.add_argument("--tell", type=int, required=True)
    parser.add_argument("--read", type=Path, action="append", default=[])
    parser.add_argument("program")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    end_with_parent()
    limit(memory_mb=options.memory_mb, time_s=options.time_s)
    for room in options.read:
        if room.parent == _CHECKOUT:
            # Found now: the folder that holds the rooms cannot be listed afterwards.
            importlib.import_module(room.name)
    readable = (*interpreter_folders(), *options.read)
    isolation = {
        "files": confine_files(readable, (options.folder,)),
        "sockets": refuse_sockets(),
    }
    # Told before anything foreign is read, on a pipe that is then closed: nobody can gloss it over.
    os.write(options.tell, json.dumps(isolation).encode())
    os.close(options.tell)
    sys.argv = [options.program, str(options.folder)]
    runpy.run_module(options.program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
