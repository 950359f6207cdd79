"""Sliding windows: a network with a fixed patch over an image of any size, 2-D or 3-D.

Neighbouring windows overlap and are averaged with weights. `Windowing` says how, so that the
result equals that of the framework the network was trained with (MONAI 1.6
`sliding_window_inference`, nnU-Net 2.8 `nnUNetPredictor`).

    run_windows   an image -> scores          run_labels   an image -> the best class only
    run_stack     many images -> scores       run_slabs    an image -> scores, slab by slab
    run_maps      an image -> several outputs of their own resolution
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.labels import Labels, arg_max, label_type
from inference.window_canvas import Canvas, Corner, scaled
from inference.window_plan import Plan, Region, Windowing
from inference.window_weights import scaled_weights

__all__ = [
    "Region",
    "Slab",
    "Windowing",
    "run_labels",
    "run_maps",
    "run_slabs",
    "run_stack",
    "run_windows",
]

Array = NDArray[np.float32]
#: (batch, channel, *patch) -> (batch, class, *patch), which the next call does not write over.
Infer = Callable[[Array], Array]
#: (batch, channel, *patch) -> several (batch, class, *its own patch).
InferMaps = Callable[[Array], Sequence[Array]]
#: Told after each call: windows done, windows in all. What it raises ends the run.
Watch = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Slab:
    """Finished scores of some planes of the first spatial axis.

    Attributes:
        planes: which. scores: (class, plane, *rest) float32, valid until the next slab.
    """

    planes: slice
    scores: Array


def run_windows(
    infer: Infer,
    image: Array,
    windowing: Windowing,
    region: Region | None = None,
    watch: Watch | None = None,
) -> Array:
    """Weighted mean of the outputs of all windows.

    Args:
        infer: called with (n, channel, *patch) float32, n <= batch.
        image: (channel, *spatial) float32. An axis shorter than the patch is padded
            on both sides, and the output cropped back.

    Returns:
        (class, *spatial) float32, contiguous.
    """
    if region is not None:
        region = Region(mask=region.mask[np.newaxis], fill=region.fill)
    (output,) = run_stack(infer, image[np.newaxis], windowing, region, watch)
    return np.ascontiguousarray(output)


def run_stack(
    infer: Infer,
    images: Array,
    windowing: Windowing,
    region: Region | None = None,
    watch: Watch | None = None,
) -> Array:
    """`run_windows` over independent images of one size; windows of several share a call.

    Args:
        images: (image, channel, *spatial) float32; for a 2-D network over a volume
            (slice, channel, row, column).

    Returns:
        (image, class, *spatial) float32; a part of the network's output where one window holds
        the whole of one image.
    """
    (output,) = _run_whole(lambda batch: (infer(batch),), images, windowing, region, watch)
    return output


def run_maps(
    infer: InferMaps,
    image: Array,
    windowing: Windowing,
    region: Region | None = None,
    watch: Watch | None = None,
) -> tuple[Array, ...]:
    """`run_windows` for a network with several outputs, each of a resolution of its own.

    Args:
        infer: the outputs of one call, always as many and in the same order. An output of
            half the patch gives a map of half the image (rounded down).
        image: (channel, *spatial) float32.

    Returns:
        One (class, *spatial of the output) float32 for each output.
    """
    if windowing.mirror_axes:
        raise ValueError("outputs of other resolutions cannot be mirrored back")
    if region is not None:
        region = Region(mask=region.mask[np.newaxis], fill=region.fill)
    outputs = _run_whole(infer, image[np.newaxis], windowing, region, watch)
    return tuple(output[0] for output in outputs)


def run_slabs(
    infer: Infer,
    image: Array,
    windowing: Windowing,
    region: Region | None = None,
    watch: Watch | None = None,
) -> Iterator[Slab]:
    """`run_windows` in the memory of one slab: planes are given away as they are finished.

    Yields:
        Slabs in order, which together are the whole image.
    """
    plan = Plan.of_volume(image, windowing, region)
    before, after = plan.inner[0].start, plan.inner[0].stop
    rest = (slice(None), slice(None), *plan.inner[1:])
    for start, sums, total in _slabs(infer, plan, windowing, watch):
        # (plane, class, *rest), padding included
        low, high = max(before - start, 0), min(after - start, len(sums))
        if low < high:
            scores = _mean(sums[low:high], total[low:high], plan.fill)[rest]
            planes = slice(start + low - before, start + high - before)
            yield Slab(planes, np.moveaxis(scores, 0, 1))


def run_labels(
    infer: Infer,
    image: Array,
    windowing: Windowing,
    region: Region | None = None,
    watch: Watch | None = None,
) -> Labels:
    """The class with the highest score of each voxel, in the memory of one slab.

    Returns:
        (*spatial) uint8, or uint16 above 256 classes; `argmax` of what `run_windows` gives.
    """
    plan = Plan.of_volume(image, windowing, region)
    labels: Any = None
    for start, sums, _ in _slabs(infer, plan, windowing, watch, weighed=False):
        if labels is None:
            labels = np.empty(plan.spatial, label_type(sums.shape[1]))
        # Dividing all classes by one weight does not change which is highest.
        for plane, scores in enumerate(sums, start):
            labels[plane] = arg_max(scores)
    cropped: Labels = np.ascontiguousarray(labels[plan.inner])
    return cropped


def _run_whole(
    infer: InferMaps,
    images: Array,
    windowing: Windowing,
    region: Region | None,
    watch: Watch | None,
) -> tuple[Array, ...]:
    """(image, class, *spatial) for each output."""
    plan = Plan.of_stack(images, windowing, region)
    canvases: list[Canvas] = []
    results = []
    for corner, outputs in _outputs(infer, plan, windowing, watch):
        if len(images) == 1 and _is_plain(plan, windowing):
            # Nothing to sum, and nothing to copy: the only window is the whole image.
            results = [_cropped(output, plan) for output in outputs]
            continue
        if not canvases:
            canvases = _canvases(outputs, plan, windowing)
        for canvas, output in zip(canvases, outputs, strict=True):
            canvas.add(corner, output[np.newaxis])
    for canvas in canvases:
        mean = _mean(canvas.sums, canvas.total, plan.fill)
        box = canvas.scaled(plan.inner)
        results.append(np.ascontiguousarray(mean[(slice(None), slice(None), *box[1:])]))
    return tuple(results)


def _cropped(output: Array, plan: Plan) -> Array:
    """(class, *patch of the output) of the only window -> (image, class, *spatial), a view."""
    sizes = zip(output.shape[1:], plan.window[1:], strict=True)
    box = scaled(plan.inner[1:], tuple(out / size for out, size in sizes))
    return output[(np.newaxis, slice(None), *box)].astype(np.float32, copy=False)


def _canvases(outputs: Sequence[Array], plan: Plan, windowing: Windowing) -> list[Canvas]:
    canvases = []
    weights = windowing.window_weights
    for output in outputs:
        # From one output to the next, as MONAI does.
        weights = scaled_weights(weights, output.shape[1:])
        canvases.append(
            Canvas(
                length=plan.spatial,
                window=plan.window,
                weights=weights[np.newaxis],
                classes=len(output),
                plain=_is_plain(plan, windowing),
            )
        )
    return canvases


def _is_plain(plan: Plan, windowing: Windowing) -> bool:
    """Weights may be left out; nnU-Net's rounding to float16 is part of its result."""
    return plan.is_one_window and windowing.accumulate == "float32"


