"""Where jobs run, which models they may use there, and what each may take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from models.manifest import ModelManifest
from node.pipeline.resident import ModelSetup
from node.pipeline.routing import ModelRoute


class Workers(Protocol):
    """Where jobs run: `inference.worker.WorkerPool`, or anything that keeps its promises."""

    def run(
        self,
        function: Callable[[Any], Any],
        argument: object,
        *,
        time_limit_s: float,
        memory_mb: int,
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """Run in a worker; WorkerError when it dies, hangs or grows too large."""
        ...


class Models(Protocol):
    """Which models can be used: `node.pipeline.roster.Roster`."""

    def waiting(self) -> tuple[str, ...]:
        """Models whose analyses wait."""
        ...

    def refusal(self, name: str) -> str:
        """Why an analysis ends as failed without being tried; "" when it may run."""
        ...

    def setup_of(self, name: str) -> ModelSetup:
        """The model as the workers hold it; KeyError when it is not in use."""
        ...

    def succeeded(self, name: str) -> None:
        """An analysis came to an end."""
        ...

    def failed(self, name: str, cause: str) -> None:
        """An analysis failed by the fault of the model."""
        ...


class EveryModel:
    """All models of the routes, as they are, always in service."""

    def __init__(self, routes: Mapping[str, ModelRoute]) -> None:
        self._routes = routes

    def waiting(self) -> tuple[str, ...]:
        return ()

    def refusal(self, name: str) -> str:
        return ""

    def setup_of(self, name: str) -> ModelSetup:
        return ModelSetup(manifest=self._routes[name].manifest)

    def succeeded(self, name: str) -> None:
        """Nobody counts."""

    def failed(self, name: str, cause: str) -> None:
        """Nobody counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """What one analysis may take: seconds, and MB (10^6) beyond what the worker holds."""

    time_s: float
    memory_mb: int


def limits_of(manifest: ModelManifest) -> JobLimits:
    """As the package says."""
    return JobLimits(time_s=manifest.job_time_limit_s, memory_mb=manifest.job_memory_mb)


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterSettings:
    """How models are watched.

    Attributes:
        golden_every_s: between two proofs of a model that serves.
        failures: analyses that fail in a row before a model is taken out of service.
        wait_s: how long jobs wait for a model that is out of service, before they end as failed.
        device: socket of the process that holds the networks for all workers, where there is one.
    """

    golden_every_s: float = 86400.0
    failures: int = 3
    wait_s: float = 600.0
    device: Path | None = None
    clock: Callable[[], float] = time.time
