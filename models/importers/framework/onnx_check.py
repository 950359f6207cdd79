"""Judges a vendor's ONNX file: everything that is wrong with it at once, each with its remedy.

Also makes the batch axis dynamic where the file fixes it and the graph allows it, and brings
weights from side files into the one file that a package holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from node.domain.errors import ImportFault, ImportRefused

#: Operator sets that the node's runtimes bring; the first two are one.
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
#: Types of images that the engine feeds.
_FED = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.FLOAT16: "float16"}
_LARGEST_FILE = 1_900_000_000
_TOLD = 5
_LARGEST_SIDE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An input or output; None where the file leaves a size open."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the file says of itself."""

    ir: int
    opsets: dict[str, int]
    producer: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    ending: str
    parameters: int
    notes: list[str] = field(default_factory=list)


def judge(path: Path, target: Path) -> Facts:
    """Check a file, and write it to `target` as a package can hold it.

    Raises:
        ImportRefused: one fault for each thing that is wrong.
    """
    model = _read(path)
    faults = [*_external(model, path), *_versions(model), *_operators(model)]
    if faults:
        # The checker would follow paths and stumble over unknown operators.
        raise ImportRefused(faults=faults)
    _load_external(model, path)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        told = " ".join(str(error).split())[:300]
        raise ImportRefused.once(
            path.name, f"onnx.checker refuses it ({told})", "export the network again"
        ) from None
    facts = _facts(model)
    faults = [*_inputs(facts, path), *_outputs(facts, path)]
    if faults:
        raise ImportRefused(faults=faults)
    _free_batch(model, facts, path)
    if model.ByteSize() > _LARGEST_FILE:
        raise ImportRefused.once(
            path.name, "with its weights it is larger than 2 GB", "export it with smaller weights"
        )
    onnx.save(model, str(target))
    return facts


def external_files(path: Path) -> list[str]:
    """Names of the files beside it that hold its weights; no content of them is read.

    Raises:
        ImportRefused: it is no ONNX file, or a file is missing or outside the folder.
    """
    model = _read(path)
    if faults := tuple(_external(model, path)):
        raise ImportRefused(faults=faults)
    return sorted({_location(tensor) for tensor in _tensors(model) if _is_external(tensor)})


def _is_external(tensor: Any) -> bool:  # noqa: ANN401
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL)


def _location(tensor: Any) -> str:  # noqa: ANN401
    return next((str(e.value) for e in tensor.external_data if e.key == "location"), "")


def _read(path: Path) -> Any:  # noqa: ANN401 - a protobuf message
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:
        raise ImportRefused.once(
            path.name, f"it is no ONNX file ({type(error).__name__})", "name the .onnx file"
        ) from None
    if not model.HasField("graph") or not model.graph.node:
        raise ImportRefused.once(path.name, "it holds no graph", "export the network again")
    return model


def _graphs(model: Any) -> Iterator[Any]:  # noqa: ANN401
    """The graph, those inside it (If, Loop, Scan), and functions of the file."""
    waiting = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    waiting.append(attribute.g)
                waiting.extend(attribute.graphs)


def _tensors(model: Any) -> Iterator[Any]:  # noqa: ANN401
    for graph in _graphs(model):
        yield from getattr(graph, "initializer", ())
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.TENSOR:
                    yield attribute.t
                yield from attribute.tensors


def _external(model: Any, path: Path) -> Iterator[ImportFault]:  # noqa: ANN401
    """Weights in other files must lie beside the file."""
    told = set()
    for tensor in _tensors(model):
        if not _is_external(tensor):
            continue
        location = _location(tensor)
        if location in told:
            continue
        told.add(location)
        place = PurePosixPath(location)
        outside = (
            not location
            or place.is_absolute()
            or PureWindowsPath(location).is_absolute()
            or ".." in place.parts
            or "\\" in location
        )
        real = path.parent / place if not outside else path.parent
        if outside or not real.resolve().is_relative_to(path.parent.resolve()):
            yield ImportFault(
                where=f"{path.name}: tensor {tensor.name!r}",
                why=f"its weights lie in {location!r}, outside the folder of the file",
                remedy="do not use this file; a sound one names files beside itself",
            )
        elif not real.is_file():
            yield ImportFault(
                where=f"{path.name}: tensor {tensor.name!r}",
                why=f"its weights lie in {location!r}, which is missing",
                remedy="put that file beside the .onnx file, as it was delivered",
            )


