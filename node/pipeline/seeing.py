"""Anatomy for a model that builds on it: seen once for each series of a study, whoever asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial

from inference.nameless_file import NamelessFile
from inference.shared_anatomy import see_shared
from node.domain.analysis import AnalysisRequest
from node.domain.anatomy import Anatomy
from node.domain.study import StackID
from node.pipeline.resident import ModelSetup, residents, seer_of

Timed = Callable[[str], AbstractContextManager[None]]


class Sight:
    """What the anatomy package sees for one job.

    Attributes:
        runs: how often it ran here. reused: series that another job had seen.
    """

    def __init__(self, setup: ModelSetup | None, files: Mapping[StackID, NamelessFile]) -> None:
        """
        Args:
            setup: the package; None where the model does not build on it.
            files: of stacks, where what it sees is kept for all jobs of the study.
        """
        self.runs = self.reused = 0
        self._setup = setup
        self._files = files
        self._seen: dict[StackID, Anatomy] = {}

    def offered(self, request: AnalysisRequest, timed: Timed) -> AnalysisRequest:
        """The request with the anatomy of its series to call for, where the model may."""
        if self._setup is None:
            return request
        return replace(request, anatomy=partial(self._anatomy, self._setup, request, timed))

    def _anatomy(self, setup: ModelSetup, request: AnalysisRequest, timed: Timed) -> Anatomy:
        """Of the series; from another job where one saw it.

        Raises:
            ModelError: the package cannot be used.
        """
        uid = request.series.stack_id
        if uid not in self._seen:
            self._seen[uid] = self._see(setup, request, timed)
        return self._seen[uid]

    def _see(self, setup: ModelSetup, request: AnalysisRequest, timed: Timed) -> Anatomy:
        def compute() -> Anatomy:
            self.runs += 1
            with timed("anatomy"):
                model = residents.get(setup)
                return seer_of(setup.manifest)(
                    replace(
                        request,
                        model=setup.manifest.identity,
                        networks=model.networks,
                        thresholds=setup.manifest.thresholds,
                        companions={},
                    )
                )

        file = self._files.get(request.series.stack_id)
        if file is not None:
            # The node lets go of it when the study is over: then it is computed anew.
            with suppress(OSError):
                seen = see_shared(file, compute)
                self.reused += seen.was_shared
                return seen.anatomy
        return compute()
