"""Asking the PACS about a study, by C-FIND (PS3.4 C.4.1): how many images, and whose it is.

Questions are answered in a thread of their own and remembered; a PACS that is dead or slow
costs the caller nothing but the answer. Study Root, first at study, then at series level.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
)

from node.pipeline.breaker import CircuitBreaker, RetryPolicy
from node.pipeline.checkpoint import answered_to_us
from node.pipeline.loop import Loop

log = structlog.get_logger(__name__)

#: An answer older than this is asked for again, when somebody still wants to know.
FRESH_S: Final = 15.0
#: Questions that wait and answers that are kept.
MAX_REMEMBERED: Final = 1000
PENDING_STATUSES: Final = (0xFF00, 0xFF01)
RETRY: Final = RetryPolicy(first_s=5.0, cap_s=120.0)

#: Attributes by which a study is known to be somebody's, with the keywords that PS3.4 table
#: C.6-5 lets a PACS return at study level.
IDENTITY: Final = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """Which PACS is asked, and how long it is waited for."""

    ae_title: str
    host: str
    port: int
    calling_ae_title: str
    connect_timeout_s: float
    response_timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the PACS holds of a study.

    Attributes:
        is_known: the PACS has the study at all.
        by_series: number of instances by Series Instance UID; empty where it does not count
            them (Number of Series Related Instances is optional, PS3.4 C.6.1.1.4).
        identity: values of `IDENTITY` as the PACS returned them; a keyword that it does not
            return, or of which it holds more than one value, is absent. Never logged.
    """

    is_known: bool
    by_series: Mapping[str, int]
    identity: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The PACS could not be asked, with the cause; `reached`: it is there, but did not tell."""

    cause: str
    reached: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """The question is on its way."""


Answer = Counts | NoAnswer


@dataclass(slots=True)
class _Known:
    answer: Answer
    asked_at: float


@dataclass(slots=True)
class _Questions:
    """Study UIDs that wait, in their order, and what was answered."""

    waiting: dict[str, None] = field(default_factory=dict)
    answers: dict[str, _Known] = field(default_factory=dict)


class Archive:
    """One PACS that is asked."""

    def __init__(
        self,
        settings: ArchiveSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        query: Callable[[ArchiveSettings, str], Answer] | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._query = query or ask
        self._lock = threading.Lock()
        self._questions = _Questions()
        self._breaker = CircuitBreaker(RETRY)
        self.loop = Loop("archive", self.step, interval_s=1.0)
        #: Told (answered) after each question.
        self.on_answer: Callable[[bool], None] = lambda _answered: None

    def study(self, study_uid: str, since: float) -> Answer | Pending:
        """What is known of a study; never waits.

        Args:
            since: moment of the monotonic clock; an answer to an earlier question is stale.
        """
        now = self._clock()
        with self._lock:
            known = self._questions.answers.get(study_uid)
            stale = known is None or known.asked_at < since or now - known.asked_at > FRESH_S
            if stale and len(self._questions.waiting) < MAX_REMEMBERED:
                self._questions.waiting.setdefault(study_uid)
            if known is None or known.asked_at < since:
                if not self._breaker.may_try(now):
                    return _last(known)
                answer: Answer | Pending = Pending()
            else:
                answer = known.answer
        if stale:
            self.loop.wake()
        return answer

    def step(self) -> bool:
        """Answer one question; False when none waits."""
        now = self._clock()
        if not self._breaker.may_try(now):
            return False
        with self._lock:
            study_uid = next(iter(self._questions.waiting), None)
            if study_uid is None:
                return False
            del self._questions.waiting[study_uid]
        answer = self._query(self._settings, study_uid)
        if isinstance(answer, Counts):
            self._breaker.succeeded()
        else:
            self._breaker.failed(self._clock())
            log.warning(
                "archive.no_answer",
                study_uid=study_uid,
                cause=answer.cause,
                remedy="check the PACS that completion.ask and results.identity_from name",
            )
        self._remember(study_uid, answer, now)
        return True

    def _remember(self, study_uid: str, answer: Answer, asked_at: float) -> None:
        with self._lock:
            answers = self._questions.answers
            answers.pop(study_uid, None)
            answers[study_uid] = _Known(answer, asked_at)
            if len(answers) > MAX_REMEMBERED:
                del answers[next(iter(answers))]
        self.on_answer(isinstance(answer, Counts))

    def ask_now(self, study_uid: str) -> Answer:
        """Ask and wait for the answer, at most as long as the time-outs say."""
        now = self._clock()
        if not self._breaker.may_try(now):
            return NoAnswer("it did not answer a moment ago")
        answer = self._query(self._settings, study_uid)
        if isinstance(answer, Counts):
            self._breaker.succeeded()
        else:
            self._breaker.failed(self._clock())
        self._remember(study_uid, answer, now)
        return answer


def ask(settings: ArchiveSettings, study_uid: str) -> Answer:
    """Two C-FINDs over one association: the study, then its series."""
    entity = AE(ae_title=settings.calling_ae_title)
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    entity.connection_timeout = settings.connect_timeout_s
    entity.acse_timeout = settings.response_timeout_s
    entity.dimse_timeout = settings.response_timeout_s
    entity.network_timeout = settings.response_timeout_s
    association = entity.associate(settings.host, settings.port, ae_title=settings.ae_title)
    if not association.is_established:
        where = f"{settings.ae_title} at {settings.host}:{settings.port}"
        if association.is_rejected:
            return NoAnswer(f"{where} rejected the association", reached=True)
        return NoAnswer(f"{where} does not answer")
    answered_to_us(association)
    try:
        return _counts(association, study_uid)
    except _Unanswered as error:
        return NoAnswer(str(error), reached=True)
    finally:
        if association.is_established:
            association.release()


class _Unanswered(Exception):
    """A C-FIND that did not end with Success."""


def _counts(association: Association, study_uid: str) -> Counts:
    answered = list(_find(association, _study_keys(study_uid)))
    # A PACS that does not understand the key returns other studies: other patients.
    studies = [one for one in answered if _text(one, "StudyInstanceUID") in ("", study_uid)]
    if answered and not studies:
        raise _Unanswered("C-FIND was answered with another study than the one asked for")
    if not studies:
        return Counts(is_known=False, by_series={}, identity={})
    by_series: dict[str, int] = {}
    for series in _find(association, _series_keys(study_uid)):
        number = _integer(series, "NumberOfSeriesRelatedInstances")
        if number is None:
            by_series = {}
            break
        uid = _text(series, "SeriesInstanceUID")
        by_series[uid] = max(number, by_series.get(uid, 0))
    return Counts(
        is_known=True,
        by_series=by_series,
        identity=_agreed(studies),
    )


def _agreed(studies: Sequence[Dataset]) -> dict[str, str]:
    """One study may be filed under two patients while the PACS corrects it."""
    found = {}
    for keyword in IDENTITY:
        values = {_text(study, keyword) for study in studies if keyword in study}
        if len(values) == 1:
            found[keyword] = values.pop()
    return found


def _find(association: Association, keys: Dataset) -> Iterator[Dataset]:
    try:
        responses: Any = association.send_c_find(keys, StudyRootQueryRetrieveInformationModelFind)
        for status, identifier in responses:
            code = getattr(status, "Status", None)
            if code in PENDING_STATUSES and identifier is not None:
                yield identifier
            elif code != 0x0000:
                told = "no response" if code is None else f"status 0x{code:04X}"
                raise _Unanswered(f"C-FIND was not answered ({told})")
    except (ValueError, RuntimeError, AttributeError, InvalidDicomError) as error:
        raise _Unanswered(f"C-FIND could not be made ({type(error).__name__})") from None


def _study_keys(study_uid: str) -> Dataset:
    keys = Dataset()
    keys.QueryRetrieveLevel = "STUDY"
    keys.StudyInstanceUID = study_uid
    for keyword in IDENTITY:
        setattr(keys, keyword, "")
    return keys


def _series_keys(study_uid: str) -> Dataset:
    keys = Dataset()
    keys.QueryRetrieveLevel = "SERIES"
    keys.StudyInstanceUID = study_uid
    keys.SeriesInstanceUID = ""
    keys.NumberOfSeriesRelatedInstances = None
    return keys


def _text(data_set: Dataset, keyword: str) -> str:
    try:
        return str(data_set.get(keyword, "") or "").strip(" \0")
    except (ValueError, TypeError, AttributeError, KeyError, LookupError):
        return ""


def _integer(data_set: Dataset, keyword: str) -> int | None:
    try:
        return int(_text(data_set, keyword))
    except ValueError:
        return None


def _last(known: _Known | None) -> NoAnswer:
    if known is not None and isinstance(known.answer, NoAnswer):
        return known.answer
    return NoAnswer("it did not answer a moment ago")
