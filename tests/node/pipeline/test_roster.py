"""Each model has a state of its own, and finds its way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.domain.errors import GoldenMismatch, ModelError, WorkerError
from node.domain.serving import ModelState
from node.pipeline.roster import PATIENCE_S
from node.pipeline.survey import SURVEY_S, UNFIT_SURVEY_S
from tests.node.pipeline.pools import CPU_ONLY, WORKSTATION
from tests.node.pipeline.rosters import Bench, benches, setup_of


@pytest.fixture
def open_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    yield from benches(tmp_path)


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


def test_gpus_of_several_kinds_keep_every_model_out_with_that_cause(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench(found=WORKSTATION, gpus=(0, 1))
    run.pool.also = (replace(WORKSTATION, gpu="Y sm89"),)
    with pytest.raises(ModelError, match="GPU 0: X sm90; GPU 1: Y sm89"):
        run.roster.step()
    assert run.roster.out().keys() == {"first", "second"}
    assert "workers.gpus" in run.roster.out()["first"]
    # It stays told, and the computer is not looked at again at each step.
    with pytest.raises(ModelError, match=r"workers\.gpus"):
        run.roster.step()
    assert run.pool.looks == 1
    run.clock.now += UNFIT_SURVEY_S + 1
    run.pool.also = (WORKSTATION,)
    run.roster.step()
    assert run.pool.looks == 2
    run.ledger.service.ask("first")
    run.steps()
    assert run.state("first") is ModelState.BUILDING


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


def test_models_that_are_no_longer_in_use_are_forgotten(open_bench: Callable[..., Bench]) -> None:
    run = open_bench()
    run.steps()
    run.ledger.service.keep_only(["second"])
    assert [row.model for row in run.ledger.service.every()] == ["second"]
    assert not run.ledger.service.ask("first")


def test_a_model_waits_and_leaves_service_with_the_one_that_it_builds_on(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench(setups=[setup_of("second", "first"), setup_of("first"), setup_of("other")])
    assert run.roster.step()
    assert run.state("second") is ModelState.READY
    assert set(run.roster.waiting()) == {"first", "second", "other"}
    run.steps()
    assert run.roster.waiting() == ()
    returned: list[str] = []
    run.roster.on_return = returned.append
    run.faults["first"] = GoldenMismatch("other numbers")
    run.clock.now += 86400
    run.steps()
    assert set(run.roster.waiting()) == {"first", "second"}
    assert run.roster.refusal("second") == (
        "the model is out of service: it builds on first: other numbers"
    )
    assert run.roster.refusal("other") == ""
    assert run.state("second") is ModelState.READY
    run.faults.clear()
    run.ledger.service.ask("first")
    run.steps()
    assert run.roster.waiting() == ()
    assert {"first", "second"} <= set(returned)


def test_a_model_that_builds_on_a_package_that_cannot_be_read_says_so(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench(setups=[setup_of("second", "first")])
    run.roster.refuse("first", "model.yaml: line 3: there is no such word")
    run.steps()
    assert run.roster.refusal("second").startswith(
        "the model is out of service: it builds on first: model.yaml: line 3"
    )


def test_a_model_whose_proofs_always_end_with_their_process_is_taken_out(
    open_bench: Callable[..., Bench],
) -> None:
    run = open_bench()
    run.steps()
    run.pool.prove_fault = WorkerError("the worker running prove_model was killed by SIGKILL")
    for day in range(3):
        assert "first" not in run.roster.out(), day
        run.clock.now += 86400
        run.steps()
    assert "killed by SIGKILL" in run.roster.out()["first"]
