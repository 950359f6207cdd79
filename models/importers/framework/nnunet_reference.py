"""Sandboxed program: what nnU-Net itself makes of a generated volume.

Request:
    folder, folds, checkpoint: as for `nnunet_export`.
    cases: names; NAME.npz in the folder holds `voxels` (i, j, k) and `affine` (RAS, mm).
    axes: where the axes (z, y, x) of nnU-Net's array point to, e.g. "SPL".
    step: windows step by this part of the patch. mirror: average over mirrored runs.
    cubic_mm: TotalSegmentator's voxel size, or null. input_order: of its spline, 1 or 3.
    labels_back: "nearest" or "linear": how TotalSegmentator brings labels back.
    as_shipped: names of cases that are also run with nnU-Net's own float16 sums.
Writes NAME.ARRAY.npy:
    preprocessed (channel, *axes)  logits (class, *axes)  labels (i, j, k)  labels_shipped
Report:
    framework: which code computed it. seconds: of each case.

nnU-Net sums windows in float16, whose steps are coarser than what is to be proven. So the same
code runs with float32 sums for the comparison of logits; with `as_shipped` the labels of the
unchanged code come beside them.
"""

from __future__ import annotations

import importlib.metadata
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import nibabel
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn

from models.importers.exchange import Json, answer
from models.importers.framework.nnunet_network import build_network, load_checkpoint
from models.importers.nnunet_json import read_json
from models.importers.nnunet_plans import DATASET, PLANS, Plan, read_plan

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Turned:
    """The volume in nnU-Net's axes (z, y, x).

    Attributes:
        data: (channel, z, y, x) float32. spacing_mm: of z, y, x.
        orientation: nibabel's, from (i, j, k) to (z, y, x).
    """

    data: Floats
    spacing_mm: tuple[float, float, float]
    orientation: NDArray[np.float64]

    def back(self, labels: NDArray[Any]) -> NDArray[Any]:
        """(z, y, x) -> (i, j, k)."""
        undo = np.empty_like(self.orientation)
        for source, (target, flip) in enumerate(self.orientation):
            undo[int(target)] = (source, flip)
        turning: Any = nibabel.orientations
        turned: NDArray[Any] = turning.apply_orientation(labels, undo)
        return turned


def _turned(voxels: NDArray[Any], affine: NDArray[np.float64], axes: str) -> _Turned:
    # Typed as any: nibabel states no types.
    turning: Any = nibabel.orientations
    wanted = turning.axcodes2ornt(tuple(axes))
    orientation = turning.ornt_transform(turning.io_orientation(affine), wanted)
    data = np.stack([turning.apply_orientation(channel, orientation) for channel in voxels])
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    spacing = [0.0, 0.0, 0.0]
    for source, (target, _) in enumerate(orientation):
        spacing[int(target)] = float(steps[source])
    z, y, x = spacing
    return _Turned(np.ascontiguousarray(data, np.float32), (z, y, x), orientation)


def reference(request: Json, out: Path) -> Json:
    """See the module."""
    folder = Path(request["folder"])
    checkpoints = [
        load_checkpoint(folder / fold / request["checkpoint"]) for fold in request["folds"]
    ]
    plan = read_plan(folder, checkpoints[0].configuration)
    predictor = _Predictor(folder, plan, checkpoints, float(request["step"]))
    if request["mirror"]:
        predictor.mirror(checkpoints[0].mirror_axes)
    seconds = {name: _case(name, predictor, request, out) for name in request["cases"]}
    return {"framework": predictor.words, "seconds": seconds}


def _case(name: str, predictor: _Predictor, request: Json, out: Path) -> float:
    """One volume; returns the seconds of the comparable run."""
    started = time.monotonic()
    with np.load(out / f"{name}.npz") as volume:
        voxels, affine = np.asarray(volume["voxels"]), np.asarray(volume["affine"], np.float64)
    turned = _turned(voxels[np.newaxis], affine, request["axes"])
    size_mm = request["cubic_mm"]
    data, spacing = (
        (turned.data, turned.spacing_mm)
        if size_mm is None
        else _to_cubes(turned, float(size_mm), int(request["input_order"]))
    )
    shipped_too = name in request["as_shipped"]
    with _kept_outputs(predictor.network, out, keep=shipped_too) as again:
        result = predictor.run(data, spacing, shipped=False)
        np.save(out / f"{name}.preprocessed.npy", result.preprocessed)
        np.save(out / f"{name}.logits.npy", result.logits)
        np.save(out / f"{name}.labels.npy", _finished(result.labels, turned, request))
        seconds = time.monotonic() - started
        if shipped_too:
            again()
            shipped = predictor.run(data, spacing, shipped=True)
            np.save(out / f"{name}.labels_shipped.npy", _finished(shipped.labels, turned, request))
    return seconds


@contextmanager
def _kept_outputs(network: nn.Module, out: Path, *, keep: bool) -> Iterator[Callable[[], None]]:
    """Keep what the network gives for each window on the disk, to give it again.

    Yields:
        To be called before the second run, which then costs no network.
    """
    forward, counted, repeating = network.forward, 0, False

    def remembered(image: torch.Tensor) -> torch.Tensor:
        nonlocal counted
        path = out / f"window_{counted}.npy"
        counted += 1
        if repeating:
            return torch.from_numpy(np.load(path))
        output: torch.Tensor = forward(image)
        np.save(path, output.numpy())
        return output

    def again() -> None:
        nonlocal counted, repeating
        counted, repeating = 0, True

    if keep:
        network.forward = remembered
    try:
        yield again
    finally:
        network.forward = forward
        for path in out.glob("window_*.npy"):
            path.unlink()


