"""What a job gets of work that was done before: decoded images, and a volume for all models.

Models of one study that look at the same series load it once: the first to come loads it into
memory that belongs to this process, the others map it (`inference.shared_volume`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from inference.nameless_file import NamelessFile
from inference.shared_volume import may_be_fractions, room_for
from node.domain.study import StackID, series_of
from node.ledger import Ledger
from node.ledger.jobs import JobRow
from node.metrics import Metrics
from node.pipeline.analysis import AnalysisResult, AnalysisTask
from node.pipeline.decoding import Decoding
from node.pipeline.inputs import series_digests

log = structlog.get_logger(__name__)

#: Longest wait for images that are being decoded: after it they are decoded once more.
DECODING_WAIT_S = 120.0
#: Labels of one series, compressed.
ANATOMY_BYTES = 2_000_000


class Voxels(Protocol):
    """How large the series are, as far as it is known."""

    def voxels_of(self, study_uid: str, candidates: Sequence[StackID]) -> int:
        """Of the largest candidate; 0 when nothing is known."""
        ...


@dataclass(slots=True)
class _Shared:
    """Memory of the volumes and anatomies of one study.

    Attributes:
        files: of volumes, by stack and digest of its images. anatomies: the same, and by digest
            of the package that sees them.
    """

    files: dict[tuple[StackID, str], int] = field(default_factory=dict)
    anatomies: dict[tuple[StackID, str, str], int] = field(default_factory=dict)
    bytes: int = 0


class Volumes:
    """Gives each task its volumes. Thread-safe."""

    def __init__(
        self, ledger: Ledger, decoding: Decoding, sizes: Voxels, metrics: Metrics, limit_bytes: int
    ) -> None:
        """Nothing is held yet.

        Args:
            limit_bytes: of shared volumes at a time; 0 shares none.
        """
        self._ledger = ledger
        self._metrics = metrics
        self._decoding = decoding
        self._sizes = sizes
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._studies: dict[str, _Shared] = {}

    @property
    def held_bytes(self) -> int:
        """What the shared volumes may take."""
        with self._lock:
            return sum(shared.bytes for shared in self._studies.values())

    def provide(self, job: JobRow, task: AnalysisTask, stopped: Callable[[], bool]) -> AnalysisTask:
        """The task with what there is for it; waits for images that are being decoded."""
        wanted = {series_of(uid) for uid in job.candidates}
        self._decoding.ask(row for row in task.study.instances if row.series_uid in wanted)
        self._decoding.finished(job.study_uid, DECODING_WAIT_S, stopped)
        shared, anatomies = self._shared(job, task)
        return replace(
            task,
            decoded=self._decoding.frames(job.study_uid),
            shared=shared,
            anatomies=anatomies,
        )

    def count(self, result: AnalysisResult) -> None:
        """Show how often a volume was read, and how often another model had read it."""
        self._metrics.volume_loads.labels("read").inc(result.loads)
        self._metrics.volume_loads.labels("shared").inc(result.shared)
        self._metrics.anatomy_runs.inc(result.anatomy_runs)
        self._metrics.anatomy_reused.inc(result.anatomy_reused)

    def sweep(self) -> None:
        """Let go the volumes of studies whose jobs have all ended."""
        with self._lock:
            known = tuple(self._studies)
        for study_uid in known:
            if not self._ledger.jobs.open_count(study_uid):
                with self._lock:
                    self._let_go(study_uid)

    def stop(self) -> None:
        """Let everything go."""
        with self._lock:
            for study_uid in tuple(self._studies):
                self._let_go(study_uid)

    def _shared(
        self, job: JobRow, task: AnalysisTask
    ) -> tuple[dict[StackID, NamelessFile], dict[StackID, NamelessFile]]:
        """Where the volumes of the candidates are kept for all jobs, and their anatomies."""
        digests = series_digests(task.study.instances)
        keys = [(uid, digests.get(series_of(uid), "")) for uid in job.candidates]
        loose = {
            row.series_uid for row in task.study.instances if may_be_fractions(row.sop_class_uid)
        }
        alone = self._ledger.jobs.open_count(job.study_uid) < 2
        with self._lock:
            held = self._studies.get(job.study_uid)
            if held is None:
                if alone or not self._limit:
                    return {}, {}
                held = self._studies[job.study_uid] = _Shared()
            for key in keys:
                self._add(held, job.study_uid, key, fractions=series_of(key[0]) in loose)
            shared = {key[0]: NamelessFile.of(held.files[key]) for key in keys if key in held.files}
            return shared, self._anatomies(held, keys, task)

    def _anatomies(
        self, held: _Shared, keys: Sequence[tuple[StackID, str]], task: AnalysisTask
    ) -> dict[StackID, NamelessFile]:
        if task.anatomy is None:
            return {}
        found: dict[StackID, NamelessFile] = {}
        for uid, digest in keys:
            key = (uid, digest, task.anatomy.manifest.identity.digest)
            if key not in held.anatomies:
                taken = sum(shared.bytes for shared in self._studies.values())
                if taken + ANATOMY_BYTES > self._limit:
                    continue
                try:
                    held.anatomies[key] = os.memfd_create("vigie-anatomy", os.MFD_CLOEXEC)
                except OSError as error:
                    log.warning("anatomy.not_shared", cause=error.strerror)
                    return found
                held.bytes += ANATOMY_BYTES
            found[uid] = NamelessFile.of(held.anatomies[key])
        return found

    def _add(
        self, held: _Shared, study_uid: str, key: tuple[StackID, str], *, fractions: bool
    ) -> None:
        if key in held.files:
            return
        size = room_for(self._sizes.voxels_of(study_uid, key[:1]), fractions=fractions)
        taken = sum(shared.bytes for shared in self._studies.values())
        if not size or taken + size > self._limit:
            return
        try:
            held.files[key] = os.memfd_create("vigie-volume", os.MFD_CLOEXEC)
        except OSError as error:
            log.warning("volume.not_shared", cause=error.strerror)
            return
        held.bytes += size

    def _let_go(self, study_uid: str) -> None:
        held = self._studies.pop(study_uid, None)
        if held is not None:
            for descriptor in (*held.files.values(), *held.anatomies.values()):
                os.close(descriptor)
