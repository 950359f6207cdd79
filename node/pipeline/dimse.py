"""A destination that speaks DIMSE: C-STORE, storage commitment and C-FIND over one association."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext, build_context

from node.domain.errors import DeliveryError
from node.ledger.outbox import ResultObject
from node.pipeline.answers import (
    CLASS,
    SYNTAX,
    Accepted,
    Answer,
    Passing,
    RefusedForGood,
    judge_status,
    meaning_of,
)
from node.pipeline.checkpoint import answered_to_us
from node.pipeline.turns import Turns
from scp.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE, Reported, answer_report

VERIFICATION: Final = UID("1.2.840.10008.1.1")
STUDY_ROOT_FIND: Final = UID("1.2.840.10008.5.1.4.1.2.2.1")
UNCOMPRESSED: Final = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
#: Every class of object that this node sends.
SENT_CLASSES: Final = (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    SegmentationStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
)
#: Result of a presentation context, PS3.8 table 9-18.
SYNTAX_NOT_SUPPORTED: Final = 0x04
PENDING: Final = (0xFF00, 0xFF01)
_UNSENDABLE = (ValueError, RuntimeError, AttributeError, NotImplementedError)


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomPeer:
    """A DICOM storage provider and how to reach it; times in seconds.

    Attributes:
        on_commitment: told of reports that come on an association of ours.
    """

    ae_title: str
    host: str
    port: int
    calling_ae_title: str
    connect_timeout_s: float
    response_timeout_s: float
    max_pdu_bytes: int = 131072
    on_commitment: Reported = lambda _report: False

    def heard_by(self, reported: Reported) -> DicomPeer:
        """The same, with somebody who listens to commitment reports."""
        return replace(self, on_commitment=reported)

    def open(self, items: Sequence[ResultObject]) -> DimseLink:
        """Associate for these objects, and for their proof."""
        wanted: dict[str, dict[str, None]] = {}
        for item in items:
            wanted.setdefault(item.sop_class_uid, {})[_syntax_of(item.path)] = None
        contexts = [build_context(uid, list(UNCOMPRESSED)) for uid in sorted(wanted)]
        contexts += [
            build_context(uid, [syntax])
            for uid in sorted(wanted)
            for syntax in wanted[uid]
            if syntax and syntax not in (*UNCOMPRESSED, DeflatedExplicitVRLittleEndian)
        ]
        contexts += [
            build_context(uid, list(UNCOMPRESSED)) for uid in (PUSH_MODEL, STUDY_ROOT_FIND)
        ]
        return DimseLink(self.associate(contexts))

    def associate(self, contexts: Sequence[PresentationContext]) -> Association:
        """Open an association that proposes these contexts.

        Raises:
            DeliveryError: nobody answers, or the association is rejected or aborted.
        """
        entity = AE(ae_title=self.calling_ae_title)
        entity.connection_timeout = self.connect_timeout_s
        entity.acse_timeout = self.response_timeout_s
        entity.dimse_timeout = self.response_timeout_s
        entity.network_timeout = self.response_timeout_s
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, _without_delay),
            (evt.EVT_N_EVENT_REPORT, lambda event: answer_report(event, self.on_commitment)),
        ]
        association = entity.associate(
            self.host,
            self.port,
            contexts=list(contexts),
            ae_title=self.ae_title,
            max_pdu=self.max_pdu_bytes,
            evt_handlers=handlers,
        )
        if association.is_established:
            return association
        where = f"{self.ae_title} at {self.host}:{self.port}"
        if association.is_rejected:
            raise DeliveryError(
                f"{where} rejected the association from {self.calling_ae_title}: "
                f"{_rejection(association)}; check both AE titles and its list of known peers"
            )
        if association.acceptor.primitive is not None and association.rejected_contexts:
            raise DeliveryError(
                f"{where} answers, but accepts none of the services that this node proposes; "
                "allow storage there"
            )
        raise DeliveryError(
            f"{where} does not answer; check host, port and firewall, and that it is running"
        )


class DimseLink:
    """One association with a destination (`node.pipeline.answers.Link`)."""

    def __init__(self, association: Association) -> None:
        self._association = association
        self._turns = Turns(association)
        self._syntaxes: dict[str, list[UID]] = {}
        for context in association.accepted_contexts:
            if context.abstract_syntax is not None and context.as_scu:
                syntaxes = self._syntaxes.setdefault(str(context.abstract_syntax), [])
                syntaxes.append(UID(context.transfer_syntax[0]))
        self.why_no_commitment = self._missing(PUSH_MODEL, "storage commitment")
        self.why_no_query = self._missing(STUDY_ROOT_FIND, "C-FIND (Study Root)")

    @property
    def is_open(self) -> bool:
        """Does the association stand?"""
        return self._turns.is_open

    @is_open.setter
    def is_open(self, _value: bool) -> None:
        raise AttributeError("the association says so itself")

    def accepted(self) -> Mapping[str, Sequence[UID]]:
        """Transfer syntaxes by SOP class, as the destination chose them."""
        return self._syntaxes

    def send(self, path: Path) -> Answer:
        """C-STORE (PS3.4 B), transcoded where the destination takes only uncompressed."""
        try:
            data_set = dcmread(path)
        except (OSError, InvalidDicomError) as error:
            return RefusedForGood(f"the result file cannot be read ({type(error).__name__})", "")
        refusal = self._refusal(UID(data_set.SOPClassUID))
        if refusal is not None:
            return refusal
        try:
            self._transcode(data_set)
            with self._turns.ours():
                response = self._association.send_c_store(data_set)
        except _UNSENDABLE as error:
            if not self.is_open:
                return judge_status(None)
            return Passing(f"C-STORE could not be sent ({type(error).__name__})")
        return judge_status(_status(response))

    def find(self, item: ResultObject) -> bool:
        """C-FIND of the instance itself, by its three UIDs (PS3.4 C.6.2.1.2).

        Raises:
            DeliveryError: no final response, or a failure status (PS3.4 table C.4-1).
        """
        query = Dataset()
        query.QueryRetrieveLevel = "IMAGE"
        query.StudyInstanceUID = item.study_uid
        query.SeriesInstanceUID = item.series_uid
        query.SOPInstanceUID = item.sop_instance_uid
        found, last = False, None
        try:
            with self._turns.ours():
                for status, identifier in self._association.send_c_find(query, STUDY_ROOT_FIND):
                    last = _status(status)
                    if last in PENDING and identifier is not None:
                        # Some providers answer with all of the series, or with the series.
                        uid = str(identifier.get("SOPInstanceUID", ""))
                        found |= uid == item.sop_instance_uid
        except _UNSENDABLE as error:
            raise DeliveryError(f"C-FIND could not be sent ({type(error).__name__})") from error
        if last is None:
            raise DeliveryError("C-FIND was not answered")
        if last != 0 and not found:
            raise DeliveryError(f"C-FIND was answered with {meaning_of(last, find=True)}")
        return found

    def commit(self, transaction_uid: str, items: Sequence[ResultObject]) -> Answer:
        """N-ACTION of the Storage Commitment Push Model (PS3.4 J.3.2)."""
        request = Dataset()
        request.TransactionUID = transaction_uid
        request.ReferencedSOPSequence = []
        for item in items:
            reference = Dataset()
            reference.ReferencedSOPClassUID = item.sop_class_uid
            reference.ReferencedSOPInstanceUID = item.sop_instance_uid
            request.ReferencedSOPSequence.append(reference)
        try:
            with self._turns.ours():
                response, _ = self._association.send_n_action(
                    request, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE
                )
        except _UNSENDABLE as error:
            return Passing(f"N-ACTION could not be sent ({type(error).__name__})", broke_off=True)
        status = _status(response)
        if status is None or status == 0x0213:
            return Passing("N-ACTION was not answered", broke_off=status is None)
        if status & 0xF000 == 0xB000 or status in (0x0000, 0x0001, 0x0107, 0x0116):
            return Accepted()
        return RefusedForGood(f"N-ACTION was answered with {meaning_of(status)}")

    def listen(self, seconds: float) -> None:
        """Let a report come on this association: it is served by its own thread."""
        deadline = time.monotonic() + seconds
        while self.is_open and time.monotonic() < deadline:
            time.sleep(0.02)

    def close(self) -> None:
        """Release it."""
        with suppress(RuntimeError, OSError):
            self._turns.release()

    def _missing(self, uid: UID, service: str) -> str:
        return "" if str(uid) in self._syntaxes else f"the destination does not accept {service}"

    def _refusal(self, uid: UID) -> RefusedForGood | None:
        if str(uid) in self._syntaxes:
            return None
        results = {
            context.result
            for context in self._association.rejected_contexts
            if context.abstract_syntax == uid
        }
        if SYNTAX_NOT_SUPPORTED in results:
            return RefusedForGood(
                f"the destination takes {uid.name}, but none of the transfer syntaxes "
                "Explicit and Implicit VR Little Endian; allow one of them there",
                SYNTAX,
            )
        return RefusedForGood(
            f"the destination does not accept {uid.name}; allow this storage class there", CLASS
        )

    def _transcode(self, data_set: Dataset) -> None:
        """Decompress what the destination does not take as it is (PS3.5 A.4, 8.2)."""
        syntax = UID(data_set.file_meta.TransferSyntaxUID)
        taken = self._syntaxes[str(data_set.SOPClassUID)]
        if syntax.is_encapsulated and syntax not in taken:
            data_set.decompress(generate_instance_uid=False)


def echo(peer: DicomPeer) -> str:
    """C-ECHO a destination; "" when it answers, else why not."""
    try:
        association = peer.associate([build_context(VERIFICATION)])
    except DeliveryError as error:
        return str(error)
    answered_to_us(association)
    try:
        response = association.send_c_echo()
        return "" if _status(response) == 0 else "C-ECHO was not answered"
    except _UNSENDABLE:
        return "the association broke off before C-ECHO"
    finally:
        with suppress(RuntimeError, OSError):
            association.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What a destination accepts.

    Attributes:
        echo: "" when C-ECHO was answered. syntaxes: chosen transfer syntax by SOP class.
        why_no_commitment, why_no_query: "" where it accepts them.
    """

    echo: str
    syntaxes: Mapping[str, Sequence[UID]]
    why_no_commitment: str
    why_no_query: str


