"""Patient or study data corrected: the same images come again under another identity.

With a PACS to ask, what it holds decides. Without one, the newer identity counts when the whole
series was sent again, as a PACS does after a correction; a part of a series under another
identity is held back until the rest comes or somebody says `rerun`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from dicom_sr.rejection_note import Rejection
from node.domain.discrepancy import Decision, Difference, Kind
from node.domain.identity import agrees
from node.domain.study import Instance
from node.ledger import Ledger
from node.ledger.states import StudyState
from node.ledger.studies import RERUN, StudyRow
from node.metrics import Metrics
from node.pipeline.archive import Answer, Counts
from node.pipeline.withdrawal import Withdrawing, withdraw

log = structlog.get_logger(__name__)

REMEDY: Final = "`explain` names what differs; send the whole study again, or take it with `rerun`"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is done about one series, with the reason in words."""

    decision: Decision
    why: str


def rule(difference: Difference, *, in_series: int, held: Answer | None, confirmed: bool) -> Ruling:
    """Decide about the newer instances of one series.

    Args:
        in_series: number of current instances of the series, or series, that they came from.
        held: what the PACS holds of the newer instances' study; None: none is configured.
        confirmed: somebody said `rerun` about a study that was held back.
    """
    if difference.kind is not Kind.IDENTITY:
        why = {
            Kind.CONTENT: "the images themselves differ, so the first ones stay current",
            Kind.FORM: "nothing that a result rests on differs, so the first ones stay current",
        }[difference.kind]
        return Ruling(Decision.APART, why)
    if confirmed:
        return Ruling(Decision.TAKEN, "taken by hand")
    if isinstance(held, Counts) and held.is_known:
        newer = agrees(difference.newer_identity, held.identity)
        earlier = agrees(difference.earlier_identity, held.identity)
        if newer and not earlier:
            return Ruling(Decision.TAKEN, "the PACS holds the newer identity")
        if earlier and not newer:
            return Ruling(Decision.APART, "the PACS holds the identity of the first ones")
        if not newer:
            return Ruling(Decision.HELD, "the PACS holds a third identity")
    number = len(difference.newer)
    if number < in_series:
        return Ruling(
            Decision.HELD, f"only {number} of {in_series} images of the series came again"
        )
    if "PatientID" not in difference.newer_identity:
        return Ruling(Decision.HELD, "the images that came again do not agree on the patient")
    return Ruling(Decision.TAKEN, "the whole series came again")


class Corrections:
    """Looks at what came again, before a study is judged."""

    def __init__(
        self,
        ledger: Ledger,
        compare: Callable[[tuple[tuple[Instance, Instance], ...]], tuple[Difference, ...]],
        metrics: Metrics,
    ) -> None:
        """
        Args:
            compare: runs `compare_series` in a process of its own. Raises NodeError.
        """
        self._ledger = ledger
        self._compare = compare
        self._metrics = metrics
        #: Destinations that get rejection notes.
        self.noting: frozenset[str] = frozenset()
        #: What the PACS holds of a study; None: none is configured.
        self.ask: Callable[[str], Answer] | None = None

    def settle(self, study: StudyRow) -> bool:
        """Decide about everything that came again; False when the study is at rest now."""
        uid = study.study_uid
        disputed = self._ledger.instances.disputed(uid)
        rulings = []
        if disputed:
            held = self.ask(uid) if self.ask is not None else None
            confirmed = self._is_confirmed(uid)
            for difference in self._compare(disputed):
                ruling = rule(
                    difference,
                    in_series=self._in_series(difference),
                    held=held,
                    confirmed=confirmed,
                )
                rulings.append(ruling)
                self._apply(difference, ruling)
        return self._rest(study, rulings)

    def _apply(self, difference: Difference, ruling: Ruling) -> None:
        uid = difference.newer[0].study_uid
        moved = {item.study_uid for item in difference.earlier} - {uid}
        with self._ledger.transaction():
            is_news = self._ledger.discrepancies.record(difference, ruling.decision, ruling.why)
            if not is_news:
                return
            what = f"{difference.kind.value} differs, {ruling.decision.value}"
            detail = f"{', '.join(difference.keywords)}: {ruling.why}"
            for study_uid in (uid, *sorted(moved)):
                self._ledger.studies.tell(study_uid, what, detail)
            if ruling.decision is Decision.TAKEN:
                self._ledger.instances.adopt(difference.newer)
                for study_uid in moved:
                    self._leave(study_uid, uid)
        self._metrics.discrepancies.labels(difference.kind.value, ruling.decision.value).inc()
        level = log.error if ruling.decision is Decision.HELD else log.warning
        level(
            "study.discrepancy",
            study_uid=uid,
            series_uid=difference.newer[0].series_uid,
            kind=difference.kind.value,
            decision=ruling.decision.value,
            attributes=list(difference.keywords),
            instances=len(difference.newer),
            remedy=REMEDY if ruling.decision is Decision.HELD else "",
        )

    def _leave(self, study_uid: str, to: str) -> None:
        """Images of a study belong to another one now."""
        if self._ledger.instances.of_study(study_uid):
            row = self._ledger.studies.get(study_uid)
            if row is not None:
                self._ledger.studies.touch(study_uid, row.last_at, "images left it")
            return
        how = Withdrawing(
            reason="its images belong to another study now",
            noting=self.noting,
            rejection=Rejection.WRONG_IDENTITY,
        )
        withdraw(self._ledger, study_uid, how)
        self._ledger.jobs.supersede_others(study_uid, ())
        self._ledger.studies.settle(
            study_uid, StudyState.ENDED, f"its images belong to study {to} now"
        )

    def _rest(self, study: StudyRow, rulings: list[Ruling]) -> bool:
        """May the study be judged? Puts it at rest with its cause when not."""
        uid = study.study_uid
        held = [ruling.why for ruling in rulings if ruling.decision is Decision.HELD]
        if held:
            cause = f"another identity came for images of this study: {held[0]}; {REMEDY}"
            self._ledger.studies.settle(uid, StudyState.HELD, cause)
            return False
        if not self._ledger.instances.of_study(uid):
            self._ledger.studies.settle(
                uid,
                StudyState.FAILED,
                "none of its images is current: they came before under the same SOP Instance UIDs "
                "with other bytes, in another study",
            )
            return False
        return True

    def _is_confirmed(self, study_uid: str) -> bool:
        """Did somebody say `rerun` since the study was held back?"""
        told = [event.what for event in self._ledger.studies.events(study_uid)]
        since = [what for what in told if what in (StudyState.HELD.value, RERUN)]
        return since[-2:] == [StudyState.HELD.value, RERUN]

    def _in_series(self, difference: Difference) -> int:
        series = {(item.study_uid, item.series_uid) for item in difference.earlier}
        return sum(
            1
            for study_uid in {study_uid for study_uid, _ in series}
            for item in self._ledger.instances.of_study(study_uid)
            if (item.study_uid, item.series_uid) in series
        )
