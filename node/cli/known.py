"""The lines of `explain STUDY` about what is known of a study beside its images and results."""

from __future__ import annotations

from collections.abc import Iterator

from node.domain.discrepancy import Decision
from node.ledger import Ledger
from node.ledger.discrepancies import DiscrepancyRow
from node.ledger.studies import StudyRow


def completeness(study: StudyRow) -> str:
    """How sure it is that the study is complete, and why."""
    if study.certainty is None:
        return study.confidence
    return f"{study.certainty.value}: {study.confidence}"


def told_knowledge(ledger: Ledger, study_uid: str) -> Iterator[str]:
    """Announcements, what came again with other bytes, and whose study the PACS says it is."""
    announced = ledger.announcements.of_study(study_uid)
    for step in announced.steps:
        images = sum(len(series.sop_instance_uids) for series in step.series)
        reason = f" ({step.reason})" if step.reason else ""
        yield (
            f"procedure step of {step.calling_ae_title}: {step.status.lower()}{reason}, "
            f"{images} images in {len(step.series)} series"
        )
    if announced.available:
        images = sum(len(series.sop_instance_uids) for series in announced.available)
        yield f"availability notified: {images} images in {len(announced.available)} series"
    for row in ledger.discrepancies.of_study(study_uid):
        yield _came_again(row, study_uid)
    identity = ledger.discrepancies.identity(study_uid)
    if identity is not None:
        if identity.differing:
            yield (
                f"identity: that of the PACS; the images differ in {', '.join(identity.differing)}"
            )
        elif identity.checked:
            yield "identity: the PACS holds the same as the images"
        else:
            yield "identity: that of the images; the PACS did not tell whose study it is"


def _came_again(row: DiscrepancyRow, study_uid: str) -> str:
    where = ""
    if row.earlier_study_uid != row.study_uid:
        other = row.earlier_study_uid if row.study_uid == study_uid else row.study_uid
        where = f" (first in study {other})" if row.study_uid == study_uid else f" in study {other}"
    differs = ", ".join(row.attributes) or "nothing that is compared"
    verdict = {
        Decision.TAKEN: "the newer ones are taken",
        Decision.HELD: "held back",
        Decision.APART: "kept apart",
    }[row.decision]
    return (
        f"series {row.series_uid}: {row.instances} images came again{where}; they differ in "
        f"{differs}; {verdict}: {row.why}"
    )
