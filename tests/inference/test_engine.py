"""A network is the file its manifest names, of the shapes it names, or it is not opened."""

from __future__ import annotations

import hashlib
import pickle
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from inference.backends.base import Opening, failure
from inference.backends.onnx_runtime import BACKEND, engine_building, session_options
from inference.engine import EngineOptions, open_network
from inference.providers import Choice
from models.manifest import NetworkSpec, Windows
from node.domain.errors import ModelError
from tests.inference.specs import FOLDER, network_spec, tensor

Array = NDArray[np.float32]


def raw(name: str, inputs: Array) -> Array:
    """What ONNX Runtime gives without us."""
    session = onnxruntime.InferenceSession(
        FOLDER / f"{name}.onnx", providers=["CPUExecutionProvider"]
    )
    output: Array = session.run(["logits"], {"image": inputs})[0]
    return output


def image_of(*shape: int) -> Array:
    return np.random.default_rng(11).random(size=shape, dtype=np.float32)


def opened(spec: NetworkSpec, **options: Any) -> Any:
    return open_network(spec, EngineOptions(**options))


@pytest.mark.parametrize(("name", "patch"), [("flat", (16, 16)), ("solid", (8, 8, 8))])
@pytest.mark.parametrize("count", [1, 4, 9])
def test_a_network_gives_what_the_runtime_gives_for_any_number_of_patches(
    name: str, patch: tuple[int, ...], count: int
) -> None:
    network = opened(network_spec(name))
    inputs = image_of(count, 1, *patch)
    np.testing.assert_allclose(network.run(inputs), raw(name, inputs), rtol=1e-5, atol=1e-5)
    assert network.name == name
    assert network.provider == "CPUExecutionProvider"


def test_windows_over_an_image_equal_the_whole_image_away_from_borders() -> None:
    network = opened(network_spec("free", windows=Windows(overlap=0.75, batch=4)))
    image = image_of(1, 40, 27)
    windowed = network.run_windows(image)
    whole = raw("free", image[None])[0]
    assert windowed.shape == whole.shape == (2, 40, 27)
    error = np.abs(windowed - whole)[:, 2:-2, 2:-2]
    assert np.median(error) < 0.02 * np.abs(whole).max()
    small = image[:, :5, :5]
    # Smaller than the patch: one window, padded with zeros as the convolution pads.
    np.testing.assert_allclose(
        network.run_windows(small), raw("free", small[None])[0], rtol=1e-4, atol=1e-4
    )


def test_slices_of_a_volume_go_through_a_flat_network_in_batches() -> None:
    network = opened(network_spec("flat", windows=Windows(batch=4)))
    slices = image_of(6, 1, 16, 16)
    np.testing.assert_allclose(network.run_stack(slices), raw("flat", slices), atol=1e-5)
    assert network.run_stack(image_of(3, 1, 12, 30)).shape == (3, 2, 12, 30)


def test_a_file_with_another_digest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="install the package again") as caught:
        opened(network_spec(sha256="0" * 64))
    assert "SHA-256" in str(caught.value)
    with pytest.raises(ModelError, match="No such file"):
        opened(network_spec(path=tmp_path / "absent.onnx"))


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a network")
    spec = network_spec(path=path, sha256=hashlib.sha256(b"not a network").hexdigest())
    with pytest.raises(ModelError, match="network flat is no ONNX file"):
        opened(spec)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"inputs": (tensor("ct", "CT"),)}, r"inputs \['image'\], its manifest says \['ct'\]"),
        (
            {"outputs": (tensor("mask", "a", "b"),)},
            r"outputs \['logits'\], its manifest says 'mask'",
        ),
        ({"patch": (16, 32)}, "input 'image' of network flat has shape"),
        ({"patch": (16, 16, 16)}, "has [34] axes, its manifest says"),
        ({"inputs": (tensor("image", "CT", "liver"),)}, "input 'image' of network flat has shape"),
        (
            {"outputs": (tensor("logits", "a", "b", "c"),)},
            "output 'logits' of network flat has shape",
        ),
    ],
)
def test_names_and_shapes_that_contradict_the_manifest_are_refused(
    changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ModelError, match=told):
        opened(network_spec(**changes))


