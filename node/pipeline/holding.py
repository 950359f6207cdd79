"""A model into the workers: on the best provider that reproduces its golden case there.

What has never been proved on this computer as it is now is tried in a process of its own first,
so that it cannot disturb the models that serve, and so that an engine is built once. Where none
serves, and none is to be built, the workers try it themselves.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any, Protocol

import structlog

from inference.engine import EngineOptions
from inference.gpus import of_one_kind
from inference.providers import Choice, Probe, asked_in_vain, choose, probe
from node.domain.errors import ModelError, NodeError, WorkerError
from node.pipeline.resident import ModelProof, ModelSetup, let_go, open_model, prove_model

log = structlog.get_logger(__name__)

SURVEY_LIMIT_S = 60.0
SURVEY_MEMORY_MB = 2048
#: A first TensorRT build of a 3-D network takes minutes.
BUILD_LIMIT_S = 3600.0
#: Of the size of its weights, what opening a network may take beyond the memory of a job.
WEIGHT_FACTOR = 4
MEGABYTE = 1_000_000

#: A top-level function of one argument, as it is sent to a worker.
Call = Callable[[Any], Any]


class Pool(Protocol):
    """`inference.worker.WorkerPool`, or anything that keeps its promises."""

    on_lost: Callable[[str, NodeError], None]
    on_again: Callable[[str, Any], None]

    def run(self, function: Call, argument: object, *, time_limit_s: float, memory_mb: int) -> Any:  # noqa: ANN401
        """In one worker."""
        ...

    def keep(
        self, name: str, function: Call, argument: object, *, time_limit_s: float, memory_mb: int
    ) -> tuple[Any, ...]:
        """In every worker, and again in each that replaces one."""
        ...

    def each(
        self, function: Call, argument: object, *, time_limit_s: float, memory_mb: int
    ) -> tuple[Any, ...]:
        """Once in every worker."""
        ...

    def drop(self, name: str, function: Call, argument: object) -> None:
        """End what is kept."""
        ...


#: A pool of one process for each GPU, for what is tried; it ends with the block.
Trial = Callable[[], AbstractContextManager[Pool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingSettings:
    """How models are held.

    Attributes:
        engine: how networks are run. resident_mb: as in `ModelSetup`. gpus: that are named.
        load_limit_s: opening and proving a model takes longer only when it hangs.
    """

    engine: EngineOptions = field(default_factory=EngineOptions)
    resident_mb: int | None = None
    load_limit_s: float = 300.0
    gpus: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A model that every worker holds now.

    Attributes:
        waiting: engines that would serve it better, and have to be built first.
    """

    setup: ModelSetup
    proof: ModelProof
    waiting: tuple[Choice, ...] = ()


