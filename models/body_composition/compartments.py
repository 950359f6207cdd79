"""The `regions` network: each slice divided into compartments, on the slice's own pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from models.body_composition.grid import Axis, Floats, Grid, normalised, sample_plane
from models.body_composition.plausibility import BODY_HU
from models.morphology import box_of
from node.domain.imaging import Network, Voxels

NETWORK = "regions"
SPACING_MM = 2.0
VALUE_RANGE = (-250.0, 250.0)
WINDOW = 256
BATCH = 4

Labels = NDArray[np.uint8]


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
    for start in range(0, len(slices), BATCH):
        planes = [grid.hu[index] for index in slices[start : start + BATCH]]
        axes = [window_axes(plane, grid.spacing_mm[1:]) for plane in planes]
        images = [
            normalised(sample_plane(plane, *pair), VALUE_RANGE)
            for plane, pair in zip(planes, axes, strict=True)
        ]
        logits = _run(network, images)
        for plane, pair, output in zip(planes, axes, logits, strict=True):
            yield brought_back(output, pair, plane.shape)


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
    shifted = np.exp(logits - logits.max(axis=0, keepdims=True))
    probability = shifted / shifted.sum(axis=0, keepdims=True)
    rows, columns = axes[0].inverse(shape[0]), axes[1].inverse(shape[1])
    labels = np.zeros(shape, np.uint8)
    able = probability > 1.0 / (len(probability) + 1)
    boxes = [box_of(mask, 0) for mask in able]
    # What no other class can win is outside.
    boxes[0] = box_of(able[1:].any(axis=0), 0)
    best = np.full(shape, -1.0, np.float32)
    for index, (channel, box) in enumerate(zip(probability, boxes, strict=True)):
        if box is None:
            continue
        there_rows, from_rows = _reached(rows, box[0])
        there_columns, from_columns = _reached(columns, box[1])
        there = (
            rows[there_rows, from_rows]
            @ channel[from_rows, from_columns]
            @ columns[there_columns, from_columns].T
        )
        known = best[there_rows, there_columns]
        better = there > known
        labels[there_rows, there_columns][better] = index
        np.maximum(known, there, out=known)
    return labels


def _reached(weights: Floats, points: slice) -> tuple[slice, slice]:
    """The samples that points of the network have part in, and all points they are made of."""
    first, last = np.flatnonzero(weights[:, points].any(axis=1))[[0, -1]]
    made = np.flatnonzero(weights[first : last + 1].any(axis=0))
    return slice(int(first), int(last) + 1), slice(int(made[0]), int(made[-1]) + 1)
