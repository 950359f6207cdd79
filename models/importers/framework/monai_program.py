"""Sandboxed program: a MONAI network to ONNX, and MONAI's own results on generated images."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import monai
import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from models.importers.exchange import Json, answer
from models.importers.framework.building import build_network
from models.importers.framework.exporting import Export, export, named_outputs
from models.importers.framework.monai_reference import Plan, run_case, run_detector

#: Values of the seeded input are multiples of this, so that they pack well and are exact in fp16.
_STEP = 1 / 64
_SEED = 20_261_126


def main(request: Json, folder: Path) -> Json:
    """Export `request["weights"]`, then run `request["cases"]`."""
    torch.manual_seed(_SEED)
    torch.set_num_threads(int(request["threads"]))
    network, notes = build_network(
        request["definition"],
        Path(request["weights"]),
        Path(request["own_code"]) if request["own_code"] else None,
    )
    plan = Plan(**request["plan"])
    example = seeded_input((2, request["channels"], *plan.patch))
    started = time.monotonic()
    done = export(network, torch.from_numpy(example), folder / "network.onnx", single=plan.single)
    exported = time.monotonic() - started
    _golden(network, example[:1], done, folder)
    report: dict[str, Any] = {
        "notes": notes,
        "exporter": done.exporter,
        "opset": done.opset,
        "refusals": done.refusals,
        "outputs": [[name, list(shape)] for name, shape in done.outputs],
        "difference": done.difference,
        "export_seconds": exported,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "versions": {
            "monai": monai.__version__,
            "torch": torch.__version__,
            "onnx": onnx.__version__,
        },
        "cases": run_cases(network, plan, request["cases"], folder),
    }
    return report


def run_cases(
    network: torch.nn.Module, plan: Plan, names: Sequence[str], folder: Path, output: str = ""
) -> dict[str, Any]:
    """MONAI's results on the generated images of these names.

    Args:
        output: name of the network's only output, where it has one of its own.

    Returns:
        By image: names of the arrays, which lie in files of their own, and seconds.
    """
    cases: dict[str, Any] = {}
    for name in names:
        reference = run_case(network, plan, folder / f"{name}.npz", folder)
        arrays = dict(reference.arrays)
        if output and "output_logits" in arrays:
            arrays[f"output_{output}"] = arrays.pop("output_logits")
        seconds = reference.seconds
        if plan.kind == "detector":
            began = time.monotonic()
            arrays |= run_detector(network, plan, arrays["input"])
            seconds += time.monotonic() - began
        for key, array in arrays.items():
            # One file each: large maps are read by memory map, part by part.
            np.save(folder / f"{name}.{key}.npy", array)
        cases[name] = {"arrays": sorted(arrays), "seconds": seconds}
    return cases


def seeded_input(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Smooth values and noise, 0 to 1, in steps of 1/64."""
    rng = np.random.default_rng(_SEED)
    smooth = rng.random(tuple(max(1, size // 8) for size in shape[2:]), np.float32)
    for axis, size in enumerate(shape[2:]):
        smooth = np.take(smooth, np.arange(size) * smooth.shape[axis] // size, axis=axis)
    values = np.broadcast_to(smooth, shape) * 0.8 + rng.random(shape, np.float32) * 0.2
    rounded: NDArray[np.float32] = (np.rint(values / _STEP) * _STEP).astype(np.float32)
    return rounded


def _golden(
    network: torch.nn.Module, example: NDArray[np.float32], done: Export, folder: Path
) -> None:
    """The network's own answer by PyTorch on the seeded input."""
    with torch.no_grad():
        outputs = named_outputs(network(torch.from_numpy(example)))
    arrays: Mapping[str, Any] = {
        f"output_{name}": tensor.numpy()
        for (name, _), (_, tensor) in zip(done.outputs, outputs, strict=False)
    }
    np.savez(folder / "golden.npz", input=example, **arrays)


if __name__ == "__main__":
    sys.exit(answer(main))
