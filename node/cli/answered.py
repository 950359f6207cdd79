"""The lines of `explain STUDY` and `status` about what readers answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from node.domain.feedback import Answer, MeasuredValue, ReaderAnswer, ResultFinding
from node.ledger import Ledger
from node.ledger.documents import DocumentState
from node.ledger.feedback import Wanted

When = Callable[[float | None], str]


def told_answers(ledger: Ledger, study_uid: str, when: When) -> Iterator[str]:
    """Each finding of the study with the answers about it, then the documents that came.

    A finding that several results track is told once; its answers name the version that they
    are about where it is not the current one.
    """
    answers = ledger.feedback.answers(Wanted(study_uid=study_uid))
    seen: dict[str, list[ResultFinding]] = {}
    for one in ledger.findings.of_study(study_uid):
        seen.setdefault(one.finding.tracking_uid, []).append(one)
    for tracking_uid, members in seen.items():
        yield from _finding(
            members, [answer for answer in answers if answer.tracking_uid == tracking_uid], when
        )
    for row in ledger.documents.of_study(study_uid):
        outcome = f": {row.outcome}" if row.outcome else ""
        yield (
            f"reader's report {row.sop_instance_uid} from {row.calling_ae_title}, received "
            f"{when(row.received_at)}: {row.state.value}{outcome}"
        )


def _finding(
    members: Sequence[ResultFinding], answers: Sequence[ReaderAnswer], when: When
) -> Iterator[str]:
    newest = sorted(members, key=lambda one: not one.is_current)[0]
    finding = newest.finding
    numbers = f": {_numbers(finding.measurements)}" if finding.measurements else ""
    gone = "" if newest.is_current else " (in no current result)"
    yield f"finding {finding.identifier or finding.finding}{gone}{numbers}"
    yield f"  tracking UID {finding.tracking_uid}, {finding.model} {finding.model_version}"
    if not answers:
        yield "  no reader has answered"
    for answer in answers:
        about = "" if answer.result == newest.result else ", about an earlier result"
        if answer.result != newest.result and answer.model_version != finding.model_version:
            about += f" (version {answer.model_version})"
        superseded = "" if answer.is_current else ", superseded by a later answer"
        yield (
            f"  {answer.answer.value} by {answer.reader} {when(answer.at)} "
            f"({answer.source.value}{about}{superseded})"
        )
        if answer.measurements:
            yield f"    measured instead: {_numbers(answer.measurements)}"
        if answer.comment:
            yield f"    comment: {' '.join(answer.comment.split())}"


def _numbers(items: Sequence[MeasuredValue]) -> str:
    return ", ".join(f"{item.name} {item.value:g} {item.unit}" for item in items)


def feedback_line(ledger: Ledger) -> str:
    """For `status`: the answers ever given, and documents that somebody has to look at."""
    counted: Counter[Answer] = Counter()
    for (_, _, answer, _), number in ledger.feedback.totals().items():
        counted[answer] += number
    told = [f"{counted[answer]} {answer.value}" for answer in Answer]
    failed = ledger.documents.totals()[DocumentState.FAILED]
    trouble = f"; {failed} received reports cannot be read (`explain` says why)" if failed else ""
    return f"answers of readers: {', '.join(told)}{trouble}"