def services(peer: DicomPeer, classes: Iterable[str] = SENT_CLASSES) -> Services:
    """Propose everything that this node would ever want of a destination.

    Raises:
        DeliveryError: nobody answers, or this node is turned away.
    """
    proposed = (VERIFICATION, PUSH_MODEL, STUDY_ROOT_FIND, *classes)
    association = peer.associate([build_context(uid, list(UNCOMPRESSED)) for uid in proposed])
    link = DimseLink(association)
    try:
        answered = ""
        if str(VERIFICATION) in link.accepted():
            response = association.send_c_echo()
            answered = "" if _status(response) == 0 else "C-ECHO was not answered"
        else:
            answered = "C-ECHO is not accepted"
    except _UNSENDABLE:
        answered = "the association broke off before C-ECHO"
    finally:
        link.close()
    stored = {uid: syntaxes for uid, syntaxes in link.accepted().items() if uid in classes}
    return Services(
        echo=answered,
        syntaxes=stored,
        why_no_commitment=link.why_no_commitment,
        why_no_query=link.why_no_query,
    )


def _without_delay(event: Event) -> None:
    """Small requests are not held back for the acknowledgement of the last one (RFC 896)."""
    with suppress(OSError, AttributeError):
        connection: Any = event.assoc.dul.socket.socket  # type: ignore[union-attr]
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _syntax_of(path: Path) -> str:
    """Transfer syntax of a Part 10 file; "" where it cannot be read (`send` says so)."""
    try:
        return str(read_file_meta_info(path).get("TransferSyntaxUID", ""))
    except (OSError, InvalidDicomError, ValueError, EOFError):
        return ""


def _status(response: Dataset | None) -> int | None:
    status = getattr(response, "Status", None)
    return None if status is None else int(status)


def _rejection(association: Association) -> str:
    primitive: Any = association.acceptor.primitive
    reason = getattr(primitive, "reason_str", "") if primitive is not None else ""
    return str(reason) or "no reason given"
