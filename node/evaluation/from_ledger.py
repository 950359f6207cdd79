"""Cases of the running node: what its ledger knows, shadow results included.

Reads only; the node may be at work meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from dicom_sr.reading import REPORT_CLASSES, read_report
from inference.attributes import UNREADABLE, quiet_pydicom
from inference.header_file import read_header
from node.domain.errors import ResultError
from node.domain.facts import SeriesFacts, StudyFacts
from node.domain.reported import Report
from node.evaluation.cohort import (
    Case,
    Outcome,
    Result,
    Wanted,
    outcome_of,
    patient_key,
    report_groups,
)
from node.evaluation.places import Images
from node.evaluation.truth import ACCESSION, STUDY_UID
from node.ledger import Ledger
from node.ledger.jobs import JobRow
from node.ledger.states import JobState, StudyState
from node.ledger.studies import StudyRow

#: Not judged yet, or not to be judged: nothing can be said of any model.
_NOT_JUDGED: Final = {
    StudyState.RECEIVING: "is still being received",
    StudyState.COMPLETED: "waits for its verdicts",
    StudyState.HELD: "is held back",
}
_ENDED: Final = {
    **dict.fromkeys(_NOT_JUDGED, Outcome.UNFINISHED),
    StudyState.FAILED: Outcome.FAILED,
}
DELETED: Final = (
    "its result objects are no longer here (deleted after storage.retention_days); read them back "
    "from the PACS into a folder and name that as the cohort"
)
SHADOW_DELETED: Final = (
    "its result objects are no longer here (a shadow's go with its study after "
    "storage.retention_days, and are nowhere else)"
)
_EVERY: Final = 2**31


def case_of(ledger: Ledger, study_uid: str) -> Case:
    """One study with the current result of every model that was asked about it."""
    study = ledger.studies.get(study_uid)
    if study is None:
        return Case(study_uid=study_uid, missing="the study never arrived here")
    facts = ledger.facts.get(study_uid)
    looked = _Looked(ledger, study, facts)
    results = {model: looked.result(model) for model in looked.models()}
    reports = [result.report for result in results.values() if result.report is not None]
    return Case(
        study_uid=study_uid,
        accession_number=_accession(ledger, study_uid, reports),
        patient=_patient(study_uid, facts, reports),
        results=results,
        missing="" if results else looked.untold(),
        ended=_ENDED.get(study.state, Outcome.ABSENT),
        images=Images(lambda: ledger.instances.of_study(study_uid)),
    )


class LedgerCohort:
    """The studies that this node has received."""

    def __init__(self, ledger: Ledger, *, since: float = 0.0) -> None:
        """`since`: studies whose last image came at this time or later; epoch seconds."""
        self._ledger = ledger
        self._since = since
        self.told = "the results of this node"
        self.problems: list[str] = []

    def count(self, wanted: Wanted | None) -> int:
        """How many cases there will be at most."""
        if wanted is not None and wanted.keyed_by == STUDY_UID:
            return len(wanted.keys)
        return len(self._recent())

    def cases(self, wanted: Wanted | None) -> Iterator[Case]:
        """The wanted studies; those that never arrived are there too, with that as the reason."""
        if wanted is not None and wanted.keyed_by == STUDY_UID:
            known = (study_uid for study_uid in sorted(wanted.keys))
            yield from (case_of(self._ledger, study_uid) for study_uid in known)
            return
        for study_uid in self._recent():
            if wanted is not None and wanted.keyed_by == ACCESSION:
                accession = self._first_accession(study_uid)
                if accession is not None and (study_uid, accession) not in wanted:
                    continue
            case = case_of(self._ledger, study_uid)
            if wanted is None or (case.study_uid, case.accession_number) in wanted:
                yield case

    def _recent(self) -> tuple[str, ...]:
        rows = self._ledger.studies.recent(_EVERY)
        return tuple(row.study_uid for row in rows if row.last_at >= self._since)[::-1]

    def _first_accession(self, study_uid: str) -> str | None:
        """Of the images; None where they are gone, so that the reports have to be asked."""
        return _accession(self._ledger, study_uid, ()) or None


@dataclass(slots=True)
class _Looked:
    """One study of the ledger, looked at for each model."""

    ledger: Ledger
    study: StudyRow
    facts: StudyFacts | None
    jobs: dict[str, JobRow] = field(init=False)
    refusals: dict[str, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        uid = self.study.study_uid
        self.jobs = {job.model: job for job in self.ledger.jobs.current(uid)}
        self.refusals = {}
        for verdict in self.ledger.studies.verdicts(uid, self.study.generation):
            self.refusals.setdefault(verdict.model, []).append(verdict.reason)

    def models(self) -> list[str]:
        return sorted({*self.jobs, *self.refusals})

    def untold(self) -> str:
        """Why no model has a say."""
        state = self.study.state
        if state in _NOT_JUDGED:
            return f"the study {_NOT_JUDGED[state]}" + self._cause()
        if state is StudyState.FAILED:
            return f"the study failed{self._cause()}"
        return "no model was asked about the study"

    def _cause(self) -> str:
        return f": {self.study.cause}" if self.study.cause else ""

    def result(self, model: str) -> Result:
        groups = _groups(self._series(self.jobs.get(model)))
        outcome, reason, report = self._ended(model)
        if report is not None:
            groups = {**report_groups(report), **groups}
        return Result(outcome=outcome, reason=reason, report=report, groups=groups)

    def _ended(self, model: str) -> tuple[Outcome, str, Report | None]:
        job = self.jobs.get(model)
        if self.study.state in _NOT_JUDGED:
            return Outcome.UNFINISHED, self.untold(), None
        if job is None:
            if self.study.state is StudyState.FAILED and not any(self.refusals.get(model, ())):
                return Outcome.FAILED, self.study.cause, None
            reasons = "; ".join(dict.fromkeys(filter(None, self.refusals[model])))
            return Outcome.NOT_ELIGIBLE, reasons or "no series qualifies", None
        match job.state:
            case JobState.WAITING | JobState.RUNNING:
                why = f": {job.reason}" if job.reason else ""
                return Outcome.UNFINISHED, f"its analysis is {job.state.value}{why}", None
            case JobState.WITHDRAWN:
                why = f": {job.reason}" if job.reason else ""
                return Outcome.ABSENT, f"its result was withdrawn{why}", None
            case JobState.FAILED:
                return Outcome.FAILED, job.reason, None
            case JobState.NOT_ELIGIBLE:
                return Outcome.NOT_ELIGIBLE, job.reason, None
            case _:
                return self._read(job)

    def _read(self, job: JobRow) -> tuple[Outcome, str, Report | None]:
        objects = self.ledger.outbox.objects_of_job(job.key)
        paths = [
            item.path
            for item in objects
            if item.kind == "report" and item.sop_class_uid in REPORT_CLASSES
        ]
        if not paths or not paths[0].exists():
            return Outcome.ABSENT, DELETED if job.destinations else SHADOW_DELETED, None
        try:
            report = read_report(paths[0])
        except ResultError as error:
            return Outcome.FAILED, str(error), None
        return *outcome_of(report), report

    def _series(self, job: JobRow | None) -> SeriesFacts | None:
        """What was looked at, else what a person would take for the main series."""
        if self.facts is None or not self.facts.series:
            return None
        analysed = self.ledger.results.analysed(job.key) if job is not None else None
        uid = analysed.series_uid if analysed is not None else ""
        if not uid and job is not None and job.candidates:
            uid = job.candidates[0]
        same = [one for one in self.facts.series if one.stack_id == uid]
        return same[0] if same else max(self.facts.series, key=lambda one: one.slices or 0)


def _groups(series: SeriesFacts | None) -> dict[str, str]:
    """Empty where nothing is stated, so that the report may say it."""
    if series is None:
        return {}
    equipment = (series.manufacturer, series.scanner, series.station)
    found = {
        "site": series.institution or "",
        "scanner": " ".join(filter(None, equipment)),
        "protocol": series.protocol or series.series_description or "",
        "kernel": series.kernel or "",
    }
    return {name: value for name, value in found.items() if value}


def _patient(study_uid: str, facts: StudyFacts | None, reports: Sequence[Report]) -> str:
    if facts is not None and facts.patient_id:
        return patient_key((facts.issuer_of_patient_id, facts.patient_id), study_uid)
    return patient_key(reports[0].patient if reports else (), study_uid)


def _accession(ledger: Ledger, study_uid: str, reports: Sequence[Report]) -> str:
    """As the reports have it (the PACS may have corrected it), else the first image."""
    for report in reports:
        if report.accession_number:
            return report.accession_number
    for instance in ledger.instances.of_study(study_uid)[:1]:
        try:
            with quiet_pydicom():
                values, _, _ = read_header(instance.extent, ("AccessionNumber",))
                return values.text("AccessionNumber")
        except UNREADABLE:
            return ""
    return ""