class Holder:
    """Puts models into the workers and takes them out.

    `barred` is a dict of the caller, label of a choice -> why it failed here; it is added to.
    """

    def __init__(self, workers: Pool, trial: Trial, settings: HoldingSettings) -> None:
        self._workers = workers
        self._trial = trial
        self._settings = settings
        self._serving: set[str] = set()
        self.stopping: Callable[[], bool] = lambda: False

    def survey(self) -> Probe:
        """Look at the computer, in new processes: a library is loaded only once in each.

        Raises:
            ModelError: its GPUs are not of one kind. WorkerError: nothing could be seen.
        """
        with self._trial() as pool:
            seen: tuple[Probe, ...] = pool.each(
                look, None, time_limit_s=SURVEY_LIMIT_S, memory_mb=SURVEY_MEMORY_MB
            )
        found = of_one_kind(self._settings.gpus, seen)
        for word, why in asked_in_vain(self._settings.engine.providers, found).items():
            log.warning("provider.absent", provider=word, cause=why)
        return found

    def hold(
        self, base: ModelSetup, barred: dict[str, str], found: Probe, *, is_proved: bool
    ) -> Held:
        """Load a model into every worker; raises NodeError when nothing that is left works."""
        while True:
            choices = self._choices(base, barred, found)
            # Where nothing else can serve meanwhile, the engine is built first.
            builds = not all(any(not one.is_to_be_built for one in each) for each in choices)
            limit_s = BUILD_LIMIT_S if builds else self._settings.load_limit_s
            try:
                if not is_proved and (builds or self._serving - {base.name}):
                    tried = self._try(self._setup(base, barred, builds=builds), limit_s)
                    barred |= tried.passed_over
                    base = replace(base, speeds=tried.speeds)
                setup = self._setup(base, barred, builds=builds)
                proof = self._keep(setup, limit_s)
                if proof.passed_over.keys() - barred.keys():
                    # What a worker passed over, one that replaces it need not try again.
                    barred |= proof.passed_over
                    base, is_proved = replace(base, speeds=proof.speeds), True
                    continue
            except WorkerError as error:
                label = _first(choices)
                if self.stopping() or any(
                    {one.label for one in each} == {label} for each in choices
                ):
                    raise
                # A provider can end its process; the next one may not.
                log.warning("provider.failed", model=base.name, provider=label, cause=str(error))
                barred[label] = str(error)
                continue
            self._serving.add(base.name)
            waiting = self.waiting(base, barred, found)
            return Held(setup=setup, proof=proof, waiting=waiting)

    def is_left(self, base: ModelSetup, barred: Mapping[str, str], found: Probe) -> bool:
        """Is there a provider for each network beside those that are barred?"""
        try:
            self._choices(base, barred, found)
        except ModelError:
            return False
        return True

    def waiting(self, base: ModelSetup, barred: dict[str, str], found: Probe) -> tuple[Choice, ...]:
        """Engines that would serve better than what is there, and have to be built."""
        choices = self._choices(base, barred, found)
        return tuple(
            one for each in choices for one in takewhile(lambda one: one.is_to_be_built, each)
        )

    def build(self, base: ModelSetup, barred: dict[str, str], found: Probe) -> Held:
        """Build the engines that wait, in a process of their own, prove them, and swap them in.

        Raises:
            NodeError: it did not work; what waited is barred then.
        """
        labels = {one.label for one in self.waiting(base, barred, found)}
        try:
            built = self._try(self._setup(base, barred, builds=True), BUILD_LIMIT_S)
            barred |= built.passed_over
            setup = self._setup(replace(base, speeds=built.speeds), barred, builds=False)
            held = Held(setup=setup, proof=self._keep(setup, self._settings.load_limit_s))
            _forget_strangers(self._choices(base, {}, found))
            return held
        except NodeError as error:
            if not self.stopping():
                barred |= dict.fromkeys(labels, str(error))
            raise

    def prove(self, setup: ModelSetup) -> ModelProof:
        """The golden case once more, in every worker; raises NodeError."""
        return _slowest(
            self._workers.each(
                prove_model,
                setup,
                time_limit_s=self._settings.load_limit_s,
                memory_mb=memory_to_open_mb(setup),
            )
        )

    def let_go(self, name: str) -> None:
        """Take a model out of every worker; waits for none."""
        self._serving.discard(name)
        self._workers.drop(name, let_go, name)

    def _try(self, setup: ModelSetup, limit_s: float) -> ModelProof:
        with self._trial() as pool:
            proof: ModelProof = pool.run(
                open_model, setup, time_limit_s=limit_s, memory_mb=memory_to_open_mb(setup)
            )
            return proof

    def _keep(self, setup: ModelSetup, limit_s: float) -> ModelProof:
        memory_mb = memory_to_open_mb(setup)
        return _slowest(
            self._workers.keep(
                setup.name, open_model, setup, time_limit_s=limit_s, memory_mb=memory_mb
            )
        )

    def _setup(self, base: ModelSetup, barred: dict[str, str], *, builds: bool) -> ModelSetup:
        engine = replace(self._settings.engine, barred=frozenset(barred), builds=builds)
        return replace(base, engine=engine, resident_mb=self._settings.resident_mb)

    def _choices(
        self, base: ModelSetup, barred: Mapping[str, str], found: Probe
    ) -> list[tuple[Choice, ...]]:
        """For each network, what it may run on; raises ModelError when nothing is left."""
        engine = self._settings.engine
        return [
            choose(engine.providers, found, spec, engine.cache_folder, barred)
            for spec in base.manifest.networks
        ]


def look(_: object) -> Probe:
    """What this computer has, seen from a new process."""
    return probe()


def memory_to_open_mb(setup: ModelSetup) -> int:
    """What opening and proving a model may take."""
    files = [spec.path for spec in setup.manifest.networks]
    # A file that is not there is told by name when it is opened.
    weights = sum(path.stat().st_size for path in files if path.is_file())
    return setup.manifest.job_memory_mb + WEIGHT_FACTOR * weights // MEGABYTE


def _forget_strangers(choices: Sequence[Sequence[Choice]]) -> None:
    """Delete engines of these networks that were made for other software, shapes or a GPU."""
    ours = {one.engines for each in choices for one in each if one.engines is not None}
    for folder in {one.parent for one in ours if one.parent.is_dir()}:
        for other in folder.iterdir():
            if other.is_dir() and other not in ours and not other.name.startswith("building-"):
                shutil.rmtree(other, ignore_errors=True)
                log.info("engine.deleted", engine=other.name)


def _first(choices: Sequence[Sequence[Choice]]) -> str:
    """Label of what was used, or built, first."""
    every = [one for each in choices for one in each]
    return next((one for one in every if not one.is_to_be_built), every[0]).label


def _slowest(proofs: tuple[ModelProof, ...]) -> ModelProof:
    """Of all workers, with what any of them passed over."""
    passed_over = {label: why for proof in proofs for label, why in proof.passed_over.items()}
    return replace(max(proofs, key=lambda proof: proof.seconds), passed_over=passed_over)
