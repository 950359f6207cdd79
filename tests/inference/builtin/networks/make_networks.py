"""Makes the tiny networks of the built-in pipelines' tests; needs `onnx`, which serving does not.

Each computes something that a person can check by hand:

bright, bright_flat   channel 1 is 20 * (mean of 3 voxels along each axis - 0.5), channel 0 minus it
score, score_flat     logits of "bright": 20 * (mean of the window - 0.5), and minus it
views                 the same from two views: the mean of both
heads                 RetinaNet's raw heads on a map of a quarter of the patch: the class logit is
                      20 * (mean of the cell - 0.5); boxes are the anchors
tile                  logits of "red": 20 * (redness - 0.5); redness is red less the mean of green
                      and blue, plus 0.5
heads_flat            as heads, of a colour image; the class logit is 20 * (0.5 - mean): dark cells
features, attention   of a tile: the means of its three colours and their largest; of a bag: the
                      attention of a tile is a softmax of 8 * its redness, the score is the
                      attended redness: logit 20 * (redness - 0.5)

python tests/inference/builtin/networks/make_networks.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(__file__).parent
OPSET = 18
GAIN = 20.0
Tensors = dict[str, list[Any]]


def constant(name: str, values: Any) -> Any:
    """A stored array."""
    return numpy_helper.from_array(np.asarray(values), name)


def save(name: str, nodes: list[Any], inputs: Tensors, outputs: Tensors, *stored: Any) -> None:
    """Write NAME.onnx."""
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        list(stored),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model)
    (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString())


def bright(name: str, *patch: int) -> None:
    """Mean of 3 voxels along each axis against one half; the edge repeats nothing (zeros)."""
    axes = len(patch)
    kernel = np.full((1, 1, *[3] * axes), 1 / 3**axes, np.float32)
    weights = np.concatenate([-GAIN * kernel, GAIN * kernel])
    bias = np.array([GAIN / 2, -GAIN / 2], np.float32)
    node = helper.make_node("Conv", ["image", "w", "b"], ["logits"], pads=[1] * (2 * axes))
    save(
        name,
        [node],
        {"image": ["n", 1, *patch]},
        {"logits": ["n", 2, *patch]},
        constant("w", weights),
        constant("b", bias),
    )


def of_mean(mean: str) -> list[Any]:
    """Nodes from a mean (n, 1) to the logits (n, 2)."""
    return [
        helper.make_node("Gemm", [mean, "w", "b"], ["logits"]),
    ]


SCORE_WEIGHTS = (
    constant("w", np.array([[-GAIN, GAIN]], np.float32)),
    constant("b", np.array([GAIN / 2, -GAIN / 2], np.float32)),
)


def score(name: str, channels: int, *patch: int) -> None:
    """Mean of the whole window, all channels alike."""
    axes = constant("axes", np.arange(1, len(patch) + 2, dtype=np.int64))
    reduce = helper.make_node("ReduceMean", ["image", "axes"], ["kept"], keepdims=1)
    flat = helper.make_node("Flatten", ["kept"], ["mean"])
    save(
        name,
        [reduce, flat, *of_mean("mean")],
        {"image": ["n", channels, *patch]},
        {"logits": ["n", 2]},
        axes,
        *SCORE_WEIGHTS,
    )


def views(*patch: int) -> None:
    """Two inputs, one answer."""
    axes = constant("axes", np.arange(1, len(patch) + 2, dtype=np.int64))
    nodes = [
        helper.make_node("Add", ["left", "right"], ["both"]),
        helper.make_node("Mul", ["both", "half"], ["image"]),
        helper.make_node("ReduceMean", ["image", "axes"], ["kept"], keepdims=1),
        helper.make_node("Flatten", ["kept"], ["mean"]),
        *of_mean("mean"),
    ]
    save(
        "views",
        nodes,
        {"left": ["n", 1, *patch], "right": ["n", 1, *patch]},
        {"logits": ["n", 2]},
        axes,
        constant("half", np.float32(0.5)),
        *SCORE_WEIGHTS,
    )


def heads(*patch: int) -> None:
    """One level of stride 4, one anchor, one class; all box deltas are 0."""
    axes = len(patch)
    kernel = np.full((1, 1, *[4] * axes), GAIN / 4**axes, np.float32)
    nothing = np.zeros((2 * axes, 1, *[4] * axes), np.float32)
    strided = {"strides": [4] * axes}
    level = [size // 4 for size in patch]
    save(
        "heads",
        [
            helper.make_node("Conv", ["image", "w", "b"], ["cls0"], **strided),
            helper.make_node("Conv", ["image", "z"], ["box0"], **strided),
        ],
        {"image": ["n", 1, *patch]},
        {"cls0": ["n", 1, *level], "box0": ["n", 2 * axes, *level]},
        constant("w", kernel),
        constant("b", np.array([-GAIN / 2], np.float32)),
        constant("z", nothing),
    )


def heads_flat(*patch: int) -> None:
    """As `heads`, for what is dark in a colour image."""
    kernel = np.full((1, 3, 4, 4), -GAIN / 48, np.float32)
    level = [size // 4 for size in patch]
    save(
        "heads_flat",
        [
            helper.make_node("Conv", ["image", "w", "b"], ["cls0"], strides=[4, 4]),
            helper.make_node("Conv", ["image", "z"], ["box0"], strides=[4, 4]),
        ],
        {"image": ["n", 3, *patch]},
        {"cls0": ["n", 1, *level], "box0": ["n", 4, *level]},
        constant("w", kernel),
        constant("b", np.array([GAIN / 2], np.float32)),
        constant("z", np.zeros((4, 3, 4, 4), np.float32)),
    )


def tile(*patch: int) -> None:
    """Redness of a tile."""
    save(
        "tile",
        [
            helper.make_node("ReduceMean", ["image", "axes"], ["means"], keepdims=0),
            helper.make_node("MatMul", ["means", "red"], ["contrast"]),
            helper.make_node("Add", ["contrast", "half"], ["mean"]),
            *of_mean("mean"),
        ],
        {"image": ["n", 3, *patch]},
        {"logits": ["n", 2]},
        constant("axes", np.array([2, 3], np.int64)),
        constant("red", np.array([[1.0], [-0.5], [-0.5]], np.float32)),
        constant("half", np.float32(0.5)),
        *SCORE_WEIGHTS,
    )


def features(*patch: int) -> None:
    """Means of the three colours, and the largest value of the tile."""
    save(
        "features",
        [
            helper.make_node("ReduceMean", ["image", "axes"], ["means"], keepdims=0),
            helper.make_node("ReduceMax", ["image", "all"], ["largest"], keepdims=0),
            helper.make_node("Unsqueeze", ["largest", "one"], ["last"]),
            helper.make_node("Concat", ["means", "last"], ["features"], axis=1),
        ],
        {"image": ["n", 3, *patch]},
        {"features": ["n", 4]},
        constant("axes", np.array([2, 3], np.int64)),
        constant("all", np.array([1, 2, 3], np.int64)),
        constant("one", np.array([1], np.int64)),
    )


def attention() -> None:
    """ABMIL in its smallest form: redness is red minus the mean of green and blue, plus 0.5."""
    save(
        "attention",
        [
            helper.make_node("MatMul", ["features", "red"], ["contrast"]),
            helper.make_node("Add", ["contrast", "half"], ["redness"]),
            helper.make_node("Mul", ["redness", "sharp"], ["weighed"]),
            helper.make_node("Softmax", ["weighed"], ["soft"], axis=1),
            helper.make_node("Mul", ["soft", "redness"], ["attended"]),
            helper.make_node("ReduceSum", ["attended", "tiles"], ["mean"], keepdims=0),
            helper.make_node("Gemm", ["mean", "w", "b"], ["score"]),
            helper.make_node("Identity", ["soft"], ["attention"]),
        ],
        {"features": ["n", "tiles", 4]},
        {"score": ["n", 2], "attention": ["n", "tiles", 1]},
        constant("red", np.array([[1.0], [-0.5], [-0.5], [0.0]], np.float32)),
        constant("half", np.float32(0.5)),
        constant("sharp", np.float32(8.0)),
        constant("tiles", np.array([1], np.int64)),
        *SCORE_WEIGHTS,
    )


bright("bright", 16, 16, 16)
bright("bright_flat", 32, 32)
score("score", 1, 16, 16, 16)
score("score_flat", 3, 32, 32)
tile(32, 32)
heads_flat(32, 32)
views(32, 32)
heads(16, 16, 16)
features(32, 32)
attention()
