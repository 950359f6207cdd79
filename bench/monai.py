"""Sliding-window inference against MONAI with PyTorch eager, same network, same volume.

    python -m bench.monai [--rounds 3] [--only compact] [--providers cpu openvino]

Needs PyTorch, MONAI, onnx and onnxscript, and dynamic-network-architectures for the case
`nnunet` (the import environment); says so where they are missing. Weights are random. MONAI's
`sliding_window_inference` runs the PyTorch module; ours runs the same module as ONNX through
the node's own engine, with MONAI's settings of windows, on each runtime for the CPU that is
installed. All give labels. How much of the time was the network's alone is told for each, and
that against the calls of PyTorch: the bare session.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.ratios import Timed, interleaved, told
from inference.engine import EngineOptions, LoadedNetwork, open_network
from inference.providers import probe
from inference.windows import Windowing, run_labels
from models.manifest import NetworkSpec, TensorSpec, Windows

NEEDED = ("torch", "monai", "onnx", "onnxscript")
REFERENCE = "MONAI eager"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One network and one volume.

    Attributes:
        target: largest ratio to MONAI that is wanted.
        needs: a package that only this one takes.
    """

    name: str
    make: Callable[[], Any]
    classes: int
    patch: tuple[int, ...]
    volume: tuple[int, ...]
    overlap: float
    weights: str
    target: float
    needs: str = ""


def _compact() -> Any:  # noqa: ANN401 - a torch.nn.Module
    from monai.networks.nets import UNet  # noqa: PLC0415 - where it is installed

    return UNet(3, 1, 2, (8, 16, 32, 64, 128), (2, 2, 2, 2), num_res_units=2, norm="batch")


def _spleen() -> Any:  # noqa: ANN401
    from monai.networks.nets import UNet  # noqa: PLC0415

    return UNet(3, 1, 2, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2, norm="batch")


def _nnunet() -> Any:  # noqa: ANN401
    import torch  # noqa: PLC0415
    from dynamic_network_architectures.architectures.unet import PlainConvUNet  # noqa: PLC0415

    return PlainConvUNet(
        1, 5, (32, 64, 128, 256, 320), torch.nn.Conv3d, 3, (1, 2, 2, 2, 2), 2, 15, 2,
        conv_bias=True, norm_op=torch.nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True}, nonlin=torch.nn.LeakyReLU,
        nonlin_kwargs={"inplace": True}, deep_supervision=False,
    )  # fmt: skip


CASES = (
    Case(
        name="compact: residual UNet 1.2 M, 96 cubed",
        make=_compact, classes=2, patch=(96, 96, 96), volume=(128, 128, 128),
        overlap=0.5, weights="constant", target=0.4,
    ),
    Case(
        name="compact: spleen UNet 4.8 M, 96 cubed",
        make=_spleen, classes=2, patch=(96, 96, 96), volume=(128, 128, 128),
        overlap=0.5, weights="constant", target=0.4,
    ),
    Case(
        name="nnunet: PlainConvUNet 16 M, 64 cubed",
        make=_nnunet, classes=15, patch=(64, 64, 64), volume=(96, 96, 96),
        overlap=0.5, weights="gaussian", target=0.7, needs="dynamic_network_architectures",
    ),
)  # fmt: skip


