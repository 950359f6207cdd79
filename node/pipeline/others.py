"""Studies in a worker: the one that is analysed, and those that it is compared with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from inference.series import describe_study, describe_with_facts
from node.domain.facts import StudyFacts
from node.domain.identity import OF_THE_PERSON
from node.domain.study import CompletedStudy, Instance, StudyUID

#: Why a companion is not used, behind its name.
NO_LONGER_STORED = "is no longer stored"
OTHER_PERSON = "is of a patient whose identity differs"
HELD_APART = "is held by the PACS under another patient than its images state"
CONTRADICTED = "cannot be compared, because the PACS contradicts the identity in these images"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyInput:
    """A completed study as rows of the index; described anew in each worker."""

    study_uid: StudyUID
    instances: tuple[Instance, ...]
    generation: int
    completed_at: datetime
    confidence: str

    def describe(self) -> CompletedStudy:
        """Read the headers."""
        return describe_study(
            self.instances,
            generation=self.generation,
            completed_at=self.completed_at,
            confidence=self.confidence,
        )

    def facts(self, *, pixels: bool) -> tuple[CompletedStudy, StudyFacts]:
        """Read the headers, and look at a few slices of each axial CT unless told not to."""
        return describe_with_facts(
            self.instances,
            generation=self.generation,
            completed_at=self.completed_at,
            confidence=self.confidence,
            pixels=pixels,
        )


class Others:
    """Studies that companions are from, each described once, of the same person only."""

    def __init__(
        self,
        inputs: Sequence[StudyInput],
        apart: Collection[StudyUID],
        stated: CompletedStudy,
        differing: Sequence[str],
    ) -> None:
        """
        Args:
            apart: studies that the PACS holds under another patient than their images state.
            stated: the study that is analysed, as its images state it.
            differing: keywords in which the PACS contradicts them.
        """
        self._apart = frozenset(apart)
        self._inputs = {one.study_uid: one for one in inputs}
        self._stated = stated.patient
        self._is_known = not OF_THE_PERSON & set(differing)
        self._described: dict[StudyUID, CompletedStudy] = {}

    def study(self, study_uid: StudyUID) -> CompletedStudy | str:
        """A study, or why it is not used."""
        if study_uid in self._apart:
            return HELD_APART
        if not self._is_known:
            return CONTRADICTED
        if study_uid not in self._described:
            found = self._inputs.get(study_uid)
            if found is None:
                return NO_LONGER_STORED
            self._described[study_uid] = found.describe()
        study = self._described[study_uid]
        return study if self._is_of_the_same_person(study) else OTHER_PERSON

    def _is_of_the_same_person(self, study: CompletedStudy) -> bool:
        """Compared as the images state it."""
        then, now = study.patient, self._stated
        return (
            then.patient_id == now.patient_id
            and then.issuer_of_patient_id == now.issuer_of_patient_id
            and then.birth_date == now.birth_date
            and not (then.sex and now.sex and then.sex != now.sex)
        )
