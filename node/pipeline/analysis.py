"""What happens inside a worker process: headers, pixels, network, result objects.

The functions here run in killable workers and touch neither the ledger nor the network. What
they return is small; the objects they write lie in a folder that appears only when complete.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import structlog
from pydicom import Dataset

from dicom_sr.context import Predecessor, ResultContext
from dicom_sr.rejection_note import Note, Rejection, write_rejection_note
from dicom_sr.tracking import keep_tracking, located
from dicom_sr.validation import validate
from dicom_sr.write import write_results
from inference.nameless_file import NamelessFile
from inference.projection import load_projections
from inference.reading import DecodedFrames
from inference.shared_volume import Loaded, load_shared
from inference.volume import load_volume
from inference.worker_process import MEGABYTE, PeakMemory
from node.domain.acute import Observation, observe
from node.domain.analysis import AnalysisRequest, CompanionSeries
from node.domain.errors import PixelDataError, VolumeError
from node.domain.facts import StudyFacts
from node.domain.finding import Findings, Status, Tracked
from node.domain.identity import differing, stated_identity, with_identity
from node.domain.imaging import Volume
from node.domain.study import CompletedStudy, Series, StackID, StudyUID
from node.domain.verdict import Companion
from node.pipeline.others import NO_LONGER_STORED, Others, StudyInput
from node.pipeline.priors import PriorResult, evidence_of
from node.pipeline.resident import ModelSetup, residents
from node.pipeline.seeing import Sight
from node.pipeline.summary import summarise
from node.pipeline.writing import WrittenObject, write_folder

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsTask:
    """A study to be described; `pixels`: look at a few slices too."""

    study: StudyInput
    pixels: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisTask:
    """One job, ready to run in a worker.

    Attributes:
        setup: the model, as the worker is to hold it.
        candidates: stacks to try, best first.
        companions: of each candidate, what is analysed with it.
        others: the other studies that companions are from. priors: results of the model on them.
        status_only: with a reason: write a report of this status without any analysis.
        context: identity, label and predecessor of the result objects.
        folder: where the result objects appear, complete.
        earlier: findings of the result that this one replaces.
        rejected, rejection: objects to reject by a note of their own, and why.
        decoded: compressed images of the study that were decoded before.
        shared: of the stacks that other jobs look at too, where the volume is kept for all.
        apart: prior studies that the PACS holds under another patient than their images state.
        anatomy: the package that sees anatomy, where the model asks for it.
        anatomies: of stacks, where what that package sees is kept for all jobs of the study.
    """

    study: StudyInput
    setup: ModelSetup
    candidates: tuple[StackID, ...]
    context: ResultContext
    folder: Path
    report_not_eligible: bool
    status_only: Status | None = None
    reason: str = ""
    earlier: tuple[Tracked, ...] = ()
    rejected: tuple[Predecessor, ...] = ()
    rejection: Rejection = Rejection.NOT_TO_BE_USED
    companions: tuple[tuple[StackID, Companion], ...] = ()
    others: tuple[StudyInput, ...] = ()
    priors: tuple[PriorResult, ...] = ()
    decoded: DecodedFrames | None = None
    shared: Mapping[StackID, NamelessFile] = field(default_factory=dict)
    apart: tuple[StudyUID, ...] = ()
    anatomy: ModelSetup | None = None
    anatomies: Mapping[StackID, NamelessFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """What one analysis took at its highest, beyond what the worker held before.

    Attributes:
        voxels: of the largest volume that it loaded. peak_mb: MB (10^6) of resident memory.
    """

    voxels: int
    peak_mb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisResult:
    """How it ended.

    Attributes:
        refusals: series whose pixels the model did not accept.
        observations: what it says about each acute finding of the package, found or not.
        tracked: where its findings lie, for the result that may replace it.
        identity: whose study the objects say it is, by keyword. differing: in which of these
            the images say something else.
        use: memory that it took, and what for.
        loads: volumes that it read itself; shared: that another job had read.
        anatomy_runs: of the anatomy package; anatomy_reused: series that another job had seen.
    """

    status: Status
    stack_id: StackID
    reason: str
    refusals: tuple[tuple[StackID, str], ...]
    objects: tuple[WrittenObject, ...]
    seconds: Mapping[str, float]
    summary: str
    observations: tuple[Observation, ...] = ()
    tracked: tuple[Tracked, ...] = ()
    identity: Mapping[str, str] = field(default_factory=dict, repr=False)
    differing: tuple[str, ...] = ()
    use: MemoryUse | None = None
    loads: int = 0
    shared: int = 0
    anatomy_runs: int = 0
    anatomy_reused: int = 0


def describe(task: FactsTask) -> tuple[CompletedStudy, StudyFacts]:
    """Describe a study in a worker."""
    return task.study.facts(pixels=task.pixels)


def analyse(task: AnalysisTask) -> AnalysisResult:
    """Carry out one job: load, analyse, write, validate.

    Raises:
        VolumeError, ModelError, ResultError: as the step that could not go on says.
    """
    with PeakMemory() as memory:
        run = _Run(task)
        result = _carried_out(run)
    if task.status_only is not None:
        return result
    use = MemoryUse(voxels=run.voxels, peak_mb=-(-memory.peak_bytes // MEGABYTE))
    return replace(
        result,
        use=use,
        loads=run.loads,
        shared=run.shared,
        anatomy_runs=run.sight.runs,
        anatomy_reused=run.sight.reused,
    )


def _carried_out(run: _Run) -> AnalysisResult:
    task = run.task
    if task.status_only is not None:
        return run.write(task.candidates[0], run.status(task.status_only, task.reason))
    for uid in task.candidates:
        findings = run.analyse_series(uid)
        if findings.status is not Status.NOT_ELIGIBLE:
            return run.write(uid, findings)
        run.refusals.append((uid, findings.reason))
    reasons = list(dict.fromkeys(reason for _, reason in run.refusals))
    refused = run.status(Status.NOT_ELIGIBLE, "; ".join(reasons[:4]))
    return run.write(task.candidates[0], refused)


def _left_out(series: Series) -> Iterator[str]:
    """What to tell of the other images of a series that is no single stack."""
    if series.stacks > 1:
        yield (
            f"The series holds {series.stacks} sets of images that are no single stack; only "
            f"the {len(series.planes)} images of one of them were looked at."
        )


class _Run:
    """One job under way: what it has read, refused and measured so far."""

    def __init__(self, task: AnalysisTask) -> None:
        self.task = task
        self.refusals: list[tuple[StackID, str]] = []
        self.seconds: dict[str, float] = {}
        self.voxels = 0
        self.loads = self.shared = 0
        self.sight = Sight(task.anatomy, task.anatomies)
        self.manifest = task.setup.manifest
        with self._timed("describe"):
            described = task.study.describe()
        held = dict(task.context.identity)
        self.differing = differing(stated_identity(described), held)
        self.study = with_identity(described, held)
        self.series = {series.stack_id: series for series in self.study.series}
        self._others = Others(task.others, task.apart, described, self.differing)
        #: Series of other studies whose pixels the model asked for.
        self._compared: dict[StackID, Series] = {}

    def analyse_series(self, uid: StackID) -> Findings:
        """Load one series and look at it."""
        series = self.series[uid]
        companions: dict[str, CompanionSeries] = {}
        missing = []
        for role, found in self._companions(uid):
            if not isinstance(found, str):
                companions[role] = self._companion(found)
            elif self._is_optional(role):
                missing.append(f"The series for the role '{role}' was not used: it {found}.")
            else:
                reason = f"the series for the role '{role}' {found}"
                return self.status(Status.NOT_ELIGIBLE, reason)
        with self._timed("load"):
            try:
                volume = self._load(series)
            except PixelDataError:
                # Damaged pixels are no verdict on the series: the job has failed.
                raise
            except VolumeError as error:
                # Geometry and units belong to this series: told like any refusal.
                return self.status(Status.NOT_ELIGIBLE, str(error))
        self.voxels = max(self.voxels, volume.voxels.size)
        with self._timed("open"):
            model = residents.get(self.task.setup)
        request = AnalysisRequest(
            volume=volume,
            series=series,
            patient=self.study.patient,
            model=self.manifest.identity,
            networks=model.networks,
            thresholds=self.manifest.thresholds,
            companions=companions,
            study_date=self.study.study_date,
        )
        request = self.sight.offered(request, self._timed)
        with self._timed("analyse"):
            found_here = model.analyse(request)
        return replace(found_here, limits=(*_left_out(series), *found_here.limits, *missing))

    def _load(self, series: Series) -> Volume:
        """A volume, from another job where one loaded it; or projections.

        A package that names no orientation was made for projections.
        """
        if not self.manifest.inputs.orientations:
            self.loads += 1
            return load_projections(series)
        file = self.task.shared.get(series.stack_id)
        loaded = None
        if file is not None:
            # The node lets go of it when the study is over: then it is loaded anew.
            with suppress(OSError):
                loaded = load_shared(series, self.task.decoded, file)
        if loaded is None:
            loaded = Loaded(load_volume(series, self.task.decoded), was_shared=False)
        self.loads += not loaded.was_shared
        self.shared += loaded.was_shared
        return loaded.volume

    def _companions(self, uid: StackID) -> Iterator[tuple[str, Series | str]]:
        """By role: the series, or why there is none."""
        for candidate, companion in self.task.companions:
            if candidate != uid:
                continue
            study = self._study_of(companion.study_uid)
            if isinstance(study, str):
                yield companion.role, study
                continue
            stacks = {one.stack_id: one for one in study.series}
            yield companion.role, stacks.get(companion.stack_id) or NO_LONGER_STORED

    def _study_of(self, study_uid: StudyUID) -> CompletedStudy | str:
        if study_uid == self.study.study_uid:
            return self.study
        with self._timed("describe"):
            return self._others.study(study_uid)

    def _companion(self, series: Series) -> CompanionSeries:
        study = self._study_of(series.study_uid)
        assert not isinstance(study, str)
        known = [one for one in self.task.priors if one.study_uid == series.study_uid]
        return CompanionSeries(
            series=series,
            load=partial(self._load_companion, series),
            study_date=study.study_date,
            tracked=known[0].tracked if known else (),
        )

    def _load_companion(self, series: Series) -> Volume:
        if series.study_uid != self.study.study_uid:
            self._compared[series.stack_id] = series
        return self._load(series)

    def _is_optional(self, role: str) -> bool:
        """Does the package run without? What was deleted since it was judged is missing then."""
        need = self.manifest.needs.get(role)
        return need is not None and need.optional

    def status(self, status: Status, reason: str) -> Findings:
        """Findings that only say how it ended."""
        return Findings(model=self.manifest.identity, status=status, reason=reason)

    def write(self, uid: StackID, findings: Findings) -> AnalysisResult:
        """Write and validate the objects, unless a refusal is to be kept in the ledger only."""
        objects: tuple[WrittenObject, ...] = ()
        reported = self.task.report_not_eligible or self.task.context.predecessor
        if findings.status is not Status.NOT_ELIGIBLE or reported:
            with self._timed("write"):
                findings = keep_tracking(findings, self.series[uid], self.task.earlier)
                compared = evidence_of(tuple(self._compared.values()), self.task.priors)
                context = replace(self.task.context, other_evidence=compared)
                data_sets = write_results(findings, self.study, self.series[uid], context)
                files = validate(data_sets, self.study)
                every = (*data_sets, *self._note(data_sets))
                objects = write_folder(every, self.task.folder, files)
        self.seconds.update({f"model {name}": s for name, s in findings.seconds.items()})
        return AnalysisResult(
            status=findings.status,
            stack_id=uid,
            reason=findings.reason,
            refusals=tuple(self.refusals),
            objects=objects,
            seconds=self.seconds,
            summary=summarise(findings),
            observations=observe(findings, self.manifest.acute, self.manifest.thresholds),
            tracked=located(findings, self.series[uid]) if objects else (),
            identity=stated_identity(self.study) if objects else {},
            differing=self.differing,
        )

    def _note(self, data_sets: Sequence[Dataset]) -> tuple[Dataset, ...]:
        """The note that rejects what this result replaces, where a destination wants one."""
        if not self.task.rejected:
            return ()
        note = Note(
            rejection=self.task.rejection,
            reason=f"Replaced by a newer result of {self.manifest.identity.title}.",
            when=self.task.context.moment,
        )
        return (write_rejection_note(data_sets[-1], self.task.rejected, note),)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - started


def looked_at(task: AnalysisTask, result: AnalysisResult) -> tuple[StackID, ...]:
    """The candidates whose pixels decided: all that were refused, and the one that was not."""
    if result.stack_id not in task.candidates or result.status is Status.NOT_ELIGIBLE:
        return task.candidates
    return task.candidates[: task.candidates.index(result.stack_id) + 1]
