"""What modalities and archives announce about a study: MPPS and instance availability, as SCP.

Modality Performed Procedure Step (PS3.4 F.7): N-CREATE when a step begins, N-SET until it is
COMPLETED or DISCONTINUED, with the images that it made. Instance Availability Notification
(PS3.4 R.3): one N-CREATE with the instances that an archive holds. Both tell how many images
to expect; nothing here decides what follows from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog
from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext

from node.domain.errors import NodeError, NoticeRefused
from scp.identity import UID_PATTERN

log = structlog.get_logger(__name__)

PERFORMED_PROCEDURE_STEP = UID("1.2.840.10008.3.1.2.3.3")
INSTANCE_AVAILABILITY = UID("1.2.840.10008.5.1.4.33")
CLASSES = (PERFORMED_PROCEDURE_STEP, INSTANCE_AVAILABILITY)

IN_PROGRESS, COMPLETED, DISCONTINUED = "IN PROGRESS", "COMPLETED", "DISCONTINUED"

# PS3.7 annex C.
SUCCESS = 0x0000
INVALID_VALUE = 0x0106
PROCESSING_FAILURE = 0x0110
DUPLICATE_INSTANCE = 0x0111
NO_SUCH_INSTANCE = 0x0112
MISSING_ATTRIBUTE = 0x0120
#: Error ID of PS3.4 table F.7.2-2: the step has ended and takes no more changes.
MAY_NO_LONGER_BE_UPDATED = 0xA506

_UNREADABLE = (
    AttributeError,
    ValueError,
    TypeError,
    KeyError,
    LookupError,
    NotImplementedError,
    ArithmeticError,
    RecursionError,
    EOFError,
)


@dataclass(frozen=True, slots=True)
class ExpectedSeries:
    """A series that is announced, with the SOP Instance UIDs it is to hold."""

    series_uid: str
    sop_instance_uids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepChange:
    """What one N-CREATE or N-SET says of a performed procedure step.

    Attributes:
        status: IN PROGRESS, COMPLETED or DISCONTINUED; "" where an N-SET leaves it as it is.
        reason: code meaning of the discontinuation reason (0040,0281), "" where none.
        series: None where Performed Series Sequence (0040,0340) is not part of it; else it
            replaces what was said before.
    """

    step_uid: str
    calling_ae_title: str
    status: str = ""
    reason: str = ""
    series: tuple[ExpectedSeries, ...] | None = None
    study_uids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """One Instance Availability Notification: the instances of a study that an archive holds."""

    notice_uid: str
    calling_ae_title: str
    study_uid: str
    series: tuple[ExpectedSeries, ...]


class Notices(Protocol):
    """Who keeps what was announced; durable on return. Raises NoticeRefused, LedgerError."""

    def step_began(self, change: StepChange) -> None:
        """N-CREATE of a performed procedure step."""
        ...

    def step_changed(self, change: StepChange) -> None:
        """N-SET of a performed procedure step."""
        ...

    def available(self, notice: Availability) -> None:
        """An archive said what it holds of a study."""
        ...


def notice_contexts(proposed: Iterable[PresentationContext]) -> list[PresentationContext]:
    """The contexts in which notices are taken, of an association's proposal."""
    taken = []
    offered: dict[str, set[str]] = {}
    for context in proposed:
        uid = str(context.abstract_syntax)
        offered.setdefault(uid, set()).update(str(syntax) for syntax in context.transfer_syntax)
    for uid in CLASSES:
        syntaxes = [
            syntax
            for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
            if syntax in offered.get(uid, ())
        ]
        if syntaxes:
            context = PresentationContext()
            context.abstract_syntax = uid
            context.transfer_syntax = list(syntaxes)
            taken.append(context)
    return taken


def answer_create(event: Event, notices: Notices) -> tuple[Dataset, None]:
    """Handle one N-CREATE-RQ: (status, no reply data set)."""
    request = event.request
    class_uid = str(getattr(request, "AffectedSOPClassUID", "") or "")
    instance_uid = str(getattr(request, "AffectedSOPInstanceUID", "") or "")
    calling = _calling(event)

    def take() -> None:
        told = event.attribute_list
        if class_uid == INSTANCE_AVAILABILITY:
            notices.available(read_availability(told, instance_uid, calling))
        else:
            notices.step_began(read_step(told, instance_uid, calling))

    return _answered(take, class_uid)


def answer_set(event: Event, notices: Notices) -> tuple[Dataset, None]:
    """Handle one N-SET-RQ of a performed procedure step: (status, no reply data set)."""
    request = event.request
    class_uid = str(getattr(request, "RequestedSOPClassUID", "") or "")
    instance_uid = str(getattr(request, "RequestedSOPInstanceUID", "") or "")

    def take() -> None:
        told = event.modification_list
        notices.step_changed(read_change(told, instance_uid, _calling(event)))

    return _answered(take, class_uid)