def _load_external(model: Any, path: Path) -> None:  # noqa: ANN401
    try:
        onnx.external_data_helper.load_external_data_for_model(model, str(path.parent))
    except (OSError, ValueError, RuntimeError, onnx.checker.ValidationError) as error:
        raise ImportRefused.once(
            path.name, f"weights beside it cannot be read ({error})", "copy all files again"
        ) from None


def _versions(model: Any) -> Iterator[ImportFault]:  # noqa: ANN401
    if not 3 <= model.ir_version <= onnx.IR_VERSION:
        yield ImportFault(
            where="IR version",
            why=f"it is {model.ir_version}; known are 3 to {onnx.IR_VERSION}",
            remedy="export the network for an older IR version, or update the import environment",
        )
    for entry in model.opset_import:
        newest = onnx.defs.onnx_opset_version()
        if entry.domain in ("", "ai.onnx") and entry.version > newest:
            yield ImportFault(
                where="operator set",
                why=f"version {entry.version} of ai.onnx; the newest known is {newest}",
                remedy=f"export the network with opset {newest} or lower",
            )
        elif entry.domain not in DOMAINS and entry.domain not in {
            function.domain for function in model.functions
        }:
            yield ImportFault(
                where="operator set",
                why=f"the domain {entry.domain!r} is not known here",
                remedy="export the network with operators of ai.onnx only",
            )


def _operators(model: Any) -> Iterator[ImportFault]:  # noqa: ANN401
    own = {(function.domain, function.name) for function in model.functions}
    unknown: dict[tuple[str, str], int] = {}
    for graph in _graphs(model):
        for node in graph.node:
            key = (node.domain, node.op_type)
            plain = "" if node.domain == "ai.onnx" else node.domain
            known = (
                key in own
                or plain == "com.microsoft"
                or (plain in DOMAINS and onnx.defs.has(node.op_type, plain))
            )
            if not known:
                unknown[key] = unknown.get(key, 0) + 1
    for (domain, name), times in list(unknown.items())[:_TOLD]:
        yield ImportFault(
            where=f"operator {domain or 'ai.onnx'}::{name}",
            why=f"it is not known; the graph uses it {times} times",
            remedy="export the network without custom operators",
        )


def _facts(model: Any) -> Facts:  # noqa: ANN401
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    return Facts(
        ir=int(model.ir_version),
        opsets={entry.domain or "ai.onnx": int(entry.version) for entry in model.opset_import},
        producer=f"{model.producer_name} {model.producer_version}".strip()[:80],
        inputs=tuple(_tensor(item) for item in graph.input if item.name not in weights),
        outputs=tuple(_tensor(item) for item in graph.output),
        ending=_ending(graph),
        parameters=sum(int(np.prod(tensor.dims)) for tensor in graph.initializer),
    )


def _tensor(item: Any) -> Tensor:  # noqa: ANN401
    kind = item.type.tensor_type
    shape = tuple(
        int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value > 0 else None
        for dim in kind.shape.dim
    )
    name = onnx.TensorProto.DataType.Name(kind.elem_type)
    return Tensor(name=item.name, dtype=_FED.get(kind.elem_type, name), shape=shape)


def _ending(graph: Any) -> str:  # noqa: ANN401
    """The operator that gives the first output."""
    name = graph.output[0].name if graph.output else ""
    return next((str(node.op_type) for node in graph.node if name in node.output), "")


