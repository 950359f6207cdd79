"""The four UIDs that file an instance, read from its bytes and from nothing behind them."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from node.domain.errors import CannotUnderstand, ClassMismatch, InvalidInstance
from scp.contracts import Received
from scp.header import Header, HeaderError, Tag

SOP_CLASS: Tag = (0x0008, 0x0016)
SOP_INSTANCE: Tag = (0x0008, 0x0018)
STUDY: Tag = (0x0020, 0x000D)
SERIES: Tag = (0x0020, 0x000E)
_FILED_BY = {
    "SOP Class UID": SOP_CLASS,
    "SOP Instance UID": SOP_INSTANCE,
    "Study Instance UID": STUDY,
    "Series Instance UID": SERIES,
}
#: GE's syntax with implicit VR and big endian pixels.
GE_PRIVATE_IMPLICIT = "1.2.840.113619.5.2"
#: Deflated data sets are inflated only as far as the UIDs can be expected.
INFLATED_HEAD = 4 << 20
#: PS3.5 9.1: at most 64 characters of digits and dots. Odd components (leading zeros) occur and do
#: no harm, other characters could end in a page or a path.
UID_PATTERN = re.compile(r"[0-9.]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Where an instance belongs."""

    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str


def identify(received: Received) -> Identity:
    """Read the UIDs and hold them against the command set.

    A data set without its own SOP Class or Instance UID takes that of the command. A data set
    without Study or Series Instance UID (both type 1, PS3.3 C.7.2.1, C.7.3.1) is refused: it
    could never be found again.

    Raises:
        CannotUnderstand: the bytes cannot be read as far as group 0020, or a UID is missing or
            is none.
        InvalidInstance: the SOP Instance UID is none.
        ClassMismatch: class or instance differ from the command set (PS3.4 B.2.3).
    """
    values = _read(received)
    found = {
        name: values.get(tag, b"").decode("ascii", "replace").strip(" \0")
        for name, tag in _FILED_BY.items()
    }
    for name, uid in found.items():
        if uid and not UID_PATTERN.fullmatch(uid):
            refused = InvalidInstance if name == "SOP Instance UID" else CannotUnderstand
            raise refused(f"{name} is not a UID (digits and dots, at most 64)")
    for name, commanded in (
        ("SOP Class UID", received.sop_class_uid),
        ("SOP Instance UID", received.sop_instance_uid),
    ):
        if found[name] and found[name] != commanded:
            raise ClassMismatch(f"the {name} of the data set is not that of its C-STORE command")
    for name in ("Study Instance UID", "Series Instance UID"):
        if not found[name]:
            raise CannotUnderstand(f"{name} is missing; it cannot be filed without one")
    if not UID_PATTERN.fullmatch(received.sop_instance_uid):
        raise InvalidInstance("the SOP Instance UID of the C-STORE command is not a UID")
    return Identity(
        sop_class_uid=received.sop_class_uid,
        sop_instance_uid=received.sop_instance_uid,
        study_uid=found["Study Instance UID"],
        series_uid=found["Series Instance UID"],
    )


def _read(received: Received) -> dict[Tag, bytes]:
    """The raw values of the wanted elements; nothing behind (0020,000E) is looked at."""
    syntax = received.transfer_syntax_uid
    raw: bytes | memoryview = received.data_set
    try:
        if syntax == DeflatedExplicitVRLittleEndian:
            raw = zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw, INFLATED_HEAD)
        header = Header(
            raw,
            implicit=syntax in (ImplicitVRLittleEndian, GE_PRIVATE_IMPLICIT),
            little_endian=syntax != ExplicitVRBigEndian,
        )
        return header.values(_FILED_BY.values())
    except (HeaderError, zlib.error) as error:
        raise CannotUnderstand(
            "the data set cannot be read in the transfer syntax it was sent in "
            f"({error if isinstance(error, HeaderError) else 'it does not inflate'})"
        ) from None
