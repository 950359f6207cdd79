"""Reports of storage commitments that this node asked for (PS3.4 J.3.3).

The destination sends them when it likes: on the association of the request, or hours later on
one of its own, in which it stays the provider (SCP role, PS3.7 D.3.3.4) of what it opens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog
from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext

from scp.identity import UID_PATTERN

log = structlog.get_logger(__name__)

PUSH_MODEL = UID("1.2.840.10008.1.20.1")
#: The well-known instance that every commitment is asked of (PS3.4 J.3.5).
PUSH_MODEL_INSTANCE = UID("1.2.840.10008.1.20.1.1")

SUCCESS = 0x0000
INVALID_ARGUMENT = 0x0115
#: What the handler answers to a transaction that this node did not begin.
NO_SUCH_TRANSACTION = 0x0112
#: Failure Reason (0008,1197) where a report names none.
PROCESSING_FAILURE = 0x0110


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentReport:
    """What a destination said about one transaction.

    Attributes:
        committed: SOP Instance UIDs that it answers for.
        failed: the others, with their Failure Reason (PS3.3 C.14.1.1).
    """

    transaction_uid: str
    committed: tuple[str, ...]
    failed: tuple[tuple[str, int], ...]
    calling_ae_title: str = ""


#: Told of a report; False when the transaction is not one of this node's.
Reported = Callable[[CommitmentReport], bool]


def answer_report(event: Event, reported: Reported) -> tuple[int, None]:
    """Handle one N-EVENT-REPORT-RQ: (status, no reply data set), PS3.4 table J.3-2."""
    try:
        report = read_report(event.event_information, str(event.assoc.remote["ae_title"]))
    except (AttributeError, ValueError, TypeError, KeyError, NotImplementedError) as error:
        log.warning("commitment.unreadable", reason=type(error).__name__)
        return INVALID_ARGUMENT, None
    if reported(report):
        return SUCCESS, None
    log.warning(
        "commitment.unknown_transaction",
        calling_ae_title=report.calling_ae_title,
        transaction_uid=report.transaction_uid,
    )
    return NO_SUCH_TRANSACTION, None


def read_report(information: Dataset, calling_ae_title: str = "") -> CommitmentReport:
    """Read the Event Information of PS3.4 table J.3-2.

    Raises:
        ValueError, AttributeError: it holds no transaction UID, or what it holds are no UIDs.
    """
    transaction_uid = str(information.TransactionUID)
    committed = [
        str(item.ReferencedSOPInstanceUID)
        for item in information.get("ReferencedSOPSequence") or ()
    ]
    failed = [
        (
            str(item.ReferencedSOPInstanceUID),
            int(item.get("FailureReason") or PROCESSING_FAILURE),
        )
        for item in information.get("FailedSOPSequence") or ()
    ]
    for uid in (transaction_uid, *committed, *(uid for uid, _ in failed)):
        if not UID_PATTERN.fullmatch(uid):
            raise ValueError("not a UID")
    return CommitmentReport(
        transaction_uid=transaction_uid,
        committed=tuple(committed),
        failed=tuple(failed),
        calling_ae_title=calling_ae_title,
    )


def reporting_context(
    association: Association, proposed: Iterable[PresentationContext]
) -> list[PresentationContext]:
    """The context in which a destination may report, where it proposes to be the provider.

    Without role selection the requestor would be the user, and this node the provider of a
    service that it does not offer: that proposal is refused.
    """
    roles = association.requestor.role_selection
    if PUSH_MODEL not in roles or not roles[PUSH_MODEL].scp_role:
        return []
    offered = {
        str(syntax)
        for context in proposed
        if context.abstract_syntax == PUSH_MODEL
        for syntax in context.transfer_syntax
    }
    taken = [uid for uid in (ExplicitVRLittleEndian, ImplicitVRLittleEndian) if uid in offered]
    if not taken:
        return []
    context = PresentationContext()
    context.abstract_syntax = PUSH_MODEL
    context.transfer_syntax = list(taken)
    context.scu_role, context.scp_role = False, True
    return [context]
