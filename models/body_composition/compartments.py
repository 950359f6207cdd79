"""The `regions` network: each slice divided into compartments, on the slice's own pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import TypeVar

import cc3d
import numpy as np
from numpy.typing import NDArray

from models.grid import Axis, Floats, Grid, normalised, sample_plane
from models.hounsfield import BODY_HU
from models.morphology import box_of, dilated
from models.side_by_side import each
from node.domain.imaging import Network, Voxels

NETWORK = "regions"
SPACING_MM = 2.0
VALUE_RANGE = (-250.0, 250.0)
WINDOW = 256
BATCH = 4
#: Parts of one arm are no further apart.
LIMB_GAP_MM = 2.0

Labels = NDArray[np.uint8]
Measured = TypeVar("Measured")


class Compartment(IntEnum):
    """Output channels of the network, in order (see train/README.md)."""

    OUTSIDE = 0
    SUBCUTANEOUS = 1
    MUSCLE = 2
    BONE = 3
    VISCERAL = 4
    THORAX = 5
    LIMB = 6


TRUNK = (
    Compartment.SUBCUTANEOUS,
    Compartment.MUSCLE,
    Compartment.BONE,
    Compartment.VISCERAL,
    Compartment.THORAX,
)


def compartments(grid: Grid, network: Network, slices: Sequence[int]) -> Iterator[Labels]:
    """Compartments of the given canonical slices, in their order.

    Yields:
        (row, column) uint8, values of `Compartment`, on the canonical pixels of the slice.
    """
    return measured(grid, network, slices, lambda _, labels: labels)


def measured(
    grid: Grid,
    network: Network,
    slices: Sequence[int],
    measure: Callable[[int, Labels], Measured],
) -> Iterator[Measured]:
    """What `measure` says of each of the given canonical slices, in their order.

    Args:
        measure: of the slice's index and its compartments, as `compartments` yields them;
            called for two slices at once.
    """
    pixel_mm = grid.spacing_mm[1:]

    def sampled(index: int) -> tuple[tuple[Axis, Axis], Floats]:
        axes = window_axes(grid.hu[index], pixel_mm)
        return axes, normalised(sample_plane(grid.hu[index], *axes), VALUE_RANGE)

    def looked_at(found: tuple[int, tuple[Axis, Axis], Floats]) -> Measured:
        index, axes, output = found
        labels = brought_back(output, axes, grid.shape[1:])
        return measure(index, whole_limbs(labels, pixel_mm))

    for start in range(0, len(slices), BATCH):
        batch = slices[start : start + BATCH]
        seen = each(sampled, batch)
        outputs = _run(network, [image for _, image in seen])
        axes = [pair for pair, _ in seen]
        yield from each(looked_at, list(zip(batch, axes, outputs, strict=True)))


def _run(network: Network, images: list[Floats]) -> list[Floats]:
    if all(image.shape == (WINDOW, WINDOW) for image in images):
        return list(network.run(np.stack(images)[:, None]))
    return [network.run_windows(image[None]) for image in images]


def window_axes(plane: Voxels, pixel_mm: tuple[float, float]) -> tuple[Axis, Axis]:
    """The network's pixels: centred on the body, larger than one window only if it must be."""
    body = plane[::4, ::4] > BODY_HU
    axes = []
    for axis, spacing in enumerate(pixel_mm):
        hit = np.flatnonzero(body.any(axis=1 - axis)) * 4.0
        length = plane.shape[axis]
        first, last = (hit[0], hit[-1]) if hit.size else (0.0, length - 1.0)
        count = max(WINDOW, int(np.ceil((last - first) * spacing / SPACING_MM)) + 8)
        axes.append(Axis.centred((first + last) / 2, SPACING_MM / spacing, count))
    return axes[0], axes[1]


def brought_back(logits: Floats, axes: tuple[Axis, Axis], shape: tuple[int, ...]) -> Labels:
    """Softmax, back to the slice's pixels, most probable class there.

    Of n classes the most probable one has at least 1/n, and a value interpolated between four
    is not above the highest of them. So each class is brought back only to the pixels near
    which it comes close to that; everywhere else it cannot win.
    """
    labels = np.zeros(shape, np.uint8)
    count = len(logits)
    # A class that has 1/(n+1) lies no deeper than this below the class of index 0, outside.
    depth = np.float32(np.log(count + 1) + 0.01)
    region = box_of(logits[1:].max(axis=0) > logits[0] - depth, 2)
    if region is None:
        return labels
    part = logits[:, region[0], region[1]]
    shifted = np.exp(part - part.max(axis=0, keepdims=True))
    probability = shifted / shifted.sum(axis=0, keepdims=True)
    able = probability > 1.0 / (count + 1)
    # Where no other class can win it is outside.
    able[0] = able[1:].any(axis=0)
    rows, columns = axes[0].inverse(shape[0]), axes[1].inverse(shape[1])
    best = np.full(shape, -1.0, np.float32)
    for index, (channel, mask) in enumerate(zip(probability, able, strict=True)):
        box = box_of(mask, 0)
        if box is None:
            continue
        to_rows, of_rows = _reached(axes[0], shape[0], box[0], region[0].start)
        to_columns, of_columns = _reached(axes[1], shape[1], box[1], region[1].start)
        there = (
            rows[to_rows, of_rows]
            @ channel[_moved(of_rows, region[0].start), _moved(of_columns, region[1].start)]
            @ columns[to_columns, of_columns].T
        )
        known = best[to_rows, to_columns]
        np.copyto(labels[to_rows, to_columns], index, where=there > known)
        np.maximum(known, there, out=known)
    return labels


def whole_limbs(labels: Labels, pixel_mm: tuple[float, float]) -> Labels:
    """Compartments with muscle and bone outside the trunk given to the limb beside them.

    Muscles, bones and cavities of the trunk hang together, within its fat. What does not hang
    together with them and touches an arm is more of that arm, which lies on the belly.
    """
    limb = labels == Compartment.LIMB
    if not limb.any():
        return labels
    inner = (labels > Compartment.SUBCUTANEOUS) & (labels < Compartment.LIMB)
    parts = cc3d.connected_components(np.ascontiguousarray(inner), connectivity=4)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    reach = dilated(limb, max(1, round(LIMB_GAP_MM / min(pixel_mm))))
    apart = np.setdiff1d(parts[reach], [0, int(sizes.argmax())])
    out = labels.copy()
    out[np.isin(parts, apart)] = Compartment.LIMB
    return out


def _moved(points: slice, start: int) -> slice:
    return slice(points.start - start, points.stop - start)


def _reached(axis: Axis, length: int, points: slice, start: int) -> tuple[slice, slice]:
    """The samples that points of the network have part in, and all points they are made of.

    Args:
        points: counted from `start` on the axis.
    """
    at = axis.points_at(length)
    first = int(np.searchsorted(at, points.start + start - 1, "right"))
    last = int(np.searchsorted(at, points.stop + start, "left"))
    made = at[first:last]
    return slice(first, last), slice(int(made[0]), int(np.ceil(made[-1])) + 1)
