"""Cases of a folder of images, analysed now as `run FOLDER` does it: patient by patient.

Each patient's studies are received into a scratch store, analysed, read back and let go, so that
memory and disk hold one patient at a time, however many there are.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from config.schema import Appliance
from node.core import Core
from node.domain.errors import NodeError
from node.evaluation.cohort import Case, Outcome, Result, Wanted
from node.evaluation.contents import Contents, Listed, batches
from node.evaluation.from_ledger import case_of
from node.folder import scratch_core, take_in, work_off
from node.layout import lay_out

REPORT = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How a cohort is analysed.

    Attributes:
        keep: where the reports are kept, `keep/<model>/<study>/`; None keeps none.
    """

    appliance: Appliance
    models_folder: Path
    keep: Path | None = None


class ImageCohort:
    """Images in a folder."""

    def __init__(self, folder: Path, contents: Contents, running: Running) -> None:
        self._folder = folder
        self._contents = contents
        self._running = running
        self.told = f"the images in {folder}, analysed now"
        self.problems: list[str] = list(contents.problems)

    def count(self, wanted: Wanted | None) -> int:
        """How many cases there will be."""
        return sum(1 for _ in self._listed(wanted))

    def cases(self, wanted: Wanted | None) -> Iterator[Case]:
        """The wanted studies; a study that fails is a case that says so.

        Raises:
            ModelError: a model cannot be loaded.
        """
        if not self.count(wanted):
            return
        with scratch_core(
            _reporting(self._running), models_folder=self._running.models_folder
        ) as core:
            core.start_workers()
            core.roster.load_all()
            for batch in batches(self._listed(wanted)):
                yield from self._analysed(core, batch)

    def _listed(self, wanted: Wanted | None) -> Iterator[Listed]:
        for study in self._contents.studies.values():
            key = (study.study_uid, study.accession_number)
            if study.images and (wanted is None or key in wanted):
                yield study

    def _analysed(self, core: Core, batch: Sequence[Listed]) -> Iterator[Case]:
        paths = [Path(path) for path in chain.from_iterable(study.images for study in batch)]
        try:
            taken = take_in(core, ((path.relative_to(self._folder), path) for path in paths))
            self.problems += taken.problems
            work_off(core, lambda _: None)
        except NodeError as error:
            for study in batch:
                yield _failed(core, study, str(error))
            _forget(core, batch)
            return
        for study in batch:
            case = case_of(core.ledger, study.study_uid)
            if self._running.keep is not None:
                _keep(core, study.study_uid, self._running.keep)
            # By the header, as the truth table was matched: results may repeat another one.
            yield Case(
                study_uid=case.study_uid,
                accession_number=study.accession_number,
                patient=study.patient,
                results=case.results,
                missing=case.missing,
                ended=case.ended,
                images=case.images,
            )
        _forget(core, batch)


def _reporting(running: Running) -> Appliance:
    """With reports that are kept, a report also says why a study was not eligible."""
    if running.keep is None:
        return running.appliance
    models = {
        name: model.model_copy(update={"report_not_eligible": True})
        for name, model in running.appliance.models.items()
    }
    return running.appliance.model_copy(update={"models": models})


def _failed(core: Core, study: Listed, cause: str) -> Case:
    results: Mapping[str, Result] = {
        route.manifest.identity.name: Result(outcome=Outcome.FAILED, reason=cause)
        for route in core.routes
    }
    return Case(
        study_uid=study.study_uid,
        accession_number=study.accession_number,
        patient=study.patient,
        results=results,
    )


def _keep(core: Core, study_uid: str, folder: Path) -> None:
    for job in core.ledger.jobs.current(study_uid):
        objects = core.ledger.outbox.objects_of_job(job.key)
        lay_out([item.path for item in objects if item.kind == REPORT], folder / job.model)


def _forget(core: Core, batch: Sequence[Listed]) -> None:
    """Make room for the next patient."""
    for study in batch:
        for job in core.ledger.jobs.of_study(study.study_uid):
            shutil.rmtree(core.results_folder / job.key, ignore_errors=True)
        core.ledger.instances.remove_study(study.study_uid)
        core.ledger.facts.remove(study.study_uid)
    core.store.pool.release(core.ledger.instances.files_in_use)
