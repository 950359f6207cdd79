"""Volumes, and the network that a model pipeline is handed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from node.domain.study import Plane, SeriesUID, StudyUID

Voxels = NDArray[np.int16] | NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """One geometry-checked series as an array.

    Attributes:
        voxels: (slice, row, column) float32 or int16, C-contiguous, in `unit`. Slices are
            sorted along the normal of the stack; for an axial series slice 0 is the most
            inferior, row 0 is anterior of a supine patient scanned head first, column 0 is
            the patient's right. The affine, not this sentence, is the truth.
        affine: (4, 4) float64, maps homogeneous (slice, row, column, 1) indices of voxel
            centres to (x, y, z, 1) mm in LPS (x to the left, y to posterior, z to the head),
            PS3.3 C.7.6.2.1.1.
        unit: "HU" for CT.
        planes: planes[i] is the source image of voxels[i].
        padding: (slice, row, column) bool, True where the scanner wrote padding (already
            replaced by -1024 HU in `voxels`); None where nothing is padded.
    """

    study_uid: StudyUID
    series_uid: SeriesUID
    frame_of_reference_uid: str
    voxels: Voxels
    affine: NDArray[np.float64]
    unit: str
    planes: tuple[Plane, ...]
    padding: NDArray[np.bool_] | None = None

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """(between slices, between rows, between columns), mm."""
        steps = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(steps[0]), float(steps[1]), float(steps[2])

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel, ml."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000.0)


class Network(Protocol):
    """One resident network, whatever runs it (ONNX Runtime on CPU, CUDA or TensorRT)."""

    @property
    def name(self) -> str:
        """Name of the network in its package's manifest."""
        ...

    @property
    def provider(self) -> str:
        """What really runs it, as the session reports it ("CPUExecutionProvider")."""
        ...

    @overload
    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]: ...

    @overload
    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]: ...

    def run(
        self, inputs: NDArray[np.float32] | Mapping[str, NDArray[Any]]
    ) -> NDArray[np.float32] | dict[str, NDArray[Any]]:
        """Run one batch: (batch, channel, *spatial) -> (batch, output channel, *spatial).

        Args:
            inputs: the array of the only input; or arrays by the names of the inputs, all with
                the same number of items first.

        Returns:
            The first output; or, for arrays by name, all outputs by their names.
        """
        ...

    def run_windows(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sliding-window run over a whole image with the manifest's patch and overlap.

        Args:
            image: (channel, *spatial) float32, already at the network's spacing and range.

        Returns:
            (output channel, *spatial) float32, Gaussian-weighted mean of the windows'
            outputs (logits), on the grid of `image`.
        """
        ...

    def run_stack(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """`run_windows` over independent images of one size; windows of several share a call.

        Args:
            images: (image, channel, *spatial) float32; of a 2-D network over a volume
                (slice, channel, row, column).

        Returns:
            (image, output channel, *spatial) float32.
        """
        ...


class Progress(Protocol):
    """Told how far an analysis is; called between stages."""

    def __call__(self, stage: str, **facts: Any) -> None:  # noqa: ANN401 - free-form log facts
        ...