def test_a_fixed_batch_and_double_precision_are_refused() -> None:
    with pytest.raises(ModelError, match="fixes its batch to 1"):
        opened(network_spec("fixed_batch"))
    with pytest.raises(ModelError, match=r"holds tensor\(double\)"):
        opened(network_spec("double"))


@pytest.mark.parametrize("shape", [(1, 2, 16, 16), (1, 1, 16, 15), (0, 1, 16, 16), (1, 16, 16)])
def test_an_input_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="network flat takes"):
        opened(network_spec()).run(np.zeros(shape, np.float32))


@pytest.mark.parametrize("shape", [(2, 16, 16), (1, 16, 16, 16)])
def test_an_image_of_other_channels_or_axes_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="network flat takes images of 1 channel"):
        opened(network_spec()).run_windows(np.zeros(shape, np.float32))


@pytest.mark.parametrize("value", [-1.0, 0.0])
def test_an_output_that_is_no_number_is_an_error_not_a_finding(value: float) -> None:
    network = opened(network_spec("logarithm"))
    patch = np.ones((2, 1, 16, 16), np.float32)
    assert np.all(network.run(patch) == 0)
    patch[1, 0, 3, 3] = value
    with pytest.raises(ModelError, match="no numbers"):
        network.run(patch)


def test_an_output_of_another_shape_than_the_manifest_says_is_an_error() -> None:
    network = opened(network_spec("free"))
    network._spec = replace(network._spec, outputs=(tensor("logits", "a", "b", "c"),))
    with pytest.raises(ModelError, match="where its manifest says"):
        network.run(np.zeros((1, 1, 16, 16), np.float32))


def test_a_provider_this_computer_lacks_is_passed_over(tmp_path: Path) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    order = ("tensorrt", "cuda", "cpu")
    network = opened(network_spec(), providers=order, threads=1, cache_folder=tmp_path)
    assert network.provider == "CPUExecutionProvider"
    with pytest.raises(ModelError, match=r"cuda: lib.* cannot be loaded"):
        opened(network_spec(), providers=("cuda",))


def test_a_provider_that_silently_does_not_load_is_not_believed() -> None:
    model = network_spec().path.read_bytes()
    choice = Choice(word="cuda", name="CUDAExecutionProvider")
    opening = Opening(spec=network_spec(), model=model, choice=choice, threads=1)
    with (
        pytest.warns(UserWarning, match="not in available"),
        pytest.raises(ModelError, match="CUDAExecutionProvider: did not load"),
    ):
        BACKEND.open(opening)


def building(folder: Path) -> AbstractContextManager[Choice]:
    return engine_building(
        Choice(word="x", name="x", options={"path": str(folder), "other": "1"}, engines=folder)
    )


def test_an_engine_appears_only_when_it_is_complete_and_is_then_reused(tmp_path: Path) -> None:
    folder = tmp_path / "model" / "engine"

    def die(choice: Choice) -> None:
        Path(choice.options["path"], "half").touch()
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"), building(folder) as choice:
        die(choice)
    with building(folder):
        assert not folder.exists()
    assert not folder.exists(), "a provider that built nothing leaves no engine behind"
    with building(folder) as choice:
        assert choice.options["path"] != str(folder)
        assert choice.options["other"] == "1"
        Path(choice.options["path"], "whole").touch()
        assert not folder.exists()
    assert [path.name for path in folder.iterdir()] == ["whole"]
    with building(folder) as choice:
        assert choice.options["path"] == str(folder)
    assert {path.name for path in folder.parent.iterdir()} == {"engine", "engine.lock"}


@pytest.mark.parametrize("threads", [1, 2, 64])
def test_threads_that_wait_leave_their_core_to_others(threads: int) -> None:
    options = session_options(threads)
    assert options.intra_op_num_threads == threads
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_a_lack_of_memory_is_told_as_such() -> None:
    with pytest.raises(MemoryError), nullcontext():
        raise failure("x", RuntimeError("std::bad_alloc"))
    assert isinstance(failure("x", RuntimeError("y")), ModelError)


def test_options_travel_to_a_worker() -> None:
    options = EngineOptions(providers=("cuda", "cpu"), threads=2, cache_folder=Path("engines"))
    assert pickle.loads(pickle.dumps(options)) == options
    assert EngineOptions() == EngineOptions(providers=("cpu",), threads=None, cache_folder=None)
