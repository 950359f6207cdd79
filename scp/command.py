"""Command sets of C-STORE and C-ECHO (PS3.7 9.3.1, 9.3.5, annex E): read, and answered.

A command set is always Implicit VR Little Endian (PS3.7 6.3.1).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

from scp.stream import BOTH_HEADERS, COMMAND, LAST, P_DATA_TF

C_STORE_RQ, C_ECHO_RQ = 0x0001, 0x0030
_RESPONSE = 0x8000
NO_DATA_SET = 0x0101
#: Longest value of Error Comment (0000,0902), VR LO.
_COMMENT_CHARACTERS = 64

_ELEMENT = struct.Struct("<HHL")
_US = struct.Struct("<H")
_SHORT = struct.Struct("<HHLH")
_GROUP_LENGTH = struct.Struct("<HHLL")
_CLASS, _FIELD, _MESSAGE_ID, _RESPONDED_ID = 0x0002, 0x0100, 0x0110, 0x0120
_DATA_SET_TYPE, _STATUS, _COMMENT, _INSTANCE = 0x0800, 0x0900, 0x0902, 0x1000

_NO_DATA_SET = _SHORT.pack(0, _DATA_SET_TYPE, 2, NO_DATA_SET)


class CommandError(ValueError):
    """The bytes are no command set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The elements that decide what happens with a message.

    Attributes:
        field: (0000,0100), which request it is.
        sop_class_uid, sop_instance_uid: Affected SOP Class and Instance UID, "" when absent;
            unchecked text.
        has_data_set: a data set follows.
    """

    field: int
    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    has_data_set: bool


def read_command(raw: bytes) -> Command:
    """Read a command set.

    Raises:
        CommandError: elements that overlap or end behind the bytes, or no command field.
    """
    values: dict[int, bytes] = {}
    at, end = 0, len(raw)
    unpack = _ELEMENT.unpack_from
    while at < end:
        if at + 8 > end:
            raise CommandError("a command set ends inside an element")
        group, number, length = unpack(raw, at)
        start = at + 8
        at = start + length
        if group or at > end:
            raise CommandError("a command set holds what is no command element")
        values[number] = raw[start:at]
    field, message_id = _number(values, _FIELD), _number(values, _MESSAGE_ID)
    if field is None:
        raise CommandError("a command set without a command field")
    return Command(
        field=field,
        message_id=message_id or 0,
        sop_class_uid=_text(values, _CLASS),
        sop_instance_uid=_text(values, _INSTANCE),
        has_data_set=_number(values, _DATA_SET_TYPE) not in (None, NO_DATA_SET),
    )


def response(
    command: Command, context_id: int, status: int, comment: str = "", *, limit: int = 0
) -> bytes:
    """The answer to a request (PS3.7 9.3.1.2, 9.3.5.2), nearly always as one P-DATA-TF PDU.

    Args:
        comment: Error Comment of a failure, cut to 64 characters of ASCII.
        limit: Maximum Length that the peer receives (PS3.8 D.1); 0: any.
    """
    status_part = _short(_STATUS, status)
    if comment:
        status_part += _value(
            _COMMENT, comment.encode("ascii", "replace")[:_COMMENT_CHARACTERS], b" "
        )
    body = b"".join(
        (
            _answered_class(command.sop_class_uid, command.field),
            _SHORT.pack(0, _RESPONDED_ID, 2, command.message_id),
            _NO_DATA_SET,
            status_part,
            _uid(_INSTANCE, command.sop_instance_uid),
        )
    )
    whole = _GROUP_LENGTH.pack(0, 0, 4, len(body)) + body
    step = max(1, limit - 6) if limit else len(whole)
    if step >= len(whole):
        return pdu(context_id, COMMAND | LAST, whole)
    return b"".join(
        pdu(context_id, COMMAND | (LAST if at + step >= len(whole) else 0), whole[at : at + step])
        for at in range(0, len(whole), step)
    )


@lru_cache(maxsize=256)
def _answered_class(sop_class_uid: str, field: int) -> bytes:
    return _uid(_CLASS, sop_class_uid) + _short(_FIELD, field | _RESPONSE)


def pdu(context_id: int, control: int, content: bytes) -> bytes:
    """One fragment in one P-DATA-TF PDU."""
    size = len(content)
    return BOTH_HEADERS.pack(P_DATA_TF, 0, size + 6, size + 2, context_id, control) + content


def _number(values: dict[int, bytes], number: int) -> int | None:
    value = values.get(number, b"")
    return int(_US.unpack(value)[0]) if len(value) == _US.size else None


def _text(values: dict[int, bytes], number: int) -> str:
    return values.get(number, b"").decode("ascii", "replace").strip(" \0")


def _short(number: int, value: int) -> bytes:
    return _SHORT.pack(0, number, 2, value)


def _uid(number: int, value: str) -> bytes:
    return _value(number, value.encode("ascii", "replace"), b"\0")


def _value(number: int, value: bytes, padding: bytes) -> bytes:
    if not value:
        return b""
    value += padding * (len(value) % 2)
    return _ELEMENT.pack(0, number, len(value)) + value
