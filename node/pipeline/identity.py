"""Whose study it is according to the PACS: asked when results are written, and while they wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from node.domain.identity import differing
from node.ledger import Ledger
from node.pipeline.archive import Archive, Counts, NoAnswer

#: While objects wait for a destination, the PACS is asked again this often.
ASK_AGAIN_S: Final = 60.0
_NOT_CHECKED: Final = "identity not checked"


class HeldIdentity:
    """What one PACS holds of the patient and the order of a study."""

    def __init__(
        self,
        ledger: Ledger,
        archive: Archive | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._archive = archive
        self._clock = clock

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

    def written(
        self, study_uid: str, identity: Mapping[str, str], differs: tuple[str, ...]
    ) -> None:
        """A result was written with this identity."""
        if self._archive is not None:
            self._ledger.discrepancies.write_identity(study_uid, identity, differs)

    def changed(self, study_uid: str) -> tuple[str, ...]:
        """Keywords in which the PACS contradicts what was written; never waits."""
        if self._archive is None:
            return ()
        written = self._ledger.discrepancies.identity(study_uid)
        if written is None:
            return ()
        answer = self._archive.study(study_uid, self._clock() - ASK_AGAIN_S)
        if not isinstance(answer, Counts) or not answer.is_known:
            return ()
        return differing(written.attributes, answer.identity)

    def _tell_once(self, study_uid: str, answer: NoAnswer) -> None:
        events = self._ledger.studies.events(study_uid)
        if not any(event.what == _NOT_CHECKED for event in events[-20:]):
            self._ledger.studies.tell(
                study_uid, _NOT_CHECKED, f"the PACS did not tell ({answer.cause})"
            )
