"""What a job may be given of work that was done before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from node.ledger.jobs import JobRow
from node.pipeline.analysis import AnalysisResult, AnalysisTask


class Supply(Protocol):
    """Images that were decoded before, volumes that others loaded: `node.pipeline.volumes`."""

    def provide(self, job: JobRow, task: AnalysisTask, stopped: Callable[[], bool]) -> AnalysisTask:
        """The task with what there is for it; may wait, and not once `stopped` says True."""
        ...

    def count(self, result: AnalysisResult) -> None:
        """Told of each result."""
        ...


class NoSupply:
    """Every task reads and decodes for itself."""

    def provide(self, _job: JobRow, task: AnalysisTask, _: Callable[[], bool]) -> AnalysisTask:
        """The task as it is."""
        return task

    def count(self, result: AnalysisResult) -> None:
        """Nothing to count."""
