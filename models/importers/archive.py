"""Unpacks a zip that a stranger made: nothing leaves the folder, nothing grows without bound."""

from __future__ import annotations

import shutil
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from node.domain.errors import ImportRefused

#: A file that shrinks more than this is not what a model is made of.
_LARGEST_RATIO = 200
#: Below this size a high ratio harms nobody.
_HARMLESS = 10_000_000
_REMEDY = "ask whoever made the file for a plain zip of the model's folder"


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What is unpacked at most."""

    files: int = 5_000
    bytes: int = 20_000_000_000


def unpack(archive: Path, folder: Path, limits: ArchiveLimits | None = None) -> Path:
    """Unpack into an empty folder.

    Returns:
        The folder, or the only folder in it where everything lies in one.

    Raises:
        ImportRefused: it is no zip, names a file outside, holds a link, or is too large.
    """
    limits = limits or ArchiveLimits()
    try:
        with zipfile.ZipFile(archive) as zipped:
            entries = zipped.infolist()
            _check(archive, entries, limits)
            for entry in entries:
                _extract(zipped, entry, folder)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        # RuntimeError: encrypted. OSError: e.g. a file where a folder should be.
        raise ImportRefused.once(
            archive.name, f"the zip cannot be read ({error})", _REMEDY
        ) from None
    inner = list(folder.iterdir())
    return inner[0] if len(inner) == 1 and inner[0].is_dir() else folder


def _check(archive: Path, entries: list[zipfile.ZipInfo], limits: ArchiveLimits) -> None:
    if len(entries) > limits.files:
        raise ImportRefused.once(
            archive.name, f"{len(entries)} files, at most {limits.files} are unpacked", _REMEDY
        )
    total = sum(entry.file_size for entry in entries)
    if total > limits.bytes:
        raise ImportRefused.once(
            archive.name,
            f"it unpacks to {total / 1e9:.1f} GB, at most {limits.bytes / 1e9:.1f} GB are unpacked",
            _REMEDY,
        )
    for entry in entries:
        where = f"{archive.name}: {entry.filename!r}"
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]):
            raise ImportRefused.once(where, "the name leads out of the folder", _REMEDY)
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind and not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise ImportRefused.once(where, "it is a link or a device, no file", _REMEDY)
        if entry.file_size > max(_HARMLESS, _LARGEST_RATIO * entry.compress_size):
            raise ImportRefused.once(
                where,
                f"{entry.compress_size} bytes unpack to {entry.file_size}: as a zip bomb does",
                _REMEDY,
            )


def _extract(zipped: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    target = folder / PurePosixPath(entry.filename.replace("\\", "/"))
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # zipfile stops at the size that the directory states, so the check above holds.
    with zipped.open(entry) as source, target.open("xb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
