"""Normalisations that sum in stages lose less than ONNX Runtime's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not here: exact normalisations are NOT tested")
pytest.importorskip("onnx", reason="onnx is not here: exact normalisations are NOT tested")

import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from models.importers.framework.exact_norms import with_exact_norms


def _graph(path: Path, spatial: int, opset: int, channels: int = 4) -> None:
    rng = np.random.default_rng(1)
    dims = ["batch", channels, *["n"] * spatial]
    constants = [
        numpy_helper.from_array(rng.normal(1, 0.3, channels).astype(np.float32), "scale"),
        numpy_helper.from_array(rng.normal(0, 0.3, channels).astype(np.float32), "bias"),
    ]
    node = helper.make_node(
        "InstanceNormalization", ["image", "scale", "bias"], ["out"], epsilon=1e-5
    )
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, dims)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.save(model, str(path))


def _run(path: Path, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    output: np.ndarray = session.run(None, {"image": image})[0]
    return output


@pytest.mark.parametrize(("spatial", "side"), [(3, 72), (2, 600)])
@pytest.mark.parametrize("opset", [17, 20])
def test_staged_sums_are_closer_to_double_precision(
    tmp_path: Path, spatial: int, side: int, opset: int
) -> None:
    _graph(tmp_path / "net.onnx", spatial, opset)
    assert with_exact_norms(tmp_path / "net.onnx", tmp_path / "exact.onnx") == 1
    rng = np.random.default_rng(2)
    # Air around tissue: a mean far from 0, as in the first layer of a CT network.
    image = rng.normal(8.0, 1.0, (2, 4, *(side,) * spatial)).astype(np.float32)
    model = onnx.load(str(tmp_path / "net.onnx"))
    scale, bias = (numpy_helper.to_array(tensor).copy() for tensor in model.graph.initializer)
    truth = torch.nn.functional.instance_norm(
        torch.from_numpy(image.astype(np.float64)),
        weight=torch.from_numpy(scale.astype(np.float64)),
        bias=torch.from_numpy(bias.astype(np.float64)),
        eps=1e-5,
    ).numpy()
    own = np.abs(_run(tmp_path / "net.onnx", image) - truth).max()
    staged = np.abs(_run(tmp_path / "exact.onnx", image) - truth).max()
    assert staged < 1e-5
    assert staged < own / 3


def test_graph_without_normalisation_stays_as_it_is(tmp_path: Path) -> None:
    node = helper.make_node("Relu", ["image"], ["out"])
    info = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1, 4, 4])
        for name in ("image", "out")
    ]
    graph = helper.make_graph([node], "g", info[:1], info[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.save(model, str(tmp_path / "net.onnx"))
    assert with_exact_norms(tmp_path / "net.onnx", tmp_path / "exact.onnx") == 0
    assert onnx.load(str(tmp_path / "exact.onnx")).graph.node[0].op_type == "Relu"