def _inputs(facts: Facts, path: Path) -> Iterator[ImportFault]:
    if len(facts.inputs) != 1:
        names = ", ".join(tensor.name for tensor in facts.inputs) or "none"
        yield ImportFault(
            where=f"{path.name}: inputs",
            why=f"one image is expected, the graph takes: {names}",
            remedy="export the network with the image as its only input",
        )
        return
    (image,) = facts.inputs
    if image.dtype != "float32":
        yield ImportFault(
            where=f"{path.name}: input {image.name!r}",
            why=f"it takes {image.dtype}",
            remedy="export the network for float32",
        )
    if len(image.shape) not in (4, 5):
        yield ImportFault(
            where=f"{path.name}: input {image.name!r}",
            why=f"it has {len(image.shape)} axes",
            remedy="(batch, channel, row, column) or (batch, channel, i, j, k) is expected",
        )


def _outputs(facts: Facts, path: Path) -> Iterator[ImportFault]:
    for output in facts.outputs[:1]:
        if output.dtype != "float32":
            yield ImportFault(
                where=f"{path.name}: output {output.name!r}",
                why=f"it gives {output.dtype}",
                remedy="export the network up to its logits or scores in float32; labels are made "
                "by the package",
            )


def _free_batch(model: Any, facts: Facts, path: Path) -> None:  # noqa: ANN401
    """Give the first axis of inputs and outputs a name where it is a number."""
    fixed = facts.inputs[0].shape[0]
    if fixed is None:
        return
    freed = onnx.ModelProto()
    freed.CopyFrom(model)
    for item in (*freed.graph.input, *freed.graph.output):
        if item.type.tensor_type.shape.dim:
            item.type.tensor_type.shape.dim[0].Clear()
            item.type.tensor_type.shape.dim[0].dim_param = "batch"
    del freed.graph.value_info[:]
    shape = tuple(size or 32 for size in facts.inputs[0].shape[1:])
    if not _batch_works(freed, facts.inputs[0].name, shape):
        raise ImportRefused.once(
            f"{path.name}: input {facts.inputs[0].name!r}",
            f"its batch is fixed to {fixed}, and the graph depends on it",
            "export it with a dynamic batch, e.g. torch.onnx.export(..., dynamic_axes={'image': "
            "{0: 'batch'}})",
        )
    model.CopyFrom(freed)
    facts.notes.append(
        f"the file fixes its batch to {fixed}; it was made dynamic, and windows give the same "
        "alone and together"
    )


def _batch_works(model: Any, name: str, shape: Sequence[int]) -> bool:  # noqa: ANN401
    rng = np.random.default_rng(0)
    images = rng.random((2, *shape), np.float32)
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        together = session.run(None, {name: images})
        alone = [session.run(None, {name: images[n : n + 1]}) for n in range(2)]
    except Exception:
        return False
    return all(
        _close(both, np.concatenate([one[at] for one in alone])) for at, both in enumerate(together)
    )


def _close(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=1e-4, atol=1e-4))


def fitting_patch(facts: Facts, asked: Sequence[int] | None) -> tuple[int, ...]:
    """The window: sizes that the file fixes, else those asked for.

    Raises:
        ImportRefused: they contradict each other, or neither says.
    """
    sizes = facts.inputs[0].shape[2:]
    if asked is None:
        if None in sizes:
            raise ImportRefused.once(
                f"input {facts.inputs[0].name!r}",
                "its size is free, and the form names no patch",
                "add to the form the window that the network was trained with: "
                f"patch: [{', '.join(['96'] * len(sizes))}]",
            )
        return tuple(int(size or 0) for size in sizes)
    wrong = len(asked) != len(sizes) or any(
        size is not None and size != side for size, side in zip(sizes, asked, strict=False)
    )
    if wrong or max(asked) > _LARGEST_SIDE:
        raise ImportRefused.once(
            "form: patch",
            f"the network takes {_words(sizes)}, the form says {_words(tuple(asked))}",
            "correct the patch in the form",
        )
    return tuple(asked)


def _words(sizes: Sequence[int | None]) -> str:
    return " x ".join("any" if size is None else str(size) for size in sizes)
