"""A roster of two models over a pool that opens nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inference.engine import EngineOptions
from inference.providers import Choice
from node.domain.serving import ModelState
from node.ledger import Ledger
from node.metrics import Metrics
from node.pipeline.holding import Holder, HoldingSettings
from node.pipeline.in_service import RosterSettings
from node.pipeline.resident import ModelSetup
from node.pipeline.roster import Roster
from tests.inference.specs import manifest, network_spec
from tests.node.pipeline.pools import CPU_ONLY, FakePool

Judge = Callable[[ModelSetup, Choice], None]


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    """A roster of two models over fakes; `faults` says which of them fails, and how."""

    roster: Roster
    pool: FakePool
    clock: Clock
    ledger: Ledger
    metrics: Metrics
    faults: dict[str, Exception]

    def steps(self, most: int = 20) -> None:
        while self.roster.step() and most:
            most -= 1

    def state(self, name: str) -> ModelState:
        return self.roster.states()[name][0]


def benches(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Opens rosters over one folder; closes their ledgers."""
    opened: list[Ledger] = []

    def make(**options: Any) -> Bench:
        clock = options.get("clock") or Clock()
        ledger = Ledger(tmp_path, clock=clock)
        opened.append(ledger)
        faults: dict[str, Exception] = {}

        def judge(setup: ModelSetup, choice: Choice) -> None:
            for key in (setup.name, f"{setup.name} on {choice.label}"):
                if key in faults:
                    raise faults[key]

        pool = FakePool(judge, options.get("found", CPU_ONLY))

        @contextmanager
        def trial() -> Iterator[FakePool]:
            yield pool

        engine = EngineOptions(providers=("tensorrt", "cuda", "cpu"), cache_folder=tmp_path / "e")
        holder = Holder(pool, trial, HoldingSettings(engine=engine, gpus=options.get("gpus", ())))
        metrics = Metrics()
        roster = Roster(
            holder,
            options.get("setups") or [setup_of("first"), setup_of("second")],
            RosterSettings(wait_s=600, failures=3, golden_every_s=86400, clock=clock),
            ledger.service,
            metrics,
        )
        return Bench(roster, pool, clock, ledger, metrics, faults)

    yield make
    for ledger in opened:
        ledger.close()


def setup_of(name: str, *uses: str) -> ModelSetup:
    package = manifest(network_spec())
    identity = replace(package.identity, name=name)
    return ModelSetup(manifest=replace(package, identity=identity, uses=uses))
