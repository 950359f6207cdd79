"""A model goes to the best provider that proves it here; what fails is barred, and told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from inference.engine import EngineOptions
from inference.providers import Choice, Probe
from models.manifest import ModelManifest
from node.domain.errors import GoldenMismatch, ModelError, NodeError, WorkerError
from node.pipeline.holding import BUILD_LIMIT_S, Held, Holder, HoldingSettings
from node.pipeline.resident import ModelSetup
from tests.inference.specs import manifest, network_spec
from tests.node.pipeline.pools import CPU_ONLY, WORKSTATION, FakePool


@dataclass
class Bench:
    """A holder over fakes."""

    pool: FakePool
    holder: Holder
    base: ModelSetup
    barred: dict[str, str] = field(default_factory=dict)

    def hold(self, *, is_proved: bool = False) -> Held:
        return self.holder.hold(self.base, self.barred, self.pool.found, is_proved=is_proved)

    @property
    def places(self) -> list[tuple[str, str]]:
        return [(where, label) for where, label, _, _ in self.pool.calls]


def bench(
    folder: Path,
    judge: Callable[[ModelSetup, Choice], None] = lambda _setup, _choice: None,
    *,
    found: Probe = WORKSTATION,
    providers: tuple[str, ...] = ("tensorrt", "cuda", "cpu"),
    **spec: Any,
) -> Bench:
    pool = FakePool(judge, found)

    @contextmanager
    def trial() -> Iterator[FakePool]:
        yield pool

    engine = EngineOptions(providers=providers, cache_folder=folder)
    holder = Holder(pool, trial, HoldingSettings(engine=engine, load_limit_s=60))
    return Bench(pool, holder, ModelSetup(manifest=manifest(network_spec(**spec))))


def fails_on(*labels: str, error: type[NodeError] = GoldenMismatch) -> Any:
    def judge(_setup: ModelSetup, choice: Choice) -> None:
        if choice.label in labels:
            raise error(f"other numbers on {choice.label}")

    return judge


def test_what_was_never_proved_here_is_tried_in_a_process_of_its_own_first(tmp_path: Path) -> None:
    held = bench(tmp_path, found=CPU_ONLY)
    held.hold()
    # Nothing serves that could be disturbed: loaded once.
    assert held.places == [("workers", "cpu")]
    held.pool.calls.clear()
    held.base = replace(held.base, manifest=_called("other", held.base.manifest))
    held.hold()
    assert held.places == [("trial", "cpu"), ("workers", "cpu")]
    # The workers need not measure what the trial has measured.
    assert held.pool.setups[-1].speeds == {("flat", "CPUExecutionProvider"): 9.0}
    known = bench(tmp_path, found=CPU_ONLY)
    known.hold(is_proved=True)
    assert known.places == [("workers", "cpu")]


def _called(name: str, package: ModelManifest) -> ModelManifest:
    return replace(package, identity=replace(package.identity, name=name))


def test_what_one_worker_passed_over_is_no_choice_of_the_one_that_replaces_it(
    tmp_path: Path,
) -> None:
    run = bench(tmp_path, fails_on("cuda"), providers=("cuda", "cpu"))
    held = run.hold()
    assert held.setup.engine.barred == {"cuda"} == run.barred.keys()
    assert held.proof.providers == ("CPUExecutionProvider",)


def test_another_provider_serves_while_the_engine_is_built_and_is_replaced_by_it(
    tmp_path: Path,
) -> None:
    run = bench(tmp_path)
    held = run.hold()
    assert held.proof.providers == ("CUDAExecutionProvider",)
    assert [one.label for one in held.waiting] == ["tensorrt"]
    assert all(not builds and limit == 60 for _, _, builds, limit in run.pool.calls)
    run.pool.calls.clear()
    built = run.holder.build(run.base, run.barred, run.pool.found)
    assert built.proof.providers == ("TensorrtExecutionProvider",)
    assert run.pool.calls[0] == ("trial", "tensorrt", True, BUILD_LIMIT_S)
    assert run.places == [("trial", "tensorrt"), ("workers", "tensorrt")]
    assert run.hold(is_proved=True).waiting == ()
    assert run.barred == {}


def test_an_engine_that_gives_other_numbers_is_barred_and_the_gpu_goes_on_without_it(
    tmp_path: Path,
) -> None:
    run = bench(tmp_path, fails_on("tensorrt"))
    run.hold()
    built = run.holder.build(run.base, run.barred, run.pool.found)
    assert built.proof.providers == ("CUDAExecutionProvider",)
    assert run.barred == {"tensorrt": "other numbers on tensorrt"}
    assert run.hold().waiting == ()


def test_a_build_that_dies_bars_what_waited(tmp_path: Path) -> None:
    run = bench(tmp_path, fails_on("tensorrt", error=WorkerError))
    run.hold()
    with pytest.raises(WorkerError):
        run.holder.build(run.base, run.barred, run.pool.found)
    assert set(run.barred) == {"tensorrt"}
    assert run.hold().proof.providers == ("CUDAExecutionProvider",)


def test_half_precision_is_tried_only_where_the_package_allows_it_and_has_its_own_gate(
    tmp_path: Path,
) -> None:
    tolerance = {
        "TensorrtExecutionProvider": 0.01,
        "TensorrtExecutionProvider/fp16": 0.05,
        "CPUExecutionProvider": 0.001,
    }
    allowed: dict[str, Any] = {"precisions": ("fp16", "fp32"), "tolerance": tolerance}
    run = bench(tmp_path / "a", providers=("tensorrt", "cpu"), **allowed)
    assert [one.label for one in run.hold().waiting] == ["tensorrt/fp16", "tensorrt"]
    run.holder.build(run.base, run.barred, run.pool.found)
    assert ("trial", "tensorrt/fp16") in run.places
    worse = bench(
        tmp_path / "b", fails_on("tensorrt/fp16"), providers=("tensorrt", "cpu"), **allowed
    )
    worse.hold()
    built = worse.holder.build(worse.base, worse.barred, worse.pool.found)
    assert built.proof.labels == {"flat": "tensorrt"}
    plain = bench(tmp_path / "c", providers=("tensorrt", "cpu"), tolerance=tolerance)
    assert [one.label for one in plain.hold().waiting] == ["tensorrt"]


def test_a_provider_that_ends_the_process_is_barred_and_the_next_one_serves(
    tmp_path: Path,
) -> None:
    run = bench(tmp_path, fails_on("cuda", error=WorkerError), providers=("cuda", "cpu"))
    held = run.hold()
    assert held.proof.providers == ("CPUExecutionProvider",)
    assert set(run.barred) == {"cuda"}


def test_nothing_left_is_a_fault_of_the_model(tmp_path: Path) -> None:
    everywhere = bench(tmp_path, fails_on("cuda", "cpu"), providers=("cuda", "cpu"))
    with pytest.raises(GoldenMismatch, match="other numbers on cpu"):
        everywhere.hold()
    dying = bench(tmp_path, fails_on("cpu", error=WorkerError), providers=("cpu",))
    with pytest.raises(WorkerError):
        dying.hold()


def test_where_only_the_engine_can_serve_it_is_built_first(tmp_path: Path) -> None:
    run = bench(tmp_path, providers=("tensorrt",))
    held = run.hold()
    assert held.waiting == ()
    assert run.pool.calls[0] == ("trial", "tensorrt", True, BUILD_LIMIT_S)


def test_a_network_without_a_tolerance_for_a_provider_is_not_run_there(tmp_path: Path) -> None:
    run = bench(tmp_path, providers=("cuda", "cpu"), tolerance={"CPUExecutionProvider": 0.001})
    assert run.hold().proof.providers == ("CPUExecutionProvider",)
    none = bench(tmp_path, providers=("cuda",), tolerance={"CPUExecutionProvider": 0.001})
    with pytest.raises(ModelError, match="no tolerance for CUDAExecutionProvider"):
        none.hold()


def test_engines_for_other_software_are_deleted_when_their_successor_serves(
    tmp_path: Path,
) -> None:
    run = bench(tmp_path)
    run.hold()
    run.holder.build(run.base, run.barred, run.pool.found)
    (first,) = (path for path in (tmp_path).glob("*/*") if path.is_dir())
    run.pool.found = replace(WORKSTATION, cuda="13010")
    assert [one.label for one in run.hold().waiting] == ["tensorrt"]
    assert first.is_dir()
    run.holder.build(run.base, run.barred, run.pool.found)
    assert not first.exists()
    assert len([path for path in tmp_path.glob("*/*") if path.is_dir()]) == 1
