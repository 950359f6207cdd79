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


def write(name: str, graph: Any, *domains: str) -> None:
    """Write NAME.onnx without the checker: these are meant to be refused."""
    opsets = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(d, 1) for d in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString())


def values(name: str, kind: int, shape: list[Any]) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64
IMAGE = values("image", FLOAT, ["batch", 1, 16, 16])
ONE = values("logits", FLOAT, ["batch", 1, 16, 16])

# An operator of a set that no runtime brings, also where it hides inside a branch.
strange = helper.make_node("Teleport", ["image"], ["logits"], domain="evil.example")
write("strange_set", helper.make_graph([strange], "g", [IMAGE], [ONE]), "evil.example")
branch = helper.make_graph(
    [helper.make_node("Teleport", ["image"], ["inner"], domain="evil.example")],
    "b",
    [],
    [values("inner", FLOAT, ["batch", 1, 16, 16])],
)
plain = helper.make_graph(
    [helper.make_node("Identity", ["image"], ["same"])],
    "p",
    [],
    [values("same", FLOAT, ["batch", 1, 16, 16])],
)
choose = helper.make_node("If", ["no"], ["logits"], then_branch=branch, else_branch=plain)
no = helper.make_tensor("no", TensorProto.BOOL, [], [False])
write("strange_branch", helper.make_graph([choose], "g", [IMAGE], [ONE], [no]), "evil.example")
unknown = helper.make_node("Teleport", ["image"], ["logits"])
write("unknown_operator", helper.make_graph([unknown], "g", [IMAGE], [ONE]))

# Weights in another file: beside it, above it, anywhere.
for name, location in (
    ("weights_beside", "weights.bin"),
    ("weights_above", "../weights.bin"),
    ("weights_anywhere", "/etc/hostname"),
):
    elsewhere = TensorProto(name="w", data_type=FLOAT, dims=[1, 1, 1, 1])
    elsewhere.data_location = TensorProto.EXTERNAL
    entry = elsewhere.external_data.add()
    entry.key, entry.value = "location", location
    node = helper.make_node("Conv", ["image", "w"], ["logits"])
    write(name, helper.make_graph([node], "g", [IMAGE], [ONE], [elsewhere]))

# Square root of what is below zero.
minus = helper.make_tensor("minus", FLOAT, [], [-1.0])
write(
    "no_numbers",
    helper.make_graph(
        [
            helper.make_node("Abs", ["image"], ["above"]),
            helper.make_node("Sub", ["minus", "above"], ["below"]),
            helper.make_node("Sqrt", ["below"], ["logits"]),
        ],
        "g",
        [IMAGE],
        [ONE],
        [minus],
    ),
)

# It adds 0 to the image again and again: without end, or as long as the image says.
turn = helper.make_graph(
    [
        helper.make_node("Identity", ["go"], ["go_on"]),
        helper.make_node("Mul", ["held", "one"], ["next"]),
    ],
    "turn",
    [
        values("number", INT, []),
        values("go", TensorProto.BOOL, []),
        values("held", FLOAT, ["batch", 1, 16, 16]),
    ],
    [values("go_on", TensorProto.BOOL, []), values("next", FLOAT, ["batch", 1, 16, 16])],
)
one = helper.make_tensor("one", FLOAT, [], [1.0])
yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
often = helper.make_tensor("often", INT, [], [2**62])
loop = helper.make_node("Loop", ["often", "yes", "image"], ["logits"], body=turn)
write("endless", helper.make_graph([loop], "g", [IMAGE], [ONE], [one, yes, often]))
write(
    "endless_on_images",
    helper.make_graph(
        [
            helper.make_node("ReduceMax", ["image"], ["largest"], keepdims=0),
            helper.make_node("Mul", ["largest", "many"], ["times"]),
            helper.make_node("Cast", ["times"], ["often"], to=INT),
            loop,
        ],
        "g",
        [IMAGE],
        [ONE],
        [one, yes, helper.make_tensor("many", FLOAT, [], [1e12])],
    ),
)

# 40 GB of ones, of which one is used.
size = helper.make_tensor("size", INT, [2], [100_000, 100_000])
write(
    "hungry",
    helper.make_graph(
        [
            helper.make_node("ReduceMin", ["image"], ["least"], keepdims=0),
            helper.make_node("Expand", ["least", "size"], ["much"]),
            helper.make_node("ReduceMean", ["much"], ["mean"], keepdims=0),
            helper.make_node("Add", ["image", "mean"], ["logits"]),
        ],
        "g",
        [IMAGE],
        [ONE],
        [size],
    ),
)

# Two inputs, one of whole numbers; two outputs, one of half the resolution.
second = values("mask", TensorProto.UINT8, ["batch", 1, 16, 16])
half = values("half", FLOAT, ["batch", 1, 8, 8])
write(
    "two_heads",
    helper.make_graph(
        [
            helper.make_node("Cast", ["mask"], ["weight"], to=FLOAT),
            helper.make_node("Mul", ["image", "weight"], ["logits"]),
            helper.make_node(
                "AveragePool", ["logits"], ["half"], kernel_shape=[2, 2], strides=[2, 2]
            ),
        ],
        "g",
        [IMAGE, second],
        [ONE, half],
    ),
)

# A bag of any number of items, and one vector of it.
write(
    "bag",
    helper.make_graph(
        [helper.make_node("ReduceMean", ["items", "over"], ["score"], keepdims=0)],
        "g",
        [values("items", FLOAT, ["batch", "n", 4])],
        [values("score", FLOAT, ["batch", 4])],
        [helper.make_tensor("over", INT, [1], [1])],
    ),
)
