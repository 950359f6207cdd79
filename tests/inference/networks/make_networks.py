"""Makes the tiny networks of the engine tests; needs `onnx`, which serving does not.

python tests/inference/networks/make_networks.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(__file__).parent
OPSET = 18


def convolution(axes: int, classes: int, kernel: int) -> tuple[Any, Any]:
    """A node `image` -> `logits` with seeded weights, same size; and the weights."""
    generator = np.random.default_rng(axes)
    weights = generator.normal(size=(classes, 1, *[kernel] * axes)).astype(np.float32)
    half = kernel // 2
    node = helper.make_node("Conv", ["image", "w"], ["logits"], pads=[half] * (2 * axes))
    return node, numpy_helper.from_array(weights, "w")


def save(
    name: str, nodes: list[Any], tensors: dict[str, list[Any]], kind: int, *weights: Any
) -> None:
    """Write NAME.onnx with the input `image` and the output `logits`."""
    (image, logits) = (
        helper.make_tensor_value_info(key, kind, shape) for key, shape in tensors.items()
    )
    graph = helper.make_graph(nodes, name, [image], [logits], list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model)
    (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString())


def shapes(batch: str | int, classes: int, *patch: int | str) -> dict[str, list[Any]]:
    """Of input and output."""
    return {"image": [batch, 1, *patch], "logits": [batch, classes, *patch]}


flat, flat_weights = convolution(2, 2, 5)
solid, solid_weights = convolution(3, 3, 3)
save("flat", [flat], shapes("batch", 2, 16, 16), TensorProto.FLOAT, flat_weights)
save("solid", [solid], shapes("batch", 3, 8, 8, 8), TensorProto.FLOAT, solid_weights)
save("free", [flat], shapes("batch", 2, "h", "w"), TensorProto.FLOAT, flat_weights)
save("fixed_batch", [flat], shapes(1, 2, 16, 16), TensorProto.FLOAT, flat_weights)
logarithm = helper.make_node("Log", ["image"], ["logits"])
save("logarithm", [logarithm], shapes("batch", 1, 16, 16), TensorProto.FLOAT)
save("double", [logarithm], shapes("batch", 1, 16, 16), TensorProto.DOUBLE)
