"""`run FOLDER`: the same pipeline as `serve`, on a folder, without a receiver or a PACS."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from config.schema import Appliance
from node.core import Core
from node.domain.errors import ReceiveError
from node.domain.study import StudyUID
from node.intake import Damaged, FileContent, NotDicom, files_below, read_file
from node.layout import lay_out
from node.ledger.states import StudyState
from node.packages import MODELS_FOLDER
from scp.contracts import StoreCommand
from scp.intake import SegmentIntake

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOutcome:
    """One row of the summary.

    Attributes:
        outcome: "done", "done in part", "not eligible" or "failed". told: numbers, reason or cause.
        objects: files written below the output folder.
        verdicts: (series UID, facts, model, verdict, reason) of every series and model.
    """

    study_uid: str
    model: str
    outcome: str
    told: str
    objects: tuple[str, ...]
    verdicts: tuple[tuple[str, str, str, str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderRun:
    """Everything that happened.

    Attributes:
        problems: DICOM files that were refused or are damaged, by their paths in the folder.
        notes: files that are no DICOM and were left out.
    """

    outcomes: tuple[StudyOutcome, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def run_folder(appliance: Appliance, folder: Path, out: Path, say: Say) -> FolderRun:
    """Analyse every study of a folder; result objects and readable twins go to `out`.

    Analyses by a model that is out of service end as failed, with the cause.
    """
    with scratch_core(appliance) as core:
        taken = take_in(core, ((path.relative_to(folder), path) for path in files_below(folder)))
        left_out = len(taken.problems) + len(taken.notes)
        say(f"{core.ledger.instances.count()} instances taken in, {left_out} files left out")
        core.start_workers()
        core.roster.load_all()
        for name, cause in core.roster.out().items():
            say(f"model {name} is out of service: {cause}")
        say("models loaded")
        work_off(core, say)
        return FolderRun(
            outcomes=tuple(_outcomes(core, out)),
            problems=tuple(taken.problems),
            notes=tuple(taken.notes),
        )


@contextmanager
def scratch_core(appliance: Appliance, *, models_folder: Path = MODELS_FOLDER) -> Iterator[Core]:
    """The pipeline on a store of its own that vanishes afterwards."""
    with tempfile.TemporaryDirectory(prefix="vigie-run-") as scratch:
        storage = appliance.storage.model_copy(
            update={"path": Path(scratch), "keep_free_gb": 0.0, "refuse_above_percent": 99.0}
        )
        # Nobody is asked about a folder: it is complete, and it is whose it says.
        alone = {
            "storage": storage,
            "completion": appliance.completion.model_copy(update={"ask": None}),
            # Nobody mends a model while a folder is worked off.
            "workers": appliance.workers.model_copy(update={"out_of_service_wait_s": 0.0}),
            "results": appliance.results.model_copy(update={"identity_from": None}),
            # Somebody waits for the result: it does not wait for the night.
            "routes": {
                name: route.model_copy(update={"schedule": None})
                for name, route in appliance.routes.items()
            },
        }
        core = Core(appliance.model_copy(update=alone), models_folder=models_folder)
        try:
            yield core
        finally:
            core.stop()


@dataclass(slots=True)
class Taken:
    """What could not be taken in, in words: DICOM files (problems), and others (notes)."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def take_in(core: Core, files: Iterable[tuple[Path, Path]]) -> Taken:
    """Receive files as if they had been sent; the studies that they belong to are complete then.

    Args:
        files: (name to tell, path) of each.
    """
    taken = Taken()
    intake = core.store.open("folder")
    for name, path in files:
        match read_file(path):
            case NotDicom(reason=reason):
                taken.notes.append(f"{name}: {reason}, left out")
            case Damaged(reason=reason):
                taken.problems.append(f"{name}: {reason}")
            case FileContent() as item:
                try:
                    _store(intake, item)
                except ReceiveError as error:
                    taken.problems.append(f"{name}: {error}")
    intake.close(clean=True)
    core.indexer.flush()
    for study in core.ledger.studies.in_state(StudyState.RECEIVING):
        core.ledger.studies.complete(study.study_uid, "a folder, complete as it is")
    return taken


def _store(intake: SegmentIntake, item: FileContent) -> None:
    intake.begin(
        StoreCommand(
            sop_class_uid=item.sop_class_uid,
            sop_instance_uid=item.sop_instance_uid,
            transfer_syntax_uid=item.transfer_syntax_uid,
            calling_ae_title="FOLDER",
        )
    )
    intake.write([memoryview(item.data_set)])
    intake.commit()


def work_off(core: Core, say: Say) -> None:
    """One step after the other until nothing is open."""
    pending = (StudyState.COMPLETED, StudyState.ANALYSING)
    while core.ledger.studies.in_state(*pending):
        core.conductor.step()
        while core.scheduler.run_one():
            say("job ended")
        time.sleep(0.05)  # a job that is tried again waits for its delay


def _outcomes(core: Core, out: Path) -> Iterator[StudyOutcome]:
    ended = (StudyState.ENDED, StudyState.DELIVERING, StudyState.FAILED)
    for study in core.ledger.studies.in_state(*ended):
        uid = StudyUID(study.study_uid)
        verdicts = tuple(
            (v.series_uid, v.facts, v.model, v.verdict, v.reason)
            for v in core.ledger.studies.verdicts(uid, study.generation)
        )
        jobs = core.ledger.jobs.of_study(uid)
        for job in jobs:
            files = [item.path for item in core.ledger.outbox.objects_of_job(job.key)]
            written = lay_out(files, out)
            yield StudyOutcome(
                study_uid=uid,
                model=job.model,
                outcome=job.outcome,
                told=job.told,
                objects=tuple(str(path.relative_to(out)) for path in written),
                verdicts=verdicts,
            )
        if not jobs:
            reasons = dict.fromkeys(reason for *_, reason in verdicts if reason)
            failed = study.state is StudyState.FAILED
            yield StudyOutcome(
                study_uid=uid,
                model="-",
                outcome="failed" if failed else "not eligible",
                told=study.cause or "; ".join(reasons) or "no routing rule applies",
                objects=(),
                verdicts=verdicts,
            )


def clear(out: Path) -> None:
    """Make an empty output folder; refuses to touch one that holds something else."""
    if out.is_dir() and any(out.iterdir()) and not (out / "summary.json").exists():
        raise FileExistsError(str(out))
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
