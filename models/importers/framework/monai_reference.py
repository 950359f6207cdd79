"""MONAI's own pipeline on one generated image: its transforms, inferer, post-processing.

Built from what was understood of the configuration as data; nothing of it is evaluated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import monai.transforms
import nibabel
import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import SimpleInferer, SlidingWindowInferer
from numpy.typing import NDArray

from models.importers.framework.exporting import named_outputs

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run.

    Attributes:
        before / behind: transforms as the readers of `models.importers` list them.
        key: of the image. frame: "LPS" where the bundle reads files in those axes.
        kind: "windows", "planes" (a network of two axes over a volume), "stack" (each plane on its
            own, a row of scores each), "whole" or "detector". windows: as in model.yaml.
        detector: of a RetinaNet. single: only the network's first output counts.
    """

    before: list[Mapping[str, Any]]
    behind: list[Mapping[str, Any]]
    key: str
    frame: str
    kind: str
    patch: list[int]
    windows: Mapping[str, Any]
    detector: Mapping[str, Any] | None
    single: bool


@dataclass(frozen=True, slots=True)
class Reference:
    """Arrays by name, as they go into the reference file, and the seconds they took."""

    arrays: Mapping[str, NDArray[Any]]
    seconds: float


def run_case(network: torch.nn.Module, plan: Plan, case: Path, scratch: Path) -> Reference:
    """One generated image through MONAI's own objects."""
    with np.load(case, allow_pickle=False) as arrays:
        voxels, affine = arrays["voxels"], arrays["affine"]
    source = _source(voxels, affine, plan.frame, scratch)
    started = time.monotonic()
    chain = monai.transforms.Compose(_before(plan, isinstance(source, str)))
    with torch.no_grad():
        item = chain({plan.key: source})
        image = item[plan.key]
        outputs = _infer(network, image, plan)
        arrays_out: dict[str, NDArray[Any]] = {"input": _plain(image)}
        for name, output in outputs:
            arrays_out[f"output_{name}"] = _plain(output)
        if plan.kind != "detector" and len(outputs) == 1 and plan.behind:
            item["pred"] = outputs[0][1]
            final = monai.transforms.Compose(_behind(plan, chain))(item)["pred"]
            arrays_out["final"] = _plain(final)
    return Reference(arrays_out, time.monotonic() - started)


def run_detector(network: torch.nn.Module, plan: Plan, image: NDArray[Any]) -> dict[str, Any]:
    """Boxes of MONAI's `RetinaNetDetector` on a preprocessed image (channel, *spatial)."""
    from monai.apps.detection.networks.retinanet_detector import (  # noqa: PLC0415 - rarely needed
        RetinaNetDetector,
    )
    from monai.apps.detection.utils.anchor_utils import (  # noqa: PLC0415
        AnchorGeneratorWithAnchorShape,
    )

    rule = plan.detector
    assert rule is not None
    detector = RetinaNetDetector(
        network=network,
        anchor_generator=AnchorGeneratorWithAnchorShape(rule["scales"], rule["anchors"]),
        spatial_dims=len(plan.patch),
        num_classes=rule["num_classes"],
        size_divisible=rule["divisible_by"],
    )
    detector.set_box_selector_parameters(
        score_thresh=rule["score_above"],
        topk_candidates_per_level=rule["candidates"],
        nms_thresh=rule["overlap"],
        detections_per_img=rule["at_most"],
    )
    windows = plan.windows
    detector.set_sliding_window_inferer(
        roi_size=plan.patch,
        sw_batch_size=windows["batch"],
        overlap=windows["overlap"],
        mode=windows["weights"],
        sigma_scale=windows["sigma"],
        padding_mode=windows["padding"],
        cval=windows["padding_value"],
    )
    detector.eval()
    maps: dict[str, NDArray[Any]] = {}
    inferer = detector.inferer

    def kept(*arguments: Any, **words: Any) -> Any:  # noqa: ANN401 - as the inferer
        found = inferer(*arguments, **words)
        for number, level in enumerate(found):
            maps[f"map{number}"] = level[0].numpy()
        return found

    detector.inferer = kept
    with torch.no_grad():
        found = detector(torch.from_numpy(image[None]), use_inferer=True)[0]
    return {
        "boxes": found[detector.target_box_key].numpy(),
        "scores": found[detector.pred_score_key].numpy(),
        "labels": found[detector.target_label_key].numpy(),
        **maps,
    }


