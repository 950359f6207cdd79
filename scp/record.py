"""One stored instance inside a segment: a page that describes it, then its Part 10 stream.

    | description, one page | preamble, file meta information, data set | padding to a page |

The description is written last, after the data set, and both become durable by one
`fdatasync`. It carries a keyed BLAKE2 of itself: neither what an older use of the segment left
behind nor a data set that imitates a description can be taken for an instance.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from pydicom.uid import UID

from node.domain.extent import Extent
from node.domain.study import (
    ClassUID,
    Instance,
    InstanceUID,
    SeriesUID,
    StudyUID,
    TransferSyntaxUID,
)

#: Alignment of everything in a segment: file systems share whole blocks, memory maps whole pages.
PAGE = 4096
#: Root of Vigie's implementation, PS3.7 D.3.3.2; a UUID-derived UID, PS3.5 B.2.
IMPLEMENTATION_CLASS_UID = UID("2.25.190146283706215733063811563018367284737")
IMPLEMENTATION_VERSION = "VIGIE"
PREAMBLE = b"\0" * 128 + b"DICM"
_PREAMBLE_AND_LENGTH = PREAMBLE + struct.pack("<HH2sH", 2, 0, b"UL", 4)
_LENGTH = struct.Struct("<L")

_MAGIC = b"VIGIEIN1"
_TEXT = json.JSONEncoder(check_circular=False)
_SEAL_BYTES = 32
# magic, seal, length of the Part 10 stream, of its head before the data set, of the JSON text
_FIXED = struct.Struct(f"<8s{_SEAL_BYTES}sQLL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is known of a stored instance without reading it.

    Attributes:
        head_bytes: preamble and file meta information. data_set_bytes: what follows.
        digest: as that of `node.domain.study.Instance`.
    """

    sop_instance_uid: str
    sop_class_uid: str
    study_uid: str
    series_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    received_at: datetime
    digest: str
    head_bytes: int
    data_set_bytes: int

    @property
    def part10_bytes(self) -> int:
        """Length of the Part 10 stream."""
        return self.head_bytes + self.data_set_bytes

    @property
    def record_bytes(self) -> int:
        """Length of the whole record with its page and padding."""
        return PAGE + padded(self.part10_bytes)

    def instance(self, extent: Extent) -> Instance:
        """The instance whose Part 10 stream lies there."""
        return Instance(
            sop_instance_uid=InstanceUID(self.sop_instance_uid),
            sop_class_uid=ClassUID(self.sop_class_uid),
            study_uid=StudyUID(self.study_uid),
            series_uid=SeriesUID(self.series_uid),
            transfer_syntax_uid=TransferSyntaxUID(self.transfer_syntax_uid),
            extent=extent,
            digest=self.digest,
            size_bytes=self.data_set_bytes,
            calling_ae_title=self.calling_ae_title,
            received_at=self.received_at,
        )


def padded(size: int) -> int:
    """The size, rounded up to whole pages."""
    return -(-size // PAGE) * PAGE


def encode(description: Description, key: bytes) -> bytes:
    """The page that makes a record valid.

    Args:
        key: (32 bytes) of the segment's present use.
    """
    text = _TEXT.encode(
        (
            description.sop_instance_uid,
            description.sop_class_uid,
            description.study_uid,
            description.series_uid,
            description.transfer_syntax_uid,
            description.calling_ae_title,
            description.received_at.timestamp(),
            description.digest,
        )
    ).encode()
    lengths = (description.part10_bytes, description.head_bytes, len(text))
    body = _FIXED.pack(_MAGIC, bytes(_SEAL_BYTES), *lengths) + text
    if len(body) > PAGE:
        raise ValueError("the description of an instance is longer than a page")
    page = _FIXED.pack(_MAGIC, _seal(body, key), *lengths) + text
    return page.ljust(PAGE, b"\0")


def decode(page: bytes | memoryview, key: bytes) -> Description | None:
    """Read a page; None when it does not describe a record of this use of the segment."""
    raw = bytes(page[:PAGE])
    if len(raw) < PAGE or not raw.startswith(_MAGIC):
        return None
    _, seal, part10, head, size = _FIXED.unpack_from(raw)
    text = raw[_FIXED.size : _FIXED.size + size]
    body = _FIXED.pack(_MAGIC, bytes(_SEAL_BYTES), part10, head, size) + text
    if len(text) != size or _seal(body, key) != seal:
        return None
    instance, sop_class, study, series, syntax, calling, at, digest = json.loads(text)
    return Description(
        sop_instance_uid=instance,
        sop_class_uid=sop_class,
        study_uid=study,
        series_uid=series,
        transfer_syntax_uid=syntax,
        calling_ae_title=calling,
        received_at=datetime.fromtimestamp(at, tz=UTC),
        digest=digest,
        head_bytes=head,
        data_set_bytes=part10 - head,
    )


def part10_head(
    *, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, calling_ae_title: str
) -> bytes:
    """Preamble, prefix and file meta information (PS3.10 7.1) before a data set as sent."""
    before, after = _meta(sop_class_uid, transfer_syntax_uid, calling_ae_title)
    instance = _element(0x0003, b"UI", sop_instance_uid)
    length = len(before) + len(instance) + len(after)
    return b"".join((_PREAMBLE_AND_LENGTH, _LENGTH.pack(length), before, instance, after))


@lru_cache(maxsize=256)
def _meta(
    sop_class_uid: str, transfer_syntax_uid: str, calling_ae_title: str
) -> tuple[bytes, bytes]:
    """The meta information in front of the SOP Instance UID, and behind it."""
    before = struct.pack("<HH2sHL", 2, 0x0001, b"OB", 0, 2) + b"\0\1"
    after = [
        _element(0x0010, b"UI", transfer_syntax_uid),
        _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
        _element(0x0013, b"SH", IMPLEMENTATION_VERSION),
    ]
    if calling_ae_title:
        after.append(_element(0x0016, b"AE", calling_ae_title))
    return before + _element(0x0002, b"UI", sop_class_uid), b"".join(after)


def _element(number: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii", "replace")
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 2, number, vr, len(value)) + value


def _seal(body: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(body, key=key, digest_size=_SEAL_BYTES).digest()
