"""Each model has a state of its own, and finds its way back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from inference.engine import EngineOptions
from inference.providers import Choice
from node.domain.errors import GoldenMismatch, ModelError, WorkerError
from node.domain.serving import ModelState
from node.ledger import Ledger
from node.metrics import Metrics
from node.pipeline.holding import Holder, HoldingSettings
from node.pipeline.resident import ModelSetup, open_model
from node.pipeline.roster import PATIENCE_S, SURVEY_S, Roster, RosterSettings
from node.troubles import troubles_of
from tests.inference.specs import manifest, network_spec
from tests.node.pipeline.pools import CPU_ONLY, WORKSTATION, FakePool
from tests.node.test_troubles import core

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


@pytest.fixture
def open_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
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
        holder = Holder(pool, trial, HoldingSettings(engine=engine))
        metrics = Metrics()
        roster = Roster(
            holder,
            [setup_of("first"), setup_of("second")],
            RosterSettings(wait_s=600, failures=3, golden_every_s=86400, clock=clock),
            ledger.service,
            metrics,
        )
        return Bench(roster, pool, clock, ledger, metrics, faults)

    yield make
    for ledger in opened:
        ledger.close()


def setup_of(name: str) -> ModelSetup:
    package = manifest(network_spec())
    return ModelSetup(manifest=replace(package, identity=replace(package.identity, name=name)))


def test_models_are_ready_one_by_one_and_the_node_when_all_were_tried(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench()
    assert run.roster.unready() == "loading: first, second"
    assert run.roster.waiting() == ("first", "second")
    assert run.roster.step()
    assert run.state("first") is ModelState.READY
    assert run.roster.unready() == "loading: second"
    assert run.roster.waiting() == ("second",)
    run.steps()
    assert run.roster.unready() == ""
    text = run.metrics.text().decode()
    assert 'vigie_model_state{model="first",state="ready"} 1.0' in text
    assert 'vigie_model_state{model="first",state="loading"} 0.0' in text
    assert 'provider="CPUExecutionProvider"' in text


def test_a_bad_model_is_out_with_its_cause_and_the_other_serves(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench()
    run.faults["first"] = ModelError("its weights were changed")
    run.steps()
    assert run.roster.out() == {"first": "its weights were changed"}
    assert run.state("second") is ModelState.READY
    assert run.roster.unready() == ""
    assert run.pool.dropped == ["first"]
    row = run.ledger.service.get("first")
    assert row is not None
    assert (row.state, row.cause) == (ModelState.QUARANTINED, "its weights were changed")


def test_with_no_model_left_the_node_is_not_ready_and_says_why(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench()
    run.faults |= {"first": ModelError("a"), "second": ModelError("b")}
    run.steps()
    assert run.roster.unready() == "no model can be used: first: a; second: b"


def test_jobs_wait_for_a_while_and_then_end_with_the_cause(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench()
    run.faults["first"] = ModelError("gone")
    run.steps()
    assert run.roster.waiting() == ("first",)
    run.clock.now += 601
    assert run.roster.waiting() == ()
    assert run.roster.refusal("first") == "the model is out of service: gone"
    assert run.roster.refusal("second") == ""


def test_failures_in_a_row_take_a_model_out_and_a_good_analysis_between_them_does_not(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench()
    run.steps()
    for _ in range(2):
        run.roster.failed("first", "it hung")
    run.roster.succeeded("first")
    for _ in range(2):
        run.roster.failed("first", "it hung")
    assert run.state("first") is ModelState.READY
    run.roster.failed("first", "it hung")
    assert "3 analyses in a row failed, the last one: it hung" in run.roster.out()["first"]


def test_a_model_comes_back_when_somebody_asks_and_it_proves_itself(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench()
    run.faults["first"] = GoldenMismatch("other numbers")
    run.steps()
    assert run.ledger.service.ask("first")
    run.steps()
    assert run.roster.out() == {"first": "other numbers"}
    del run.faults["first"]
    run.pool.calls.clear()
    run.ledger.service.ask("first")
    run.steps()
    assert run.state("first") is ModelState.READY
    assert [where for where, *_ in run.pool.calls] == ["trial", "workers"]


def test_golden_cases_are_run_again_daily_in_an_idle_moment(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench()
    run.steps()
    run.pool.calls.clear()
    run.clock.now += 86000
    run.steps()
    assert run.pool.calls == []
    run.roster.is_idle = lambda: False
    run.clock.now += 500
    run.steps()
    assert run.pool.calls == []
    run.roster.is_idle = lambda: True
    run.steps()
    assert [where for where, *_ in run.pool.calls] == ["proof", "proof"]
    run.roster.is_idle = lambda: False
    run.clock.now += 86400 + PATIENCE_S
    run.faults["second"] = GoldenMismatch("other numbers since the night")
    run.steps()
    assert run.roster.out() == {"second": "other numbers since the night"}
    row = run.ledger.service.get("first")
    assert row is not None
    assert row.proved_at == run.clock.now


def test_what_was_proved_here_is_not_tried_again_at_the_next_start_unless_something_changed(
    open_bench: Callable[..., Bench],
) -> None:
    first = open_bench()
    first.faults["second"] = ModelError("gone")
    first.steps()
    again = open_bench(clock=first.clock)
    again.steps()
    assert [where for where, *_ in again.pool.calls] == ["workers", "trial", "workers"]
    newer = replace(CPU_ONLY, runtime="1.33.0")
    other = open_bench(clock=first.clock, found=newer)
    other.steps()
    assert [where for where, *_ in other.pool.calls] == ["workers", "trial", "workers"]


def test_another_driver_is_noticed_while_serving_and_everything_is_proved_anew(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench(found=WORKSTATION)
    run.faults |= {"first on tensorrt": GoldenMismatch("x"), "second": ModelError("no kernel")}
    run.steps()
    run.roster.build()
    run.steps()
    row = run.ledger.service.get("first")
    assert row is not None
    assert dict(row.barred) == {"tensorrt": "x"}
    assert "second" in run.roster.out()
    run.faults.clear()
    run.pool.found = replace(WORKSTATION, cuda="13010")
    run.clock.now += SURVEY_S + 1
    run.steps()
    assert run.roster.out() == {}
    assert {run.state("first"), run.state("second")} == {ModelState.BUILDING}


def moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def test_a_provider_that_gives_other_numbers_one_night_is_left_for_the_next_with_an_alert(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench(found=WORKSTATION)
    run.steps()
    run.roster.build()
    run.roster.build()
    assert run.roster.fallen_back() == {}
    run.faults["first on tensorrt"] = GoldenMismatch("network flat on TensorRT differs; mend it")
    proved = run.clock.now
    run.clock.now += 86400
    run.pool.calls.clear()
    while run.state("first") is not ModelState.LOADING:
        assert run.roster.step()
    assert run.roster.waiting() == ("first",)  # no analysis on numbers that are wrong
    assert run.roster.out() == {}
    run.steps()
    assert run.state("first") is ModelState.READY
    assert run.roster.out() == {}
    assert run.roster.setup_of("first").engine.barred == {"tensorrt"}
    assert ("workers", "cuda") in [(where, label) for where, label, *_ in run.pool.calls]
    told = "it runs on cuda, because tensorrt failed: network flat on TensorRT differs"
    told += (
        f"; its results between {moment(proved)} and {moment(proved + 86400)} came from tensorrt "
        "and may be wrong: look at them, and `rerun` those studies"
    )
    assert run.roster.fallen_back() == {"first": told}
    found = troubles_of(core(), run.roster.out, run.roster.fallen_back)
    assert found["provider_failed", "first"].startswith(told)
    assert "models golden first" in found["provider_failed", "first"]
    row = run.ledger.service.get("first")
    assert row is not None
    assert row.proof["networks"][0]["provider"] == "CUDAExecutionProvider"
    # The way back.
    run.faults.clear()
    run.ledger.service.ask("first")
    run.steps()
    run.roster.build()
    assert run.roster.fallen_back() == {}


def test_a_model_leaves_service_only_when_no_provider_agrees_and_then_every_one_is_told(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench(found=WORKSTATION)
    run.steps()
    run.roster.build()
    for label in ("tensorrt", "cuda", "cpu"):
        run.faults[f"first on {label}"] = GoldenMismatch(f"other numbers on {label}")
    run.clock.now += 86400
    run.steps()
    cause = run.roster.out()["first"]
    for label in ("tensorrt", "cuda", "cpu"):
        assert f"other numbers on {label}" in cause
    assert run.roster.fallen_back() == {}
    assert run.state("second").serves


def test_a_package_that_was_changed_does_not_wander_from_provider_to_provider(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench(found=WORKSTATION)
    run.steps()
    run.pool.prove_fault = ModelError("package first was changed while the node runs")
    run.clock.now += 86400
    assert run.roster.step()
    assert "was changed" in next(iter(run.roster.out().values()))


def test_a_provider_that_fails_when_a_model_is_loaded_is_told_as_well(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench(found=WORKSTATION)
    run.faults |= {f"first on {label}": GoldenMismatch("x") for label in ("tensorrt", "cuda")}
    run.steps()
    while run.roster.build():
        pass
    assert run.roster.fallen_back()["first"].startswith("it runs on cpu, because")


def test_a_model_serves_while_its_engine_is_built_and_is_ready_with_it(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench(found=WORKSTATION)
    run.steps()
    assert run.state("first") is ModelState.BUILDING
    assert run.roster.waiting() == ()
    assert run.roster.unready() == ""
    assert not run.roster.setup_of("first").engine.builds
    shown: list[str] = []
    keep = run.pool.judge
    run.pool.judge = lambda setup, choice: (
        shown.append(run.metrics.text().decode()),
        keep(setup, choice),
    )[1]
    assert run.roster.build()
    assert run.state("first") is ModelState.READY
    assert 'vigie_engines{model="first",state="waiting"} 1.0' in shown[0]
    assert 'vigie_engine_build_seconds{model="first"}' in shown[0]
    assert "vigie_engines{" not in run.metrics.text().decode()
    row = run.ledger.service.get("first")
    assert row is not None
    assert row.proof["networks"][0]["provider"] == "TensorrtExecutionProvider"


def test_a_model_that_a_replaced_worker_could_not_load_proves_itself_or_is_taken_out(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench()
    run.steps()
    run.pool.calls.clear()
    run.roster.lost("first", WorkerError("it took too long"))
    run.steps()
    assert run.state("first") is ModelState.READY
    assert [where for where, *_ in run.pool.calls] == ["trial", "workers"]
    run.faults["first"] = WorkerError("killed by SIGSEGV")
    run.roster.lost("first", WorkerError("killed by SIGSEGV"))
    run.steps()
    assert run.roster.out()["first"].startswith("killed by SIGSEGV; install the package again")


def test_a_replaced_worker_that_fell_back_brings_all_to_one_provider_and_is_told(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench(found=WORKSTATION)
    run.steps()
    while run.roster.build():
        pass
    assert run.roster.fallen_back() == {}
    proof = run.pool.keep(
        "first", open_model, run.roster.setup_of("first"), time_limit_s=1, memory_mb=1
    )[0]
    run.roster.held_again("first", proof)
    assert run.state("first") is ModelState.READY
    assert not run.roster.step()
    run.faults |= {f"first on {label}": ModelError("no memory") for label in ("tensorrt", "cuda")}
    run.roster.held_again("first", replace(proof, passed_over={"cuda": "no memory"}))
    run.steps()
    while run.roster.build():
        pass
    assert run.state("first") is ModelState.READY
    assert "cuda failed: no memory" in run.roster.fallen_back()["first"]


def test_a_proof_whose_process_died_bars_no_provider(open_bench: Callable[..., Bench]) -> None:
    run = open_bench(found=WORKSTATION)
    run.steps()
    while run.roster.build():
        pass
    labels = run.roster.setup_of("first").engine.barred
    run.pool.prove_fault = WorkerError("the worker running prove_model was killed by SIGKILL")
    run.clock.now += 86400
    assert run.roster.step()
    assert run.state("first") is ModelState.LOADING
    run.pool.prove_fault = None
    run.steps()
    while run.roster.build():
        pass
    assert run.state("first") is ModelState.READY
    assert run.roster.fallen_back() == {}
    assert run.roster.setup_of("first").engine.barred == labels


def test_results_in_doubt_are_told_again_after_a_restart(open_bench: Callable[..., Bench]) -> None:
    run = open_bench(found=WORKSTATION)
    run.steps()
    while run.roster.build():
        pass
    run.faults["first on tensorrt"] = GoldenMismatch("other numbers")
    run.clock.now += 86400
    run.steps()
    assert "may be wrong" in run.roster.fallen_back()["first"]
    run.ledger.close()
    again = open_bench(found=WORKSTATION, clock=run.clock)
    again.steps()
    while again.roster.build():
        pass
    assert "may be wrong" in again.roster.fallen_back()["first"]


def test_models_that_are_no_longer_in_use_are_forgotten(open_bench: Callable[..., Bench]) -> None:
    run = open_bench()
    run.steps()
    run.ledger.service.keep_only(["second"])
    assert [row.model for row in run.ledger.service.every()] == ["second"]
    assert not run.ledger.service.ask("first")