def read_step(told: Dataset, step_uid: str, calling_ae_title: str) -> StepChange:
    """Read an N-CREATE of PS3.4 table F.7.2-1.

    Raises:
        NoticeRefused: no study is named (type 1), or the status is not IN PROGRESS.
    """
    scheduled = told.get("ScheduledStepAttributesSequence") or ()
    studies = tuple(dict.fromkeys(_uid(item, "StudyInstanceUID") for item in scheduled))
    if not studies:
        raise NoticeRefused(
            "no Study Instance UID in Scheduled Step Attributes Sequence", MISSING_ATTRIBUTE
        )
    change = read_change(told, step_uid, calling_ae_title)
    if change.status != IN_PROGRESS:
        raise NoticeRefused(
            "a performed procedure step begins with status IN PROGRESS", INVALID_VALUE
        )
    return StepChange(
        step_uid=change.step_uid,
        calling_ae_title=calling_ae_title,
        status=change.status,
        series=change.series,
        study_uids=studies,
    )


def read_change(told: Dataset, step_uid: str, calling_ae_title: str) -> StepChange:
    """Read an N-SET of PS3.4 table F.7.2-1.

    Raises:
        NoticeRefused: the instance is not named by a UID, or the status is none of the three.
    """
    status = str(told.get("PerformedProcedureStepStatus", "") or "").strip().upper()
    if status not in ("", IN_PROGRESS, COMPLETED, DISCONTINUED):
        raise NoticeRefused("Performed Procedure Step Status is not a known one", INVALID_VALUE)
    reasons = told.get("PerformedProcedureStepDiscontinuationReasonCodeSequence") or ()
    return StepChange(
        step_uid=_checked(step_uid),
        calling_ae_title=calling_ae_title,
        status=status,
        reason="; ".join(str(item.get("CodeMeaning", "") or "")[:64] for item in reasons),
        series=_performed_series(told),
    )


def read_availability(told: Dataset, notice_uid: str, calling_ae_title: str) -> Availability:
    """Read an N-CREATE of PS3.4 table R.3.2-1.

    Instances that are UNAVAILABLE are not expected. Raises NoticeRefused where no study is named.
    """
    series = []
    for item in told.get("ReferencedSeriesSequence") or ():
        held = tuple(
            _uid(instance, "ReferencedSOPInstanceUID")
            for instance in item.get("ReferencedSOPSequence") or ()
            if str(instance.get("InstanceAvailability", "") or "").upper() != "UNAVAILABLE"
        )
        series.append(ExpectedSeries(_uid(item, "SeriesInstanceUID"), held))
    return Availability(
        notice_uid=_checked(notice_uid),
        calling_ae_title=calling_ae_title,
        study_uid=_uid(told, "StudyInstanceUID"),
        series=tuple(series),
    )


def _performed_series(told: Dataset) -> tuple[ExpectedSeries, ...] | None:
    if "PerformedSeriesSequence" not in told:
        return None
    found: dict[str, dict[str, None]] = {}
    for item in told.PerformedSeriesSequence or ():
        references = [
            *(item.get("ReferencedImageSequence") or ()),
            *(item.get("ReferencedNonImageCompositeSOPInstanceSequence") or ()),
        ]
        uids = found.setdefault(_uid(item, "SeriesInstanceUID"), {})
        uids.update(dict.fromkeys(_uid(r, "ReferencedSOPInstanceUID") for r in references))
    return tuple(ExpectedSeries(series_uid, tuple(uids)) for series_uid, uids in found.items())


def _answered(take: Callable[[], None], class_uid: str) -> tuple[Dataset, None]:
    status = Dataset()
    try:
        take()
    except NoticeRefused as refusal:
        log.warning("notice.refused", sop_class_uid=class_uid, reason=str(refusal))
        status.Status = refusal.status
        status.ErrorComment = str(refusal)[:64]
        if refusal.error_id is not None:
            status.ErrorID = refusal.error_id
        return status, None
    except NodeError as error:
        log.error("notice.not_kept", sop_class_uid=class_uid, cause=str(error))
        status.Status = PROCESSING_FAILURE
        return status, None
    except _UNREADABLE as error:
        log.warning("notice.unreadable", sop_class_uid=class_uid, reason=type(error).__name__)
        status.Status = INVALID_VALUE
        return status, None
    status.Status = SUCCESS
    return status, None


def _uid(item: Dataset, keyword: str) -> str:
    uid = str(item.get(keyword, "") or "").strip(" \0")
    if not uid:
        raise NoticeRefused(f"{keyword} is missing", MISSING_ATTRIBUTE)
    return _checked(uid)


def _checked(uid: str) -> str:
    if not UID_PATTERN.fullmatch(uid):
        raise NoticeRefused("not a UID (digits and dots, at most 64)", INVALID_VALUE)
    return uid


def _calling(event: Event) -> str:
    title = str(event.assoc.requestor.ae_title)
    return "".join(c if " " <= c <= "~" else "?" for c in title).strip()[:16]
