"""On which provider a model serves, what becomes of one that fails, and who is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.domain.errors import GoldenMismatch, ModelError, WorkerError
from node.domain.serving import ModelState
from node.pipeline.resident import open_model
from node.troubles import troubles_of
from tests.node.pipeline.pools import WORKSTATION
from tests.node.pipeline.rosters import Bench, benches
from tests.node.test_troubles import core


@pytest.fixture
def open_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    yield from benches(tmp_path)


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
