"""Whose study it is according to the PACS: asked at writing, while objects wait, and at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from node.domain.identity import differing
from node.ledger import Ledger
from node.pipeline.analysis import AnalysisResult, AnalysisTask
from node.pipeline.archive import Archive, Counts, NoAnswer, Pending

log = structlog.get_logger(__name__)

#: While objects are on their way, the PACS is asked again after this long, then twice as long.
ASK_AGAIN_S: Final = 60.0
LONGEST_PAUSE_S: Final = 3600.0
#: An object leaves when the PACS was asked at most this long ago.
FRESH_S: Final = 60.0
#: A PACS that is there and does not tell holds objects up for this long at most.
HOLD_S: Final = 900.0
_NOT_CHECKED: Final = "identity not checked"


class HeldIdentity:
    """What one PACS holds of the patient and the order of a study."""

    def __init__(
        self,
        ledger: Ledger,
        archive: Archive | None = None,
        *,
        destination: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            destination: name of the PACS that is asked.
        """
        self._ledger = ledger
        self._archive = archive
        self._clock = clock
        self.destination = destination
        #: Since when objects of a study are held up by a PACS that does not tell.
        self._held: dict[str, float] = {}
        #: When to ask again about a study that waits, and the pause behind that.
        self._waiting: dict[str, tuple[float, float]] = {}
        #: Since when all objects of a study are delivered.
        self._closing: dict[str, float] = {}

    def now(self, study_uid: str) -> Mapping[str, str]:
        """Values by keyword; empty where no PACS is configured, or it does not know the study.

        A PACS that does not answer holds nothing up: the result carries what the images say,
        the life of the study says so, and the PACS is asked again while objects wait.
        """
        if self._archive is None:
            return {}
        answer = self._archive.ask_now(study_uid)
        if isinstance(answer, Counts):
            return {key: value for key, value in answer.identity.items() if value}
        self._tell_once(study_uid, answer)
        return {}

    def written(self, task: AnalysisTask, result: AnalysisResult) -> None:
        """A result was written: whose study does it say it is?"""
        if self._archive is not None:
            self._ledger.discrepancies.write_identity(
                task.study.study_uid,
                result.identity,
                result.differing,
                checked=bool(task.context.identity),
            )

    def changed(self, study_uid: str) -> tuple[str, ...]:
        """Keywords in which the PACS contradicts what was written; asked now and then."""
        now = self._clock()
        due, pause_s = self._waiting.setdefault(study_uid, (now + ASK_AGAIN_S, ASK_AGAIN_S))
        if now < due:
            return ()
        found = self._contradicted(study_uid, due)
        if found is not None:
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            self._waiting[study_uid] = (now + pause_s, pause_s)
        return found or ()

    def settled(self, study_uid: str) -> tuple[str, ...] | None:
        """The same once more when everything is delivered; None while the PACS is asked."""
        self._waiting.pop(study_uid, None)
        since = self._closing.setdefault(study_uid, self._clock())
        found = self._contradicted(study_uid, since)
        if found is not None:
            del self._closing[study_uid]
        return found

    def may_leave(self, study_uid: str, destination: str) -> bool:
        """May objects of a study be sent to a destination now? Never waits; to be asked again.

        Not while the PACS is asked, nor when it contradicts what was written: the conductor then
        replaces the result. While the PACS is down nothing can be sent to itself, and what goes
        elsewhere is held up for `HOLD_S` at most.
        """
        written = self._ledger.discrepancies.identity(study_uid) if self._archive else None
        if self._archive is None or written is None:
            return True
        now = self._clock()
        answer = self._archive.study(study_uid, now - FRESH_S)
        if isinstance(answer, Pending):
            return False
        if isinstance(answer, Counts):
            self._held.pop(study_uid, None)
            if not answer.is_known or not differing(written.attributes, answer.identity):
                return True
            # The conductor is to see it now, not after its pause.
            self._waiting[study_uid] = (now - FRESH_S, ASK_AGAIN_S)
            return False
        if not answer.reached and destination == self.destination:
            return False
        if now - self._held.setdefault(study_uid, now) < HOLD_S:
            return False
        log.error(
            "study.identity_not_checked",
            study_uid=study_uid,
            destination=destination,
            cause=answer.cause,
            remedy="make the PACS that results.identity_from names answer C-FIND for this node",
        )
        return True

    def _contradicted(self, study_uid: str, since: float) -> tuple[str, ...] | None:
        written = self._ledger.discrepancies.identity(study_uid) if self._archive else None
        if self._archive is None or written is None:
            return ()
        answer = self._archive.study(study_uid, since)
        if isinstance(answer, Pending):
            return None
        if not isinstance(answer, Counts) or not answer.is_known:
            return ()
        return differing(written.attributes, answer.identity)

    def _tell_once(self, study_uid: str, answer: NoAnswer) -> None:
        events = self._ledger.studies.events(study_uid)
        if not any(event.what == _NOT_CHECKED for event in events[-20:]):
            self._ledger.studies.tell(
                study_uid, _NOT_CHECKED, f"the PACS did not tell ({answer.cause})"
            )
