"""Anatomy for a model that builds on it: seen once for each series of a study, whoever asks."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

from inference.nameless_file import NamelessFile
from inference.shared_anatomy import see_shared
from models.manifest import ModelManifest
from node.domain.analysis import AnalysisRequest
from node.domain.anatomy import Anatomy
from node.domain.errors import ModelError, NodeError
from node.domain.imaging import Network
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
                try:
                    networks = residents.get(setup).networks
                    return anatomy_by(setup.manifest, networks, request)
                except ModelError as error:
                    error.package = setup.name
                    raise

        file = self._files.get(request.series.stack_id)
        if file is None:
            return compute()
        seen = see_shared(file, compute)
        self.reused += seen.was_shared
        return seen.anatomy


def anatomy_by(
    manifest: ModelManifest, networks: Mapping[str, Network], request: AnalysisRequest
) -> Anatomy:
    """What a package sees in the series that another one was asked to look at.

    Raises:
        ModelError: its code failed.
    """
    see = seer_of(manifest)
    own = replace(
        request,
        model=manifest.identity,
        networks=networks,
        thresholds=manifest.thresholds,
        companions={},
    )
    try:
        return see(own)
    except (MemoryError, NodeError):
        raise
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        name = manifest.identity.name
        raise ModelError(
            f"package {name} failed while it looked at the anatomy: {type(error).__name__} at "
            f"{name}/{Path(frame.filename).name}:{frame.lineno}; report this"
        ) from error
