"""Parity without nnU-Net: our own windows, computed once by the engine and once by PyTorch.

What is compared is the network alone, in the place where it stands; that the steps around it
are nnU-Net's is then known only from this product's own tests, and the card says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from inference.builtin.running import run_maps
from inference.steps.chain import postprocess, preprocess
from inference.steps.image import Image
from inference.windows import Windowing, run_stack
from models.manifest import ModelManifest, NetworkSpec
from node.domain.errors import ModelError
from node.domain.imaging import Network
from node.importing.cases import GeneratedImage
from node.importing.nnunet_parity import run_ours
from node.importing.opened import Opened
from node.importing.parity import Parity, agreement, difference

Floats = NDArray[np.float32]


class _Played:
    """A network whose outputs are noted beforehand, or whose inputs are noted."""

    def __init__(self, spec: NetworkSpec, outputs: NDArray[Any] | None) -> None:
        """`outputs`: (window, class, *patch) in the order of the windows; None to note them."""
        self._spec = spec
        self._outputs = outputs
        self._at = 0
        self.inputs: list[Floats] = []

    @property
    def name(self) -> str:
        """Of the network it stands for."""
        return self._spec.name

    @property
    def provider(self) -> str:
        """For the protocol."""
        return "PyTorch"

    @overload
    def run(self, inputs: Floats) -> Floats: ...

    @overload
    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]: ...

    def run(self, inputs: Floats | Mapping[str, NDArray[Any]]) -> Floats | dict[str, NDArray[Any]]:
        """The next windows."""
        if isinstance(inputs, Mapping):
            raise ModelError("a segmentation calls its network with one array")
        first, self._at = self._at, self._at + len(inputs)
        if self._outputs is None:
            self.inputs.extend(np.array(window) for window in inputs)
            return np.zeros((len(inputs), self._spec.outputs[0].count, *self._spec.patch), "f4")
        return np.asarray(self._outputs[first : self._at], np.float32)

    def run_windows(self, image: Floats) -> Floats:
        """(channel, *spatial) -> (class, *spatial)."""
        output: Floats = self.run_stack(image[np.newaxis])[0]
        return output

    def run_stack(self, images: Floats) -> Floats:
        """(image, channel, *spatial) -> (image, class, *spatial)."""
        return run_stack(self.run, images, Windowing.of(self._spec.patch, self._spec.windows))

    def run_maps(self, image: Floats) -> dict[str, Floats]:
        """The only output."""
        return {self._spec.outputs[0].name: self.run_windows(image)}


def note_windows(manifest: ModelManifest, cases: Sequence[GeneratedImage], folder: Path) -> None:
    """Write what the networks would be given as NAME.windows.npy; none of them is run."""
    for case in cases:
        ready = preprocess(_image(case), manifest.preprocess)
        # Every fold sees the same windows.
        noted = {spec.name: _Played(spec, None) for spec in manifest.networks}
        run_maps(manifest, noted, ready)
        first = noted[manifest.networks[0].name]
        np.save(folder / f"{case.name}.windows.npy", np.stack(first.inputs))


def compare_windows(
    package: Opened, cases: Sequence[GeneratedImage], folder: Path, report: Mapping[str, Any]
) -> tuple[Parity, ...]:
    """One row a volume; `folder` and `report` are what `nnunet_windows` of the sandbox left."""
    return tuple(_row(package, case, folder, report) for case in cases)


def _image(case: GeneratedImage) -> Image:
    return Image(values=case.voxels[np.newaxis], affine=case.affine)


def _row(package: Opened, case: GeneratedImage, folder: Path, report: Mapping[str, Any]) -> Parity:
    manifest = package.manifest
    ours = run_ours(package, case)
    networks: dict[str, Network] = {
        spec.name: _Played(spec, np.load(folder / f"{case.name}.{number}.npy", mmap_mode="r"))
        for number, spec in enumerate(manifest.networks)
    }
    scores = run_maps(manifest, networks, preprocess(_image(case), manifest.preprocess))
    labels = postprocess(scores, manifest.postprocess, manifest.thresholds).values[0]
    return Parity(
        case=case.description,
        shape=case.voxels.shape,
        logits=difference(ours.logits, scores.values, "logits"),
        labels=agreement(ours.labels, labels, "labels"),
        notes=(str(report["framework"]),),
        our_seconds=ours.seconds,
        their_seconds=float(report["seconds"][case.name]),
    )