def _source(
    voxels: NDArray[Any], affine: NDArray[np.float64], frame: str, scratch: Path
) -> str | MetaTensor:
    """A NIfTI file for MONAI's reader; for pictures and LPS axes what its reader would give."""
    is_volume = voxels.dtype != np.uint8
    if is_volume and frame == "RAS":
        path = scratch / "case.nii"
        writer: Any = nibabel
        writer.save(writer.Nifti1Image(voxels, affine), path)
        return str(path)
    if is_volume:
        return MetaTensor(
            torch.from_numpy(voxels[None].astype(np.float32)),
            affine=torch.from_numpy(_RAS_TO_LPS @ affine),
        )
    # A picture: (row, column, channel) -> (channel, row, column).
    return MetaTensor(torch.from_numpy(np.moveaxis(voxels, -1, 0).astype(np.float32)))


def _before(plan: Plan, from_file: bool) -> list[Any]:
    built = []
    if from_file:
        # Whatever the bundle calls them: load, channel first.
        built.append(monai.transforms.LoadImaged(keys=plan.key, ensure_channel_first=True))
    for spec in plan.before:
        if spec["build"].startswith(("LoadImage", "EnsureChannelFirst", "AddChannel", "AsChannel")):
            continue
        built.append(_transform(spec, plan.key))
    return built


def _behind(plan: Plan, chain: Any) -> list[Any]:  # noqa: ANN401 - a Compose
    built = []
    for spec in plan.behind:
        extra: dict[str, Any] = {}
        if spec["build"].startswith("Invert"):
            extra = {"transform": chain, "orig_keys": plan.key}
        built.append(_transform(spec, "pred", **extra))
    return built


def _transform(spec: Mapping[str, Any], key: str, **extra: Any) -> Any:  # noqa: ANN401
    """A transform of MONAI by a name that our vocabulary has already admitted."""
    arguments = dict(spec["arguments"])
    if "select_fn" in arguments:
        arguments["select_fn"] = _above(float(arguments["select_fn"]["above"]))
    if "func" in arguments:
        arguments["func"] = _chosen(list(arguments["func"]["channels"]))
    if isinstance(arguments.get("dtype"), str):
        arguments["dtype"] = getattr(np, arguments["dtype"].rpartition(".")[2])
    return getattr(monai.transforms, spec["build"])(keys=key, **arguments, **extra)


def _above(limit: float) -> Callable[[Any], Any]:
    return lambda image: image > limit


def _chosen(channels: list[int]) -> Callable[[Any], Any]:
    return lambda image: image[channels]


def _infer(
    network: torch.nn.Module, image: torch.Tensor, plan: Plan
) -> list[tuple[str, torch.Tensor]]:
    if plan.kind == "detector":
        return []
    inputs = image[None]
    inputs = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
    if plan.kind == "whole":
        output = SimpleInferer()(inputs.float(), network)
    elif plan.kind == "stack":
        # Each plane on its own, a row of scores each.
        planes = inputs[0].transpose(0, 1).float()
        return [("logits", torch.cat([network(plane[None]) for plane in planes]))]
    elif plan.kind == "planes":
        # A network of two axes looks at the planes along the first.
        planes = inputs[0].transpose(0, 1)
        output = _windowed(network, planes, plan).transpose(0, 1)[None]
    else:
        output = _windowed(network, inputs, plan)
    named = named_outputs(output)
    named = named[:1] if plan.single else named
    # The prediction carries the geometry of the image, as MONAI's evaluator gives it.
    return [(name, _like(tensor[0], image)) for name, tensor in named]


def _windowed(network: torch.nn.Module, inputs: torch.Tensor, plan: Plan) -> Any:  # noqa: ANN401
    windows = plan.windows
    inferer = SlidingWindowInferer(
        roi_size=plan.patch,
        sw_batch_size=windows["batch"],
        overlap=windows["overlap"],
        mode=windows["weights"],
        sigma_scale=windows["sigma"],
        padding_mode=windows["padding"],
        cval=windows["padding_value"],
    )
    return inferer(inputs.float(), network)


def _like(tensor: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    if isinstance(image, MetaTensor) and tensor.shape[1:] == image.shape[1:]:
        return MetaTensor(tensor, meta=image.meta, applied_operations=image.applied_operations)
    return tensor


def _plain(tensor: Any) -> NDArray[Any]:  # noqa: ANN401 - a tensor or an array
    array = np.asarray(tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor)
    return np.ascontiguousarray(array)
