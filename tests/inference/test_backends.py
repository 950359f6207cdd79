"""Optional runtimes are imported only where they are configured, and missed with the remedy."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from inference.backends import onnx_runtime
from inference.backends.base import Opening, failure
from inference.backends.onnx_runtime import BACKEND, OnnxSession, _Bound
from inference.backends.registry import backend_of
from inference.engine import EngineOptions, open_network
from inference.providers import Choice, Probe, choose
from models.manifest import Axes
from node.domain.errors import ModelError
from tests.inference.specs import FOLDER, network_spec, tensor

CHECKOUT = Path(__file__).parents[2]


def test_no_optional_runtime_is_imported_unless_it_is_configured() -> None:
    program = (
        "import sys\n"
        "from inference.engine import EngineOptions, open_network\n"
        "from tests.inference.specs import network_spec\n"
        "open_network(network_spec(), EngineOptions(providers=('tensorrt', 'cuda', 'cpu')))\n"
        "print([m for m in ('openvino', 'tritonclient', 'grpc', 'torch') if m in sys.modules])\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=CHECKOUT
    )
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("word", "package"), [("openvino", "openvino"), ("triton", "tritonclient")]
)
def test_a_runtime_that_is_configured_and_absent_is_told_with_the_remedy(
    word: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Probe(compiled=("CPUExecutionProvider",))
    with pytest.raises(ModelError, match=rf"{package} is not installed: pip install '{package}"):
        choose((word,), bare, network_spec(), None)
    assert [one.word for one in choose((word, "cpu"), bare, network_spec(), None)] == ["cpu"]
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.grpc", None)
    for name in ("inference.backends.openvino_cpu", "inference.backends.triton_server"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ModelError, match=rf"pip install '{package}"):
        backend_of(word)


def test_inputs_keep_their_place_on_a_device_and_the_numbers_are_the_same() -> None:
    """As on a GPU, with the processor in its place."""
    session = onnxruntime.InferenceSession(FOLDER / "flat.onnx", providers=["CPUExecutionProvider"])
    bound, plain = _Bound(session, "cpu"), OnnxSession(session, "CPUExecutionProvider")
    chance = np.random.default_rng(8)
    for number in (4, 4, 1, 4):
        feeds = {"image": chance.random((number, 1, 16, 16), np.float32)}
        (found,) = bound.run(feeds, ["logits"])
        np.testing.assert_array_equal(found, plain.run(feeds, ["logits"])[0])
    assert len(bound._buffers) == 2


def test_a_gpu_session_binds_and_a_processor_session_does_not() -> None:
    session = onnxruntime.InferenceSession(FOLDER / "flat.onnx", providers=["CPUExecutionProvider"])
    for name in ("CUDAExecutionProvider", "TensorrtExecutionProvider"):
        bound = OnnxSession(session, name)._bound
        assert bound is not None
        assert bound._device == "cuda"
    assert OnnxSession(session, "CPUExecutionProvider")._bound is None


def test_an_engine_is_built_by_a_first_call_before_it_is_moved_into_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    class Session:
        """As ONNX Runtime's, but TensorRT loads, and writes its engine at the first run."""

        def __init__(self, _model: bytes, _options: Any, offered: Any, **_: Any) -> None:
            self.offered = offered

        def get_providers(self) -> list[str]:
            return [name for name, _ in self.offered]

        def get_inputs(self) -> list[Any]:
            return []

        get_outputs = get_inputs

    def run(_self: OnnxSession, feeds: Any, wanted: Any) -> tuple[Any, ...]:
        folder = Path(session_of(_self).offered[0][1]["trt_engine_cache_path"])
        seen.append((feeds["image"].shape, folder))
        (folder / "engine").touch()
        return ()

    def session_of(opened: OnnxSession) -> Session:
        session: Session = opened._session
        return session

    monkeypatch.setattr(onnx_runtime.onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(OnnxSession, "run", run)
    found = Probe(compiled=("TensorrtExecutionProvider", "CPUExecutionProvider"), gpu="X sm90")
    spec = network_spec()
    first, *rest = choose(("tensorrt", "cpu"), found, spec, tmp_path)
    assert first.is_to_be_built
    opening = Opening(spec=spec, model=b"", choice=first, rest=tuple(rest), threads=1)
    opened = BACKEND.open(opening)
    assert opened.provider == "TensorrtExecutionProvider"
    ((shape, folder),) = seen
    assert shape == (4, 1, 16, 16)
    assert folder != first.engines
    assert not first.is_to_be_built
    assert first.engines is not None
    assert [path.name for path in first.engines.iterdir()] == ["engine"]


def test_a_lowered_precision_is_told_with_the_provider() -> None:
    choice = Choice(word="tensorrt", name="TensorrtExecutionProvider", precision="fp16")
    assert choice.label == "tensorrt/fp16"
    assert choice.tolerance_key == "TensorrtExecutionProvider/fp16"


def test_several_tensors_of_several_types_go_in_and_out_by_name() -> None:
    spec = network_spec(
        "two_heads",
        inputs=(tensor("image", "CT"), replace(tensor("mask", "body"), dtype="uint8")),
        outputs=(tensor("logits", "a"), replace(tensor("half", "a"), stride=(2, 2))),
    )
    network = open_network(spec, EngineOptions())
    image = np.random.default_rng(1).random((6, 1, 16, 16), np.float32)
    found = network.run({"image": image, "mask": np.full((6, 1, 16, 16), 2.0)})
    np.testing.assert_allclose(found["logits"], 2 * image, rtol=1e-6)
    assert found["half"].shape == (6, 1, 8, 8)
    with pytest.raises(ModelError, match=r"takes \['image', 'mask'\], got \['image'\]"):
        network.run({"image": image})
    with pytest.raises(ModelError, match="takes"):
        network.run({"image": image, "mask": np.zeros((5, 1, 16, 16), np.uint8)})
    wrong = replace(spec, inputs=(tensor("image", "CT"), tensor("mask", "body")))
    with pytest.raises(ModelError, match="'mask' of network two_heads holds uint8"):
        open_network(wrong, EngineOptions())


def test_a_bag_of_any_number_of_items() -> None:
    spec = network_spec(
        "bag",
        inputs=(replace(tensor("items", *"abcd"), axes=Axes.BAG),),
        outputs=(replace(tensor("score", *"abcd"), axes=Axes.VECTOR),),
        patch=(),
        spacing_mm=(),
    )
    network = open_network(spec, EngineOptions())
    for number in (1, 7):
        items = np.random.default_rng(1).random((2, number, 4), np.float32)
        np.testing.assert_allclose(network.run(items), items.mean(axis=1), rtol=1e-5)


def test_a_failure_is_told_in_the_words_that_say_what() -> None:
    told = "Exception from src/core.cpp:105:\nCheck 'x' failed at y.cpp:4:\nno such operator\n"
    assert str(failure("OpenVINO", RuntimeError(told))) == "OpenVINO: no such operator"


def test_a_file_in_the_runtimes_own_format_is_not_loaded_past_the_inspection(
    tmp_path: Path,
) -> None:
    made = tmp_path / "net.ort"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(made)
    options.add_session_config_entry("session.save_model_format", "ORT")
    cpu = ["CPUExecutionProvider"]
    onnxruntime.InferenceSession(str(FOLDER / "flat.onnx"), options, providers=cpu)
    content = made.read_bytes()
    assert onnxruntime.InferenceSession(content, providers=cpu).get_inputs()
    with pytest.raises(onnx_runtime.ORT_ERRORS):
        onnxruntime.InferenceSession(content, onnx_runtime.session_options(1), providers=cpu)
