"""OpenVINO gives the numbers of ONNX Runtime, and reports to nobody."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.engine import EngineOptions, open_network
from node.domain.errors import ModelError
from tests.inference.specs import network_spec, tensor

pytest.importorskip("openvino", reason="the extra 'openvino' is not installed here")

from inference.backends import openvino_cpu

OPENVINO = EngineOptions(providers=("openvino", "cpu"), threads=1)


@pytest.mark.parametrize("name", ["flat", "solid", "free"])
@pytest.mark.parametrize("count", [1, 3, 9])
def test_it_gives_what_onnx_runtime_gives(name: str, count: int) -> None:
    spec = network_spec(name)
    network = open_network(spec, OPENVINO)
    assert network.provider == "OpenVINO"
    here = open_network(spec, EngineOptions())
    inputs = np.random.default_rng(2).random((count, 1, *spec.patch), np.float32)
    first, second = network.run(inputs), network.run(inputs)
    np.testing.assert_allclose(first, here.run(inputs), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(first, second)


def test_it_is_not_tied_to_cores_that_other_workers_are_tied_to_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[Any] = []
    real = openvino_cpu.OpenVinoSession

    def kept(model: Any, *rest: Any) -> Any:
        compiled.append(model)
        return real(model, *rest)

    monkeypatch.setattr(openvino_cpu, "OpenVinoSession", kept)
    open_network(network_spec(), OPENVINO)
    assert compiled[0].get_property("ENABLE_CPU_PINNING") is False


def test_an_output_is_not_written_over_by_the_next_call() -> None:
    network = open_network(network_spec(), OPENVINO)
    ones = np.ones((1, 1, 16, 16), np.float32)
    first = network.run(ones)
    kept = first.copy()
    network.run(5 * ones)
    np.testing.assert_array_equal(first, kept)


def test_several_tensors_and_bags() -> None:
    spec = network_spec(
        "two_heads",
        inputs=(tensor("image", "CT"), replace(tensor("mask", "body"), dtype="uint8")),
        outputs=(tensor("logits", "a"), replace(tensor("half", "a"), stride=(2, 2))),
    )
    network = open_network(spec, OPENVINO)
    assert network.provider == "OpenVINO"
    inputs = {
        "image": np.random.default_rng(2).random((5, 1, 16, 16), np.float32),
        "mask": np.full((5, 1, 16, 16), 2, np.uint8),
    }
    found = network.run(inputs)
    np.testing.assert_allclose(found["logits"], 2 * inputs["image"], rtol=1e-6)
    assert found["half"].shape == (5, 1, 8, 8)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"patch": (16, 32)}, "its manifest says"),
        ({"outputs": (tensor("mask", "a"),)}, "has the outputs"),
    ],
)
def test_what_contradicts_the_manifest_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        open_network(network_spec(**changes), OPENVINO)


def test_without_a_tolerance_for_it_the_next_provider_runs_the_network() -> None:
    spec = network_spec(tolerance={"CPUExecutionProvider": 0.001})
    assert open_network(spec, OPENVINO).provider == "CPUExecutionProvider"


def test_its_telemetry_is_never_loaded() -> None:
    program = (
        "import sys, inference.backends.openvino_cpu\n"
        "print([name for name, module in sys.modules.items()\n"
        "       if name.startswith('openvino_telemetry') and module is not None])\n"
    )
    checkout = Path(__file__).parents[2]
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=checkout
    )
    assert told.stdout.strip() == "[]"