def _to_cubes(
    turned: _Turned, size_mm: float, order: int
) -> tuple[Floats, tuple[float, float, float]]:
    """TotalSegmentator's way in: spline to cubes, then whole numbers cut off towards 0."""
    factors = [step / size_mm for step in turned.spacing_mm]
    if all(factor == 1.0 for factor in factors):
        return turned.data, turned.spacing_mm
    zoom: Any = ndimage.zoom  # its stubs know no order that is a number read from elsewhere
    cubes = [
        zoom(channel.astype(np.float64), factors, order=order, mode="nearest")
        for channel in turned.data
    ]
    return np.stack(cubes).astype(np.int32).astype(np.float32), (size_mm, size_mm, size_mm)


def _finished(labels: NDArray[Any], turned: _Turned, request: Json) -> NDArray[Any]:
    shape = turned.data.shape[1:]
    if labels.shape != shape:
        back = _nearest if request["labels_back"] == "nearest" else _one_by_one
        labels = back(labels, shape)
    return turned.back(labels)


def _nearest(labels: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    factors = [new / old for new, old in zip(shape, labels.shape, strict=True)]
    out: NDArray[Any] = ndimage.zoom(labels, factors, order=0, mode="nearest")
    return out


def _one_by_one(labels: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """One class at a time: linear between voxel centres, kept from one half on."""
    out = np.zeros(shape, labels.dtype)
    factors = [new / old for new, old in zip(shape, labels.shape, strict=True)]
    for label in np.unique(labels[labels != 0]):
        mask = (labels == label).astype(np.float32)
        # Outer edges stay, as in TotalSegmentator's map of voxel centres.
        part = ndimage.zoom(mask, factors, order=1, mode="nearest", grid_mode=True)
        out[part >= 0.5] = label
    return out


@dataclass(frozen=True, slots=True)
class _Result:
    preprocessed: Floats
    logits: Floats
    labels: NDArray[Any]


class _Predictor:
    """nnU-Net's own predictor with our safely loaded weights."""

    def __init__(self, folder: Path, plan: Plan, checkpoints: Sequence[Any], step: float) -> None:
        """Raises ModuleNotFoundError where nnunetv2 is not installed."""
        from nnunetv2.inference import predict_from_raw_data as module  # noqa: PLC0415
        from nnunetv2.utilities.plans_handling.plans_handler import (  # noqa: PLC0415
            PlansManager,
        )

        self._module: ModuleType = module
        self._predictor = module.nnUNetPredictor(
            tile_step_size=step,
            use_gaussian=True,
            use_mirroring=False,
            perform_everything_on_device=False,
            device=torch.device("cpu"),
            allow_tqdm=False,
        )
        self.network = build_network(plan, checkpoints[0])
        manager = PlansManager(dict(read_json(folder / PLANS)))
        self._dataset = dict(read_json(folder / DATASET))
        self._predictor.manual_initialization(
            self.network,
            manager,
            manager.get_configuration(plan.configuration),
            [dict(checkpoint.weights) for checkpoint in checkpoints],
            self._dataset,
            checkpoints[0].trainer,
            None,
        )

    @property
    def words(self) -> str:
        """For the card."""
        return f"nnU-Net {importlib.metadata.version('nnunetv2')} (nnUNetPredictor)"

    def mirror(self, axes: tuple[int, ...]) -> None:
        """Average over mirrored runs, as trained."""
        self._predictor.allowed_mirroring_axes = axes or None
        self._predictor.use_mirroring = bool(axes)

    def run(self, data: Floats, spacing: tuple[float, float, float], *, shipped: bool) -> _Result:
        """From the volume in nnU-Net's axes to labels on its grid."""
        from nnunetv2.inference import export_prediction  # noqa: PLC0415

        predictor = self._predictor
        configuration, plans = predictor.configuration_manager, predictor.plans_manager
        properties: dict[str, Any] = {"spacing": spacing}
        prepare = configuration.preprocessor_class(verbose=False)
        ready, _, properties = prepare.run_case_npy(
            data, None, properties, plans, configuration, self._dataset
        )
        with torch.inference_mode(), _sums(self._module, shipped=shipped):
            logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(ready))
        convert = export_prediction.convert_predicted_logits_to_segmentation_with_correct_shape
        labels = convert(logits, plans, configuration, predictor.label_manager, properties)
        return _Result(ready, logits.float().numpy(), np.asarray(labels))


@contextmanager
def _sums(module: ModuleType, *, shipped: bool) -> Iterator[None]:
    """Run nnU-Net's predictor with float32 sums, or unchanged."""
    if shipped:
        yield
        return
    kept = module.torch, module.compute_gaussian

    class _Exact:
        """PyTorch, where half precision is single precision."""

        half = torch.float32

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever torch has
            return getattr(torch, name)

    module.torch = _Exact()  # type: ignore[attr-defined]
    module.compute_gaussian = partial(kept[1], dtype=torch.float32)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        module.torch, module.compute_gaussian = kept  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(answer(reference))
