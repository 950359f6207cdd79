"""Answers of readers into the ledger: from structured reports that were sent here, and by hand.

A received report is read in a killable worker. It answers about the result that it refers to
(as its predecessor, as evidence or in its tree); one that refers to none of our objects, as
viewers save them, answers about the newest result that tracks the same lesions.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from dicom_sr.assessment import STANDARD_VOCABULARY, Assessed
from node.domain.errors import DocumentError, LedgerError, NodeError, WorkerError
from node.domain.feedback import Answer, ReaderAnswer, ReportedFinding, ResultFinding, Source
from node.ledger import Ledger
from node.ledger.documents import DocumentRow, DocumentState
from node.ledger.findings import Report
from node.pipeline.in_service import Workers
from node.pipeline.loop import Loop
from node.pipeline.reader_reports import (
    Assessment,
    AssessTask,
    Named,
    OwnReport,
    assess_document,
    name_references,
    read_own,
)

log = structlog.get_logger(__name__)

INTERVAL_S = 1.0
#: Our own reports are looked for when a result was written, and this often besides.
OWN_INTERVAL_S = 60.0
#: How many are read before the loop looks whether it is to stop.
BATCH = 8
ATTEMPTS = 3
TIME_LIMIT_S = 60.0
MEMORY_MB = 1024
#: Identifiers that an outcome names one by one.
NAMED = 3


@dataclass(frozen=True, slots=True)
class _Outcome:
    state: DocumentState
    told: str
    answers: tuple[ReaderAnswer, ...] = ()


class Feedback:
    """Reads our own reports once, and every received one until it is settled."""

    def __init__(
        self,
        ledger: Ledger,
        readers: Workers,
        *,
        words: Mapping[tuple[str, str], Answer] | None = None,
    ) -> None:
        """Nothing starts yet.

        Args:
            words: (code value, scheme) of assessments that the site's viewers write, beside
                those of `dicom_sr.assessment`.
        """
        self._ledger = ledger
        self._readers = readers
        self._words = {**STANDARD_VOCABULARY, **(words or {})}
        self._own_due = 0.0
        self._own_attempts: Counter[str] = Counter()
        self.loop = Loop("feedback", self.step, interval_s=INTERVAL_S)

    def wake(self) -> None:
        """Results were written."""
        self._own_due = 0.0
        self.loop.wake()

    def step(self) -> bool:
        """Read some of what waits; False when nothing does."""
        waiting = self._ledger.documents.waiting(BATCH)
        if waiting or time.monotonic() >= self._own_due:
            # A result is known before the answers to it are read.
            if self._read_own_reports():
                return True
            self._own_due = time.monotonic() + OWN_INTERVAL_S
        settled = False
        for row in waiting:
            if self.loop.stopping:
                return False
            settled |= self._read(row)
        return settled

    def _read_own_reports(self) -> bool:
        unread = self._ledger.findings.unread(BATCH)
        for uid, job_key in unread:
            item = next(
                one
                for one in self._ledger.outbox.objects_of_job(job_key)
                if one.sop_instance_uid == uid
            )
            job = self._ledger.jobs.get(job_key)
            try:
                own = OwnReport(path=item.path, model=job.model if job is not None else "")
                report: Report = self._run(read_own, own)
            except (DocumentError, WorkerError) as error:
                self._own_attempts[uid] += 1
                if isinstance(error, WorkerError) and (
                    self.loop.stopping or self._own_attempts[uid] < ATTEMPTS
                ):
                    raise
                # Nobody can answer about its findings by name; retention may have taken it.
                log.warning("feedback.own_report", sop_instance_uid=uid, cause=str(error))
                self._ledger.findings.give_up(uid, str(error))
            else:
                self._ledger.findings.record(item, report)
        return bool(unread)

    def _read(self, row: DocumentRow) -> bool:
        """Settle one document; False when it is to be tried again later."""
        try:
            outcome = self._outcome(row)
        except WorkerError as error:
            if self.loop.stopping:
                return False
            if self._ledger.documents.count_attempt(row) < ATTEMPTS:
                return False
            outcome = _Outcome(DocumentState.FAILED, f"{error} ({ATTEMPTS} attempts)")
        except LedgerError:
            raise  # no fault of the document, which waits
        except NodeError as error:
            outcome = _Outcome(DocumentState.FAILED, str(error))
        with self._ledger.transaction():
            added = [answer for answer in outcome.answers if self._ledger.feedback.add(answer)]
            self._ledger.documents.settle(row, outcome.state, outcome.told)
            for study_uid in sorted({one.study_uid for one in outcome.answers} - {row.study_uid}):
                self._ledger.studies.tell(
                    study_uid, f"reader's report: {outcome.state.value}", outcome.told
                )
        told = log.warning if outcome.state is DocumentState.FAILED else log.info
        told(
            "feedback.document",
            study_uid=row.study_uid,
            sop_instance_uid=row.sop_instance_uid,
            calling_ae_title=row.calling_ae_title,
            outcome=outcome.state.value,
            cause=outcome.told if outcome.state is DocumentState.FAILED else "",
            answers=len(added),
        )
        return True

    def _outcome(self, row: DocumentRow) -> _Outcome:
        instances = [
            one
            for one in self._ledger.instances.find(row.sop_instance_uid)
            if one.digest == row.digest
        ]
        if not instances:
            return _Outcome(DocumentState.FAILED, "it is no longer stored; send it again")
        extent = instances[0].extent
        named: Named = self._run(name_references, extent)
        results = self._ledger.findings.results_of(tuple(sorted(named.references)))
        about = self._about(named, results)
        if not about:
            return self._unanswered(named, results)
        known: dict[str, list[ReportedFinding]] = {}
        for one in about.values():
            known.setdefault(one.result, []).append(one.finding)
        task = AssessTask(
            document=extent,
            reports=self._report_paths(known),
            findings={key: tuple(items) for key, items in known.items()},
            words=self._words,
        )
        found: Assessment = self._run(assess_document, task)
        return self._answered(row, named, about, found)

    def _about(self, named: Named, results: Sequence[str]) -> dict[str, ResultFinding]:
        """Tracking UID -> the finding of ours that the document may answer about."""
        referred = [
            one
            for one in self._ledger.findings.of_results(results)
            # The same lesion in a later study is measured anew, not corrected.
            if one.report_study_uid == named.study_uid
            and one.finding.tracking_uid in named.tracking_uids
        ]
        tracked = [
            one
            for one in self._ledger.findings.tracked_in(named.study_uid)
            if one.finding.tracking_uid in named.tracking_uids
        ]
        about: dict[str, ResultFinding] = {}
        for one in (*referred, *sorted(tracked, key=lambda item: not item.is_current)):
            # Newest first: of several results, the newest that the document can mean.
            about.setdefault(one.finding.tracking_uid, one)
        return about

    def _report_paths(self, keys: Iterable[str]) -> dict[str, Path]:
        return {
            key: item.path
            for key in sorted(keys)
            for item in self._ledger.outbox.objects_of_job(key)
            if item.kind == "report"
        }

    def _answered(
        self,
        row: DocumentRow,
        named: Named,
        about: Mapping[str, ResultFinding],
        found: Assessment,
    ) -> _Outcome:
        said = [
            (about[item.tracking_uid], item)
            for key, items in found.findings.items()
            for item in items
            if item.tracking_uid in about and about[item.tracking_uid].result == key
        ]
        answers = tuple(
            ReaderAnswer(
                study_uid=finding.study_uid,
                result=finding.result,
                report_uid=finding.report_uid,
                tracking_uid=item.tracking_uid,
                finding=finding.finding.identifier or finding.finding.finding,
                model=finding.finding.model,
                model_version=finding.finding.model_version,
                reader=found.reader or f"AE {row.calling_ae_title}",
                source=Source.SR,
                answer=item.answer,
                at=min(found.at if found.at is not None else row.received_at, row.received_at),
                received_at=row.received_at,
                measurements=item.measurements,
                comment=item.comment,
                document_uid=row.sop_instance_uid,
            )
            for finding, item in said
            if item.answer is not None
        )
        told = [*_counted(answers), *_left_open(said)]
        told += _strangers(named, about)
        if not answers and self._ledger.findings.results_of((named.sop_instance_uid,)):
            return _Outcome(DocumentState.OWN, "it came back unchanged")
        state = DocumentState.ANSWERED if answers else DocumentState.UNUSED
        return _Outcome(state, "; ".join(told), answers)

    def _unanswered(self, named: Named, results: Sequence[str]) -> _Outcome:
        """A document in which no finding of ours stands."""
        if self._ledger.findings.results_of((named.sop_instance_uid,)):
            return _Outcome(DocumentState.OWN, "it came back")
        if not results:
            return _Outcome(DocumentState.UNRELATED, "it refers to no result of this node")
        elsewhere = [
            one
            for one in self._ledger.findings.of_results(results)
            if one.report_study_uid != named.study_uid
        ]
        told = ["it refers to a result of ours and names none of its findings"]
        if elsewhere:
            told = [f"it belongs to study {named.study_uid}, the result to another one"]
        return _Outcome(DocumentState.UNUSED, "; ".join([*told, *_strangers(named, {})]))

    def _run(self, function: Any, argument: object) -> Any:  # noqa: ANN401 - of the function
        return self._readers.run(function, argument, time_limit_s=TIME_LIMIT_S, memory_mb=MEMORY_MB)


def _counted(answers: Sequence[ReaderAnswer]) -> list[str]:
    """ "2 accepted, 1 corrected", with the findings by name."""
    told = []
    for answer in Answer:
        names = [one.finding or one.tracking_uid for one in answers if one.answer is answer]
        if names:
            told.append(f"{answer.value}: {', '.join(names)}")
    return told


def _left_open(said: Sequence[tuple[ResultFinding, Assessed]]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for finding, item in said:
        if item.answer is None:
            by_reason.setdefault(item.why, []).append(
                finding.finding.identifier or item.tracking_uid
            )
    return [f"no answer about {', '.join(names)}: {why}" for why, names in by_reason.items()]


def _strangers(named: Named, about: Mapping[str, ResultFinding]) -> list[str]:
    unknown = [uid for uid in named.tracking_uids if uid not in about]
    if not unknown:
        return []
    some = ", ".join(unknown[:NAMED]) + (", ..." if len(unknown) > NAMED else "")
    return [f"{len(unknown)} findings are none of ours (tracking UID {some})"]