def main() -> int:
    """Measure every case, or those whose name begins so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument(
        "--providers", nargs="+", default=["cpu", "openvino"], choices=["cpu", "openvino"]
    )
    options = parser.parse_args()
    lacks = missing(NEEDED)
    if lacks:
        print(f"not measured: {', '.join(lacks)} not installed here")
        return 0
    for case in CASES:
        if not case.name.startswith(options.only):
            continue
        if case.needs and missing((case.needs,)):
            print(f"not measured: {case.name}: {case.needs} not installed here")
            continue
        with tempfile.TemporaryDirectory(prefix="vigie-bench-") as scratch:
            _measure(case, options, Path(scratch))
    return 0


def missing(names: tuple[str, ...]) -> list[str]:
    """Those packages that are not installed here; none is imported."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def _measure(case: Case, options: argparse.Namespace, scratch: Path) -> None:
    import torch  # noqa: PLC0415
    from monai.inferers import sliding_window_inference  # noqa: PLC0415

    torch.manual_seed(0)
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    module = case.make().eval()
    spec = _exported(case, module, scratch)
    networks = _opened(spec, options.providers, threads)
    image = np.random.default_rng(0).random((1, *case.volume), np.float32)
    tensor = torch.from_numpy(image[np.newaxis])
    windowing = Windowing.of(spec.patch, spec.windows)
    labels: dict[str, NDArray[Any]] = {}
    #: Seconds of the network alone, a round.
    alone: dict[str, list[float]] = {}

    def eager() -> None:
        timed = Timed(module)
        with torch.inference_mode():
            scores = sliding_window_inference(
                tensor, case.patch, 1, timed, overlap=case.overlap, mode=case.weights
            )
            labels[REFERENCE] = scores.argmax(1)[0].numpy()
        alone.setdefault(REFERENCE, []).append(timed.seconds)

    def ours(name: str, network: LoadedNetwork) -> None:
        timed = Timed(network.run)
        labels[name] = run_labels(timed, image, windowing)
        alone.setdefault(name, []).append(timed.seconds)

    ways: dict[str, Callable[[], Any]] = {
        name: partial(ours, name, network) for name, network in networks.items()
    }
    ways[REFERENCE] = eager
    # Runtimes set themselves up at the first call; a node does that before it is ready.
    interleaved(ways, 1)
    alone.clear()
    seconds = interleaved(ways, options.rounds)
    print(f"{case.name}, volume {case.volume}, overlap {case.overlap}, {threads} threads")
    print(told(seconds, reference=REFERENCE, target=f"at most {case.target:.2f}"))
    for name, values in seconds.items():
        share = statistics.median(
            100 * one / whole for one, whole in zip(alone[name], values, strict=True)
        )
        to_torch = statistics.median(
            one / other for one, other in zip(alone[name], alone[REFERENCE], strict=True)
        )
        same = float(np.mean(labels[name] == labels[REFERENCE]))
        print(
            f"  {name:24} network alone {share:.0f} % of it, {to_torch:.2f} x PyTorch's calls; "
            f"equal labels {same:.6f}"
        )
    print(flush=True)


def _opened(spec: NetworkSpec, providers: Sequence[str], threads: int) -> dict[str, LoadedNetwork]:
    """The network on each runtime, by what is printed for it."""
    opened = {}
    for word in providers:
        lacks = probe().lacks(word)
        if lacks:
            print(f"not measured: {word}: {lacks}")
            continue
        network = open_network(spec, EngineOptions(providers=(word,), threads=threads))
        opened[f"vigie, {word}"] = network
    return opened


def _exported(case: Case, module: Any, folder: Path) -> NetworkSpec:  # noqa: ANN401
    import torch  # noqa: PLC0415

    path = folder / "net.onnx"
    example = torch.zeros((2, 1, *case.patch))
    torch.onnx.export(
        module, (example,), path, dynamo=False, opset_version=17, input_names=["image"],
        output_names=["scores"], dynamic_axes={"image": {0: "n"}, "scores": {0: "n"}},
    )  # fmt: skip
    return NetworkSpec(
        name="bench",
        path=path,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        inputs=(TensorSpec(name="image", count=1),),
        outputs=(TensorSpec(name="scores", count=case.classes),),
        patch=case.patch,
        spacing_mm=(1.0,) * len(case.patch),
        value_range=(0.0, 1.0),
        windows=Windows(
            overlap=case.overlap, weights=case.weights, least_weight=1e-3, starts="monai"
        ),
        tolerance={"CPUExecutionProvider": 0.001, "OpenVINO": 0.001},
    )


if __name__ == "__main__":
    sys.exit(main())
