"""`bench.overhead` with a network as large as those that are published.

    .venv-import/bin/python -m bench.published [--folder FOLDER] [--rounds 1] [--provider cpu]

The network is that of nnU-Net's plan for TotalSegmentator at 3 mm (five stages of 32 to 320
channels, windows of 112 x 112 x 128, 25 classes of which one is the background), brought as
plain ONNX and imported by `models import`: what comes after it is then the work of the product
alone, without code of a package. Its weights are random; so that the objects are of the size of
real ones, its scores are made small and a mean over 5 voxels decides, in bands of HU: air, lung,
fat, soft tissue, bone. Eligibility, resampling, windows, segmentation and report are those of
any imported network.

Needs the import environment (`make import-env`); says so where it is missing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.monai import NEEDED, missing

CLASSES = 25
PATCH = (112, 112, 128)
SPACING_MM = 3.0
#: Centres of the bands of HU that decide, and the label whose score each is.
BANDS = ((-1000.0, 0), (-750.0, 1), (-100.0, 2), (40.0, 3), (400.0, 4))
FORM = """
title: A network of published size
modality: CT
orientation: RAS
spacing_mm: [3.0, 3.0, 3.0]
intensity: {{score: {{mean: [0.0], std: [1000.0], clip: [-1024, 1024]}}}}
channels: [CT]
patch: [112, 112, 128]
overlap: 0.5
activation: none
licence: none
reference: random weights
intended_use: a measurement of speed
labels:
{labels}
"""


def main() -> int:
    """Make the network, import it, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="one series; default: a simulated abdomen CT")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--provider", default="cpu", help="as in bench.overhead")
    options = parser.parse_args()
    lacks = missing((*NEEDED, "dynamic_network_architectures"))
    if lacks:
        print(f"not measured: {', '.join(lacks)} not installed here")
        return 0
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as scratch:
        package = _imported(Path(scratch))
        command = [sys.executable, "-m", "bench.overhead", "--model", str(package)]
        command += ["--rounds", str(options.rounds), "--provider", options.provider]
        if options.folder:
            command += ["--folder", str(options.folder)]
        return subprocess.run(command, check=False).returncode


def _imported(scratch: Path) -> Path:
    network, form, package = scratch / "net.onnx", scratch / "form.yaml", scratch / "published"
    _export(network)
    names = (f"structure_{label}" for label in range(1, CLASSES))
    lines = (f"  - {{value: {label}, name: {name}}}" for label, name in enumerate(names, start=1))
    form.write_text(FORM.format(labels="\n".join(lines)), encoding="utf-8")
    command = [sys.executable, "-m", "node", "models", "import", str(network), "--kind", "onnx"]
    command += ["--form", str(form), "--out", str(package), "--python", sys.executable]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": ""})
    return package


def _export(path: Path) -> None:
    import torch  # noqa: PLC0415 - where it is installed
    from dynamic_network_architectures.architectures.unet import PlainConvUNet  # noqa: PLC0415

    centres = torch.full((CLASSES,), 10.0)
    for centre, label in BANDS:
        centres[label] = centre / 1000

    class Decided(torch.nn.Module):  # type: ignore[misc]
        """The network's scores, made small, and what the bands say."""

        def __init__(self) -> None:
            super().__init__()
            self.network = PlainConvUNet(
                1, 5, (32, 64, 128, 256, 320), torch.nn.Conv3d, 3, (1, 2, 2, 2, 2), 2,
                CLASSES, 2, conv_bias=True, norm_op=torch.nn.InstanceNorm3d,
                norm_op_kwargs={"eps": 1e-5, "affine": True}, nonlin=torch.nn.LeakyReLU,
                nonlin_kwargs={"inplace": True}, deep_supervision=False,
            )  # fmt: skip
            self.centres = centres.reshape(1, -1, 1, 1, 1)

        def forward(self, image: Any) -> Any:  # noqa: ANN401 - a torch.Tensor
            mean = torch.nn.functional.avg_pool3d(image, 5, stride=1, padding=2)
            return 1e-6 * self.network(image) - (mean - self.centres) ** 2

    torch.manual_seed(0)
    torch.onnx.export(
        Decided().eval(), (torch.zeros((2, 1, *PATCH)),), path, dynamo=False, opset_version=17,
        input_names=["image"], output_names=["scores"],
        dynamic_axes={"image": {0: "n"}, "scores": {0: "n"}},
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
