"""A folder of DICOM files as if it had been received: for `run` and the demonstration."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

#: Preamble and prefix, PS3.10 7.1.
PREAMBLE = 128
PREFIX = b"DICM"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContent:
    """What a C-STORE of this file would carry.

    Attributes:
        data_set: the bytes after the file meta information, as they are.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: bytes


@dataclass(frozen=True, slots=True)
class NotDicom:
    """A file that no DICOM client would send, such as a picture or a list beside the images."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Damaged:
    """A DICOM file (it begins as PS3.10 7.1 asks) that cannot be sent, with the reason."""

    path: Path
    reason: str


def read_folder(folder: Path) -> Iterator[FileContent | NotDicom | Damaged]:
    """Every file below a folder, in the order of their paths."""
    return map(read_file, files_below(folder))


def files_below(folder: Path) -> Iterator[Path]:
    """Files below a folder, sorted, without links and DICOMDIR (an index, PS3.10 8.6)."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.name != "DICOMDIR":
            yield path


def read_file(path: Path) -> FileContent | NotDicom | Damaged:
    """Read one file as a storage SCU would before it sends it (PS3.10, PS3.4 B).

    A file without preamble and prefix is taken as a bare data set where it makes sense as one.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        return Damaged(path, f"cannot be read ({error.strerror})")
    is_part_10 = raw[PREAMBLE : PREAMBLE + len(PREFIX)] == PREFIX
    with warnings.catch_warnings():
        # Odd values are the receiver's affair; pydicom's warnings would print them.
        warnings.simplefilter("ignore")
        try:
            return _content(dcmread(BytesIO(raw), stop_before_pixels=True, force=True), raw)
        except _UNREADABLE as error:
            if not is_part_10:
                return NotDicom(path, "no DICOM file")
            reason = str(error) if isinstance(error, _NoInstance) else type(error).__name__
            return Damaged(path, f"a DICOM file that cannot be read ({reason})")


class _NoInstance(ValueError):
    """The file has no SOP Instance UID."""


_UNREADABLE = (
    InvalidDicomError,
    OSError,
    ValueError,
    EOFError,
    AttributeError,
    TypeError,
    KeyError,
    NotImplementedError,
    IndexError,
    OverflowError,
    RecursionError,
)


def _content(header: FileDataset, raw: bytes) -> FileContent:
    class_uid = _text(header, "SOPClassUID") or _meta(header, "MediaStorageSOPClassUID")
    instance_uid = _text(header, "SOPInstanceUID") or _meta(header, "MediaStorageSOPInstanceUID")
    if not instance_uid:
        raise _NoInstance("no SOP Instance UID")
    return FileContent(
        sop_class_uid=class_uid,
        sop_instance_uid=instance_uid,
        transfer_syntax_uid=_meta(header, "TransferSyntaxUID") or _guess(header),
        data_set=raw[_data_set_offset(header, raw) :],
    )


def _data_set_offset(header: FileDataset, raw: bytes) -> int:
    """Where the data set begins: after preamble, prefix and the group 2 elements."""
    start = PREAMBLE + len(PREFIX) if raw[PREAMBLE : PREAMBLE + len(PREFIX)] == PREFIX else 0
    meta = getattr(header, "file_meta", None)
    length = meta.get("FileMetaInformationGroupLength") if meta else None
    if isinstance(length, int) and raw[start : start + 4] == b"\x02\x00\x00\x00":
        # Element (0002,0000) itself: tag 4, VR 2, length 2, value 4 bytes.
        return start + 12 + length
    return _skip_group_two(raw, start)


def _skip_group_two(raw: bytes, start: int) -> int:
    """Walk Explicit VR Little Endian group 2 elements that carry no group length."""
    offset = start
    while raw[offset : offset + 2] == b"\x02\x00" and offset + 8 <= len(raw):
        long_form = raw[offset + 4 : offset + 6] in (b"OB", b"OW", b"UN", b"UT", b"SQ", b"OF")
        at = offset + 8 if long_form else offset + 6
        size = 4 if long_form else 2
        offset = at + size + int.from_bytes(raw[at : at + size], "little")
    return offset


def _guess(header: FileDataset) -> str:
    implicit, little = header.original_encoding
    if implicit:
        return str(ImplicitVRLittleEndian)
    return str(ExplicitVRLittleEndian if little or little is None else ExplicitVRBigEndian)


def _text(header: FileDataset, keyword: str) -> str:
    try:
        return str(header.get(keyword, "") or "").strip("\0 ")
    except (ValueError, TypeError, AttributeError, KeyError):
        return ""


def _meta(header: FileDataset, keyword: str) -> str:
    meta = getattr(header, "file_meta", None)
    return str(meta.get(keyword, "") or "").strip("\0 ") if meta else ""
