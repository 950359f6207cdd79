"""A network that a Triton server runs is the same network, checked as any other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from inference.backends.base import TritonSettings
from inference.engine import EngineOptions, LoadedNetwork, open_network
from inference.providers import probe
from node.domain.errors import ModelError, WorkerError
from tests.inference.specs import FOLDER, network_spec, tensor

pytest.importorskip("tritonclient.grpc", reason="the extra 'triton' is not installed here")

from tests.inference.triton_double import TritonDouble

REPOSITORY = {"package_flat": FOLDER / "flat.onnx", "heads": FOLDER / "two_heads.onnx"}


@pytest.fixture
def server() -> Iterator[TritonDouble]:
    with TritonDouble(REPOSITORY) as running:
        yield running


def options(server: TritonDouble, **changes: Any) -> EngineOptions:
    settings = TritonSettings(url=server.url, connect_timeout_s=5, **changes)
    return EngineOptions(providers=("triton",), triton=settings)


def opened(server: TritonDouble, **changes: Any) -> LoadedNetwork:
    return open_network(network_spec(), options(server, **changes), "package")


def image(number: int) -> Any:
    return np.random.default_rng(5).random((number, 1, 16, 16), np.float32)


def test_it_gives_what_the_runtime_here_gives(server: TritonDouble) -> None:
    network = opened(server)
    assert network.provider == "Triton"
    here = open_network(network_spec(), EngineOptions())
    np.testing.assert_allclose(network.run(image(6)), here.run(image(6)), rtol=1e-5)
    assert server.rows == [4, 2]
    np.testing.assert_allclose(
        network.run_windows(image(1)[0]), here.run_windows(image(1)[0]), rtol=1e-5
    )


def test_several_inputs_and_outputs_keep_their_types(server: TritonDouble) -> None:
    mask = tensor("mask", "body")
    half = tensor("half", "a")
    spec = network_spec(
        "two_heads",
        inputs=(tensor("image", "CT"), replace(mask, dtype="uint8")),
        outputs=(tensor("logits", "a"), replace(half, stride=(2, 2))),
    )
    network = open_network(spec, options(server, models={"p/two_heads": "heads"}), "p")
    weights = np.full((2, 1, 16, 16), 3, np.uint8)
    found = network.run({"image": image(2), "mask": weights})
    np.testing.assert_allclose(found["logits"], 3 * image(2), rtol=1e-6)
    assert found["half"].shape == (2, 1, 8, 8)


def test_batches_are_cut_to_what_the_server_takes() -> None:
    with TritonDouble(REPOSITORY, largest_batch=3) as server:
        assert opened(server).run(image(4)).shape == (4, 2, 16, 16)
        assert server.rows == [3, 1]


def test_a_model_that_the_server_lacks_is_named_with_the_remedy(server: TritonDouble) -> None:
    with pytest.raises(ModelError, match="no model 'other_flat' that is ready"):
        open_network(network_spec(), options(server), "other")


def test_tensors_that_contradict_the_manifest_are_refused(server: TritonDouble) -> None:
    with pytest.raises(ModelError, match="its manifest says"):
        open_network(network_spec(patch=(8, 8)), options(server), "package")


def test_an_answer_that_is_no_number_or_of_another_shape_is_refused(server: TritonDouble) -> None:
    network = opened(server)
    server.disturb = lambda array: array * np.float32("nan")
    with pytest.raises(ModelError, match="no numbers"):
        network.run(image(1))
    server.disturb = lambda array: array[:, :1]
    with pytest.raises(ModelError, match="where its manifest says"):
        network.run(image(1))


def test_a_server_that_is_slow_or_away_is_a_failure_to_try_again_and_not_a_bad_model() -> None:
    with TritonDouble(REPOSITORY) as server:
        network = opened(server, time_limit_s=0.2)
        server.delay_s = 1.0
        with pytest.raises(WorkerError, match=r"package_flat.* does not answer"):
            network.run(image(1))
    with pytest.raises(WorkerError, match="does not answer"):
        network.run(image(1))
    with pytest.raises(ModelError, match="does not answer"):
        opened(server)


def test_the_next_provider_takes_a_network_while_the_server_is_away() -> None:
    settings = TritonSettings(url="127.0.0.1:9", connect_timeout_s=1)
    both = EngineOptions(providers=("triton", "cpu"), triton=settings)
    network = open_network(network_spec(), both, "package")
    assert network.provider == "CPUExecutionProvider"
    assert "does not answer" in network.passed_over["triton"]


def test_the_client_counts_as_software_of_this_computer() -> None:
    assert "triton" in probe().packages
