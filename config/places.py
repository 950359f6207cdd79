"""Can Vigie really use a folder of `appliance.yaml`? Tried, and nothing is left there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from config.messages import refusal

#: File systems that the kernel makes up: nothing in them is a file on a disk.
PSEUDO = (
    *("autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts"),
    *("devtmpfs", "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore"),
    *("securityfs", "selinuxfs", "sysfs", "tracefs"),
)
MOUNTS = Path("/proc/self/mounts")


def usable_folder(absolute: Path) -> Path:
    """Refuse a folder in which this account could not keep files.

    The folder exists, or its parent does and it can be made there. Whether that is so is tried
    with a file without a name, which no other program ever sees.

    Raises:
        PydanticCustomError: with the remedy.
    """
    if absolute == Path("/"):
        raise refusal(
            "this is the root of the whole computer",
            "name a folder of its own, for example /var/lib/vigie",
        )
    kind = _kind_of_file_system(absolute)
    if kind in PSEUDO:
        raise refusal(
            f"{absolute} lies in '{kind}', which the kernel makes up and which keeps no files",
            "name a folder on a disk, for example /var/lib/vigie",
        )
    if absolute.exists() and not absolute.is_dir():
        raise refusal(f"{absolute} is a file", "name a folder")
    if not absolute.parent.is_dir():
        raise refusal(
            f"the folder {absolute.parent} does not exist",
            f"create it (mkdir -p {absolute.parent}), or correct the path",
        )
    _try_to_write(absolute if absolute.exists() else absolute.parent)
    return absolute


def _try_to_write(folder: Path) -> None:
    may_not = refusal(
        f"this account may not write to {folder}",
        "run this as the account of Vigie, or give the folder to it (chown)",
    )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise may_not
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except PermissionError:
        raise may_not from None
    except OSError as error:
        raise refusal(
            f"no file can be made in {folder} ({error.strerror})",
            "mend the disk or its mount (df, dmesg), or name another folder",
        ) from None


def _kind_of_file_system(path: Path, mounts: Path = MOUNTS) -> str:
    """Type of the file system that a path lies in; "" where the kernel does not say."""
    found, longest = "", -1
    real = os.path.realpath(path)
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        _, point, kind, *_ = [*line.split(" "), "", ""]
        # proc(5): spaces and backslashes of a mount point stand there as octal numbers.
        point = point.replace("\\040", " ").replace("\\134", "\\")
        if (real == point or real.startswith(point.rstrip("/") + "/")) and len(point) >= longest:
            found, longest = kind, len(point)
    return found
