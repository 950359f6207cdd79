"""A pool that opens nothing: a test says what each provider does to a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from inference.golden import NetworkProof
from inference.providers import Choice, Probe, choose
from node.domain.errors import ModelError, NodeError
from node.pipeline.holding import look
from node.pipeline.resident import ModelProof, ModelSetup, let_go, open_model, prove_model

WORKSTATION = Probe(
    compiled=("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
    runtime="1.31.1",
    tensorrt="101400",
    cuda="13000",
    gpu="X sm90",
)
CPU_ONLY = Probe(compiled=("CPUExecutionProvider",))


@dataclass
class FakePool:
    """Opens nothing: asks `judge` what happens to a model on its first choice."""

    judge: Callable[[ModelSetup, Choice], None]
    found: Probe
    calls: list[tuple[str, str, bool, float]] = field(default_factory=list)
    setups: list[ModelSetup] = field(default_factory=list)
    prove_fault: NodeError | None = None
    #: What is seen on further GPUs.
    also: tuple[Probe, ...] = ()
    looks: int = 0
    dropped: list[str] = field(default_factory=list)
    on_lost: Callable[[str, NodeError], None] = lambda _name, _error: None
    on_again: Callable[[str, Any], None] = lambda _name, _result: None

    def run(self, function: Any, argument: Any, *, time_limit_s: float, memory_mb: int) -> Any:
        return self._open("trial", argument, time_limit_s)

    def keep(
        self, name: str, function: Any, argument: Any, *, time_limit_s: float, memory_mb: int
    ) -> tuple[Any, ...]:
        assert function is open_model
        self.setups.append(argument)
        return (self._open("workers", argument, time_limit_s),)

    def each(
        self, function: Any, argument: Any, *, time_limit_s: float, memory_mb: int
    ) -> tuple[Any, ...]:
        if function is look:
            self.looks += 1
            return (self.found, *self.also)
        assert function is prove_model
        return (self._prove(argument, time_limit_s),)

    def drop(self, name: str, function: Any, argument: Any) -> None:
        assert function is let_go
        self.dropped.append(name)

    def _prove(self, setup: ModelSetup, limit_s: float) -> ModelProof:
        """As `prove_model`: on what it was opened on, and on nothing else."""
        spec, engine = setup.manifest.networks[0], setup.engine
        choices = choose(engine.providers, self.found, spec, engine.cache_folder, engine.barred)
        if self.prove_fault is not None:
            raise self.prove_fault
        ready = [one for one in choices if engine.builds or not one.is_to_be_built]
        try:
            self.judge(setup, ready[0])
        except ModelError as error:
            error.provider = ready[0].label
            raise
        return self._open("proof", setup, limit_s)

    def _open(self, where: str, setup: ModelSetup, limit_s: float) -> ModelProof:
        """As `open_model`: down the choices until the golden case is reproduced."""
        engine, passed = setup.engine, {}
        spec = setup.manifest.networks[0]
        while True:
            choices = choose(engine.providers, self.found, spec, engine.cache_folder, engine.barred)
            if not engine.builds:
                choices = tuple(one for one in choices if not one.is_to_be_built)
            choice = choices[0]
            self.calls.append((where, choice.label, engine.builds, limit_s))
            try:
                self.judge(setup, choice)
            except ModelError as error:
                if len(choices) == 1:
                    told = [f"before that {label}: {why}" for label, why in passed.items()]
                    raise type(error)("; ".join([str(error), *told])) from None
                passed[choice.label] = str(error)
                engine = replace(engine, barred=engine.barred | {choice.label})
                continue
            if choice.engines is not None:
                choice.engines.mkdir(parents=True, exist_ok=True)
            proof = NetworkProof(
                network=spec.name, provider=choice.name, seconds=0.1, windows_per_s=9.0
            )
            return ModelProof(
                networks=(proof,),
                labels={spec.name: choice.label},
                passed_over=passed,
                has_golden=False,
                seconds=1.0,
                resident_mb=10,
            )
