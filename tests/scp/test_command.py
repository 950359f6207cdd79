"""Command sets are read and answered as pynetdicom, an independent implementation, does."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import CTImageStorage
from pynetdicom.dimse_messages import C_STORE_RQ as StoreRequest
from pynetdicom.dimse_messages import C_STORE_RSP as StoreResponse
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import decode, encode
from pynetdicom.pdu import P_DATA_TF

from scp.command import C_STORE_RQ, Command, CommandError, read_command, response
from scp.stream import PDataStream

REQUEST = Command(
    field=C_STORE_RQ,
    message_id=7,
    sop_class_uid=CTImageStorage,
    sop_instance_uid="1.2.3.4.5",
    has_data_set=True,
)


def request_bytes() -> bytes:
    request = C_STORE()
    request.MessageID = 7
    request.AffectedSOPClassUID = CTImageStorage
    request.AffectedSOPInstanceUID = "1.2.3.4.5"
    request.Priority = 2
    request.MoveOriginatorApplicationEntityTitle = "PACS"
    request.MoveOriginatorMessageID = 3
    request.DataSet = BytesIO(b"data")
    message = StoreRequest()
    message.primitive_to_message(request)
    raw = encode(message.command_set, is_implicit_vr=True, is_little_endian=True)
    assert raw is not None
    return raw


def test_request_with_a_move_originator_is_read() -> None:
    assert read_command(request_bytes()) == REQUEST


@pytest.mark.parametrize(("status", "comment"), [(0x0000, ""), (0xA700, "the disk is full " * 9)])
def test_response_is_understood_by_an_independent_implementation(status: int, comment: str) -> None:
    pdu = P_DATA_TF()
    pdu.decode(response(REQUEST, 5, status, comment))
    (item,) = pdu.presentation_data_value_items
    assert item.presentation_context_id == 5
    assert item.message_control_header_byte == "00000011"
    command_set = decode(BytesIO(item.presentation_data_value[1:]), True, True)
    message = StoreResponse()
    message.command_set = command_set
    primitive = message.message_to_primitive()
    assert primitive.Status == status
    assert primitive.MessageIDBeingRespondedTo == 7
    assert primitive.AffectedSOPClassUID == CTImageStorage
    assert primitive.AffectedSOPInstanceUID == "1.2.3.4.5"
    assert command_set.get("ErrorComment", "") == comment[:64].strip()
    assert command_set.CommandGroupLength == len(item.presentation_data_value) - 1 - 12


def test_response_is_cut_for_a_peer_that_receives_only_small_pdus() -> None:
    stream = PDataStream(64)
    whole, controls = b"", []
    for context_id, control, piece, ends in stream.cut(
        memoryview(response(REQUEST, 5, 0xA700, "the disk is full", limit=64))
    ):
        assert context_id == 5
        whole += piece
        controls += [control] if ends else []
    assert controls == [1] * (len(controls) - 1) + [3]
    assert len(controls) > 2
    assert whole in response(REQUEST, 5, 0xA700, "the disk is full")


@pytest.mark.parametrize(
    "raw",
    [
        b"\0",
        b"\0\0\0\1\2\0\0\0",
        b"\x08\0\x16\0\0\0\0\0",
        b"\0\0\2\0\xff\xff\xff\xff",
        b"\0\0\2\0\0\0\0\0",
    ],
)
def test_bytes_that_are_no_command_set_are_refused(raw: bytes) -> None:
    with pytest.raises(CommandError):
        read_command(raw)


@given(st.binary(max_size=120))
def test_no_bytes_break_it(raw: bytes) -> None:
    try:
        command = read_command(raw)
    except CommandError:
        return
    assert isinstance(response(command, 1, 0), bytes)