def _slabs(
    infer: Infer, plan: Plan, windowing: Windowing, watch: Watch | None, *, weighed: bool = True
) -> Iterator[tuple[int, NDArray[np.floating], NDArray[np.floating]]]:
    """First plane, (plane, class, *rest) sums and (plane, *rest) weights of finished planes."""
    canvas: Canvas | None = None
    for corner, (output,) in _outputs(lambda batch: (infer(batch),), plan, windowing, watch):
        if canvas is None:
            canvas = Canvas(
                length=plan.spatial,
                window=plan.window,
                weights=windowing.window_weights,
                classes=len(output),
                plain=_is_plain(plan, windowing),
                height=plan.window[0],
                weighed=weighed,
            )
        yield from canvas.finish(corner[0])
        canvas.add(corner, np.moveaxis(output, 0, 1))
    assert canvas is not None
    yield from canvas.finish(plan.spatial[0])


def _outputs(
    infer: InferMaps, plan: Plan, windowing: Windowing, watch: Watch | None
) -> Iterator[tuple[Corner, tuple[Array, ...]]]:
    """Each window with its outputs, (class, *patch) each, in order."""
    corners, batch = plan.corners, windowing.batch
    for at in range(0, len(corners), batch):
        chosen = corners[at : at + batch]
        inputs = np.stack([plan.cut(corner) for corner in chosen])
        outputs = _with_mirrors(infer, inputs, windowing.mirror_axes)
        for number, corner in enumerate(chosen):
            yield corner, tuple(output[number] for output in outputs)
        if watch is not None:
            watch(at + len(chosen), len(corners))


def _with_mirrors(infer: InferMaps, inputs: Array, axes: tuple[int, ...]) -> Sequence[Array]:
    """Mean of the outputs of a batch and of its mirror images, each mirrored back."""
    outputs = infer(inputs)
    if not axes:
        return outputs
    (total,) = (np.array(output) for output in outputs)
    count = 1
    for many in range(1, len(axes) + 1):
        for chosen in itertools.combinations([axis + 2 for axis in axes], many):
            (output,) = infer(np.ascontiguousarray(np.flip(inputs, chosen)))
            total += np.flip(output, chosen)
            count += 1
    total /= np.float32(count)
    return (total,)


def _mean(sums: NDArray[np.floating], total: NDArray[np.floating], fill: float) -> Array:
    """(plane, class, *rest) sums -> float32 means, in place where the type allows."""
    weight = total[:, np.newaxis]
    is_empty = weight == 0
    if is_empty.any():
        np.divide(sums, np.where(is_empty, total.dtype.type(1), weight), out=sums)
        np.copyto(sums, sums.dtype.type(fill), where=is_empty)
    elif not (weight == 1).all():
        sums /= weight
    return sums.astype(np.float32, copy=False)
