"""PyTorch network to ONNX: the new exporter first, then the old one; only what proves itself."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from node.domain.errors import ImportRefused

_DYNAMO_OPSET = 20
_SCRIPT_OPSET = 17
#: torch.export takes sizes 0 and 1 for constants, so the example has a batch of two.
_BATCH = 2
#: Largest difference of ONNX Runtime from PyTorch, absolute and relative to the largest value.
_TOLERANCE, _RELATIVE = 1e-3, 1e-5
#: Above this a protobuf file cannot be one file.
_LARGEST_FILE = 1_900_000_000


@dataclass(frozen=True, slots=True)
class Export:
    """How it was exported.

    Attributes:
        outputs: (name, shape without the batch axis). difference: from PyTorch, largest.
    """

    exporter: str
    opset: int
    outputs: tuple[tuple[str, tuple[int, ...]], ...]
    difference: float
    scale: float
    refusals: tuple[str, ...]


class Flat(torch.nn.Module):  # type: ignore[misc] # torch has no types here
    """A network whose output is one tensor or a tuple of them, whatever it was."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Outputs in their order; those of a mapping in the order of its keys."""
        return tuple(tensor for _, tensor in named_outputs(self.network(image)))


def named_outputs(output: Any, name: str = "") -> list[tuple[str, torch.Tensor]]:  # noqa: ANN401
    """Every tensor of an output with a name."""
    if isinstance(output, torch.Tensor):
        return [(name or "logits", output)]
    if isinstance(output, Mapping):
        items = [(f"{name}_{key}" if name else str(key), item) for key, item in output.items()]
    elif isinstance(output, list | tuple):
        items = [(f"{name or 'output'}{number}", item) for number, item in enumerate(output)]
    else:
        return []
    return [found for key, item in items for found in named_outputs(item, key)]


def export(
    network: torch.nn.Module,
    example: torch.Tensor,
    path: Path,
    *,
    single: bool = False,
) -> Export:
    """Write `path`; batch axis dynamic, every other size that of the example.

    Args:
        example: (2, channel, *patch), seeded.
        single: keep the first output only (networks that also give helpers for training).

    Raises:
        ImportRefused: neither exporter gives a graph that computes the same.
    """
    with torch.no_grad():
        named = named_outputs(network(example))
    named = named[:1] if single else named
    names = [name for name, _ in named]
    module = _First(network) if single else Flat(network)
    ways: tuple[str, ...] = _WAYS
    if isinstance(network, torch.jit.ScriptModule):
        # It is exported as it is: a tracer cannot look into it.
        module, ways = network, ("torchscript",)
    refusals: list[str] = []
    for way in ways:
        try:
            opset = _write(way, module.eval(), example, path, names)
            _check_file(path)
            difference, scale = _compare(path, example, [tensor for _, tensor in named])
        except Exception as error:
            told = " ".join(str(error).split())[:200] or type(error).__name__
            refusals.append(f"{way}: {type(error).__name__}: {told}")
            continue
        if difference <= max(_TOLERANCE, _RELATIVE * scale):
            outputs = tuple((name, tuple(tensor.shape[1:])) for name, tensor in named)
            return Export(way, opset, outputs, difference, scale, tuple(refusals))
        refusals.append(f"{way}: ONNX Runtime differs by {difference:.2g}")
    raise ImportRefused.once(
        "export to ONNX", "; ".join(refusals), "this network cannot be taken over as it is"
    )


_WAYS = ("dynamo", "torchscript")


class _First(Flat):
    """Only the first output."""

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """A tuple of one."""
        return super().forward(image)[:1]


def _write(
    way: str, module: torch.nn.Module, example: torch.Tensor, path: Path, names: list[str]
) -> int:
    path.unlink(missing_ok=True)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        if way == "dynamo":
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                input_names=["image"],
                output_names=names,
                dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},),
                opset_version=_DYNAMO_OPSET,
                verbose=False,
            )
            program.save(str(path), external_data=False)
            return _DYNAMO_OPSET
        torch.onnx.export(
            module,
            (example,),
            str(path),
            dynamo=False,
            input_names=["image"],
            output_names=names,
            dynamic_axes={name: {0: "batch"} for name in ("image", *names)},
            opset_version=_SCRIPT_OPSET,
        )
        return _SCRIPT_OPSET


def _check_file(path: Path) -> None:
    if path.stat().st_size > _LARGEST_FILE:
        raise ValueError("the network is larger than one ONNX file can be (2 GB)")
    onnx.checker.check_model(str(path), full_check=False)


def _compare(
    path: Path, example: torch.Tensor, expected: list[torch.Tensor]
) -> tuple[float, float]:
    """Largest difference from PyTorch for a batch of two and of one, and the largest value."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    image = example.numpy()
    largest, scale = 0.0, 0.0
    for batch in (_BATCH, 1):
        outputs = session.run(None, {"image": image[:batch]})
        for output, theirs in zip(outputs, expected, strict=True):
            other = theirs[:batch].numpy()
            if output.shape != other.shape:
                raise ValueError(f"ONNX Runtime gives {output.shape} for a batch of {batch}")
            apart = np.abs(output.astype(np.float64) - other)
            largest = max(largest, float(apart.max()) if np.isfinite(apart).all() else np.inf)
            scale = max(scale, float(np.abs(other).max()))
    return largest, scale
